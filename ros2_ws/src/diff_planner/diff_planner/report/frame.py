"""One frame of the replay page: the pictures and points of a cycle, small enough to keep.

Built when the cycle passes, so that no raw picture outlives its cycle.  The driven path is added
at the end (frame_data.py), when it is known.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.camera_geometry import optical_axis, project
from diff_planner.config import PlannerConfig
from diff_planner.data.replay_types import ReplayCycle
from diff_planner.errors import ResultsError
from diff_planner.geometry import (
    Array,
    constant_twist,
    inverse_se3,
    se3_from_yaw,
    transform_points,
)
from diff_planner.report.packing import CM_PER_M, evenly, pack_int16
from diff_planner.safety.collision import obstacle_points
from diff_planner.types import (
    CameraCalibration,
    CameraFrame,
    EgoState,
    FloatArray,
    PlannerInput,
    PlannerOutput,
)

# Sixty frames of six cameras stay below 15 MB with these.
FRONT_WIDTH_PX = 480
SIDE_WIDTH_PX = 360
"""Of the other cameras where there are more than three."""
JPEG_QUALITY = 75
SWEEP_POINTS = 3500
OBSTACLE_POINTS = 1500
PICTURE_POINTS = 9000
"""LiDAR points drawn into all pictures of a frame together."""
PIXELS_PER_POINT = 30
"""More points would hide what they should be compared with."""
VIEW_RADIUS_M = 80.0
"""Points further away are not shown: outside the largest view of the page."""


@dataclass(frozen=True)
class Picture:
    """One camera's picture as the page shows it."""

    jpeg: str
    """Base64."""
    width_px: int
    height_px: int
    calibration: CameraCalibration
    """From base_link at the cycle's stamp, not the camera's."""
    lidar: str
    """Packed [N, 3]: u, v in quarters of a pixel of this picture, depth in centimetres."""

    @property
    def scale(self) -> float:
        """Pixels of this picture per pixel of the calibration."""
        return self.width_px / self.calibration.width_px


@dataclass(frozen=True)
class Frame:
    """What is kept of a cycle that the page shows."""

    index: int
    stamp_ns: int
    output: PlannerOutput
    speed_mps: float | None
    """Measured; None where no input was complete."""
    points: str
    """Packed [N, 3] x, y, z in base_link, centimetres: first the sweep, then the obstacles."""
    obstacle_count: int
    """How many of the last points are what the safety rule counts as obstacles."""
    pictures: dict[str, Picture]
    missing: tuple[str, ...]
    """Names of inputs that were absent in this cycle."""


def build_frame(cycle: ReplayCycle, config: PlannerConfig) -> Frame:
    """Reduce a cycle to what the page shows.

    Raises:
        ResultsError: a picture could not be compressed.
    """
    planner_input = cycle.planner_input
    points, obstacle_count = _pack_sweep(planner_input, config)
    health = cycle.output.health or (planner_input.health if planner_input else ())
    return Frame(
        index=cycle.index,
        stamp_ns=cycle.stamp_ns,
        output=cycle.output,
        speed_mps=planner_input.ego.speed_mps if planner_input else None,
        points=points,
        obstacle_count=obstacle_count,
        pictures=_pictures(planner_input) if planner_input else {},
        missing=tuple(entry.name for entry in health if not entry.is_present),
    )


def _pack_sweep(planner_input: PlannerInput | None, config: PlannerConfig) -> tuple[str, int]:
    if planner_input is None or planner_input.lidar is None:
        return "", 0
    sweep = planner_input.lidar.points
    obstacles = obstacle_points(sweep, config.vehicle, config.safety)
    kept = [_thin_near(sweep, SWEEP_POINTS), _thin_near(obstacles, OBSTACLE_POINTS)]
    return pack_int16(np.concatenate(kept), CM_PER_M), len(kept[1])


def _thin_near(points: FloatArray, limit: int) -> FloatArray:
    near = points[np.hypot(points[:, 0], points[:, 1]) < VIEW_RADIUS_M]
    return near[evenly(len(near), limit)]


def _pictures(planner_input: PlannerInput) -> dict[str, Picture]:
    """Make a picture of each camera, all drawn into as seen from base_link at the cycle's stamp."""
    ego, lidar = planner_input.ego, planner_input.lidar
    sweep = np.zeros((0, 3))
    if lidar is not None:
        anchor_SE3_sweep = _moved(ego, lidar.stamp_ns - planner_input.stamp_ns)
        sweep = transform_points(anchor_SE3_sweep, lidar.points.astype(np.float64))
    calibrations = {
        name: replace(
            camera.calibration,
            # The vehicle moves between the camera's stamp and the cycle's.
            camera_SE3_ego=camera.calibration.camera_SE3_ego
            @ inverse_se3(_moved(ego, camera.stamp_ns - planner_input.stamp_ns)),
        )
        for name, camera in planner_input.cameras.items()
    }
    front = min(calibrations, key=lambda n: abs(_azimuth(calibrations[n])), default="")
    pictures = {}
    for name, camera in planner_input.cameras.items():
        is_large = len(calibrations) <= 3 or name == front
        width = min(camera.image.shape[1], FRONT_WIDTH_PX if is_large else SIDE_WIDTH_PX)
        pictures[name] = _picture(
            camera, calibrations[name], sweep, width, PICTURE_POINTS // len(calibrations)
        )
    return pictures


def _moved(ego: EgoState, elapsed_ns: int) -> Array:
    """Return anchor_SE3_then [4, 4]: where base_link is `elapsed_ns` after the cycle's stamp."""
    times = np.array([elapsed_ns * 1e-9])
    return se3_from_yaw(*constant_twist(ego.speed_mps, ego.yaw_rate_radps, times)[0])


def _azimuth(calibration: CameraCalibration) -> float:
    """Return the direction that a camera looks in, radians to the left of ahead."""
    axis = optical_axis(calibration)
    return float(np.arctan2(axis[1], axis[0]))


def _picture(
    camera: CameraFrame, calibration: CameraCalibration, sweep: Array, width: int, limit: int
) -> Picture:
    height = max(1, round(camera.image.shape[0] * width / camera.image.shape[1]))
    scale = width / calibration.width_px
    uv, depth, is_visible = project(calibration, sweep)
    kept = np.flatnonzero(is_visible)
    kept = kept[evenly(len(kept), min(limit, width * height // PIXELS_PER_POINT))]
    kept = kept[np.argsort(-depth[kept])]  # far first, so that near points are drawn on top
    # u, v in quarter pixels and depth in centimetres share one packing scale.
    lidar = np.column_stack([uv[kept] * scale * 4.0 / CM_PER_M, depth[kept]])
    return Picture(
        jpeg=_jpeg(camera, width, height),
        width_px=width,
        height_px=height,
        calibration=calibration,
        lidar=pack_int16(lidar, CM_PER_M),
    )


def _jpeg(camera: CameraFrame, width: int, height: int) -> str:
    small = camera.image
    if small.shape[1] != width:
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    bgr: NDArray[np.uint8] = np.ascontiguousarray(small[:, :, ::-1])
    is_done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not is_done:
        raise ResultsError(f"camera {camera.name}: {width} x {height} picture: no JPEG came out")
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def camera_order(pictures: dict[str, Picture]) -> list[str]:
    """Order cameras as one would hang the pictures: what lies ahead first, then left to right.

    After the most forward one come the others that look ahead, from left to right, then those
    that look back, again from the vehicle's left to its right.
    """
    azimuth = {name: _azimuth(picture.calibration) for name, picture in pictures.items()}

    def place(name: str) -> tuple[int, float]:
        angle = azimuth[name]
        is_ahead = abs(angle) <= np.radians(80.0)
        return (0, -angle) if is_ahead else (1, angle % (2.0 * np.pi))

    ordered = sorted(pictures, key=place)
    if len(ordered) < 3:
        return ordered
    first = min(ordered, key=lambda name: abs(azimuth[name]))
    return [first, *(name for name in ordered if name != first)]


def ground_runs(picture: Picture, lines: list[FloatArray]) -> list[list[list[float]]]:
    """Project parallel lines on the ground into a picture and cut them where it does not see them.

    Args:
        picture: the camera.
        lines: one or two arrays [N, 3] in base_link; two are the edges of a ribbon.

    Returns:
        Runs, each a flat list per line: [u0, v0, u1, v1, ...] in pixels of the picture.  All lines
        of a run have the same length; a point may lie up to one picture outside.
    """
    usable = np.ones(len(lines[0]), dtype=bool)
    touched = np.zeros(len(lines[0]), dtype=bool)
    pixels: list[FloatArray] = []
    for line in lines:
        uv, _, is_visible = project(picture.calibration, line)
        uv = uv * picture.scale
        size = np.array([picture.width_px, picture.height_px])
        with np.errstate(invalid="ignore"):  # NaN compares false: behind the camera
            usable &= ((uv > -size) & (uv < 2 * size)).all(axis=1)
        touched |= is_visible
        pixels.append(uv)
    runs: list[list[list[float]]] = []
    for first, last in _true_runs(usable):
        if touched[first:last].any() and last - first > 1:
            runs.append([np.round(uv[first:last], 1).ravel().tolist() for uv in pixels])
    return runs


def _true_runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
