"""Plans from their messages: what encode.py and encode_status.py wrote, as core values again.

For reports on what a running node published.  Numbers are as exact as the messages hold them
(float32 for motions), and what no message tells is left at its default.
"""

from __future__ import annotations

import math

import numpy as np

from diff_planner.data.encode_status import NOT_KNOWN, HealthState
from diff_planner.errors import InputError
from diff_planner.geometry import Array, inverse_se3, rotation_from_quaternion, se3, yaw_of
from diff_planner.types import (
    Candidates,
    FaultBit,
    FloatArray,
    InputHealth,
    Message,
    PlannerOutput,
    PlannerState,
    Source,
    StateIndex,
    Trajectory,
)


def planner_output(
    trajectory: Message,
    candidates: Message | None,
    status: Message | None,
    *,
    wheelbase_m: float,
    frame_SE3_ego: FloatArray | None = None,
) -> PlannerOutput:
    """Return the output of the cycle that these messages were made of.

    Args:
        trajectory: diff_planner_msgs/Trajectory.
        candidates: CandidateSet of the same plan_id; None where it was not received.
        status: PlannerStatus of the same plan_id; None where it was not received.
        wheelbase_m: that the wheel angles were computed with.
        frame_SE3_ego: [4, 4] base_link at the stamp in the trajectory's frame; None takes the
            plan's first point for it.

    Raises:
        InputError: the messages hold no plan, or arrays that do not fit one another.
    """
    if not trajectory.points:
        raise InputError(f"plan {trajectory.plan_id}: expected points, got none")
    if frame_SE3_ego is None:
        frame_SE3_ego = _pose(trajectory.points[0].pose)
    plan = Trajectory(
        stamp_ns=_stamp_ns(trajectory),
        source=Source(trajectory.source),
        states=_states(trajectory.points, wheelbase_m, frame_SE3_ego),
        dt_s=round(float(trajectory.dt_s), 6),  # it travels as float32
    )
    return PlannerOutput(
        trajectory=plan,
        odom_SE3_ego=frame_SE3_ego,
        frame_id=trajectory.header.frame_id,
        plan_id=int(trajectory.plan_id),
        state=PlannerState.UNKNOWN if status is None else PlannerState(status.state),
        faults=FaultBit.NONE if status is None else FaultBit(int(status.fault_bits)),
        reason="" if status is None else str(status.reason),
        candidates=None if candidates is None else _candidates(candidates),
        health=() if status is None else tuple(_health(entry) for entry in status.inputs),
        seed=0 if status is None else int(status.seed),
    )


def _stamp_ns(message: Message) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _pose(pose: Message) -> FloatArray:
    place, turn = pose.position, pose.orientation
    rotation = rotation_from_quaternion(turn.x, turn.y, turn.z, turn.w)
    return se3(rotation, (place.x, place.y, place.z))


def _states(points: list[Message], wheelbase_m: float, frame_SE3_ego: FloatArray) -> Array:
    """Return [N, 7] in base_link at the stamp."""
    ego_SE3_frame = inverse_se3(frame_SE3_ego.astype(np.float64))
    states = np.zeros((len(points), len(StateIndex)))
    for row, point in zip(states, points, strict=True):
        ego_SE3_point = ego_SE3_frame @ _pose(point.pose)
        row[StateIndex.X], row[StateIndex.Y] = ego_SE3_point[:2, 3]
        row[StateIndex.YAW] = yaw_of(ego_SE3_point)
        row[StateIndex.SPEED] = point.longitudinal_velocity_mps
        row[StateIndex.ACCELERATION] = point.acceleration_mps2
        row[StateIndex.CURVATURE] = math.tan(point.front_wheel_angle_rad) / wheelbase_m
        row[StateIndex.HEADING_RATE] = point.heading_rate_rps
    return states


def _candidates(message: Message) -> Candidates | None:
    """Return the candidates; None where the network did not run."""
    count, steps, width = message.num_candidates, message.num_steps, message.state_dim
    if not count:
        return None
    if len(message.states) != count * steps * width or width != len(StateIndex):
        raise InputError(
            f"candidates of plan {message.plan_id}: expected {count} x {steps} x "
            f"{len(StateIndex)} numbers, got {len(message.states)}"
        )
    scores = np.asarray(message.score, dtype=np.float32)
    return Candidates(
        states=np.asarray(message.states, dtype=np.float64).reshape(count, steps, width),
        scores_raw=np.asarray(message.score_raw, dtype=np.float32),
        scores=scores,
        reject_bits=np.asarray(message.reject_bits, dtype=np.uint32),
        order=np.argsort(-scores, kind="stable"),
        selected=int(message.selected),
    )


def _health(entry: Message) -> InputHealth:
    return InputHealth(
        name=str(entry.name),
        topic=str(entry.topic),
        is_present=entry.state == HealthState.OK,
        age_s=_known(entry.age_s),
        max_age_s=_known(entry.max_age_s),
        received=int(entry.received),
        dropped=int(entry.dropped),
        rate_hz=float(entry.rate_hz),
        expected_rate_hz=float(entry.expected_rate_hz),
    )


def _known(value: float) -> float:
    """Return NaN where the message says that nobody measured."""
    return math.nan if value == NOT_KNOWN else float(value)
