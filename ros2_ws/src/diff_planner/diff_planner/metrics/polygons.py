"""Which points lie in which of many polygons.

Even-odd rule, so a ring may be concave and run either way round.  A point on the border is outside,
as in shapely, which official scores use: an ego that drives exactly on the line between two lanes
is in neither.  Only edges along an axis are tested for that; on others rounding decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Polygons:
    """Rings of one frame, with what is asked of them again and again."""

    rings: tuple[Array, ...]
    """[P, 2] each."""
    low: Array
    """[R, 2] least x and y of each ring."""
    high: Array
    """[R, 2] greatest x and y."""

    @classmethod
    def of(cls, rings: Sequence[Array]) -> Polygons:
        """Return the polygons of rings [P, 2]; there may be none."""
        if not rings:
            return cls((), np.empty((0, 2)), np.empty((0, 2)))
        starts = np.cumsum([0, *(len(ring) for ring in rings[:-1])])
        corners = np.concatenate(rings)
        low, high = np.minimum.reduceat(corners, starts), np.maximum.reduceat(corners, starts)
        return cls(tuple(rings), low, high)

    def near(self, points: Array) -> NDArray[np.intp]:
        """Return the indices of the rings whose bounds meet those of points [2, ...]."""
        flat = points.reshape(2, -1)
        low, high = flat.min(axis=1), flat.max(axis=1)
        return np.flatnonzero(((self.low <= high) & (self.high >= low)).all(axis=1))

    def contains(self, index: int, points: Array) -> Mask:
        """Say which points [2, N] lie in ring `index`."""
        inside = np.zeros(points.shape[1], dtype=np.bool_)
        x, y = points
        low, high = self.low[index], self.high[index]
        is_near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        near = np.flatnonzero(is_near)
        if len(near):
            inside[near] = ring_contains(self.rings[index], points.take(near, axis=1))
        return inside

    def any_contains(self, points: Array) -> Mask:
        """Say which points [2, N] lie in one ring or more."""
        inside = np.zeros(points.shape[1], dtype=np.bool_)
        open_ones = np.arange(points.shape[1])  # a point that one ring holds is not asked again
        left = points
        for index in self.near(points) if points.size else ():
            found = self.contains(int(index), left)
            if found.any():
                inside[open_ones[found]] = True
                open_ones, left = open_ones[~found], left[:, ~found]
            if not len(open_ones):
                break
        return inside


def ring_contains(ring: Array, points: Array) -> Mask:
    """Say which points [2, N] lie in a ring [P, 2].

    Counts the edges that a ray from the point towards +x crosses.
    """
    x, y = ring[:, 0], ring[:, 1]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    dx, dy = next_x - x, next_y - y
    # Twice the area of edge and point, signed so that positive means: the edge is to the right.
    sign = np.where(dy > 0.0, 1.0, -1.0)
    edges = np.stack([-dy * sign, dx * sign, (dy * x - dx * y) * sign], axis=-1)  # [P, 3]
    is_right = edges[:, :2] @ points > -edges[:, 2:]
    is_above = y[:, None] > points[1]
    is_right &= is_above != np.roll(is_above, -1, axis=0)
    inside: Mask = np.logical_xor.reduce(is_right, axis=0)
    for edge in np.flatnonzero((dx == 0.0) | (dy == 0.0)):
        (x0, x1), (y0, y1) = sorted((x[edge], next_x[edge])), sorted((y[edge], next_y[edge]))
        px, py = points
        inside &= ~((px >= x0) & (px <= x1) & (py >= y0) & (py <= y1))
    return inside
