"""Height of LiDAR points above the ground around them, from one sweep.

The ground is followed outwards from the vehicle, which stands on it: in each sector of azimuth
from ring to ring, by the lowest return that a road could have from the last one on.  Where there is
none (a shadow, the gaps between far rings) the road is taken to go on as it did.  Walking sectors
outwards is the idea of Himmelsbach et al., "Fast segmentation of 3D point clouds for ground
vehicles", IV 2010; what is added here is the say of the neighbouring sectors: a road rises or falls
over many sectors at once, a cone or a reflection does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SECTORS = 90
"""4 degrees: at 25 m about a car's width, so that beside one the road is seen."""
_RING_EDGES_M = np.concatenate(
    [np.arange(2.0, 20.0, 1.0), np.arange(20.0, 40.0, 2.0), np.arange(40.0, 101.0, 4.0)]
)
_NEIGHBOURS = 2
"""Sectors on either side that are asked."""
_QUORUM = 3
"""Of five sectors, how many must have a return for their median to count."""
_ROUGHNESS_M = 0.10
"""Kerbs, roughness, range noise: what a road may differ by with no way in between."""
_AGREEMENT_M = 0.15
"""A sector farther than this from the median of its neighbours takes the median."""
_ALONE_SLOPE, _ALONE_MAX_M = 0.05, 0.25
"""Change of slope, and rise, believed of one sector alone: less than an obstacle's least height."""
_RISE_SLOPE, _RISE_MAX_M = 0.12, 1.0
"""The same when neighbours agree: a ramp."""
_FALL_SLOPE, _FALL_MAX_M = 0.15, 2.0
"""Falling is believed more readily: a road taken for too high hides what stands on it."""
_SLOPE_MEMORY_M = 6.0
"""Way over which the slope is smoothed."""
_MAX_SLOPE = 0.2


@dataclass
class _Front:
    """How far the walk has come in each sector [S]: ground height, slope, and where last seen."""

    radius_m: Array
    height_m: Array
    slope: Array

    def predicted(self, radius_m: float | Array, sector: NDArray[np.int64] | slice) -> Array:
        """Return the ground height at a radius if the road goes on as it did."""
        way = radius_m - self.radius_m[sector]
        return np.asarray(self.height_m[sector] + self.slope[sector] * way)


def height_above_ground(points: NDArray[np.floating]) -> Array:
    """Return the height [N] of points [N, 3] of base_link above the ground below them.

    Negative heights are returns from below the road: reflections, or noise.  Beyond 100 m the
    last ring's ground is extended.
    """
    x, y, z = np.asarray(points, dtype=np.float64).T
    radius = np.hypot(x, y)
    turns = np.arctan2(y, x) / (2.0 * np.pi) + 0.5
    sector = (turns * _SECTORS).astype(np.int64) % _SECTORS
    ring = np.searchsorted(_RING_EDGES_M, radius, side="right").astype(np.int16)
    order = np.argsort(ring, kind="stable")
    bounds = np.searchsorted(ring[order], np.arange(len(_RING_EDGES_M) + 2))
    height = np.empty(len(z))
    front = _Front(np.zeros(_SECTORS), np.zeros(_SECTORS), np.zeros(_SECTORS))
    for index in range(len(_RING_EDGES_M) + 1):
        members = order[bounds[index] : bounds[index + 1]]
        residual = z[members] - front.predicted(radius[members], sector[members])
        if index == 0 or len(members) == 0:  # under and beside the vehicle: z = 0 is the ground
            height[members] = residual
            continue
        middle_m = float(radius[members].mean())
        shift, is_seen = _ground_shift(residual, sector[members], middle_m - front.radius_m)
        height[members] = residual - shift[sector[members]]
        _advance(front, middle_m, shift, is_seen)
    return height


def _ground_shift(
    residual: Array, sector: NDArray[np.int64], gap_m: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return how far the ground [S] of one ring lies off its prediction, and where that is seen.

    Args:
        residual: [K] height of the ring's points above the prediction.
        sector: [K] their sectors.
        gap_m: [S] way since the ground was last seen.
    """
    fall = -np.minimum(_ROUGHNESS_M + _FALL_SLOPE * gap_m, _FALL_MAX_M)
    rise = np.minimum(_ROUGHNESS_M + _RISE_SLOPE * gap_m, _RISE_MAX_M)
    alone = np.minimum(_ROUGHNESS_M + _ALONE_SLOPE * gap_m, _ALONE_MAX_M)
    is_possible = (residual >= fall[sector]) & (residual <= rise[sector])
    lowest = np.full(_SECTORS, np.inf)
    np.minimum.at(lowest, sector[is_possible], residual[is_possible])
    window = np.stack([np.roll(lowest, k) for k in range(-_NEIGHBOURS, _NEIGHBOURS + 1)])
    window.sort(axis=0)  # inf, no return, comes last
    count = np.isfinite(window).sum(axis=0)
    median = window[np.maximum(count - 1, 0) // 2, np.arange(_SECTORS)]
    has_quorum = count >= _QUORUM
    agrees = np.abs(lowest - np.where(has_quorum, median, 0.0)) <= np.where(
        has_quorum, _AGREEMENT_M, alone
    )
    shift = np.where(agrees, lowest, np.where(has_quorum, median, 0.0))
    return shift, agrees | has_quorum


def _advance(front: _Front, radius_m: float, shift: Array, is_seen: NDArray[np.bool_]) -> None:
    """Carry the front to a ring; where the ground was not seen it stays behind."""
    gap = np.maximum(radius_m - front.radius_m, 0.1)
    height = front.predicted(radius_m, slice(None)) + shift
    gain = gap / (gap + _SLOPE_MEMORY_M)
    slope = np.clip(front.slope + gain * shift / gap, -_MAX_SLOPE, _MAX_SLOPE)
    front.height_m = np.where(is_seen, height, front.height_m)
    front.slope = np.where(is_seen, slope, front.slope)
    front.radius_m = np.where(is_seen, radius_m, front.radius_m)
