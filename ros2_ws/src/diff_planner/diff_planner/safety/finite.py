"""NONFINITE: a plan is made of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.types import RejectBit

_LARGEST = 1e6
"""No metre, radian or metre per second of a plan comes near; beyond, sums lose their meaning."""


def check_finite(states: NDArray[np.float64], context: SafetyContext) -> NDArray[np.uint32]:
    """Refuse candidates [M, N, 7] with a NaN or infinity anywhere, or a number beyond all sense."""
    del context  # every rule has the same signature
    # Written so that a NaN, which compares as false, is refused too.
    is_sound = (np.abs(states) <= _LARGEST).all(axis=(1, 2))
    return bits_where(np.asarray(~is_sound), RejectBit.NONFINITE)
