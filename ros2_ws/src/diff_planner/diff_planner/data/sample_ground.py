"""The ground of the sample bag as one large picture from above, with smaller copies of it.

Cameras and LiDAR read it; the copies (each half the size of the one before) keep what is far away
from flickering.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.data.sample_world import (
    ASPHALT_D_M,
    LANE_WIDTH_M,
    LIGHT_S_M,
    SIDEWALK_D_M,
    Array,
    Road,
    Solid,
    World,
)

PX_PER_M = 16.0
LEVELS = 6
"""The picture and five copies: 6 cm to 2 m a pixel."""
SUN = np.array([-0.45, 0.5, 0.74])
"""Unit vector to the sun, in `map`."""
SHADE = 0.52
"""Brightness of what lies in shadow."""
_MARGIN_M = 35.0
_GRASS, _PAVING, _ASPHALT = (98, 122, 66), (160, 157, 150), (86, 88, 92)
_CURB, _WHITE = (176, 174, 168), (226, 226, 222)
_SHIFT = 4
"""Fractional bits of polygon corners for cv2."""


class Ground:
    """Colours of the plane z = 0, RGB 0..255."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        """Paint road, markings, paving, grass and the shadows of what stands."""
        line = world.road.poses(np.arange(-60.0, world.road.length_m, 1.0))[:, :2]
        self._origin = line.min(axis=0) - _MARGIN_M
        extent = line.max(axis=0) + _MARGIN_M - self._origin
        self._shape = tuple(int(v) for v in np.ceil(extent * PX_PER_M))[::-1]
        self.pyramid = self._paint(world, rng)

    def colors(self, xy_m: NDArray[np.float32], level: int) -> NDArray[np.float32]:
        """Return the colour [H, W, 3] of points [H, W, 2] of `map`; grass off the picture.

        Args:
            xy_m: places.
            level: which copy: 0 has 16 px per metre, each further one half of that.
        """
        # The centre of pixel (0, 0) lies half a pixel inside the corner.
        scale = np.float32(PX_PER_M / 2**level)
        u = (xy_m[..., 0] - np.float32(self._origin[0])) * scale - np.float32(0.5)
        v = (xy_m[..., 1] - np.float32(self._origin[1])) * scale - np.float32(0.5)
        return np.asarray(
            cv2.remap(
                self.pyramid[level],
                u,
                v,
                interpolation=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=_GRASS,
            ),
            dtype=np.float32,
        )

    def _pixels(self, ring_m: Array) -> NDArray[np.int32]:
        fixed = ((ring_m - self._origin) * PX_PER_M - 0.5) * 2**_SHIFT
        return np.rint(fixed).astype(np.int32)

    def _fill(self, picture: NDArray[np.uint8], ring_m: Array, color: tuple[int, ...]) -> None:
        cv2.fillPoly(picture, [self._pixels(ring_m)], color, cv2.LINE_AA, _SHIFT)

    def _paint(self, world: World, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        picture = np.full((*self._shape, 3), _GRASS, dtype=np.uint8)
        for ring, color in _surfaces(world.road):
            self._fill(picture, ring, color)
        for ring in _markings(world.road):
            self._fill(picture, ring, _WHITE)
        shadow = np.zeros(self._shape, dtype=np.uint8)
        for solid in world.standing_parts():
            self._fill(shadow, shadow_ring(solid), (255,))
        soft = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 2.0), dtype=np.uint8)
        light = (255 - soft * np.float32(1.0 - SHADE)) * _unevenness(self._shape, rng)
        light = np.rint(np.minimum(light, 255.0)).astype(np.uint8)
        lit = cv2.multiply(picture, cv2.merge([light] * 3), scale=1.0 / 255.0)
        pyramid = [np.asarray(lit, dtype=np.uint8)]
        for _ in range(LEVELS - 1):
            height, width = pyramid[-1].shape[:2]
            half = (width // 2, height // 2)
            smaller = cv2.resize(pyramid[-1], half, interpolation=cv2.INTER_AREA)
            pyramid.append(np.asarray(smaller, dtype=np.uint8))
        return pyramid


def shadow_ring(solid: Solid) -> Array:
    """Return the hull [P, 2] of a solid's shadow on the ground, counter-clockwise."""
    corners = solid.corners()
    on_ground = corners[:, :2] - SUN[:2] / SUN[2] * np.maximum(corners[:, 2:], 0.0)
    hull = cv2.convexHull(on_ground.astype(np.float32), clockwise=False)
    return np.asarray(hull[:, 0], dtype=np.float64)


def _surfaces(road: Road) -> list[tuple[Array, tuple[int, int, int]]]:
    start, end = -60.0, road.length_m
    curb = [
        road.strip(start, end, (ASPHALT_D_M[0] - 0.2, ASPHALT_D_M[0])),
        road.strip(start, end, (ASPHALT_D_M[1], ASPHALT_D_M[1] + 0.2)),
    ]
    # Joints between the slabs of the paving, every two metres.
    joints = [
        road.strip(s, s + 0.05, d) for d in SIDEWALK_D_M for s in np.arange(start, end - 1.0, 2.0)
    ]
    worn = [road.strip(start, end, (d - 0.25, d + 0.25)) for d in (-0.8, 0.8, 2.7, 4.3)]
    return [
        *((road.strip(start, end, d), _PAVING) for d in SIDEWALK_D_M),
        *((ring, (132, 129, 123)) for ring in joints),
        (road.strip(start, end, ASPHALT_D_M), _ASPHALT),
        *((ring, (80, 82, 86)) for ring in worn),
        *((ring, _CURB) for ring in curb),
    ]


def _markings(road: Road) -> list[Array]:
    half = 0.5 * LANE_WIDTH_M
    start, end = -60.0, road.length_m - 4.0
    dashes = [road.strip(s, s + 3.0, (half - 0.07, half + 0.07)) for s in np.arange(start, end, 7)]
    bays = [road.strip(s, s + 0.12, (-5.0, -half)) for s in np.arange(-57.0, end, 6.2)]
    edges = [
        road.strip(start, end, (-half - 0.12, -half)),
        road.strip(start, end, (3 * half - 0.25, 3 * half - 0.13)),
    ]
    crossing = [
        road.strip(LIGHT_S_M + 1.5, LIGHT_S_M + 4.5, (d, d + 0.5)) for d in np.arange(-1.5, 5.0, 1)
    ]
    stop = road.strip(LIGHT_S_M, LIGHT_S_M + 0.4, (-half, half))
    return [*dashes, *bays, *edges, *crossing, stop]


def _unevenness(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return brightness [H, W] around 0.9: patches of metres and of decimetres, and grain."""
    height, width = shape
    light = np.full((height, width), 0.9, dtype=np.float32)
    for cell_m, strength in ((6.0, 0.06), (0.7, 0.05), (1.0 / PX_PER_M, 0.05)):
        step = cell_m * PX_PER_M
        rough = rng.standard_normal(
            (int(height / step) + 2, int(width / step) + 2), dtype=np.float32
        )
        if step > 1.0:
            smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
            rough = np.asarray(smooth, dtype=np.float32)
        light += strength * rough[:height, :width]
    return light
