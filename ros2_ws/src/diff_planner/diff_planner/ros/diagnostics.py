"""The status as diagnostic_msgs/DiagnosticArray, for a vehicle's diagnostic aggregator.

Four entries, each with its own level: planner, inputs, model, timing.  The planner's is the
verdict; the other three say where to look.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from diff_planner.data.encode import MakeMessage, header
from diff_planner.data.encode_status import (
    Counters,
    HealthState,
    ModelLabel,
    StatusReport,
    health_state,
)
from diff_planner.types import FaultBit, InputHealth, Message, PlannerState

OK, WARN, ERROR = 0, 1, 2
"""DiagnosticStatus.OK, WARN, ERROR; STALE is the aggregator's to say."""
LEVEL_OF_STATE: Mapping[PlannerState, int] = {
    PlannerState.UNKNOWN: ERROR,
    PlannerState.UNCONFIGURED: WARN,
    PlannerState.BUILDING_ENGINE: WARN,
    PlannerState.WARMING_UP: WARN,
    PlannerState.WAITING_INPUT: WARN,
    PlannerState.NOMINAL: OK,
    PlannerState.DEGRADED: WARN,
    PlannerState.FALLBACK: ERROR,
    PlannerState.ESTOP: ERROR,
    PlannerState.FAULT: ERROR,
}
_MODEL_FAULTS = FaultBit.MODEL | FaultBit.GPU | FaultBit.NONFINITE_OUT
_NOTED_DROP_RATIO = 0.01
"""Share of anchor frames without a cycle from which on it is said: 99 % is what is promised."""
_STATM = Path("/proc/self/statm")


def diagnostics_message(
    make: MakeMessage,
    stamp_ns: int,
    report: StatusReport,
    model: ModelLabel,
    counters: Counters,
    timing: Mapping[str, float],
    qos_mismatches: Mapping[str, str],
) -> Message:
    """Return diagnostic_msgs/DiagnosticArray.

    Args:
        make: message factory.
        stamp_ns: the present.
        report: the newest status.
        model: which model runs.
        counters: of the process so far.
        timing: milliseconds by stage of the newest cycle; empty before the first.
        qos_mismatches: words by topic on publishers and subscribers that cannot be connected.
    """
    entries = [
        _planner(make, report, counters),
        _inputs(make, report.health, qos_mismatches),
        _model(make, report, model),
        _timing(make, report, counters, timing),
    ]
    return make(
        "diagnostic_msgs/msg/DiagnosticArray", header=header(make, stamp_ns, ""), status=entries
    )


def _entry(
    make: MakeMessage, task: str, level: int, words: str, values: Mapping[str, object]
) -> Message:
    pairs = [
        make("diagnostic_msgs/msg/KeyValue", key=key, value=str(value))
        for key, value in values.items()
    ]
    return make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=level,
        name=f"diff_planner: {task}",
        message=words,
        hardware_id="diff_planner",
        values=pairs,
    )


def _planner(make: MakeMessage, report: StatusReport, counters: Counters) -> Message:
    words = ": ".join(filter(None, [report.state.name, report.reason]))
    faults = [bit.name for bit in FaultBit if bit and report.faults & bit and bit.name]
    values = {
        "source": report.source.name,
        "plan_id": report.plan_id,
        "faults": ", ".join(faults) or "none",
        "plans": counters.cycles,
        "plans by fallback": counters.fallbacks,
    }
    return _entry(make, "planner", LEVEL_OF_STATE[report.state], words, values)


def _inputs(
    make: MakeMessage, health: tuple[InputHealth, ...], qos_mismatches: Mapping[str, str]
) -> Message:
    values = {entry.name: _input_words(entry) for entry in health}
    values.update({f"QoS of {topic}": words for topic, words in qos_mismatches.items()})
    ill = [entry.reason or f"{entry.name}: {_state(entry)}" for entry in health if entry.fault]
    unconnected = [f"{topic}: {words}" for topic, words in qos_mismatches.items()]
    level = ERROR if unconnected else WARN if ill else OK
    words = "; ".join([*unconnected, *ill])
    if not words:
        words = f"{len(health)} inputs are well" if health else "not judged in this period"
    return _entry(make, "inputs", level, words, values)


def _input_words(health: InputHealth) -> str:
    parts = [_state(health)]
    if health_state(health) == HealthState.OK and math.isfinite(health.age_s):
        parts.append(f"{health.age_s:.3f} s before the plan's stamp")
    if health.rate_hz > 0.0:
        wanted = f" of {health.expected_rate_hz:.1f}" if health.expected_rate_hz > 0.0 else ""
        parts.append(f"{health.rate_hz:.1f}{wanted} Hz")
    parts.append(f"{health.received} received, {health.dropped} dropped on {health.topic}")
    return "; ".join(parts)


def _state(health: InputHealth) -> str:
    return health_state(health).name.lower().replace("_", " ")


def _model(make: MakeMessage, report: StatusReport, model: ModelLabel) -> Message:
    values = {
        "model": model.model_id,
        "sha256": model.model_sha256,
        "note": model.model_note,
        "backend": model.backend,
        "precision": model.precision,
        "engine": model.engine_key,
    }
    if report.faults & _MODEL_FAULTS:
        level, words = ERROR, report.reason
    elif not model.model_id:
        level, words = WARN, "no model is loaded"
    elif model.model_note:  # a plan of an untrained network looks like any other
        level, words = WARN, f"{model.model_id}: {model.model_note}"
    else:
        level, words = OK, f"{model.model_id} on {model.backend}"
    return _entry(make, "model", level, words, values)


def _timing(
    make: MakeMessage, report: StatusReport, counters: Counters, timing: Mapping[str, float]
) -> Message:
    values: dict[str, object] = {f"{stage} ms": f"{ms:.1f}" for stage, ms in timing.items()}
    values["late cycles"] = counters.deadline_misses
    values["anchor frames without a cycle"] = counters.dropped_frames
    values["share of these lately"] = f"{counters.drop_ratio:.3f}"
    if (resident := resident_mb()) is not None:
        values["resident memory MB"] = f"{resident:.0f}"
    if report.faults & FaultBit.DEADLINE:
        level, words = WARN, "a cycle took longer than its period"
    elif counters.drop_ratio > _NOTED_DROP_RATIO:
        level, words = WARN, f"{counters.drop_ratio:.0%} of the anchor frames get no cycle"
    elif "total" in timing:
        level, words = OK, f"{timing['total']:.0f} ms for a cycle"
    else:
        level, words = OK, "no cycle yet"
    return _entry(make, "timing", level, words, values)


def resident_mb() -> float | None:
    """Return this process's resident memory in 10^6 bytes; None where the system does not say."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
