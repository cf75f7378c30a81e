"""What a replay hands on: each cycle as it happens, and a summary at the end.

Apart from replay.py so that the report package can read them without the bag layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diff_planner.errors import InputError
from diff_planner.types import PlannerInput, PlannerOutput


@dataclass(frozen=True)
class ReplayCycle:
    """One plan of a replay, with what it was made from."""

    index: int
    """0, 1, 2, ... over all plans of the replay."""
    stamp_ns: int
    planner_input: PlannerInput | None
    """None where no input was complete: the watchdog's plans and missed anchors."""
    output: PlannerOutput


@dataclass(frozen=True)
class ReplaySummary:
    """The figures of one replay.  Counts are of cycles unless a field says otherwise."""

    bag: str
    """File name of the bag, without its folder."""
    bag_duration_s: float
    cycles: int
    """Plans made, those of the watchdog and of missed anchors included."""
    anchors: int
    """Anchor messages found in the bag."""
    complete_anchors: int
    """Anchor messages for which every needed input was there."""
    missed: int
    """Anchor messages that led to a fallback plan because an input was missing."""
    watchdog: int
    """Fallback plans made because no anchor came in time."""
    sources: Mapping[str, int]
    """By name of `Source`."""
    candidates: int
    """Candidates judged, over all cycles."""
    rejected: Mapping[str, int]
    """Candidates refused, by name of `RejectBit`; one candidate may count for several."""
    candidates_without_diffusion: int
    """Candidates judged in the cycles whose plan is not DIFFUSION."""
    rejected_without_diffusion: Mapping[str, int]
    """As `rejected`, over those cycles alone: it explains why they fell back."""
    reasons: Mapping[str, int]
    """By the text of `PlannerOutput.reason`, measured numbers as #; most plans give none."""
    rate_hz: float
    """Cycles per second of bag time."""
    stage_ms: Mapping[str, tuple[float, float, float]]
    """p50, p95, p99 of the wall time of each stage, by name as in `PlannerOutput.timing_ms`."""
    model_name: str
    model_sha256: str
    is_trained: bool
    training: str
    """What the model was trained on and how long, or that it was not, in words."""
    backend: str
    precision: str
    seed: int
    config_yaml: str
    command: str = ""
    """The command line that made this replay."""
    wall_s: float | None = None
    """Time that the whole replay took, reading included."""
    cpu_s: float | None = None
    """Processor time of the whole replay, all threads."""
    output: str = ""
    """File name of the output bag, empty for none."""
    notes: tuple[str, ...] = field(default=())
    """Sentences that a reader of the figures must know."""

    def __post_init__(self) -> None:
        """Check that the counts agree, so that no share is taken of the wrong whole."""
        if sum(self.sources.values()) != self.cycles:
            raise InputError(
                f"replay summary: expected sources to add up to {self.cycles} cycles, "
                f"got {dict(self.sources)}"
            )

    @property
    def diffusion_share(self) -> float | None:
        """Share of cycles whose plan is the network's, 0..1; None without cycles."""
        return self.sources.get("DIFFUSION", 0) / self.cycles if self.cycles else None
