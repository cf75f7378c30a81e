"""The doctor's checks of calibration and frames: where each sensor stands and what it sees."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diff_planner.camera_geometry import project
from diff_planner.data.calibration import camera_calibration
from diff_planner.data.decode import decode_image
from diff_planner.data.doctor_case import Case
from diff_planner.data.doctor_report import Finding, Level
from diff_planner.data.rig import child_frame
from diff_planner.data.rig_cameras import is_rectified
from diff_planner.data.survey import TopicSurvey
from diff_planner.errors import InputError
from diff_planner.types import CameraCalibration

FOV_DEG = (15.0, 170.0)
PIXEL_RATIO = (0.8, 1.25)
ELEVATION_DEG = 35.0
"""A planning camera looks along the road; a frame that is not optical shows as +90."""
LIDAR_HEIGHT_M = (0.2, 4.5)
_UPRIGHT = 0.7


def check_calibration(case: Case) -> Iterator[Finding]:
    """Check each configured camera's CameraInfo against its pictures."""
    for name, camera in case.inputs.cameras.items():
        stream = next(s for s in case.streams if s.name == name)
        info = case.bag.topics.get(camera.info)
        if info is None or info.first is None or not hasattr(info.first, "k"):
            text = (
                f"{name}: no CameraInfo on {camera.info}: without it pixels have no direction; "
                f"record it, or set inputs.cameras.{name}.info."
            )
            yield Finding("Calibration", Level.PROBLEM, text)
        elif stream.found is not None:
            yield from _check_camera_info(name, info, stream.found)


def _check_camera_info(name: str, info: TopicSurvey, pictures: TopicSurvey) -> Iterator[Finding]:
    message, is_rect = info.first, is_rectified(pictures.topic)
    try:
        height, width = decode_image(pictures.first).shape[:2]
    except InputError:
        return  # said under "Data"
    try:
        calibration = camera_calibration(message, (height, width), np.eye(4), is_rectified=is_rect)
        project(calibration, np.array([[0.0, 0.0, 1.0]]))
    except InputError as error:
        yield Finding("Calibration", Level.PROBLEM, f"{name}: {_clean(error)}.")
        return
    faults = list(_implausible(calibration))
    if not np.array_equal(np.asarray(message.k), np.asarray(info.last.k)):
        faults.append("K changes within the bag")
    for fault in faults:
        yield Finding("Calibration", Level.WARNING, f"{name}: {fault}.")
    if not faults:
        bent = "no distortion" if not calibration.distortion.any() else calibration.distortion_model
        text = (
            f"{name}: {width} x {height} px, {_wide_deg(calibration):.0f} degrees wide, "
            f"{'rectified' if is_rect else bent}"
        )
        if (message.width, message.height) != (width, height):
            text += f"; K is scaled from the {message.width} x {message.height} px of CameraInfo"
        yield Finding("Calibration", Level.OK, f"{text}.")


def _wide_deg(calibration: CameraCalibration) -> float:
    half = 0.5 * calibration.width_px / float(calibration.intrinsics[0, 0])
    return math.degrees(2.0 * math.atan(half))


def _implausible(calibration: CameraCalibration) -> Iterator[str]:
    k, wide_deg = calibration.intrinsics, _wide_deg(calibration)
    if not FOV_DEG[0] <= wide_deg <= FOV_DEG[1]:
        yield f"K gives a field of view of {wide_deg:.0f} degrees: check fx = {k[0, 0]:.1f} px"
    if not PIXEL_RATIO[0] <= k[0, 0] / k[1, 1] <= PIXEL_RATIO[1]:
        yield f"fx = {k[0, 0]:.1f} and fy = {k[1, 1]:.1f} px differ: pixels are nearly square"
    if not (0 < k[0, 2] < calibration.width_px and 0 < k[1, 2] < calibration.height_px):
        yield f"the principal point {k[0, 2]:.0f}, {k[1, 2]:.0f} px lies outside the picture"


def check_frames(case: Case) -> Iterator[Finding]:
    """Check that /tf_static joins each sensor to the base frame, and where it puts it."""
    for fault in case.bag.transform_faults:
        yield Finding("Frames", Level.WARNING, f"{case.inputs.tf_static}: {fault.rstrip('.')}.")
    yield from _check_odometry_frames(case)
    for name in [*case.inputs.cameras, *(["lidar"] if case.inputs.lidar else [])]:
        frame = case.frame_of(name)
        if frame is None:
            continue  # said under "Topics"
        try:
            base_SE3_sensor = case.bag.transforms.lookup(case.inputs.base_frame, frame)
        except InputError as error:
            text = (
                f"{name}: {_clean(error)}; publish it on {case.inputs.tf_static} (latched) and "
                "record it."
            )
            yield Finding("Frames", Level.PROBLEM, text)
            continue
        check = _lidar_pose if name == "lidar" else _camera_pose
        yield check(name, frame, base_SE3_sensor)


def _check_odometry_frames(case: Case) -> Iterator[Finding]:
    stream = next(s for s in case.streams if s.name == "odometry")
    if stream.found is None:
        return
    child, base = child_frame(stream.found), case.inputs.base_frame
    if child != base:
        text = (
            f"odometry: {stream.topic} tells the motion of '{child}', expected '{base}': set "
            "inputs.base_frame or publish odometry of that frame."
        )
        yield Finding("Frames", Level.PROBLEM, text)
    elif len(stream.found.frame_ids) > 1:
        text = f"odometry: the frame changes within the bag: {', '.join(stream.found.frame_ids)}."
        yield Finding("Frames", Level.WARNING, text)
    else:
        text = f"odometry: poses of '{child}' in '{stream.found.frame_id}', where plans go out."
        yield Finding("Frames", Level.OK, text)


def _camera_pose(name: str, frame: str, base_SE3_camera: NDArray[np.float64]) -> Finding:
    axis, down = base_SE3_camera[:3, 2], base_SE3_camera[:3, 1]
    azimuth = math.degrees(math.atan2(axis[1], axis[0]))
    elevation = math.degrees(math.asin(np.clip(axis[2], -1.0, 1.0)))
    where = f"{_side(azimuth)}, {base_SE3_camera[2, 3]:.2f} m above the ground"
    if abs(elevation) > ELEVATION_DEG:
        return Finding(
            "Frames",
            Level.WARNING,
            f"{name}: the z axis of '{frame}' points {elevation:.0f} degrees up: expected an "
            "optical frame (z forward, x right, y down; REP-103).",
        )
    if -down[2] < _UPRIGHT:
        text = f"{name}: looks {where}, but '{frame}' is rolled: its y axis does not point down."
        return Finding("Frames", Level.WARNING, text)
    return Finding("Frames", Level.OK, f"{name}: looks {where}, '{frame}'.")


def _lidar_pose(name: str, frame: str, base_SE3_lidar: NDArray[np.float64]) -> Finding:
    x, y, z = base_SE3_lidar[:3, 3]
    text = f"{name}: '{frame}' stands {z:.2f} m above the ground at x = {x:.2f}, y = {y:.2f} m"
    if base_SE3_lidar[2, 2] < _UPRIGHT:
        return Finding("Frames", Level.WARNING, f"{text}, but its z axis does not point up.")
    # A cloud in base_link itself, as concatenated ones are, has no height of its own.
    is_base = np.allclose(base_SE3_lidar, np.eye(4))
    if not is_base and not LIDAR_HEIGHT_M[0] <= z <= LIDAR_HEIGHT_M[1]:
        text += f"; expected {LIDAR_HEIGHT_M[0]} to {LIDAR_HEIGHT_M[1]} m: check the transform"
        return Finding("Frames", Level.WARNING, f"{text}.")
    return Finding("Frames", Level.OK, f"{text}.")


def _side(azimuth_deg: float) -> str:
    if abs(azimuth_deg) < 0.5:
        return "straight ahead"
    return f"{abs(azimuth_deg):.0f} degrees to the {'left' if azimuth_deg > 0 else 'right'}"


def _clean(error: Exception) -> str:
    return str(error).rstrip(".")
