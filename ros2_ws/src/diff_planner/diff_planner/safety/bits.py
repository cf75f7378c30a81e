"""How a rule writes its verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.types import RejectBit


def bits_where(is_broken: NDArray[np.bool_], bit: RejectBit) -> NDArray[np.uint32]:
    """Return `bit` where a rule [M] is broken, 0 elsewhere."""
    return np.where(is_broken, np.uint32(bit), np.uint32(0)).astype(np.uint32)
