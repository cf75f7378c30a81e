"""One score for each of K proposals, or the reason why it was not evaluated.

Not evaluated never counts as passed: the numbers are NaN then, so that no sum can hide it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.value import Value

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SubScores:
    """A score of K proposals."""

    values: Array
    """[K] in [0, 1]; NaN throughout where `reason` is set."""
    reason: str = ""
    """Why it was not evaluated; empty where it was."""

    @classmethod
    def missing(cls, count: int, reason: str) -> SubScores:
        """Return what could not be evaluated for `count` proposals."""
        return cls(np.full(count, np.nan), reason)

    @property
    def is_evaluated(self) -> bool:
        """True when there are numbers."""
        return not self.reason

    def at(self, index: int) -> Value:
        """Return the score of one proposal."""
        return Value.missing(self.reason) if self.reason else Value.of(float(self.values[index]))

    def rows(self, index: slice) -> SubScores:
        """Return the scores of some of the proposals."""
        return SubScores(self.values[index], self.reason)


def why_missing(parts: Mapping[str, SubScores]) -> str:
    """Return the reasons of the named parts that were not evaluated, or an empty string."""
    return "; ".join(
        f"{name}: {part.reason}" for name, part in parts.items() if not part.is_evaluated
    )
