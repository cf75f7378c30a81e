"""NONFINITE: a plan is made of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.types import RejectBit


def check_finite(states: NDArray[np.float64], context: SafetyContext) -> NDArray[np.uint32]:
    """Refuse candidates [M, N, 7] with a NaN or infinity anywhere."""
    del context  # every rule has the same signature
    return bits_where(np.asarray(~np.isfinite(states).all(axis=(1, 2))), RejectBit.NONFINITE)
