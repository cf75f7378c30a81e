"""The guard: rules that a plan must pass, independent of the network that proposed it.

One rule per file, each `check_*(states, context) -> bits [M]`, vectorised over the candidates.
A net below comfort: it refuses what the vehicle cannot do, what jumps, and what hits something.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import InputError
from diff_planner.safety.collision import check_collision
from diff_planner.safety.context import SafetyContext
from diff_planner.safety.continuity import check_continuity
from diff_planner.safety.finite import check_finite
from diff_planner.safety.kinematics import check_kinematics
from diff_planner.safety.stopping import check_stopping
from diff_planner.types import RejectBit, StateIndex

__all__ = ["SafetyContext", "check"]

_RULES = (check_kinematics, check_continuity, check_stopping, check_collision)


def check(states: NDArray[np.float64], context: SafetyContext) -> NDArray[np.uint32]:
    """Judge every candidate by every rule.

    Args:
        states: [M, N, 7] plans at 0.1 s in base_link at the stamp (`StateIndex`).
        context: the cycle's surroundings.

    Returns:
        [M] `RejectBit`s; 0 passed.  A row with a NaN or infinity gets NONFINITE alone, since no
        other rule can say anything about it; fewer than two points get TOO_SHORT.

    Raises:
        InputError: `states` has another shape.
        MissingInputError: there is no LiDAR sweep to judge collisions by.
    """
    if states.ndim != 3 or states.shape[2] != len(StateIndex):
        raise InputError(f"safety: expected states [M, N, {len(StateIndex)}], got {states.shape}")
    bits = check_finite(states, context)
    if states.shape[1] < 2:
        return bits | np.uint32(RejectBit.TOO_SHORT)
    finite = np.flatnonzero(bits == 0)
    if len(finite) == 0:
        return bits
    for rule in _RULES:
        bits[finite] |= rule(states[finite], context)
    return bits
