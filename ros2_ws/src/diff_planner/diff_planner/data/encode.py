"""Core values to diff_planner_msgs messages; the only place where a plan leaves base_link.

Works for any message classes that take their fields by keyword: those that rosbags makes from the
.msg files, and those of rclpy.  Only values that derive from the inputs are written, so that the
same bag gives the same bytes, and only finite numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import ContractError
from diff_planner.geometry import quaternion_from_rotation
from diff_planner.types import (
    STATE_LAYOUT,
    Candidates,
    FloatArray,
    Message,
    PlannerOutput,
    RejectBit,
    StateIndex,
    Trajectory,
)

MakeMessage = Callable[..., Any]
"""`make("std_msgs/msg/Header", stamp=..., frame_id=...)` builds a message of that type."""

TRAJECTORY = "diff_planner_msgs/msg/Trajectory"
CANDIDATES = "diff_planner_msgs/msg/CandidateSet"
_NO_CANDIDATES = Candidates(
    states=np.zeros((0, 0, len(StateIndex))),
    scores_raw=np.zeros(0, np.float32),
    scores=np.zeros(0, np.float32),
    reject_bits=np.zeros(0, np.uint32),
    order=np.zeros(0, np.int64),
)


def time_message(make: MakeMessage, stamp_ns: int) -> Message:
    """Return builtin_interfaces/Time."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)


def header(make: MakeMessage, stamp_ns: int, frame_id: str) -> Message:
    """Return std_msgs/Header."""
    return make("std_msgs/msg/Header", stamp=time_message(make, stamp_ns), frame_id=frame_id)


def trajectory_message(
    make: MakeMessage,
    output: PlannerOutput,
    *,
    wheelbase_m: float,
    frame_id: str,
    frame_SE3_ego: FloatArray,
) -> Message:
    """Return diff_planner_msgs/Trajectory.

    Args:
        make: message factory.
        output: the plan, in base_link at its stamp.
        wheelbase_m: for the road wheel angle of the kinematic bicycle, atan(L * curvature).
        frame_id: output frame.
        frame_SE3_ego: [4, 4] base_link at the stamp in that frame.

    Raises:
        ContractError: a number of the message would not be finite; nothing may be published then.
    """
    plan = output.trajectory
    points = _points(make, plan, wheelbase_m, frame_SE3_ego)
    return make(
        TRAJECTORY,
        header=header(make, plan.stamp_ns, frame_id),
        plan_id=output.plan_id,
        source=int(output.source),
        dt_s=plan.dt_s,
        points=points,
    )


def _points(
    make: MakeMessage, plan: Trajectory, wheelbase_m: float, frame_SE3_ego: FloatArray
) -> list[Any]:
    poses, motions = _point_numbers(plan, wheelbase_m, frame_SE3_ego)
    points = []
    for k, (pose, motion) in enumerate(zip(poses.tolist(), motions.tolist(), strict=True)):
        sec, nanosec = divmod(round(k * plan.dt_s * 1e9), 1_000_000_000)
        x, y, z, qx, qy, qz, qw = pose
        speed, acceleration, heading_rate, wheel = motion
        points.append(
            make(
                "diff_planner_msgs/msg/TrajectoryPoint",
                time_from_start=make("builtin_interfaces/msg/Duration", sec=sec, nanosec=nanosec),
                pose=make(
                    "geometry_msgs/msg/Pose",
                    position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
                    orientation=make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
                ),
                longitudinal_velocity_mps=speed,
                lateral_velocity_mps=0.0,  # the rear axle of a bicycle does not slip
                acceleration_mps2=acceleration,
                heading_rate_rps=heading_rate,
                front_wheel_angle_rad=wheel,
                rear_wheel_angle_rad=0.0,
            )
        )
    return points


def _point_numbers(
    plan: Trajectory, wheelbase_m: float, frame_SE3_ego: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the points' poses [N, 7] (x, y, z, quaternion) and motions [N, 4], all finite.

    A motion is speed, acceleration, heading rate, angle of the front wheels.
    """
    states = plan.states
    with np.errstate(invalid="ignore", over="ignore"):  # judged below
        xy0 = np.column_stack([states[:, :2], np.zeros(len(states))])
        positions = xy0 @ frame_SE3_ego[:3, :3].T + frame_SE3_ego[:3, 3]
        wheel = np.arctan(wheelbase_m * states[:, StateIndex.CURVATURE])
        columns = [StateIndex.SPEED, StateIndex.ACCELERATION, StateIndex.HEADING_RATE]
        motions = np.column_stack([states[:, columns], wheel])
        are_finite = (
            np.isfinite(states).all(axis=1)
            & np.isfinite(positions).all(axis=1)
            & np.isfinite(motions.astype(np.float32)).all(axis=1)  # as they travel
        )
    if not (are_finite.all() and np.isfinite(frame_SE3_ego).all()):
        raise ContractError(
            f"{plan.source.name} plan at {plan.stamp_ns} ns: expected finite numbers, got "
            f"{int((~are_finite).sum())} of {len(states)} points that are not, from a pose that "
            f"{'is' if np.isfinite(frame_SE3_ego).all() else 'is not'}"
        )
    rotation = np.asarray(frame_SE3_ego[:3, :3], dtype=np.float64)
    turns = _turned(quaternion_from_rotation(rotation), states[:, StateIndex.YAW])
    return np.column_stack([positions, turns]), motions


def _turned(quaternion: FloatArray, yaw_rad: FloatArray) -> FloatArray:
    """Return quaternion * rotation about z for each yaw [N]: [N, 4] as x, y, z, w."""
    x, y, z, w = quaternion
    sin, cos = np.sin(0.5 * yaw_rad), np.cos(0.5 * yaw_rad)
    return np.column_stack(
        [x * cos + y * sin, y * cos - x * sin, z * cos + w * sin, w * cos - z * sin]
    )


def candidates_message(make: MakeMessage, output: PlannerOutput, base_frame: str) -> Message:
    """Return diff_planner_msgs/CandidateSet, in base_link at the stamp.

    A cycle that fell back before the network ran gives an empty set.  A candidate with a number
    that is not finite travels as zeros with NONFINITE in its reject bits.
    """
    candidates = output.candidates or _NO_CANDIDATES
    count, steps = candidates.states.shape[:2]
    with np.errstate(over="ignore"):  # what is too large for the message is not finite there
        states = candidates.states.astype(np.float32)
    is_finite = np.asarray(np.isfinite(states).all(axis=(1, 2)))
    states[~is_finite] = 0.0
    nonfinite = np.where(is_finite, 0, int(RejectBit.NONFINITE))
    bits = candidates.reject_bits.astype(np.uint32) | nonfinite.astype(np.uint32)
    return make(
        CANDIDATES,
        header=header(make, output.trajectory.stamp_ns, base_frame),
        plan_id=output.plan_id,
        num_candidates=count,
        num_steps=steps,
        state_dim=len(StateIndex),
        state_layout=STATE_LAYOUT,
        first_step_s=0.0,
        dt_s=output.trajectory.dt_s,
        states=states.ravel(),
        anchor_id=np.arange(count, dtype=np.int16),  # one proposal grows from each anchor
        score_raw=_finite_scores(candidates.scores_raw, is_finite),
        score=_finite_scores(candidates.scores, is_finite),
        is_valid=bits == 0,
        reject_bits=bits,
        is_checked=np.ones(count, dtype=np.bool_),
        selected=candidates.selected,
    )


def _finite_scores(
    scores: NDArray[np.float32], is_finite: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return scores [M], 0 where they or the candidate's states are not finite."""
    return np.where(is_finite & np.isfinite(scores), scores, np.float32(0.0)).astype(np.float32)
