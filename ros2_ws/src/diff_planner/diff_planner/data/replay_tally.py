"""What a replay counts: sources, reject bits, reasons, milliseconds.

A few numbers a cycle are kept, never the cycle itself: memory stays small on a long bag.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from diff_planner.config import to_yaml
from diff_planner.data.encode_status import Counters
from diff_planner.data.replay_types import ReplayCycle, ReplaySummary
from diff_planner.files import whole_file
from diff_planner.planner import Planner
from diff_planner.types import FloatArray, PlannerOutput, RejectBit, Source

_MEASURED = re.compile(r"(?<![\w./-])-?(?:\d+\.\d+|\d{7,})(?![\w/])")
"""Numbers that differ from cycle to cycle; counts and names with digits are left as they are."""


@dataclass(frozen=True)
class RunIdentity:
    """Who planned, and with what; fields as in ReplaySummary."""

    model_name: str
    model_sha256: str
    is_trained: bool
    training: str
    backend: str
    precision: str
    seed: int
    config_yaml: str

    @classmethod
    def of(cls, planner: Planner) -> RunIdentity:
        """Return what a planner says of itself."""
        card = planner.backend.card
        return cls(
            model_name=card.name,
            model_sha256=card.model_sha256,
            is_trained=card.is_trained,
            training=card.training,
            backend=planner.backend.name,
            precision=planner.backend.precision,
            seed=planner.config.model.seed,
            config_yaml=to_yaml(planner.config),
        )


class Tally:
    """Counts of one replay."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.timings: list[dict[str, float]] = []
        """Milliseconds of each stage of each anchor's cycle, with its `stamp_ns`."""
        self.ego_path: list[tuple[int, FloatArray]] = []
        """(stamp_ns, odom_SE3_ego) of each cycle whose ego motion was known."""
        self._sources: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._rejected_without: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._candidates = self._candidates_without = 0
        self._complete = self._missed = self._watchdog = 0
        self._stamps: list[int] = []

    @property
    def cycles(self) -> int:
        """Plans so far, those of the watchdog among them."""
        return sum(self._sources.values())

    @property
    def counters(self) -> Counters:
        """What PlannerStatus carries."""
        fallbacks = self.cycles - self._sources[Source.DIFFUSION.name]
        return Counters(cycles=self.cycles, fallbacks=fallbacks)

    def add(self, cycle: ReplayCycle, *, is_watchdog: bool) -> None:
        """Count one plan."""
        output = cycle.output
        self._sources[output.source.name] += 1
        if output.reason:
            self._reasons[_MEASURED.sub("#", output.reason)] += 1
        self._count_rejects(output)
        if is_watchdog:
            self._watchdog += 1
            return
        self._stamps.append(cycle.stamp_ns)
        self.timings.append({"stamp_ns": cycle.stamp_ns, **output.timing_ms})
        if cycle.planner_input is None:
            self._missed += 1
            return
        self._complete += not cycle.planner_input.faults
        ego = cycle.planner_input.ego
        self.ego_path.append((ego.stamp_ns, ego.odom_SE3_ego))

    def _count_rejects(self, output: PlannerOutput) -> None:
        if output.candidates is None:
            return
        bits = output.candidates.reject_bits
        counts = Counter({str(bit.name): int(((bits & bit) != 0).sum()) for bit in RejectBit})
        self._rejected += counts
        self._candidates += len(bits)
        if output.source != Source.DIFFUSION:
            self._rejected_without += counts
            self._candidates_without += len(bits)

    def summary(
        self,
        planner: Planner,
        *,
        bag: str,
        bag_duration_s: float,
        wall_s: float,
        cpu_s: float,
    ) -> ReplaySummary:
        """Return the figures of the whole run of a planner."""
        run = RunIdentity.of(planner)
        return self.summary_of(
            run, bag=bag, bag_duration_s=bag_duration_s, wall_s=wall_s, cpu_s=cpu_s
        )

    def summary_of(
        self,
        run: RunIdentity,
        *,
        bag: str,
        bag_duration_s: float,
        wall_s: float | None = None,
        cpu_s: float | None = None,
    ) -> ReplaySummary:
        """Return the figures of the whole run, of whoever planned."""
        spans_s = np.diff(self._stamps) / 1e9
        spans_s = spans_s[spans_s > 0.0]  # a clock that jumped back is no period
        return ReplaySummary(
            bag=bag,
            bag_duration_s=bag_duration_s,
            cycles=self.cycles,
            anchors=len(self._stamps),
            complete_anchors=self._complete,
            missed=self._missed,
            watchdog=self._watchdog,
            sources=dict(self._sources),
            candidates=self._candidates,
            rejected=dict(self._rejected),
            candidates_without_diffusion=self._candidates_without,
            rejected_without_diffusion=dict(self._rejected_without),
            reasons=dict(self._reasons.most_common()),
            rate_hz=float(1.0 / spans_s.mean()) if len(spans_s) else float("nan"),
            stage_ms=stage_percentiles(self.timings),
            **asdict(run),
            wall_s=wall_s,
            cpu_s=cpu_s,
        )


def stage_percentiles(
    timings: Iterable[Mapping[str, float]],
) -> dict[str, tuple[float, float, float]]:
    """Return (p50, p95, p99) in milliseconds of each stage over the cycles that ran it."""
    stages: dict[str, list[float]] = {}
    for timing in timings:
        for stage, value in timing.items():
            if stage != "stamp_ns":
                stages.setdefault(stage, []).append(value)
    return {
        stage: tuple(float(np.percentile(values, q)) for q in (50, 95, 99))  # type: ignore[misc]
        for stage, values in stages.items()
    }


def write_timings(path: Path, timings: list[dict[str, float]]) -> None:
    """Write one JSON line a cycle; whole under its final name or not at all.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text("".join(json.dumps(timing) + "\n" for timing in timings))
