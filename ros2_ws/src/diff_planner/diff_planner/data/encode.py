"""Core values to diff_planner_msgs messages; the only place where a plan leaves base_link.

Works for any message classes that take their fields by keyword: those that rosbags makes from
the .msg files, and those of rclpy.  Only values that derive from the inputs are written, so that
the same bag gives the same bytes; wall-clock figures travel elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diff_planner.geometry import quaternion_from_rotation
from diff_planner.inference.card import ModelCard
from diff_planner.types import (
    STATE_LAYOUT,
    FaultBit,
    FloatArray,
    InputHealth,
    Message,
    PlannerOutput,
    StateIndex,
    Trajectory,
)

MakeMessage = Callable[..., Any]
"""`make("std_msgs/msg/Header", stamp=..., frame_id=...)` builds a message of that type."""

TRAJECTORY = "diff_planner_msgs/msg/Trajectory"
CANDIDATES = "diff_planner_msgs/msg/CandidateSet"
STATUS = "diff_planner_msgs/msg/PlannerStatus"
_REASON_LIMIT = 256
"""Bound of PlannerStatus.reason."""
_STATE_OK, _STATE_STALE, _STATE_NEVER, _STATE_INVALID = 1, 3, 4, 5
"""InputHealth.STATE_* values that a cycle can find."""


@dataclass(frozen=True)
class Counters:
    """What a run has counted so far; PlannerStatus carries it."""

    cycles: int = 0
    fallbacks: int = 0
    dropped_frames: int = 0


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
    states = plan.states
    xy0 = np.column_stack([states[:, :2], np.zeros(len(states))])
    positions = xy0 @ frame_SE3_ego[:3, :3].T + frame_SE3_ego[:3, 3]
    rotation = np.asarray(frame_SE3_ego[:3, :3], dtype=np.float64)
    turns = _turned(quaternion_from_rotation(rotation), states[:, StateIndex.YAW])
    wheel = np.arctan(wheelbase_m * states[:, StateIndex.CURVATURE])
    points = []
    for k, state in enumerate(states.tolist()):
        sec, nanosec = divmod(round(k * plan.dt_s * 1e9), 1_000_000_000)
        x, y, z = positions[k].tolist()
        qx, qy, qz, qw = turns[k].tolist()
        pose = make(
            "geometry_msgs/msg/Pose",
            position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
        )
        points.append(
            make(
                "diff_planner_msgs/msg/TrajectoryPoint",
                time_from_start=make("builtin_interfaces/msg/Duration", sec=sec, nanosec=nanosec),
                pose=pose,
                longitudinal_velocity_mps=state[StateIndex.SPEED],
                lateral_velocity_mps=0.0,  # the rear axle of a bicycle does not slip
                acceleration_mps2=state[StateIndex.ACCELERATION],
                heading_rate_rps=state[StateIndex.HEADING_RATE],
                front_wheel_angle_rad=float(wheel[k]),
                rear_wheel_angle_rad=0.0,
            )
        )
    return points


def _turned(quaternion: FloatArray, yaw_rad: FloatArray) -> FloatArray:
    """Return quaternion * rotation about z for each yaw [N]: [N, 4] as x, y, z, w."""
    x, y, z, w = quaternion
    sin, cos = np.sin(0.5 * yaw_rad), np.cos(0.5 * yaw_rad)
    return np.column_stack(
        [x * cos + y * sin, y * cos - x * sin, z * cos + w * sin, w * cos - z * sin]
    )


def candidates_message(make: MakeMessage, output: PlannerOutput, base_frame: str) -> Message:
    """Return diff_planner_msgs/CandidateSet, in base_link at the stamp.

    A cycle that fell back before the network ran gives an empty set.
    """
    candidates = output.candidates
    count = 0 if candidates is None else len(candidates.states)
    steps = 0 if candidates is None else candidates.states.shape[1]
    empty = np.zeros(0, dtype=np.float32)
    bits = np.zeros(0, np.uint32) if candidates is None else candidates.reject_bits
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
        states=empty if candidates is None else candidates.states.ravel().astype(np.float32),
        anchor_id=np.arange(count, dtype=np.int16),  # one proposal grows from each anchor
        score_raw=empty if candidates is None else candidates.scores_raw.astype(np.float32),
        score=empty if candidates is None else candidates.scores.astype(np.float32),
        is_valid=bits == 0,
        reject_bits=bits.astype(np.uint32),
        is_checked=np.ones(count, dtype=np.bool_),
        selected=-1 if candidates is None else candidates.selected,
    )


def status_message(
    make: MakeMessage,
    output: PlannerOutput,
    *,
    card: ModelCard,
    backend: str,
    precision: str,
    counters: Counters,
    is_shadow: bool,
) -> Message:
    """Return diff_planner_msgs/PlannerStatus of one cycle."""
    total = counters.cycles + counters.dropped_frames
    return make(
        STATUS,
        header=header(make, output.trajectory.stamp_ns, ""),
        plan_id=output.plan_id,
        state=int(output.state),
        source=int(output.source),
        fault_bits=int(output.faults),
        reason=_shortened(output.reason),
        inputs=[_health_message(make, health) for health in output.health],
        model_id=card.name,
        model_sha256=card.model_sha256,
        model_note="" if card.is_trained else _shortened(card.training),
        engine_key="",
        backend=backend,
        precision=precision,
        cycle_count=counters.cycles,
        deadline_miss_count=0,
        dropped_frame_count=counters.dropped_frames,
        fallback_count=counters.fallbacks,
        drop_ratio=counters.dropped_frames / max(total, 1),
        seed=output.seed,
        is_shadow=is_shadow,
    )


def _health_message(make: MakeMessage, health: InputHealth) -> Message:
    if health.is_present:
        state = _STATE_OK
    elif health.received == 0:
        state = _STATE_NEVER
    elif health.fault & (FaultBit.INPUT_STALE | FaultBit.SYNC):
        state = _STATE_STALE
    else:
        state = _STATE_INVALID
    return make(
        "diff_planner_msgs/msg/InputHealth",
        name=health.name[:64],
        topic=health.topic[:256],
        state=state,
        age_s=health.age_s,
        max_age_s=health.max_age_s,
        rate_hz=float("nan"),  # a replayed cycle judges stamps, not rates; doctor does
        expected_rate_hz=float("nan"),
        received=health.received,
        dropped=health.dropped,
    )


def _shortened(text: str) -> str:
    """Cut a text to the bytes that the message allows, visibly."""
    raw = text.encode()
    if len(raw) <= _REASON_LIMIT:
        return text
    return raw[: _REASON_LIMIT - 3].decode(errors="ignore") + "..."
