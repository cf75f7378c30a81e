"""How a vehicle would drive proposals: LQR tracker and kinematic bicycle, 40 steps of 0.1 s.

NAVSIM scores what its simulator makes of a proposal, not the proposal.  The rules are nuPlan's
LQRTracker and KinematicBicycleModel (Caesar et al., NuPlan, 2021) as NAVSIM runs them.  All K
proposals advance together, and the ten-step look-ahead of the lateral controller, whose speeds grow
linearly, is summed in closed form.
"""

from __future__ import annotations

import enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.geometry import wrap_angle
from diff_planner.metrics.quirks import PUBLISHED, Quirks
from diff_planner.types import PLAN_DT_S, PLAN_POINTS

Array = NDArray[np.float64]

_DT = PLAN_DT_S
_STEPS = PLAN_POINTS - 1
_LOOKAHEAD = 10
_ACCELERATION_PENALTY = 1e-4
_CURVATURE_RATE_PENALTY = 1e-2
_INITIAL_CURVATURE_PENALTY = 1e-10
_STOPPING_MPS = 0.2
_STOPPING_GAIN = 0.5
_SPEED_COST, _COMMAND_COST = 10.0, 1.0
_HEADING_COST = 10.0
"""Of the lateral controller, where the offset's and the steering rate's cost is 1."""
_ACCELERATION_LAG_S = 0.2
_STEER_LAG_S = 0.05
_MAX_STEER_RAD = np.pi / 3.0


class SimIndex(enum.IntEnum):
    """Columns of a simulated state: pose of the rear axle; motion along the vehicle's axes."""

    X = 0
    Y = 1
    YAW = 2
    VX = 3
    VY = 4
    AX = 5
    AY = 6
    STEER = 7
    STEER_RATE = 8
    YAW_RATE = 9
    YAW_ACCELERATION = 10


def simulate(
    poses: Array, initial: Array, vehicle: VehicleConfig, quirks: Quirks = PUBLISHED
) -> Array:
    """Return states [K, 41, 11] of a vehicle that tracks poses [K, 41, 3].

    Args:
        poses: x, y, unwrapped yaw each 0.1 s, the first where the vehicle stands.
        initial: [11] actual state at t = 0, in the frame of the poses.
        vehicle: its wheelbase is used; the steering limit is the simulator's own, 60 degrees.
        quirks: which velocity profile is fitted.
    """
    speed = speed_profile(poses, quirks)
    sums = _curvature_sums(curvature_profile(poses, speed))  # [5, 40, K]
    goal_speed = speed.T[np.minimum(np.arange(_STEPS) + _LOOKAHEAD, speed.shape[1] - 1)]
    goal = poses[:, :-1].transpose(2, 1, 0)  # [3, 40, K]
    cos, sin = np.cos(goal[2]), np.sin(goal[2])
    states = np.empty((len(SimIndex), PLAN_POINTS, len(poses)))
    states[:, 0] = initial[:, None]
    for i in range(_STEPS):
        now = states[:, i]
        error = now[:3] - goal[:, i]
        offset = cos[i] * error[1] - sin[i] * error[0]
        command = _commands(now, goal_speed[i], offset, error[2], sums[:, i], vehicle.wheelbase_m)
        _advance(now, command, vehicle.wheelbase_m, states[:, i + 1])
    return states.transpose(2, 1, 0)


def speed_profile(poses: Array, quirks: Quirks = PUBLISHED) -> Array:
    """Return the speeds [K, 40] that explain the steps of poses [K, 41, 3] with little change.

    Least squares in an initial speed and 39 accelerations; as steps are projected on the heading at
    their start, the normal equations are the same for every proposal.
    """
    steps = np.diff(poses[..., :2], axis=1)
    yaw = poses[:, :-1, 2]
    along = steps[..., 0] * np.cos(yaw) + steps[..., 1] * np.sin(yaw)
    return along @ _speed_matrix(quirks.is_acceleration_penalised).T


@lru_cache(maxsize=2)
def _speed_matrix(is_acceleration_penalised: bool) -> Array:
    """Return the matrix [40, 40] from steps along the heading to fitted speeds."""
    speeds = np.concatenate([np.ones((_STEPS, 1)), _DT * np.tri(_STEPS, _STEPS - 1, -1)], axis=1)
    count = _STEPS - 1
    jerk = np.eye(count - 1, count, 1) - np.eye(count - 1, count)
    penalised = jerk
    if is_acceleration_penalised:
        # What remains of the difference matrix: identity rows, then the last true difference.
        penalised = np.eye(count - 1, count)
        penalised[-1] = jerk[-1]
    penalty = np.zeros((_STEPS, _STEPS))
    penalty[1:, 1:] = _ACCELERATION_PENALTY * penalised.T @ penalised
    normal = _DT**2 * speeds.T @ speeds + penalty
    matrix = speeds @ np.linalg.pinv(normal) @ (_DT * speeds.T)
    matrix.setflags(write=False)
    return matrix


def curvature_profile(poses: Array, speed: Array) -> Array:
    """Return the curvatures [K, 40] that explain the turns of poses [K, 41, 3] at speeds [K, 40].

    Minimises the turns' residuals plus a penalty on the curvature's rate; in the curvatures
    themselves the normal equations are tridiagonal, solved by elimination for all K at once.  It
    carries by how much each pivot exceeds the stiffness, a sum without cancellation: for a vehicle
    that hardly moves that is 1e-10 beside 1.
    """
    turn = wrap_angle(np.diff(poses[..., 2], axis=1)).T  # [40, K]
    step = _DT * speed.T
    stiffness = _CURVATURE_RATE_PENALTY / _DT**2
    surplus = step * step
    surplus[0] += _INITIAL_CURVATURE_PENALTY
    curvature = step * turn
    for k in range(1, _STEPS):
        factor = stiffness / (surplus[k - 1] + stiffness)
        surplus[k] += factor * surplus[k - 1]
        curvature[k] += factor * curvature[k - 1]
    curvature[-1] /= surplus[-1]
    for k in range(_STEPS - 2, -1, -1):
        curvature[k] += stiffness * curvature[k + 1]
        curvature[k] /= surplus[k] + stiffness
    return curvature.T


# Sums over the ten look-ahead steps j of speeds v_j = v + j b, where b = a dt, become polynomials
# in v and b; these are their coefficients.
_J = np.arange(_LOOKAHEAD, dtype=np.float64)
_LATER = _LOOKAHEAD - 1 - _J
"""How many steps follow step i."""
_LATER_J = np.array([_J[i + 1 :].sum() for i in range(_LOOKAHEAD)])
_SUM_J, _SUM_JJ = float(_J.sum()), float((_J * _J).sum())
# sum over i < j of v_i v_j, and of i v_i v_j: coefficients of v^2, v b, b^2.
_PAIRS = (
    float(_LATER.sum()),
    float((_J * _LATER + _LATER_J).sum()),
    float((_J * _LATER_J).sum()),
)
_PAIRS_I = (
    float((_J * _LATER).sum()),
    float((_J * (_J * _LATER + _LATER_J)).sum()),
    float((_J * _J * _LATER_J).sum()),
)
_WINDOW_WEIGHTS = np.stack(
    [np.ones(_LOOKAHEAD), _J, _LATER, _J * _LATER + _LATER_J, _J * _LATER_J], axis=-1
)
"""[10, 5]: what weighs a curvature in the drift of heading (2) and of offset (3)."""


def _curvature_sums(curvature: Array) -> Array:
    """Return the weighted sums [5, 40, K] of the ten curvatures ahead of each step."""
    tail = np.repeat(curvature[:, -1:], _LOOKAHEAD - 1, axis=1)
    padded = np.concatenate([curvature, tail], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _LOOKAHEAD, axis=1)
    return np.ascontiguousarray((windows @ _WINDOW_WEIGHTS).transpose(2, 1, 0))


def _commands(
    now: Array, goal_speed: Array, offset: Array, yaw_error: Array, sums: Array, wheelbase_m: float
) -> tuple[Array, Array]:
    """Return acceleration and steering rate [K] of both controllers.

    The lateral one carries (offset, heading error, steering) ten steps ahead as A e + B u + g and
    takes the u of least cost.
    """
    v, steer = now[SimIndex.VX], now[SimIndex.STEER]
    horizon = _LOOKAHEAD * _DT
    gain = horizon * _SPEED_COST / (horizon * horizon * _SPEED_COST + _COMMAND_COST)
    excess = v - goal_speed
    is_stopping = (goal_speed <= _STOPPING_MPS) & (v <= _STOPPING_MPS)
    acceleration = np.where(is_stopping, -_STOPPING_GAIN, -gain) * excess

    b = acceleration * _DT
    vv, vb, bb = v * v, v * b, b * b
    travelled = _DT * (_LOOKAHEAD * v + _SUM_J * b)
    bend = _DT / wheelbase_m
    turn_by_command = bend * _DT * (_SUM_J * v + _SUM_JJ * b)
    shift_by_steer = bend * _DT * (_PAIRS[0] * vv + _PAIRS[1] * vb + _PAIRS[2] * bb)
    shift_by_command = bend * _DT * _DT * (_PAIRS_I[0] * vv + _PAIRS_I[1] * vb + _PAIRS_I[2] * bb)
    shift_by_road = _DT * _DT * (sums[2] * vv + sums[3] * vb + sums[4] * bb)
    yaw_error = wrap_angle(yaw_error)
    shift = offset + travelled * yaw_error + shift_by_steer * steer - shift_by_road
    turn = wrap_angle(
        yaw_error + travelled / wheelbase_m * steer - _DT * (sums[0] * v + sums[1] * b)
    )
    steer_rate = -(shift_by_command * shift + _HEADING_COST * turn_by_command * turn)
    steer_rate /= shift_by_command**2 + _HEADING_COST * turn_by_command**2 + _COMMAND_COST
    steer_rate[is_stopping] = 0.0
    return acceleration, steer_rate


def _advance(now: Array, command: tuple[Array, Array], wheelbase_m: float, out: Array) -> None:
    """Write the state [11, K] one step after `now`; the vehicle follows commands with a lag."""
    v, yaw, steer = now[SimIndex.VX], now[SimIndex.YAW], now[SimIndex.STEER]
    ax = now[SimIndex.AX]
    new_ax = ax + _DT / (_DT + _ACCELERATION_LAG_S) * (command[0] - ax)
    reached = _DT / (_DT + _STEER_LAG_S) * (_DT * command[1])
    new_v = v + _DT * new_ax
    new_steer = np.minimum(np.maximum(steer + reached, -_MAX_STEER_RAD), _MAX_STEER_RAD)
    way = v * _DT
    out[SimIndex.X] = now[SimIndex.X] + way * np.cos(yaw)
    out[SimIndex.Y] = now[SimIndex.Y] + way * np.sin(yaw)
    out[SimIndex.YAW] = wrap_angle(yaw + way * np.tan(steer) / wheelbase_m)
    out[SimIndex.VX] = new_v
    out[SimIndex.VY] = 0.0
    out[SimIndex.AX] = new_ax
    out[SimIndex.AY] = 0.0
    out[SimIndex.STEER] = new_steer
    out[SimIndex.STEER_RATE] = reached / _DT
    yaw_rate = new_v * np.tan(new_steer) / wheelbase_m
    out[SimIndex.YAW_RATE] = yaw_rate
    out[SimIndex.YAW_ACCELERATION] = (yaw_rate - now[SimIndex.YAW_RATE]) / _DT
