"""The one collision kernel: how far two oriented boxes are apart, by separating axes.

Gottschalk, Lin, Manocha: OBBTree, SIGGRAPH 1996, in the plane: two convex shapes are apart exactly
if their shadows are apart on the normal of one of their sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Boxes:
    """Oriented boxes; the arrays are of one shape or broadcast to one."""

    x: Array
    """Centre."""
    y: Array
    cos: Array
    """Of the yaw."""
    sin: Array
    half_length: Array
    half_width: Array

    def corners(self) -> tuple[Array, Array]:
        """Return x and y [4, ...]: front-left, rear-left, rear-right, front-right."""
        along_x, along_y = self.cos * self.half_length, self.sin * self.half_length
        left_x, left_y = -self.sin * self.half_width, self.cos * self.half_width
        x = np.stack([along_x + left_x, left_x - along_x, -along_x - left_x, along_x - left_x])
        y = np.stack([along_y + left_y, left_y - along_y, -along_y - left_y, along_y - left_y])
        return x + self.x, y + self.y

    def front(self) -> Boxes:
        """Return the front edges, as boxes without length."""
        return Boxes(
            self.x + self.cos * self.half_length,
            self.y + self.sin * self.half_length,
            self.cos,
            self.sin,
            np.zeros_like(self.half_length),
            self.half_width,
        )


def separation(a: Boxes, b: Boxes) -> Array:
    """Return the signed separation of boxes, metres, broadcast over both.

    Positive: the widest gap on the four axes, a lower bound of their distance.  Negative: how far
    one must be moved to come free.  Zero: they touch, which counts as a collision everywhere.
    """
    dx, dy = b.x - a.x, b.y - a.y
    cos = np.abs(a.cos * b.cos + a.sin * b.sin)
    sin = np.abs(a.cos * b.sin - a.sin * b.cos)
    gap = np.abs(dx * a.cos + dy * a.sin) - a.half_length - b.half_length * cos - b.half_width * sin
    for other in (
        np.abs(dy * a.cos - dx * a.sin) - a.half_width - b.half_length * sin - b.half_width * cos,
        np.abs(dx * b.cos + dy * b.sin) - b.half_length - a.half_length * cos - a.half_width * sin,
        np.abs(dy * b.cos - dx * b.sin) - b.half_width - a.half_length * sin - a.half_width * cos,
    ):
        gap = np.maximum(gap, other)
    return gap


def meets_ring(boxes: Boxes, ring: Array) -> Mask:
    """Say which boxes [N] touch a polygon, given as a ring [P, 2]; it may be concave.

    They do if an edge of the ring touches the box, or if all of the box lies within.
    """
    dx, dy = ring[:, 0] - boxes.x[:, None], ring[:, 1] - boxes.y[:, None]  # [N, P]
    cos, sin = boxes.cos[:, None], boxes.sin[:, None]
    x0, y0 = cos * dx + sin * dy, cos * dy - sin * dx  # the ring in each box's frame
    x1, y1 = np.roll(x0, -1, axis=1), np.roll(y0, -1, axis=1)
    half_x, half_y = boxes.half_length[:, None], boxes.half_width[:, None]
    # Separating axes of an edge and a box around the origin: x, y, and the edge's normal.
    reach = np.abs(y1 - y0) * half_x + np.abs(x1 - x0) * half_y
    touches = (
        (np.minimum(x0, x1) <= half_x)
        & (np.maximum(x0, x1) >= -half_x)
        & (np.minimum(y0, y1) <= half_y)
        & (np.maximum(y0, y1) >= -half_y)
        & (np.abs(x0 * y1 - x1 * y0) <= reach)
    ).any(axis=1)
    # Without such an edge the box is all in or all out, and its centre tells.
    is_crossing = (y0 > 0.0) != (y1 > 0.0)
    is_right = (x0 * y1 - x1 * y0 > 0.0) == (y1 > y0)
    return touches | np.logical_xor.reduce(is_crossing & is_right, axis=1)
