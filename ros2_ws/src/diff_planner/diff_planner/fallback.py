"""What is driven when no candidate can be: hold the last plan, stop comfortably, stop hard.

Never calls the network and needs no sensor but odometry.  Without odometry the only honest plan
is to stand: all states zero, which a controller tracks by braking.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import FallbackConfig, PlannerConfig, SafetyConfig, VehicleConfig
from diff_planner.geometry import arc_lengths, se2_between, transform_poses
from diff_planner.motion import covered_m, integrate
from diff_planner.safety import collision
from diff_planner.safety.continuity import starts_elsewhere
from diff_planner.types import (
    PLAN_DT_S,
    EgoState,
    FloatArray,
    LidarSweep,
    Source,
    StateIndex,
    Trajectory,
)

Array = NDArray[np.float64]

_POSE = slice(StateIndex.X, StateIndex.YAW + 1)
_MAX_PATH_OFFSET_M = 1.0
"""Farther than this beside the last path, the vehicle is not on it any more."""
_MAX_PATH_HEADING_RAD = 0.5
_SWEEP_MAX_AGE_NS = 1_000_000_000
"""Carried farther by a constant twist, a sweep shows nothing."""
_CURVATURE_MIN_SPEED_MPS = 1.0
"""Below this, yaw rate over speed is noise."""


@dataclass(frozen=True)
class LastPlan:
    """The last valid plan and where the vehicle stood when it was made."""

    stamp_ns: int
    odom_SE3_ego: FloatArray
    """[4, 4] pose of base_link at `stamp_ns` in `frame_id`."""
    trajectory: Trajectory
    frame_id: str = "odom"
    """The odometry's frame."""


def plan(
    stamp_ns: int,
    ego: EgoState | None,
    last: LastPlan | None,
    lidar: LidarSweep | None,
    config: PlannerConfig,
    first_fault_ns: int,
    before: Source | None = None,
    *,
    may_hold: bool = True,
) -> Trajectory:
    """Choose the mildest of the three that is still right.

    The last plan is held while it is at most `hold_last_s` old and the vehicle is where it says, at
    the speed it says; then a comfortable stop until the fault has lasted `comfortable_stop_s`; then
    an emergency stop.  Where there is a sweep, a held plan that runs into something gives way to
    the comfortable stop, and that to the emergency stop, which is never refused: nothing milder is
    left.  Without one, nothing milder is driven than before: what was refused then may stand there
    still.

    Args:
        stamp_ns: of the plan to make.
        ego: motion at `stamp_ns`, None when unknown.
        last: the last valid plan, if any since the last reset.
        lidar: the newest sweep, if any; one that is more than a second off counts as none.
        config: everything the planner is told.
        first_fault_ns: stamp of the first of the faulty cycles that led here.
        before: label of the last plan with known motion in the same fault, if any.
        may_hold: False leaves the last plan out: no plan will follow this one.

    Returns:
        A plan in base_link at `stamp_ns`, labelled HOLD_LAST, FALLBACK_STOP or EMERGENCY_STOP.
    """
    limits, vehicle = config.fallback, config.vehicle
    if ego is None:
        return emergency_stop(stamp_ns, None, vehicle, limits)
    candidates = _held(stamp_ns, ego, last, config) if may_hold else []
    if (stamp_ns - first_fault_ns) * 1e-9 <= limits.comfortable_stop_s:
        lateral = {"max_lateral_acceleration_mps2": config.safety.max_lateral_acceleration_mps2}
        candidates.append(comfortable_stop(stamp_ns, ego, last, vehicle, limits, **lateral))
    if lidar is None or abs(ego.stamp_ns - lidar.stamp_ns) > _SWEEP_MAX_AGE_NS:
        allowed = [c for c in candidates if before is None or c.source >= before]
    else:
        sweep = collision.carried(lidar, ego, vehicle, config.safety.collision_margin_m)
        allowed = [c for c in candidates if not _is_blocked(c, sweep, config)]
    return allowed[0] if allowed else emergency_stop(stamp_ns, ego, vehicle, limits)


def _held(
    stamp_ns: int, ego: EgoState, last: LastPlan | None, config: PlannerConfig
) -> list[Trajectory]:
    """Return what is left of the last plan, or nothing where it is old or starts elsewhere."""
    limits = config.fallback
    if last is None or not 0.0 <= _age_s(last, stamp_ns) <= limits.hold_last_s:
        return []
    held = hold_last(last, stamp_ns, ego, config.vehicle, limits)
    return [] if starts_elsewhere(held.states[None], ego, config.safety).any() else [held]


def _is_blocked(candidate: Trajectory, sweep: LidarSweep, config: PlannerConfig) -> bool:
    poses = candidate.states[:, _POSE]
    return collision.is_blocked(poses, sweep, config.vehicle, config.safety)


def carry(last: LastPlan, stamp_ns: int, odom_SE3_ego: FloatArray) -> Array:
    """Return what is left of the last plan: states [N, 7] at 0.1 s from `stamp_ns` on.

    Interpolated linearly in time, as the plan's consumers do.  Frame: base_link at `stamp_ns`,
    whose pose in the odometry's frame is `odom_SE3_ego`.  N is 0 when the plan is spent or
    `stamp_ns` lies before it.
    """
    states = _in_new_frame(last, odom_SE3_ego)
    age_s = _age_s(last, stamp_ns)
    times = last.trajectory.times_s
    if age_s < 0.0 or len(times) == 0 or age_s > times[-1]:
        return np.empty((0, len(StateIndex)))
    # A tenth of a nanosecond of slack, so that an age of exactly k points loses none.
    left = int((times[-1] - age_s) / PLAN_DT_S + 1e-9) + 1
    wanted = np.minimum(age_s + PLAN_DT_S * np.arange(left), times[-1])
    return np.stack([np.interp(wanted, times, column) for column in states.T], axis=-1)


def hold_last(
    last: LastPlan, stamp_ns: int, ego: EgoState, vehicle: VehicleConfig, config: FallbackConfig
) -> Trajectory:
    """Go on with the last plan; past its end, brake comfortably with its last curvature.

    Raises:
        ValueError: nothing of the last plan is left at `stamp_ns`.
    """
    states = carry(last, stamp_ns, ego.odom_SE3_ego)[: _points(config)]
    if len(states) == 0:
        raise ValueError(f"hold_last: the plan of {last.stamp_ns} ns is spent at {stamp_ns} ns")
    missing = _points(config) - len(states)
    if missing > 0:  # none is missing at the plan's own stamp, or with a shorter horizon
        states = np.concatenate([states, _braking_on(states[-1], missing, vehicle)])
        # transform_poses wraps; the plan's own heading is continuous.
        states[:, StateIndex.YAW] = np.unwrap(states[:, StateIndex.YAW])
    return Trajectory(stamp_ns, Source.HOLD_LAST, states)


def _braking_on(end: Array, points: int, vehicle: VehicleConfig) -> Array:
    """Return the states [points, 7] that follow on `end` [7] with its bend, braking comfortably."""
    speed = _braking(end[StateIndex.SPEED], vehicle.comfortable_deceleration_mps2, points + 1)
    bend = end[StateIndex.CURVATURE : StateIndex.CURVATURE + 1]
    tail = _drive(speed, np.zeros(1), np.zeros(1), bend)
    tail[:, _POSE] = transform_poses(end[_POSE], tail[:, _POSE])
    return tail[1:]


def comfortable_stop(
    stamp_ns: int,
    ego: EgoState,
    last: LastPlan | None,
    vehicle: VehicleConfig,
    config: FallbackConfig,
    *,
    max_lateral_acceleration_mps2: float = SafetyConfig().max_lateral_acceleration_mps2,
) -> Trajectory:
    """Brake to a standstill along the last plan's path, or with the present curvature.

    The deceleration is the vehicle's comfortable one, and more where that would not end in a
    standstill within the horizon (a plan that ends in motion is no stop), or would enter a bend
    of the path faster than `max_lateral_acceleration_mps2` allows.
    """
    path = None if last is None else _path_ahead(last, ego)
    if path is None:
        path = (np.zeros(1), np.zeros(1), np.array([_present_curvature(ego, vehicle)]))
    # A point less, so that the last one stands.
    horizon = max(ego.speed_mps, 0.0) / (config.horizon_s - PLAN_DT_S)
    bend = _bend_deceleration(ego.speed_mps, path[0], path[2], max_lateral_acceleration_mps2)
    needed = max(vehicle.comfortable_deceleration_mps2, horizon, bend)
    deceleration = min(needed, vehicle.max_deceleration_mps2)
    points = _points_to_stand(ego.speed_mps, vehicle, config)
    speed = _braking(ego.speed_mps, deceleration, points)
    return Trajectory(stamp_ns, Source.FALLBACK_STOP, _drive(speed, *path))


def emergency_stop(
    stamp_ns: int, ego: EgoState | None, vehicle: VehicleConfig, config: FallbackConfig
) -> Trajectory:
    """Brake as hard as the vehicle can with the present curvature; stand if motion is unknown."""
    if ego is None:
        states = np.zeros((_points(config), len(StateIndex)))
        return Trajectory(stamp_ns, Source.EMERGENCY_STOP, states)
    points = _points_to_stand(ego.speed_mps, vehicle, config)
    speed = _braking(ego.speed_mps, vehicle.max_deceleration_mps2, points)
    curvature = np.array([_present_curvature(ego, vehicle)])
    states = _drive(speed, np.zeros(1), np.zeros(1), curvature)
    return Trajectory(stamp_ns, Source.EMERGENCY_STOP, states)


def _points(config: FallbackConfig) -> int:
    return round(config.horizon_s / PLAN_DT_S) + 1


def _points_to_stand(speed_mps: float, vehicle: VehicleConfig, config: FallbackConfig) -> int:
    """Return the points of a stop: the horizon's, and more where braking hard takes longer."""
    return max(
        _points(config), math.ceil(speed_mps / vehicle.max_deceleration_mps2 / PLAN_DT_S) + 2
    )


def _bend_deceleration(
    speed_mps: float, length: Array, curvature: Array, limit_mps2: float
) -> float:
    """Return the deceleration that keeps v^2 |curvature| within the limit all along a path.

    With v^2 = v0^2 - 2 a s, each place s ahead asks for a >= (v0^2 - limit / |curvature|) / 2 s.
    """
    ahead = length > 0.0
    allowed = limit_mps2 / np.maximum(np.abs(curvature[ahead]), 1e-9)
    asked = (speed_mps**2 - allowed) / (2.0 * length[ahead])
    return max(float(asked.max(initial=0.0)), 0.0)


def _age_s(last: LastPlan, stamp_ns: int) -> float:
    return (stamp_ns - last.stamp_ns) * 1e-9


def _in_new_frame(last: LastPlan, odom_SE3_ego: FloatArray) -> Array:
    """Return the whole last plan [N, 7] in the base_link that stands at `odom_SE3_ego`."""
    states = last.trajectory.states.copy()
    moved = se2_between(np.asarray(odom_SE3_ego), np.asarray(last.odom_SE3_ego))
    states[:, _POSE] = transform_poses(moved, states[:, _POSE])
    states[:, StateIndex.YAW] = np.unwrap(states[:, StateIndex.YAW])
    return states


def _braking(speed_mps: float, deceleration_mps2: float, points: int) -> Array:
    """Return speeds [points] at 0.1 s; a vehicle that rolls backwards is held at once."""
    times = PLAN_DT_S * np.arange(points)
    return np.maximum(max(speed_mps, 0.0) - deceleration_mps2 * times, 0.0)


def _present_curvature(ego: EgoState, vehicle: VehicleConfig) -> float:
    if ego.speed_mps < _CURVATURE_MIN_SPEED_MPS:
        return 0.0
    tightest = float(np.tan(vehicle.max_steer_rad)) / vehicle.wheelbase_m
    return float(np.clip(ego.yaw_rate_radps / ego.speed_mps, -tightest, tightest))


def _path_ahead(last: LastPlan, ego: EgoState) -> tuple[Array, Array, Array] | None:
    """Return the last plan's path from beside the vehicle on: length, turn and curvature [P].

    None when the vehicle is not on that path, or stands at its end.
    """
    states = _in_new_frame(last, ego.odom_SE3_ego)
    if len(states) < 2:
        return None
    offset = np.hypot(states[:, StateIndex.X], states[:, StateIndex.Y])
    # Of points at one place (a standstill) the last: the path goes on from there.
    nearest = len(offset) - 1 - int(np.argmin(offset[::-1]))
    heading = abs(float(states[nearest, StateIndex.YAW]))
    if offset[nearest] > _MAX_PATH_OFFSET_M or heading > _MAX_PATH_HEADING_RAD:
        return None
    ahead = states[nearest:]
    turn = ahead[:, StateIndex.YAW] - ahead[0, StateIndex.YAW]
    return arc_lengths(ahead[:, :2]), turn, ahead[:, StateIndex.CURVATURE]


def _drive(speed: Array, length: Array, turn: Array, curvature: Array) -> Array:
    """Return states [N, 7] from the origin: speeds [N] along a path given by its bend.

    Args:
        speed: [N] at 0.1 s.
        length: [P] rising, way along the path.
        turn: [P] heading there, zero at the start.
        curvature: [P] there; the last one goes on past the end.
    """
    way = covered_m(speed[None])[0]
    bend = np.interp(way, length, curvature)
    beyond = np.maximum(way - length[-1], 0.0)
    yaw = np.interp(way, length, turn) + beyond * curvature[-1]
    return integrate(speed[None], yaw[None], bend[None])[0]
