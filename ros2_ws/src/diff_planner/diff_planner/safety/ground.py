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
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ALL = slice(None)
_SECTORS = 90
"""4 degrees: at 25 m about a car's width, so that beside one the road is seen."""
_RING_EDGES_M = np.concatenate(
    [np.arange(2.0, 20.0, 1.0), np.arange(20.0, 40.0, 2.0), np.arange(40.0, 101.0, 4.0)]
)
_RING_MIDDLES_M = np.concatenate([[0.0], 0.5 * (_RING_EDGES_M[1:] + _RING_EDGES_M[:-1])])
"""The first ring is the vehicle's own place."""
_BUMP_SPAN_M = 20.0
"""What rises and falls again within this is no road."""
_WINDOW = (np.arange(-2, 3)[:, None] + np.arange(_SECTORS)) % _SECTORS
"""[5, S]: each sector and two on either side."""
_QUORUM = 3
"""Of five sectors, how many must have a return for their median to count."""
_ROUGHNESS_M = 0.10
"""Kerbs, roughness, range noise: what a road may differ by with no way in between."""
_AGREEMENT_M = 0.15
"""A sector farther than this from the median of its neighbours shows no ground."""
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
    last ring's ground is held.
    """
    x, y, z = np.asarray(points, dtype=np.float64).T
    radius = np.hypot(x, y)
    turns = np.arctan2(y, x) / (2.0 * np.pi) + 0.5
    sector = (turns * _SECTORS).astype(np.int64) % _SECTORS
    ground = _without_bumps(_walk(radius, z, sector))
    place = np.interp(radius, _RING_MIDDLES_M, np.arange(len(_RING_MIDDLES_M)))
    inner = np.minimum(place.astype(np.int64), len(_RING_MIDDLES_M) - 2)
    share = place - inner
    below = (1.0 - share) * ground[inner, sector] + share * ground[inner + 1, sector]
    return np.asarray(z - below)


def _walk(radius: Array, z: Array, sector: NDArray[np.int64]) -> Array:
    """Follow the ground outwards; return its height [R, S] at the rings' middles."""
    ring = np.searchsorted(_RING_EDGES_M, radius, side="right").astype(np.int16)
    order = np.argsort(ring, kind="stable")
    bounds = np.searchsorted(ring[order], np.arange(len(_RING_EDGES_M) + 1))
    front = _Front(np.zeros(_SECTORS), np.zeros(_SECTORS), np.zeros(_SECTORS))
    ground = np.zeros((len(_RING_MIDDLES_M), _SECTORS))
    for index, middle_m in enumerate(_RING_MIDDLES_M):
        # Ring 0 is the vehicle's own ground: zero by the definition of base_link.
        members = order[bounds[index] : bounds[index + 1]]
        if index > 0 and len(members) > 0:
            gap_m = middle_m - front.radius_m
            residual = z[members] - front.predicted(radius[members], sector[members])
            shift = _ground_shift(residual, sector[members], front.predicted(middle_m, _ALL), gap_m)
            _advance(front, middle_m, shift)
        ground[index] = front.predicted(middle_m, _ALL) if index > 0 else 0.0
    return ground


def _without_bumps(ground: Array) -> Array:
    """Bring ground [R, S] down to the line between what lies before and behind it.

    Where the road itself sent nothing back, kerbs and low things beside it may have stood in for
    it.  A road does not rise and fall again within some ten metres; a hilltop does by less than
    counts (500 m of radius: 0.1 m over 20 m).
    """
    rings = np.arange(len(ground))
    for before, behind in product((1, 2, 4), repeat=2):
        low, high = rings - before, rings + behind
        is_inside = (low >= 0) & (high < len(ground))
        low, here, high = low[is_inside], rings[is_inside], high[is_inside]
        span = _RING_MIDDLES_M[high] - _RING_MIDDLES_M[low]
        is_short = span <= _BUMP_SPAN_M
        low, here, high = low[is_short], here[is_short], high[is_short]
        share = ((_RING_MIDDLES_M[here] - _RING_MIDDLES_M[low]) / span[is_short])[:, None]
        line = (1.0 - share) * ground[low] + share * ground[high]
        ground[here] = np.minimum(ground[here], line)
    return ground


def _ground_shift(
    residual: Array, sector: NDArray[np.int64], predicted_m: Array, gap_m: Array
) -> Array:
    """Return how far the ground [S] of one ring lies off its prediction, NaN where not seen.

    Args:
        residual: [K] height of the ring's points above the prediction.
        sector: [K] their sectors.
        predicted_m: [S] the prediction in the ring's middle.
        gap_m: [S] way since the ground was last seen.
    """
    fall = -np.minimum(_ROUGHNESS_M + _FALL_SLOPE * gap_m, _FALL_MAX_M)
    rise = np.minimum(_ROUGHNESS_M + _RISE_SLOPE * gap_m, _RISE_MAX_M)
    alone = np.minimum(_ROUGHNESS_M + _ALONE_SLOPE * gap_m, _ALONE_MAX_M)
    is_possible = (residual >= fall[sector]) & (residual <= rise[sector])
    lowest = np.full(_SECTORS, np.inf)
    np.minimum.at(lowest, sector[is_possible], residual[is_possible])
    # Neighbours are compared in height, not in residual: a sector that has once lost the ground
    # (a kerb) finds it again.
    height = predicted_m + lowest
    window = np.sort(height[_WINDOW], axis=0)  # [5, S]; inf, no return, comes last
    count = np.isfinite(window).sum(axis=0)
    median = window[np.maximum(count - 1, 0) // 2, np.arange(_SECTORS)]
    has_quorum = count >= _QUORUM
    reference = np.where(has_quorum, median, predicted_m)
    tolerance = np.where(has_quorum, _AGREEMENT_M, alone)
    is_seen = np.isfinite(lowest)
    is_seen[is_seen] = np.abs(height - reference)[is_seen] <= tolerance[is_seen]
    return np.where(is_seen, lowest, np.nan)


def _advance(front: _Front, radius_m: float, shift: Array) -> None:
    """Carry the front to a ring; where the ground was not seen it stays behind."""
    gap = np.maximum(radius_m - front.radius_m, 0.1)
    height = front.predicted(radius_m, _ALL) + shift
    gain = gap / (gap + _SLOPE_MEMORY_M)
    slope = np.clip(front.slope + gain * shift / gap, -_MAX_SLOPE, _MAX_SLOPE)
    is_seen = np.isfinite(shift)
    front.height_m = np.where(is_seen, height, front.height_m)
    front.slope = np.where(is_seen, slope, front.slope)
    front.radius_m = np.where(is_seen, radius_m, front.radius_m)
