"""From 8 poses at 0.5 s to a smooth, drivable-looking plan at 0.1 s.

Geometry and timing are fitted apart: the path as a curve over its length, the motion as a length
over time.  A vehicle that stands or creeps then keeps its heading by construction, and a plan
that brakes cannot run backwards.  Both fits are linear least squares that weigh squared jerk
(time integral) against squared metres at the 8 poses, the usual smoothing-spline trade.

The proposals are targets, not constraints.  Poses that no vehicle reaches from the present speed
(the anchors of an untrained network) are first moved to the nearest point of their path that can
be reached in time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import RefineConfig
from diff_planner.geometry import wrap_angle
from diff_planner.motion import covered_m, integrate
from diff_planner.types import (
    HORIZON_STEPS,
    NETWORK_DT_S,
    PLAN_DT_S,
    PLAN_POINTS,
    EgoState,
    Proposals,
)

Array = NDArray[np.float64]

_HORIZON_S = HORIZON_STEPS * NETWORK_DT_S
_TARGET_S = NETWORK_DT_S * np.arange(1, HORIZON_STEPS + 1)
_ONSET_S = 0.5
"""Acceleration and curvature at the stamp are pulled to the ego's as if the change took this."""
_PATH_MIN_SPEED_MPS = 2.0
"""Stiffness of the path below this mean speed: jerk of a creeping vehicle says nothing."""
_CURVATURE_MIN_SPEED_MPS = 1.0
"""Below this, yaw rate over speed is noise."""
_MAX_EGO_CURVATURE_PM = 0.25
"""No road vehicle turns tighter; bounds what a noisy yaw rate can do."""
_CREEP_MPS = 0.05
"""Slower than this with nowhere left to go is a stop."""
_TINY = 1e-9
"""Keeps a system regular when the jerk weight is zero and nodes see no pose."""


def refine(proposals: Proposals, ego: EgoState, config: RefineConfig) -> Array:
    """Fit a smooth plan to every proposal.

    Args:
        proposals: [M, 8, 3] poses in base_link at the stamp.
        ego: motion at the stamp; point 0 has its speed, pose zero.
        config: jerk weight, standstill speed, reach.

    Returns:
        [M, 41, 7] states (`StateIndex`) at 0.1 s in base_link at the stamp.  Pose, speed and
        heading agree: poses are the integral of speed along the heading.  A proposal with a
        non-finite number gives a row of NaN.  Speed is negative only where the proposal itself
        runs backwards, so that the safety rules can see it.
    """
    targets = proposals.poses[..., :2].astype(np.float64)  # [M, 8, 2]
    is_finite = np.asarray(np.isfinite(proposals.poses).all(axis=(1, 2)))  # [M]
    targets[~is_finite] = 0.0
    advance = _signed_advance(targets, proposals.poses[..., 2], is_finite)  # [M, 8]
    forward = np.maximum(np.maximum.accumulate(advance, axis=1), 0.0)
    reach = _reach(ego.speed_mps, config)
    arc, yaw, curvature = _fit_path(targets, forward, reach[1][-1], ego, config)
    goals = _rows_at(forward, arc[0], arc[1]) - (forward - advance)  # [M, 8] length at each pose
    retreats = np.diff(goals, axis=1, prepend=0.0) < -_step_noise(config)
    is_reversing = np.asarray(retreats.any(axis=1))
    goals = np.where(is_reversing[:, None], goals, np.clip(goals, *reach))
    speed, length = _fit_motion(goals, is_reversing, ego, config)
    states = integrate(speed, _rows_at(length, arc[1], yaw), _rows_at(length, arc[1], curvature))
    states[~is_finite] = np.nan
    return states


def _step_noise(config: RefineConfig) -> float:
    """Return the way back in one network step that still counts as jitter."""
    return config.standstill_mps * NETWORK_DT_S


def _signed_advance(
    targets: Array, yaw: NDArray[np.float32], is_finite: NDArray[np.bool_]
) -> Array:
    """Return the way [M, 8] from the origin to each pose, steps against the heading negative."""
    heading = np.where(is_finite[:, None], yaw, 0.0).astype(np.float64)
    steps = np.diff(targets, axis=1, prepend=0.0)
    before = np.concatenate([np.zeros((len(heading), 1)), heading[:, :-1]], axis=1)
    turn = wrap_angle(heading - before)
    mean = before + 0.5 * turn
    along = steps[..., 0] * np.cos(mean) + steps[..., 1] * np.sin(mean)
    # An arc is longer than its chord; a wild heading is not believed.
    arc = np.hypot(steps[..., 0], steps[..., 1]) / np.sinc(np.clip(turn, -1.0, 1.0) / (2 * np.pi))
    return np.cumsum(np.copysign(arc, along), axis=1)


def _reach(speed_mps: float, config: RefineConfig) -> tuple[Array, Array]:
    """Return the least and the greatest way [8] that can be covered by each network time."""
    speed = max(speed_mps, 0.0)
    braking_s = np.minimum(_TARGET_S, speed / config.reach_deceleration_mps2)
    least = speed * braking_s - 0.5 * config.reach_deceleration_mps2 * braking_s**2
    greatest = speed * _TARGET_S + 0.5 * config.reach_acceleration_mps2 * _TARGET_S**2
    return least, greatest


def _hat_integrals(u: Array, nodes: int) -> Array:
    """Return the second integrals [..., nodes] of the linear hat functions at 0, 1, 2, ... at u.

    Both integration constants are zero at u = 0, so a curve built of them leaves the origin along
    the first axis.
    """
    z = u[..., None] - np.arange(-1, nodes + 1)
    cubes = np.maximum(z, 0.0) ** 3 / 6.0
    hats = cubes[..., :-2] - 2.0 * cubes[..., 1:-1] + cubes[..., 2:]
    # The first hat starts at its peak: what the rising half would have added is taken off.
    hats[..., 0] = 0.5 * u**2 - u**3 / 6.0 + cubes[..., 2]
    return hats


def _fit_path(
    targets: Array, forward: Array, reach_m: float, ego: EgoState, config: RefineConfig
) -> tuple[tuple[Array, Array], Array, Array]:
    """Fit a curve through the targets: 41 nodes evenly spaced over the way forward.

    Unknown is the second derivative at the nodes (times the squared spacing), which makes start
    point and start heading exact and the fit one small linear system for each proposal.

    Returns:
        (node parameter [M, 41], true length at the nodes [M, 41]), heading [M, 41] and
        curvature [M, 41] at the nodes.
    """
    nodes = PLAN_POINTS
    # Braking may need more way than the proposal has: the curve goes on, its bend kept.
    length = np.maximum(forward[:, -1], min(reach_m, _braking_way(ego, config))) + 1.0  # [M]
    spacing = length / (nodes - 1)
    basis = _hat_integrals(forward / spacing[:, None], nodes)  # [M, 8, 41]
    # Jerk over time is v^5 times the squared third derivative over length.
    rate = np.maximum(forward[:, -1] / _HORIZON_S, _PATH_MIN_SPEED_MPS) / spacing
    change = np.diff(np.eye(nodes), axis=0)
    normal = np.swapaxes(basis, 1, 2) @ basis
    normal += (config.jerk_weight * rate**5)[:, None, None] * (change.T @ change)
    onset = config.jerk_weight * rate**4 / _ONSET_S  # [M]
    normal[:, 0, 0] += onset
    offsets = targets - np.stack([forward, np.zeros_like(forward)], axis=-1)  # [M, 8, 2]
    right = np.swapaxes(basis, 1, 2) @ offsets
    right[:, 0, 1] += onset * spacing**2 * _ego_curvature(ego)
    bend = np.linalg.solve(normal + _TINY * np.eye(nodes), right)  # [M, 41, 2]
    slope = np.cumsum(0.5 * (bend[:, 1:] + bend[:, :-1]), axis=1)
    slope = np.concatenate([np.zeros_like(bend[:, :1]), slope], axis=1)
    slope = slope / spacing[:, None, None] + [1.0, 0.0]
    bend = bend / spacing[:, None, None] ** 2
    stretch = np.hypot(slope[..., 0], slope[..., 1])
    yaw = np.unwrap(np.arctan2(slope[..., 1], slope[..., 0]), axis=1)
    turning = slope[..., 0] * bend[..., 1] - slope[..., 1] * bend[..., 0]
    curvature = turning / np.maximum(stretch, 1e-3) ** 3
    steps = 0.5 * (stretch[:, 1:] + stretch[:, :-1]) * spacing[:, None]
    arc = np.concatenate([np.zeros((len(targets), 1)), np.cumsum(steps, axis=1)], axis=1)
    parameter = spacing[:, None] * np.arange(nodes)
    return (parameter, arc), yaw, curvature


def _ego_curvature(ego: EgoState) -> float:
    if ego.speed_mps < _CURVATURE_MIN_SPEED_MPS:
        return 0.0
    curvature = ego.yaw_rate_radps / ego.speed_mps
    return float(np.clip(curvature, -_MAX_EGO_CURVATURE_PM, _MAX_EGO_CURVATURE_PM))


def _braking_way(ego: EgoState, config: RefineConfig) -> float:
    return max(ego.speed_mps, 0.0) ** 2 / (2.0 * config.reach_deceleration_mps2)


@lru_cache(maxsize=8)
def _motion_operator(jerk_weight: float) -> tuple[Array, Array, Array]:
    """Return what turns goals into accelerations, and accelerations into speeds.

    Unknown are the 41 accelerations, linear in between.  Returns the matrices goals -> a
    [41, 8], present acceleration -> a [41], a -> speed gain [41, 41].
    """
    reach = PLAN_DT_S**2 * _hat_integrals(np.asarray(_TARGET_S / PLAN_DT_S), PLAN_POINTS)  # [8, 41]
    change = np.diff(np.eye(PLAN_POINTS), axis=0) / PLAN_DT_S
    normal = reach.T @ reach + jerk_weight * PLAN_DT_S * (change.T @ change)
    normal[0, 0] += jerk_weight / _ONSET_S
    inverse: Array = np.asarray(np.linalg.inv(normal + _TINY * np.eye(PLAN_POINTS)))
    gain = np.tril(np.full((PLAN_POINTS, PLAN_POINTS), PLAN_DT_S))
    gain[:, 0] = 0.5 * PLAN_DT_S
    gain[np.diag_indices(PLAN_POINTS)] = 0.5 * PLAN_DT_S
    gain[0] = 0.0
    return np.asarray(inverse @ reach.T), inverse[:, 0] * jerk_weight / _ONSET_S, gain


def _fit_motion(
    goals: Array, is_reversing: NDArray[np.bool_], ego: EgoState, config: RefineConfig
) -> tuple[Array, Array]:
    """Fit speed [M, 41] and length [M, 41] over time to the goals [M, 8]."""
    from_goals, from_acceleration, gain = _motion_operator(config.jerk_weight)
    is_standing = abs(ego.speed_mps) < config.standstill_mps
    present = 0.0 if is_standing else ego.ax_mps2
    excess = goals - ego.speed_mps * _TARGET_S  # zero for constant speed: then a = 0 exactly
    acceleration = excess @ from_goals.T + present * from_acceleration  # [M, 41]
    speed = ego.speed_mps + acceleration @ gain.T
    if not is_reversing.all():
        speed = np.where(is_reversing[:, None], speed, _stopped(speed, goals, config))
    return speed, covered_m(speed)


def _stopped(speed: Array, goals: Array, config: RefineConfig) -> Array:
    """Take out negative speeds, and the fit's ringing around zero once a stop is reached."""
    forward = np.maximum(speed, 0.0)
    forward[:, 0] = speed[:, 0]
    rest = goals[:, -1:] - covered_m(forward)  # [M, 41] way that is still wanted
    is_stop = (speed <= _CREEP_MPS) & (rest < config.standstill_mps)
    is_stop[:, 0] = False
    return np.where(np.maximum.accumulate(is_stop, axis=1), 0.0, forward)


def _rows_at(x: Array, knots: Array, values: Array) -> Array:
    """Interpolate row by row: values [M, K] over rising knots [M, K] at x [M, N]; ends held."""
    right = (knots[:, None, :] <= x[:, :, None]).sum(axis=-1)
    right = np.clip(right, 1, knots.shape[1] - 1)
    left_knot = np.take_along_axis(knots, right - 1, axis=1)
    width = np.take_along_axis(knots, right, axis=1) - left_knot
    share = np.clip((x - left_knot) / np.maximum(width, 1e-12), 0.0, 1.0)
    left_value = np.take_along_axis(values, right - 1, axis=1)
    return left_value + share * (np.take_along_axis(values, right, axis=1) - left_value)
