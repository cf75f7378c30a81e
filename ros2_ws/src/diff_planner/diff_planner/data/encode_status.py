"""What the planner says of itself as messages: status, health of each input, timing.

Apart from the plan's own messages in encode.py: a status goes out in every period, with a plan or
without one.  All but `timing_message` derives from the inputs, so that the same bag gives the same
bytes.  No number that is not finite is written.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from diff_planner.data.encode import MakeMessage, header
from diff_planner.inference.backend import Backend
from diff_planner.types import (
    FaultBit,
    InputHealth,
    Message,
    PlannerOutput,
    PlannerState,
    Source,
)

STATUS = "diff_planner_msgs/msg/PlannerStatus"
TIMING = "diff_planner_msgs/msg/CycleTiming"
NOT_KNOWN = -1.0
"""An age, a rate or a duration that nobody measured; a consumer can compare it, unlike NaN."""


class HealthState(enum.IntEnum):
    """Values as in diff_planner_msgs/InputHealth."""

    UNKNOWN = 0
    OK = 1
    LATE = 2
    STALE = 3
    NEVER = 4
    INVALID = 5
    QOS_MISMATCH = 6


@dataclass(frozen=True)
class Counters:
    """What a run has counted so far; PlannerStatus carries it."""

    cycles: int = 0
    fallbacks: int = 0
    dropped_frames: int = 0
    deadline_misses: int = 0
    drop_ratio: float = 0.0
    """Dropped anchor frames over all, 0..1, low-passed by whoever counts."""


@dataclass(frozen=True)
class ModelLabel:
    """Which model runs on what; all empty before one is loaded."""

    model_id: str = ""
    model_sha256: str = ""
    model_note: str = ""
    """What a person must know, such as that it is untrained."""
    backend: str = ""
    precision: str = ""
    engine_key: str = ""

    @classmethod
    def of(cls, backend: Backend) -> ModelLabel:
        """Return the label of a loaded backend."""
        card = backend.card
        return cls(
            model_id=card.name,
            model_sha256=card.model_sha256,
            model_note="" if card.is_trained else card.training,
            backend=backend.name,
            precision=backend.precision,
        )


@dataclass(frozen=True)
class StatusReport:
    """What PlannerStatus says of a period, with a plan or without one."""

    stamp_ns: int
    state: PlannerState
    source: Source = Source.UNKNOWN
    """UNKNOWN where the period made no plan."""
    plan_id: int = 0
    """Of the last plan where the period made none."""
    faults: FaultBit = FaultBit.NONE
    reason: str = ""
    health: tuple[InputHealth, ...] = ()
    seed: int = 0

    @classmethod
    def of(cls, output: PlannerOutput) -> StatusReport:
        """Return the report of a cycle that gave a plan."""
        return cls(
            stamp_ns=output.trajectory.stamp_ns,
            state=output.state,
            source=output.source,
            plan_id=output.plan_id,
            faults=output.faults,
            reason=output.reason,
            health=output.health,
            seed=output.seed,
        )


def status_message(
    make: MakeMessage,
    report: StatusReport,
    *,
    model: ModelLabel,
    counters: Counters,
    is_shadow: bool,
) -> Message:
    """Return diff_planner_msgs/PlannerStatus of one period.

    Args:
        make: message factory.
        report: what there is to say, `StatusReport.of` a plan.
        model: which model runs, `ModelLabel.of` a backend.
        counters: of the process so far.
        is_shadow: True when the plans are not meant for control.
    """
    return make(
        STATUS,
        header=header(make, report.stamp_ns, ""),
        plan_id=report.plan_id,
        state=int(report.state),
        source=int(report.source),
        fault_bits=int(report.faults),
        reason=shortened(report.reason, 256),
        inputs=[_health_message(make, health) for health in report.health[:32]],
        model_id=shortened(model.model_id, 128),
        model_sha256=model.model_sha256,
        model_note=shortened(model.model_note, 256),
        engine_key=shortened(model.engine_key, 256),
        backend=shortened(model.backend, 32),
        precision=shortened(model.precision, 16),
        cycle_count=counters.cycles,
        deadline_miss_count=counters.deadline_misses,
        dropped_frame_count=counters.dropped_frames,
        fallback_count=counters.fallbacks,
        drop_ratio=_known(counters.drop_ratio),
        seed=report.seed,
        is_shadow=is_shadow,
    )


def health_state(health: InputHealth) -> HealthState:
    """Return the one word for what was found of an input."""
    if health.fault & FaultBit.QOS:
        return HealthState.QOS_MISMATCH
    if health.is_present:
        return HealthState.OK
    if health.received == 0:
        return HealthState.NEVER
    if health.fault & FaultBit.INPUT_STALE:
        return HealthState.STALE
    # An optional input whose message does not belong to this cycle is no fault, and absent.
    if health.fault & FaultBit.SYNC or not health.fault:
        return HealthState.LATE
    return HealthState.INVALID


def _health_message(make: MakeMessage, health: InputHealth) -> Message:
    return make(
        "diff_planner_msgs/msg/InputHealth",
        name=shortened(health.name, 64),
        topic=shortened(health.topic, 256),
        state=int(health_state(health)),
        age_s=_known(health.age_s),
        max_age_s=_known(health.max_age_s),
        rate_hz=_known(health.rate_hz),
        expected_rate_hz=_known(health.expected_rate_hz),
        received=health.received,
        dropped=health.dropped,
    )


_STAGES_OF = {
    "sensor_age_ms": ("sensor_age",),
    "sync_wait_ms": ("sync_wait",),
    "decode_ms": ("decode",),
    "preprocess_ms": ("features",),
    "h2d_ms": ("h2d",),
    "encoder_ms": ("encoder",),
    "denoise_ms": ("inference",),
    "d2h_ms": ("d2h",),
    "postprocess_ms": ("refine", "fallback"),
    "validate_ms": ("safety",),
    "publish_ms": ("publish",),
    "compute_total_ms": ("total",),
    "end_to_end_ms": ("end_to_end",),
    "input_to_output_ms": ("input_to_output",),
}
"""Field of CycleTiming: the planner's stages that it sums up."""


def timing_message(
    make: MakeMessage,
    output_stamp_ns: int,
    plan_id: int,
    timing: Mapping[str, float],
    is_deadline_missed: bool,
) -> Message:
    """Return diff_planner_msgs/CycleTiming; wall-clock figures, so never part of a replay's bag.

    Args:
        make: message factory.
        output_stamp_ns: the plan's stamp.
        plan_id: the plan's.
        timing: milliseconds by stage: `PlannerOutput.timing_ms` (features, inference, refine,
            safety, fallback, total) and what the node measures around it (sensor_age, sync_wait,
            decode, publish, end_to_end, input_to_output).  The network is one graph: `inference`
            is denoise_ms, `refine` and `fallback` together are postprocess_ms.  A stage that is
            absent is -1.
        is_deadline_missed: whether the cycle took longer than its period.
    """
    sums = {}
    for field, stages in _STAGES_OF.items():
        found = [timing[stage] for stage in stages if stage in timing]
        sums[field] = _known(sum(found)) if found else NOT_KNOWN
    return make(
        TIMING,
        header=header(make, output_stamp_ns, ""),
        plan_id=plan_id,
        **sums,
        denoise_steps=0,  # they are inside the graph
        is_deadline_missed=is_deadline_missed,
    )


def _known(value: float) -> float:
    return float(value) if math.isfinite(value) else NOT_KNOWN


def shortened(text: str, limit: int) -> str:
    """Cut a text to the bytes that the message allows, visibly."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode(errors="ignore") + "..."
