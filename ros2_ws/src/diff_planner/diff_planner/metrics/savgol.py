"""Savitzky-Golay smoothing and derivatives of whole series, as one matrix for each setting.

A polynomial is fitted to a sliding window; half a window at either end is read off the polynomial
of the first or last whole window (scipy's mode "interp").  A window of even length 2h covers the
h - 1 samples before and h after a sample, read half a step after it: that is how scipy lays it,
and NAVSIM's window of 8 runs through scipy.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def savgol_matrix(
    count: int, window: int, order: int, derivative: int = 0, step: float = 1.0
) -> Array:
    """Return the matrix [count, count] that filters a series of `count` samples.

    Args:
        count: length of the series.
        window: samples of a window; cut to `count`.
        order: of the polynomial, below the window.
        derivative: 0 smooths, 1 and 2 differentiate.
        step: distance of two samples.

    Raises:
        ValueError: the order does not fit into the window.
    """
    window = min(window, count)
    if not 0 <= derivative <= order < window:
        raise ValueError(f"savgol: expected derivative <= order < window {window}, got {order}")
    half = window // 2
    matrix = np.zeros((count, count))
    inner = _weights(window, order, derivative, (window - 1) / 2.0)
    for row in range(half, count - half):
        start = row - (window - 1) // 2
        matrix[row, start : start + window] = inner
    for row in range(min(half, count)):
        matrix[row, :window] = _weights(window, order, derivative, row)
        matrix[count - 1 - row, count - window :] = _weights(
            window, order, derivative, window - 1 - row
        )
    matrix /= step**derivative
    matrix.setflags(write=False)
    return matrix


def savgol(series: Array, window: int, order: int, derivative: int = 0, step: float = 1.0) -> Array:
    """Return series [..., T] filtered along the last axis; see `savgol_matrix`."""
    return series @ savgol_matrix(series.shape[-1], window, order, derivative, step).T


def _weights(window: int, order: int, derivative: int, position: float) -> Array:
    """Return what weighs the samples of a window in the fitted polynomial at `position`."""
    powers = np.vander(np.arange(window) - position, order + 1, increasing=True)
    factorial = float(np.prod(np.arange(1, derivative + 1)))
    return np.linalg.pinv(powers)[derivative] * factorial
