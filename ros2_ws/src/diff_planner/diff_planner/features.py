"""From a planner input to the network's inputs: one function for vehicle, replay and training.

Sizes and meaning: docs of `types.ModelInputs`.  The camera and LiDAR rules for a left, front, right
triple and the four commands are those of TransFuser's NAVSIM agent, which DiffusionDrive keeps
(Chitta et al., PAMI 2023; Liao et al., CVPR 2025), so that published weights see what they know.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.config import FeatureConfig, VehicleConfig
from diff_planner.errors import NonFiniteInputError
from diff_planner.geometry import arc_lengths
from diff_planner.panorama import Panorama
from diff_planner.types import (
    ROUTE_POINTS,
    CameraFrame,
    EgoState,
    LidarSweep,
    ModelInputs,
    NavCommand,
    PlannerInput,
    Route,
)

TRIPLE = ("left", "front", "right")
"""Camera names that ask for the published crop and stitch, in order of the stitched picture."""
ROUTE_STEP_M = 2.5
_PUBLISHED_HW = (1080, 1920)
_CROP_ROWS, _CROP_COLUMNS = 28, 416
"""Dropped at top and bottom of all three; at both sides of left and right (of 1920 x 1080)."""
_SIDE_SHARE = 1088 / 4096
"""Part of the stitched width that left and right have each."""
_SELF_MARGIN_M = 0.1
"""Around the vehicle's box: mirrors, antennas, calibration error."""
_NAVSIM_LEFT, _NAVSIM_STRAIGHT, _NAVSIM_RIGHT, _NAVSIM_UNKNOWN = range(4)
_NAVSIM_COMMAND = {
    NavCommand.LEFT: _NAVSIM_LEFT,
    NavCommand.CHANGE_LEFT: _NAVSIM_LEFT,
    NavCommand.RIGHT: _NAVSIM_RIGHT,
    NavCommand.CHANGE_RIGHT: _NAVSIM_RIGHT,
    NavCommand.STRAIGHT: _NAVSIM_STRAIGHT,
    NavCommand.LANE_FOLLOW: _NAVSIM_STRAIGHT,
    NavCommand.STOP: _NAVSIM_STRAIGHT,
    NavCommand.UNKNOWN: _NAVSIM_UNKNOWN,
}
"""NAVSIM knows four commands: a lane change counts as its side, following and stopping as
straight."""


class FeatureBuilder:
    """Builds the inputs of one model on one vehicle; keeps the tables of the camera rig."""

    def __init__(self, config: FeatureConfig, vehicle: VehicleConfig) -> None:
        """Take the shapes that the model's card asks for, and the vehicle.

        Args:
            config: of the model's card.
            vehicle: its box is cut out of the LiDAR sweep.
        """
        self._config = config
        self._vehicle = vehicle
        self._panorama = Panorama(config)

    def build(self, planner_input: PlannerInput) -> ModelInputs:
        """Build the network's inputs of one cycle.

        Cameras named left, front and right are cropped and stitched as published when all three
        are configured, that is, named by a picture or by an entry of `health`; then one that is
        missing in this cycle leaves its part 0, and further cameras are not used.  Any other rig
        gives a panorama (`panorama.Panorama`).

        Raises:
            NonFiniteInputError: LiDAR points, motion, route or a calibration is not finite; the
                text says which.
            InputError: a picture does not fit its calibration, or that cannot be used.
        """
        cameras = planner_input.cameras
        if is_triple(planner_input):
            picture, camera_mask = stitch(cameras, self._config)
        else:
            picture, camera_mask = self._panorama.render(cameras)
        lidar = planner_input.lidar
        route, route_mask = sample_route(planner_input.route)
        return ModelInputs(
            camera=np.ascontiguousarray(picture.transpose(2, 0, 1)),
            lidar=lidar_histogram(lidar, self._config, self._vehicle),
            status=status_vector(planner_input.nav_command, planner_input.ego, self._config),
            route=route,
            route_mask=route_mask,
            camera_mask=camera_mask,
            lidar_mask=np.array([lidar is not None], dtype=np.float32),
        )


def build(
    planner_input: PlannerInput, config: FeatureConfig, vehicle: VehicleConfig
) -> ModelInputs:
    """Build the inputs of one cycle alone; `FeatureBuilder` is faster for many."""
    return FeatureBuilder(config, vehicle).build(planner_input)


def is_triple(planner_input: PlannerInput) -> bool:
    """Return whether left, front and right are all configured, present or not."""
    configured = {*planner_input.cameras, *(health.name for health in planner_input.health)}
    return configured.issuperset(TRIPLE)


def stitch(
    cameras: Mapping[str, CameraFrame], config: FeatureConfig
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crop left, front and right, put them side by side and resize, as published.

    Published, of 1920 x 1080: 28 rows off top and bottom; 416 columns off both sides of left and
    right; side by side 4096 x 1024; bilinear.  Each part is resized on its own: at widths that
    divide by 64 that is the same to the bit, because parts then end between output pixels.
    Pictures of another size are cropped in proportion to it, and keep the same part of the width.

    Args:
        cameras: by name; those of `TRIPLE` are used.
        config: size of the picture.

    Returns:
        picture [H, W, 3] RGB, 0 where a camera is missing; mask [3] of the cameras.
    """
    height, width = config.camera_height_px, config.camera_width_px
    side = round(width * _SIDE_SHARE)
    edges = (0, side, width - side, width)
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    mask = np.zeros(len(TRIPLE), dtype=np.float32)
    for index, name in enumerate(TRIPLE):
        if name not in cameras:
            continue
        image = cameras[name].image
        rows = round(_CROP_ROWS * image.shape[0] / _PUBLISHED_HW[0])
        columns = 0 if name == "front" else round(_CROP_COLUMNS * image.shape[1] / _PUBLISHED_HW[1])
        part = image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]
        first, last = edges[index], edges[index + 1]
        picture[:, first:last] = cv2.resize(part, (last - first, height))
        mask[index] = 1.0
    return picture, mask


def lidar_histogram(
    sweep: LidarSweep | None, config: FeatureConfig, vehicle: VehicleConfig
) -> NDArray[np.uint8]:
    """Count the points above the ground in each cell of a square around base_link.

    Points on the own vehicle (its box and 0.1 m around it) are left out.  Cells are half open, the
    last of each axis also holds its upper edge (as numpy.histogram2d).

    Args:
        sweep: in base_link, or None.
        config: cells, cells per metre, heights, largest count.
        vehicle: its box.

    Returns:
        [1, cells, cells] counts, cut at `lidar_max_count`; first axis grows with x, second with y.

    Raises:
        NonFiniteInputError: a point is not finite.
    """
    cells = config.lidar_cells
    if sweep is None:
        return np.zeros((1, cells, cells), dtype=np.uint8)
    if not np.isfinite(sweep.points).all():
        bad = int((~np.isfinite(sweep.points).all(axis=1)).sum())
        raise NonFiniteInputError(f"lidar: {bad} of {len(sweep.points)} points are not finite")
    x, y, z = np.ascontiguousarray(sweep.points.T)  # whole columns are read several times
    reach_m = 0.5 * cells / config.lidar_px_per_m
    is_above = (z > config.lidar_split_z_m) & (z < config.lidar_max_z_m)
    kept = sweep.points[is_above & (np.abs(x) <= reach_m) & (np.abs(y) <= reach_m)]
    kept = kept[~on_own_vehicle(kept, vehicle)]
    row, column = _cell(kept[:, 0], config), _cell(kept[:, 1], config)
    counts = np.bincount(row * cells + column, minlength=cells * cells)
    counts = np.minimum(counts, config.lidar_max_count)
    return counts.astype(np.uint8).reshape(1, cells, cells)


def on_own_vehicle(points: NDArray[np.floating], vehicle: VehicleConfig) -> NDArray[np.bool_]:
    """Return which points [N, 3] of base_link lie in the vehicle's box or within 0.1 m of it."""
    x, y, z = points.T
    inside: NDArray[np.bool_] = (
        (x >= -vehicle.rear_m - _SELF_MARGIN_M)
        & (x <= vehicle.front_m + _SELF_MARGIN_M)
        & (np.abs(y) <= 0.5 * vehicle.width_m + _SELF_MARGIN_M)
        & (z <= vehicle.height_m + _SELF_MARGIN_M)
    )
    return inside


def _cell(coordinate_m: NDArray[np.floating], config: FeatureConfig) -> NDArray[np.int64]:
    """Return the cell of each coordinate inside the square.

    The middle is added after rounding down: before, a tiny negative number would be lost in it.
    """
    middle, odd = divmod(config.lidar_cells, 2)
    scaled = coordinate_m.astype(np.float64) * config.lidar_px_per_m + 0.5 * odd
    return np.minimum(np.floor(scaled).astype(np.int64) + middle, config.lidar_cells - 1)


def status_vector(command: NavCommand, ego: EgoState, config: FeatureConfig) -> NDArray[np.float32]:
    """Return the command's one-hot and vx, vy (m/s), ax, ay (m/s2), unscaled: [S].

    Raises:
        NonFiniteInputError: a number is not finite as float32.
    """
    status = np.zeros(config.status_size, dtype=np.float32)
    status[_NAVSIM_COMMAND[command] if config.commands == "navsim4" else int(command)] = 1.0
    with np.errstate(over="ignore"):  # found right below
        status[-4:] = ego.vx_mps, ego.vy_mps, ego.ax_mps2, ego.ay_mps2
    if not np.isfinite(status).all():
        raise NonFiniteInputError(f"status: vx, vy, ax, ay are not finite: {status[-4:].tolist()}")
    return status


def sample_route(route: Route | None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return 20 points of the route, each 2.5 m further along it.

    The first lies 2.5 m past the point of the route that is nearest to base_link.

    Args:
        route: in base_link, or None.

    Returns:
        points [20, 2] and mask [20]; both 0 past the route's end and without a route.

    Raises:
        NonFiniteInputError: a point of the route is not finite.
    """
    points = np.zeros((ROUTE_POINTS, 2), dtype=np.float32)
    mask = np.zeros(ROUTE_POINTS, dtype=np.float32)
    if route is None:
        return points, mask
    line = np.asarray(route.points, dtype=np.float64)
    if not np.isfinite(line).all():
        raise NonFiniteInputError("route: points are not finite")
    if len(line) < 2:
        return points, mask
    along_m = arc_lengths(line)
    wanted_m = _nearest_along(line, along_m) + ROUTE_STEP_M * np.arange(1, ROUTE_POINTS + 1)
    kept = wanted_m <= along_m[-1]
    for axis in range(2):
        points[kept, axis] = np.interp(wanted_m[kept], along_m, line[:, axis])
    mask[kept] = 1.0
    return points, mask


def _nearest_along(line: NDArray[np.float64], along_m: NDArray[np.float64]) -> float:
    """Return the arc length at which a polyline [P, 2] is nearest to the origin."""
    start, step = line[:-1], np.diff(line, axis=0)
    squared = np.maximum((step * step).sum(axis=1), 1e-12)  # doubled points make steps of 0
    share = np.clip(-(start * step).sum(axis=1) / squared, 0.0, 1.0)
    foot = start + share[:, None] * step
    nearest = int(np.argmin((foot * foot).sum(axis=1)))
    return float(along_m[nearest] + share[nearest] * np.sqrt(squared[nearest]))
