"""The few numbers of each cycle that the plots over time are made of, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from diff_planner.data.replay_types import ReplayCycle
from diff_planner.types import FloatArray, InputHealth, PlannerOutput, Source, StateIndex

MAX_ROWS = 4000
AHEAD_S = 1.0
"""Planned and driven speed are compared this long after each stamp."""
_SEVERITY = [
    Source.REPLAY,
    Source.DIFFUSION,
    Source.HOLD_LAST,
    Source.FALLBACK_STOP,
    Source.EMERGENCY_STOP,
    Source.UNKNOWN,
]


@dataclass(frozen=True)
class _Row:
    stamp_ns: int
    source: Source
    speed_mps: float
    planned_mps: float
    timing_ms: dict[str, float]

    @property
    def badness(self) -> tuple[int, float]:
        return _SEVERITY.index(self.source), self.timing_ms.get("total", 0.0)


class Timeline:
    """Rows of the plots.  Above `MAX_ROWS` neighbours merge and the worse one stays."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: list[_Row] = []
        self._pending: list[_Row] = []
        self._inputs: dict[str, _InputCount] = {}
        self.cycles_per_row = 1
        self._start_ns: int | None = None

    def add(self, cycle: ReplayCycle) -> None:
        """Note one cycle."""
        if self._start_ns is None or cycle.stamp_ns < self._start_ns:
            self._start_ns = cycle.stamp_ns
        ego = cycle.planner_input.ego if cycle.planner_input else None
        row = _Row(
            stamp_ns=cycle.stamp_ns,
            source=cycle.output.source,
            speed_mps=ego.speed_mps if ego else math.nan,
            planned_mps=_planned_speed(cycle.output, AHEAD_S),
            timing_ms=dict(cycle.output.timing_ms),
        )
        self._pending.append(row)
        if len(self._pending) == self.cycles_per_row:
            self._rows.append(max(self._pending, key=lambda r: r.badness))
            self._pending = []
        if len(self._rows) > MAX_ROWS:
            self._merge()
        health = cycle.output.health or (cycle.planner_input.health if cycle.planner_input else ())
        for entry in health:
            self._inputs.setdefault(entry.name, _InputCount(entry.topic)).add(entry)

    @property
    def start_ns(self) -> int:
        """Stamp that the page counts its seconds from."""
        return self._start_ns or 0

    def _merge(self) -> None:
        pairs = [self._rows[i : i + 2] for i in range(0, len(self._rows), 2)]
        self._rows = [max(pair, key=lambda r: r.badness) for pair in pairs]
        self.cycles_per_row *= 2

    def data(self, path: list[tuple[int, FloatArray]]) -> dict[str, Any]:
        """Return the columns for the page.

        Args:
            path: (stamp_ns, odom_SE3_ego), driven; empty when not known.
        """
        rows = [*self._rows, *self._pending]
        start_ns = self.start_ns
        stages = list(dict.fromkeys(name for row in rows for name in row.timing_ms))
        return {
            "t_s": [_rounded((row.stamp_ns - start_ns) / 1e9) for row in rows],
            "source": [row.source.name for row in rows],
            "speed_mps": [_rounded(row.speed_mps) for row in rows],
            "planned_mps": [_rounded(row.planned_mps) for row in rows],
            "stages": {
                name: [_rounded(row.timing_ms.get(name, math.nan)) for row in rows]
                for name in stages
            },
            "ahead_s": AHEAD_S,
            "cycles_per_row": self.cycles_per_row,
            "path_m": _path_length(path),
        }

    def inputs(self) -> list[dict[str, Any]]:
        """Return a row for each input that the synchronizer reported on."""
        return [{"name": name, **count.data()} for name, count in sorted(self._inputs.items())]


class _InputCount:
    """How one input fared over all cycles."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.cycles = self.absent = self.faulty = 0
        self.worst_age_s = 0.0
        self.reasons: Counter[str] = Counter()

    def add(self, entry: InputHealth) -> None:
        self.cycles += 1
        self.absent += not entry.is_present
        self.faulty += bool(entry.fault)
        if math.isfinite(entry.age_s):
            self.worst_age_s = max(self.worst_age_s, abs(entry.age_s))
        # Reasons may carry numbers that differ each time; keep the first few.
        if entry.reason and (entry.reason in self.reasons or len(self.reasons) < 3):
            self.reasons[entry.reason] += 1

    def data(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "cycles": self.cycles,
            "absent": self.absent,
            "faulty": self.faulty,
            "worst_age_ms": round(self.worst_age_s * 1e3, 1),
            "reason": self.reasons.most_common(1)[0][0] if self.reasons else "",
        }


def _planned_speed(output: PlannerOutput, ahead_s: float) -> float:
    states = output.trajectory.states
    times = output.trajectory.times_s
    if not len(states) or times[-1] < ahead_s:
        return math.nan
    return float(np.interp(ahead_s, times, states[:, StateIndex.SPEED]))


def _rounded(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _path_length(path: list[tuple[int, FloatArray]]) -> float:
    positions = np.array([pose[:3, 3] for _, pose in path]).reshape(-1, 3)
    return round(float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum()), 1)
