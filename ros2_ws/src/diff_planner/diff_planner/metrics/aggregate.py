"""Averages over scenes: always of each scene's own score.

The product of averaged sub-scores is another number than the average of the products, and has been
published for it by mistake (https://github.com/autonomousvision/navsim/issues/116).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diff_planner.metrics.value import Value


@dataclass(frozen=True)
class Average:
    """The mean over the scenes on which a score was evaluated."""

    mean: Value
    evaluated: int
    """How many scenes that are."""
    reasons: Mapping[str, int]
    """Why it was not evaluated on the others, and how often."""


def average_over_scenes(scores: Sequence[Value]) -> Average:
    """Return the mean of one score, given for each scene.

    Scenes on which it was not evaluated are left out and counted; if that is all, so is the mean.
    Never pass scores that were averaged before.
    """
    numbers = [score.value for score in scores if score.value is not None]
    reasons = Counter(score.reason for score in scores if score.value is None)
    if not numbers:
        missing = f"not evaluated on any of {len(scores)} scenes"
        return Average(Value.missing(missing), 0, dict(reasons))
    return Average(Value.of(sum(numbers) / len(numbers)), len(numbers), dict(reasons))
