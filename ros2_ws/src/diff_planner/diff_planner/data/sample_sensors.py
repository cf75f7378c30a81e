"""Cameras and LiDAR of the sample bag: both cast rays at the same solids and the same ground.

Ray against box is the slab test, ray against ellipsoid a quadratic equation; both in the solid's
frame scaled to a unit box or ball.  Each solid is only tried on the rays of the window it can fill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.data.sample_ground import LEVELS, PX_PER_M, SHADE, SUN, Ground, shadow_ring
from diff_planner.data.sample_world import Array, Solid
from diff_planner.geometry import inverse_se3, transform_points
from diff_planner.types import CameraCalibration

Floats = NDArray[np.float32]
Window = tuple[slice, slice]
SKY, GROUND = -2, -1
"""Values of `Hits.solid` that are not the index of a solid."""
_SUPERSAMPLING = 2
_AMBIENT = 0.62
_FOG_M = 260.0
_HORIZON = np.array([206, 218, 228], dtype=np.float32)
_ZENITH = np.array([104, 150, 206], dtype=np.float32)
_HILLS = np.array([128, 146, 132], dtype=np.float32)
_NEAR_M = 0.3


@dataclass(frozen=True)
class Hits:
    """What each ray of a grid [H, W] meets first."""

    range_m: Floats
    """Infinite for the sky."""
    solid: NDArray[np.int16]
    """Index of the solid, or SKY, or GROUND."""


def cast(
    origin_m: Array,
    rays: Floats,
    solids: Sequence[Solid],
    window_of: Callable[[Array], Window | None],
) -> Hits:
    """Find what rays [H, W, 3] (unit vectors in `map`) from one origin meet first.

    Args:
        origin_m: [3] in `map`.
        rays: directions.
        solids: in `map`.
        window_of: rows and columns of the rays that can meet a box of these corners [8, 3]; None
            when none can.
    """
    down = np.minimum(rays[..., 2], np.float32(-1e-6))
    is_down = rays[..., 2] < -1e-4
    range_m = np.where(is_down, np.float32(-origin_m[2]) / down, np.float32(np.inf))
    owner = np.where(is_down, np.int16(GROUND), np.int16(SKY))
    for index, solid in enumerate(solids):
        window = window_of(solid.corners())
        if window is None:
            continue
        reached = _meet(solid, *_local(solid, origin_m, rays[window]))
        nearer = reached < range_m[window]
        range_m[window][nearer] = reached[nearer]
        owner[window][nearer] = index
    return Hits(range_m, owner)


def _local(solid: Solid, origin_m: Array, rays: Floats) -> tuple[Floats, Floats]:
    """Return origin [3] and rays [..., 3] in the frame where the solid is a unit box or ball."""
    cos, sin = np.cos(solid.yaw_rad), np.sin(solid.yaw_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    to_unit = (turn / solid.half_m).astype(np.float32)  # [3, 3], for row vectors
    origin = (origin_m - solid.center_m).astype(np.float32) @ to_unit
    return origin, rays @ to_unit


def _meet(solid: Solid, origin: Floats, rays: Floats) -> Floats:
    """Return the range at which each ray enters a unit box or ball; infinite if it does not."""
    x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
    if solid.shape == "ball":
        a = x * x + y * y + z * z
        b = x * origin[0] + y * origin[1] + z * origin[2]
        root = b * b - a * (origin @ origin - np.float32(1.0))
        reached = (-b - np.sqrt(np.maximum(root, np.float32(0.0)))) / a
        is_hit = (root > 0.0) & (reached > 0.0)
    else:
        enter, leave = -np.inf, np.inf
        for axis, along in enumerate((x, y, z)):
            safe = np.where(np.abs(along) < 1e-9, np.float32(1e-9), along)
            one, other = (-1.0 - origin[axis]) / safe, (1.0 - origin[axis]) / safe
            enter = np.maximum(enter, np.minimum(one, other))
            leave = np.minimum(leave, np.maximum(one, other))
        reached = np.asarray(enter)
        is_hit = (reached <= leave) & (reached > 0.0)
    return np.where(is_hit, reached, np.float32(np.inf))


class Camera:
    """Renders pictures of one calibrated camera without distortion."""

    def __init__(self, calibration: CameraCalibration) -> None:
        """Prepare the rays of all pixels."""
        self._calibration = calibration
        height = calibration.height_px * _SUPERSAMPLING
        width = calibration.width_px * _SUPERSAMPLING
        u = (np.arange(width) + 0.5) / _SUPERSAMPLING - 0.5
        v = (np.arange(height) + 0.5) / _SUPERSAMPLING - 0.5
        k = calibration.intrinsics
        rays = np.empty((height, width, 3))
        rays[..., 0] = (u - k[0, 2]) / k[0, 0]
        rays[..., 1] = ((v - k[1, 2]) / k[1, 1])[:, None]
        rays[..., 2] = 1.0
        self._rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)
        camera_SE3_ego = np.asarray(calibration.camera_SE3_ego, dtype=np.float64)
        self._ego_SE3_camera = inverse_se3(camera_SE3_ego)

    def hits(self, map_SE3_ego: Array, solids: Sequence[Solid]) -> tuple[Hits, Array, Floats]:
        """Return what every (supersampled) pixel sees, where the camera is, and its rays."""
        map_SE3_camera = map_SE3_ego @ self._ego_SE3_camera
        camera_SE3_map = inverse_se3(map_SE3_camera)
        rays = self._rays @ map_SE3_camera[:3, :3].T.astype(np.float32)

        def window_of(corners: Array) -> Window | None:
            return self._window(transform_points(camera_SE3_map, corners))

        origin_m = map_SE3_camera[:3, 3]
        return cast(origin_m, rays, solids, window_of), origin_m, rays

    def render(
        self, map_SE3_ego: Array, standing: Sequence[Solid], moving: Sequence[Solid], ground: Ground
    ) -> NDArray[np.uint8]:
        """Return the picture [H, W, 3] RGB seen with base_link at `map_SE3_ego` [4, 4]."""
        solids = [*standing, *moving]
        hits, origin_m, rays = self.hits(map_SE3_ego, solids)
        color = np.empty_like(rays)
        is_sky = hits.solid == SKY
        color[is_sky] = _sky(rays[is_sky])
        shadows = self._shadows(map_SE3_ego, moving)
        _shade_ground(color, hits, origin_m, rays, ground, shadows)
        flat = color.reshape(-1, 3)
        for index, pixels in _pixels_of_solids(hits.solid):
            reach = hits.range_m.reshape(-1, 1)[pixels]
            places = origin_m + rays.reshape(-1, 3)[pixels] * reach
            flat[pixels] = _shade_solid(solids[index], places.astype(np.float32))
        fog = np.exp(-hits.range_m[~is_sky] / _FOG_M)[:, None]
        color[~is_sky] = _HORIZON + fog * (color[~is_sky] - _HORIZON)
        size = (self._calibration.width_px, self._calibration.height_px)
        picture = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
        return np.rint(np.clip(picture, 0.0, 255.0)).astype(np.uint8)

    def _shadows(self, map_SE3_ego: Array, moving: Sequence[Solid]) -> list[tuple[Window, Array]]:
        """Return the rings [P, 2] of the shadows in `map`, with the pixels that can see them."""
        camera_SE3_map = inverse_se3(map_SE3_ego @ self._ego_SE3_camera)
        shadows = []
        for solid in moving:
            ring = shadow_ring(solid)
            on_ground = np.column_stack([ring, np.zeros(len(ring))])
            window = self._window(transform_points(camera_SE3_map, on_ground))
            if window is not None:
                shadows.append((window, ring))
        return shadows

    def _window(self, corners: Array) -> Window | None:
        """Return the pixels that can see what lies between corners [P, 3] (optical frame)."""
        height, width = self._rays.shape[:2]
        depth = corners[:, 2]
        if depth.max() < _NEAR_M:
            return None
        if depth.min() < _NEAR_M:  # the box reaches behind the camera: no finite outline
            return slice(0, height), slice(0, width)
        k = self._calibration.intrinsics
        uv = corners[:, :2] / depth[:, None] * [k[0, 0], k[1, 1]] + [k[0, 2], k[1, 2]]
        low = np.floor((uv.min(axis=0) - 1.0) * _SUPERSAMPLING).astype(int)
        high = np.ceil((uv.max(axis=0) + 2.0) * _SUPERSAMPLING).astype(int)
        first, last = np.clip(low, 0, [width, height]), np.clip(high, 0, [width, height])
        if (last <= first).any():
            return None
        return slice(first[1], last[1]), slice(first[0], last[0])


def _sky(rays: Floats) -> Floats:
    """Return the colour of the sky, with hills on the horizon, along rays [P, 3]."""
    azimuth = np.arctan2(rays[..., 1], rays[..., 0])
    rise = rays[..., 2]
    share = np.sqrt(np.clip(rise / 0.55, 0.0, 1.0))[..., None]
    color = _HORIZON + share * (_ZENITH - _HORIZON)
    crest = 0.035 + 0.012 * np.sin(3.0 * azimuth + 0.5) + 0.007 * np.sin(11.0 * azimuth)
    return np.where((rise < crest)[..., None], _HILLS, color).astype(np.float32)


def _pixels_of_solids(owner: NDArray[np.int16]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return each solid that a picture shows with its pixels, as indices of the flat picture."""
    order = np.argsort(owner, axis=None, kind="stable")
    owners, starts = np.unique(owner.ravel()[order], return_index=True)
    parts = np.split(order, starts[1:])
    return [(int(o), part) for o, part in zip(owners, parts, strict=True) if o >= 0]


def _shade_ground(
    color: Floats,
    hits: Hits,
    origin_m: Array,
    rays: Floats,
    ground: Ground,
    shadows: Sequence[tuple[Window, Array]],
) -> None:
    """Colour the pixels of the ground; the coarser the copy of it, the farther they see."""
    is_ground = hits.solid == GROUND
    range_m = np.where(is_ground, hits.range_m, np.float32(0.0))
    xy = origin_m[:2].astype(np.float32) + rays[..., :2] * range_m[..., None]
    # A pixel sees range / focal across and more along; the mean of both keeps lines visible.
    focal = 0.5 * color.shape[1] / np.tan(0.5)
    slant = np.sqrt(range_m / np.float32(origin_m[2]))
    level = np.log2(np.maximum(range_m / focal * slant * PX_PER_M, 1.0))
    level = np.minimum(np.rint(level).astype(np.int8), LEVELS - 1)
    for k in range(LEVELS):
        chosen = is_ground & (level == k)
        lines = np.flatnonzero(chosen.any(axis=1))
        if len(lines):
            band = slice(lines[0], lines[-1] + 1)
            color[band][chosen[band]] = ground.colors(xy[band], k)[chosen[band]]
    is_dark = np.zeros_like(is_ground)
    for window, ring in shadows:
        is_dark[window] |= _inside(ring, xy[window])
    color[is_dark & is_ground] *= np.float32(SHADE)


def _inside(ring: Array, xy: Floats) -> NDArray[np.bool_]:
    """Return which places [H, W, 2] lie inside a convex counter-clockwise ring [P, 2]."""
    inside = np.ones(xy.shape[:2], dtype=np.bool_)
    for (x, y), (dx, dy) in zip(ring, np.roll(ring, -1, axis=0) - ring, strict=True):
        inside &= dx * (xy[..., 1] - y) >= dy * (xy[..., 0] - x)
    return inside


def _shade_solid(solid: Solid, places: Floats) -> Floats:
    """Return the colour [P, 3] of places [P, 3] on a solid's surface."""
    cos, sin = np.cos(solid.yaw_rad), np.sin(solid.yaw_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    half = np.array(solid.half_m, dtype=np.float32)
    local = (places - np.array(solid.center_m, dtype=np.float32)) @ turn
    unit = local / half
    if solid.shape == "ball":
        normal = unit / half
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    else:
        axis = np.abs(unit).argmax(axis=1)
        rows = np.arange(len(unit))
        normal = np.zeros_like(unit)
        normal[rows, axis] = np.sign(unit[rows, axis])
    light = _AMBIENT + (1.0 - _AMBIENT) * np.maximum((normal @ turn.T) @ SUN.astype(np.float32), 0)
    base = _pattern(solid, local, unit, normal)
    return np.asarray(base * light[:, None], dtype=np.float32)


def _pattern(solid: Solid, local: Floats, unit: Floats, normal: Floats) -> Floats:
    """Return the unlit colour [P, 3] of places given in the solid's frame."""
    base = np.tile(np.array(solid.color, dtype=np.float32), (len(local), 1))
    if solid.pattern == "house":
        along = np.where(np.abs(normal[:, 0]) > 0.5, local[:, 1], local[:, 0])
        height = local[:, 2] + np.float32(solid.half_m[2])
        column, floor = np.mod(along / 2.6 + 0.5, 1.0), np.mod(height / 3.0, 1.0)
        window = (np.abs(column - 0.5) < 0.23) & (np.abs(floor - 0.55) < 0.24)
        base[window] = (74, 92, 112)
        base[(height < 0.5) | (height > 2 * solid.half_m[2] - 0.3)] *= np.float32(0.7)
    elif solid.pattern == "car":
        lamps = (np.abs(unit[:, 0]) > 0.97) & (np.abs(unit[:, 1]) > 0.62) & (unit[:, 2] > 0.1)
        base[lamps & (unit[:, 0] > 0)] = (250, 246, 225)
        base[lamps & (unit[:, 0] < 0)] = (225, 28, 24)
        base[unit[:, 2] < -0.72] = (38, 38, 40)
    elif solid.pattern == "leaves":
        waves = np.sin(local * np.float32(5.1)) + np.sin(local[:, [1, 2, 0]] * np.float32(8.7))
        base *= (1.0 + 0.11 * waves.sum(axis=1) / 1.7)[:, None]
        base *= (0.82 + 0.18 * unit[:, 2])[:, None]
    return base


class Lidar:
    """A spinning LiDAR whose sweep is taken at one moment, as after motion compensation."""

    beams_deg = np.concatenate([np.linspace(-24.0, -8.0, 12), np.linspace(-7.0, 7.0, 20)])
    columns = 360
    max_range_m = 50.0
    noise_m = 0.02

    def __init__(self, ego_SE3_lidar: Array) -> None:
        """Prepare the rays [32, 360, 3] of a sweep, in the sensor's frame."""
        elevation = np.deg2rad(self.beams_deg)[:, None]
        azimuth = -np.pi + 2.0 * np.pi * (np.arange(self.columns) + 0.5) / self.columns
        rays = np.empty((len(elevation), self.columns, 3))
        rays[..., 0] = np.cos(elevation) * np.cos(azimuth)
        rays[..., 1] = np.cos(elevation) * np.sin(azimuth)
        rays[..., 2] = np.sin(elevation)
        self._rays = rays.astype(np.float32)
        self._ego_SE3_lidar = ego_SE3_lidar

    def scan(
        self, map_SE3_ego: Array, solids: Sequence[Solid], ground: Ground, rng: np.random.Generator
    ) -> tuple[Floats, Floats, NDArray[np.int16]]:
        """Return points [N, 3] in the sensor's frame, intensity [N] 0..255, owner [N].

        The owner is the index of the solid, or GROUND.  Points carry 2 cm of range noise and are
        rounded to 1/128 m, intensity to 8, so that a bag of them compresses well.
        """
        map_SE3_lidar = map_SE3_ego @ self._ego_SE3_lidar
        lidar_SE3_map = inverse_se3(map_SE3_lidar)
        rays = self._rays @ map_SE3_lidar[:3, :3].T.astype(np.float32)

        def window_of(corners: Array) -> Window | None:
            return self._window(transform_points(lidar_SE3_map, corners))

        hits = cast(map_SE3_lidar[:3, 3], rays, solids, window_of)
        noise = self.noise_m * rng.standard_normal(hits.range_m.shape)
        kept = hits.range_m < self.max_range_m
        noisy = (hits.range_m[kept] + noise[kept])[:, None]
        points = np.rint(self._rays[kept] * noisy * 128.0) / 128.0
        owner = hits.solid[kept]
        places = map_SE3_lidar[:3, 3] + rays[kept] * hits.range_m[kept][:, None]
        below = places[None, :, :2].astype(np.float32)  # [1, N, 2]: a picture of one row
        intensity = 0.6 * ground.colors(below, 0)[0].mean(axis=1)
        greys = np.array([np.mean(solid.color) for solid in solids], dtype=np.float32)
        intensity = np.where(owner == GROUND, intensity, greys[np.maximum(owner, 0)])
        steps_of_8 = np.rint(intensity / 8.0) * 8.0
        return points.astype(np.float32), steps_of_8.astype(np.float32), owner

    def _window(self, corners: Array) -> Window | None:
        """Return the columns that can meet a box of these corners [8, 3] (sensor's frame)."""
        if np.hypot(corners[:, 0], corners[:, 1]).min() > self.max_range_m:
            return None
        azimuth = np.arctan2(corners[:, 1], corners[:, 0])
        everywhere = slice(0, len(self._rays))
        if azimuth.max() - azimuth.min() > np.pi:  # lies across the seam behind the sensor
            return everywhere, slice(0, self.columns)
        first, last = (azimuth.min() + np.pi, azimuth.max() + np.pi)
        step = 2.0 * np.pi / self.columns
        return everywhere, slice(max(int(first / step) - 1, 0), int(last / step) + 2)
