"""One wide picture from one to six cameras of any rig: a virtual cylindrical camera.

Columns are uniform in azimuth, from +A at the left edge to -A at the right; rows are uniform in
tan(elevation), from +E at the top to -E, so that upright things stay upright.  Axes are those of
base_link.  Every pixel is a direction, a point at infinity: where a camera stands is ignored, so
near things that two cameras see from different places do not join up at the seam.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.camera_geometry import optical_axis, project_directions
from diff_planner.config import FeatureConfig
from diff_planner.errors import InputError
from diff_planner.types import CameraCalibration, CameraFrame, FloatArray

Value = TypeVar("Value")
_CACHED_RIGS = 8
"""Sets of calibrations kept: the whole rig, and the rig with one camera missing or another."""
_CACHED_CAMERAS = 8
_SEEN_SHARE = 0.5
"""A third of the panorama counts as seen when a camera sees at least this share of its pixels."""


@dataclass(frozen=True)
class _Sight:
    """What one camera sees of the panorama's directions."""

    uv: NDArray[np.float32]
    """[H, W, 2] px in its picture."""
    cosine: NDArray[np.float64]
    """[H, W] of the angle to its optical axis; -inf where it does not see."""


@dataclass(frozen=True)
class _View:
    """The part of the panorama that one camera fills."""

    name: str
    rows: slice
    columns: slice
    mask: NDArray[np.bool_]
    """[h, w, 1] true where this camera is the one to look through."""
    table: tuple[NDArray[np.int16], NDArray[np.uint16]]
    """cv2.remap's fixed-point tables of the h x w pixels."""


@dataclass(frozen=True)
class _Tables:
    views: tuple[_View, ...]
    camera_mask: NDArray[np.float32]


class Panorama:
    """Renders panoramas of one size; tables are made once per set of calibrations."""

    def __init__(self, config: FeatureConfig) -> None:
        """Take the size and the angles of the panorama."""
        self._shape = (config.camera_height_px, config.camera_width_px)
        self._directions = directions(config)
        self._rigs: OrderedDict[tuple[object, ...], _Tables] = OrderedDict()
        self._sights: OrderedDict[tuple[object, ...], _Sight] = OrderedDict()

    def render(
        self, cameras: Mapping[str, CameraFrame]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Look at the world through the cameras that are there.

        Args:
            cameras: by name; those that look backwards do not contribute.

        Returns:
            picture [H, W, 3] RGB, 0 where no camera sees; mask [3], 1 for each third (left, middle,
            right) of which at least half is seen.

        Raises:
            InputError: a picture is not of the size its calibration is for, or the calibration
                cannot be used.
        """
        for name, frame in cameras.items():
            wanted = (frame.calibration.height_px, frame.calibration.width_px)
            if frame.image.shape[:2] != wanted:
                raise InputError(
                    f"camera {name}: expected a picture of {wanted} rows, columns as calibrated, "
                    f"got {frame.image.shape[:2]}"
                )
        tables = self._tables({name: frame.calibration for name, frame in cameras.items()})
        picture = np.zeros((*self._shape, 3), dtype=np.uint8)
        for view in tables.views:
            seen = cv2.remap(
                cameras[view.name].image,
                *view.table,
                interpolation=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            np.copyto(picture[view.rows, view.columns], seen, where=view.mask)
        return picture, tables.camera_mask.copy()

    def _tables(self, calibrations: Mapping[str, CameraCalibration]) -> _Tables:
        def make() -> _Tables:
            sights = {name: self._sight(c) for name, c in calibrations.items()}
            return _build_tables(sights, self._shape)

        key = tuple((name, *_values(c)) for name, c in calibrations.items())
        return _remembered(self._rigs, key, make, _CACHED_RIGS)

    def _sight(self, calibration: CameraCalibration) -> _Sight:
        """Kept for each camera, so that a cycle in which one is missing does not project anew."""

        def make() -> _Sight:
            return _see(calibration, self._directions)

        return _remembered(self._sights, _values(calibration), make, _CACHED_CAMERAS)


def _remembered(
    cache: OrderedDict[tuple[object, ...], Value],
    key: tuple[object, ...],
    make: Callable[[], Value],
    size: int,
) -> Value:
    """Return the value of a key, made when it is not there; forgets what was longest unused."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > size:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]


def directions(config: FeatureConfig) -> FloatArray:
    """Return the unit vector [H, W, 3] in base_link that each pixel of the panorama looks along."""
    height, width = config.camera_height_px, config.camera_width_px
    azimuth = np.deg2rad(config.panorama_azimuth_deg) * (1 - 2 * (np.arange(width) + 0.5) / width)
    rise = np.tan(np.deg2rad(config.panorama_elevation_deg))
    rise = rise * (1 - 2 * (np.arange(height) + 0.5) / height)
    rays = np.empty((height, width, 3))
    rays[..., 0] = np.cos(azimuth)
    rays[..., 1] = np.sin(azimuth)
    rays[..., 2] = rise[:, None]
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _values(calibration: CameraCalibration) -> tuple[object, ...]:
    """Return what the tables depend on, as something that can be compared."""
    arrays = (calibration.intrinsics, calibration.distortion, calibration.camera_SE3_ego)
    size = (calibration.width_px, calibration.height_px)
    return (*size, calibration.distortion_model, *(np.asarray(a).tobytes() for a in arrays))


def _see(calibration: CameraCalibration, rays: FloatArray) -> _Sight:
    """Project the directions [H, W, 3]; a camera that looks backwards sees none of them."""
    shape = rays.shape[:2]
    if optical_axis(calibration)[0] <= 0.0:
        return _Sight(np.zeros((*shape, 2), dtype=np.float32), np.full(shape, -np.inf))
    uv, cosine, is_visible = project_directions(calibration, rays.reshape(-1, 3))
    return _Sight(
        uv.reshape(*shape, 2).astype(np.float32),
        np.where(is_visible, cosine, -np.inf).reshape(shape),
    )


def _build_tables(sights: Mapping[str, _Sight], shape: tuple[int, int]) -> _Tables:
    """Choose for each pixel the camera whose optical axis is nearest, of those that see it."""
    nearest = np.full(shape, -1)
    best_cosine = np.full(shape, -np.inf)
    for index, sight in enumerate(sights.values()):
        better = sight.cosine > best_cosine
        nearest[better] = index
        best_cosine[better] = sight.cosine[better]
    views = tuple(
        _view(name, nearest == index, sight.uv)
        for index, (name, sight) in enumerate(sights.items())
        if (nearest == index).any()
    )
    thirds = np.array_split(nearest >= 0, 3, axis=1)
    seen = [float(third.mean() >= _SEEN_SHARE) for third in thirds]
    return _Tables(views, np.array(seen, dtype=np.float32))


def _view(name: str, chosen: NDArray[np.bool_], uv: FloatArray) -> _View:
    """Cut the bounding box of the pixels [H, W] that a camera fills out of its table [H, W, 2]."""
    row, column = np.flatnonzero(chosen.any(axis=1)), np.flatnonzero(chosen.any(axis=0))
    rows, columns = slice(row[0], row[-1] + 1), slice(column[0], column[-1] + 1)
    mask = chosen[rows, columns]
    inside = np.where(mask[..., None], uv[rows, columns], np.float32(0.0))
    whole, fraction = cv2.convertMaps(inside[..., 0], inside[..., 1], cv2.CV_16SC2)
    table = np.asarray(whole, dtype=np.int16), np.asarray(fraction, dtype=np.uint16)
    return _View(name, rows, columns, mask[..., None], table)
