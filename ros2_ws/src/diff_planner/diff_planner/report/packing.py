"""Arrays as short text: the page unpacks them with two lines of JavaScript."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

CM_PER_M = 100.0
NOTHING = -32768
"""Stands for "not finite" or "out of range" in an int16 array; the page breaks lines there."""


def pack_int16(values: NDArray[Any], scale: float) -> str:
    """Return base64 of little-endian int16, row by row.

    Args:
        values: any shape.
        scale: what a unit is multiplied with before rounding; 100 keeps centimetres of metres.
    """
    scaled = np.round(np.asarray(values, dtype=np.float64) * scale)
    fits = np.isfinite(scaled) & (np.abs(scaled) <= 32767)
    packed = np.where(fits, scaled, NOTHING).astype("<i2")
    return base64.b64encode(packed.tobytes()).decode("ascii")


def evenly(count: int, limit: int) -> NDArray[np.int64]:
    """Return at most `limit` indices spread evenly over 0..count-1."""
    if count <= limit:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).astype(np.int64)
