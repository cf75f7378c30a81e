"""A number with its validity: either it was measured, or a sentence says why it was not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diff_planner.errors import InputError


@dataclass(frozen=True)
class Value:
    """One measured number, or the reason why there is none; it begins as not evaluated."""

    value: float | None = None
    reason: str = "nothing has measured it yet"
    """Why it was not evaluated; empty where there is a number."""

    @classmethod
    def of(cls, value: float) -> Value:
        """Return a measured number.

        Raises:
            InputError: it is NaN or infinite: say why by `missing` instead.
        """
        if not math.isfinite(value):
            raise InputError(f"value: expected a finite number, got {value}")
        return cls(float(value), "")

    @classmethod
    def missing(cls, reason: str) -> Value:
        """Return what could not be evaluated, with the reason.

        Raises:
            InputError: the reason is empty.
        """
        if not reason:
            raise InputError("value: what is not evaluated needs a reason, got none")
        return cls(None, reason)

    @property
    def is_evaluated(self) -> bool:
        """True when there is a number."""
        return self.value is not None
