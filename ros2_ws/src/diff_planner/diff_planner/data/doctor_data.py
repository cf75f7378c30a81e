"""The doctor's checks of content: pictures, points and odometry say what they should."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diff_planner.camera_geometry import project
from diff_planner.data.calibration import camera_calibration
from diff_planner.data.decode import (
    decode_acceleration,
    decode_image,
    decode_odometry,
    decode_points,
)
from diff_planner.data.doctor_case import Case, Stream
from diff_planner.data.doctor_report import Finding, Level
from diff_planner.data.rig_cameras import is_rectified
from diff_planner.data.survey import TopicSurvey
from diff_planner.errors import InputError
from diff_planner.geometry import transform_points, wrap_angle

SPEED_WARNING_MPS, SPEED_PROBLEM_MPS = 0.5, 2.0
"""Speed from positions against speed from twist."""
_WINDOW_S = 0.99
"""Of comparing speeds: over a second, the noise of single positions does not count."""
SIDEWAYS_DEG = 5.0
GROUND_M = 0.4
"""Height of the ground in base_link that a wrong LiDAR height shows as; slopes are less."""
FEW_POINTS = 500
_MOVING_MPS = 2.0
_FLAT = 2.0
_GROUND_RANGE_M = (4.0, 15.0)
_NAN_SHARE = 0.5


def check_data(case: Case) -> Iterator[Finding]:
    """Look at the first and the last message of each sensor, and at all of odometry."""
    for stream in case.streams:
        if stream.found is None:
            continue
        if stream.name in case.inputs.cameras:
            yield _check_pictures(stream, stream.found)
        elif stream.name == "lidar":
            yield from _check_points(case, stream.found)
        elif stream.name == "odometry":
            yield from _check_odometry(case, stream.found)
        elif stream.name == "acceleration":
            yield from _check_acceleration(case, stream.found)


def _check_pictures(stream: Stream, found: TopicSurvey) -> Finding:
    kind = getattr(found.first, "encoding", None) or found.first.format
    shapes = set()
    for which, message in (("first", found.first), ("last", found.last)):
        try:
            picture = decode_image(message)
        except InputError as error:
            text = f"{stream.name}: the {which} picture cannot be used: {_clean(error)}."
            return Finding("Data", Level.PROBLEM, text)
        shapes.add(picture.shape)
        if float(picture.std()) < _FLAT:
            text = (
                f"{stream.name}: the {which} picture has one colour all over (mean "
                f"{picture.mean():.0f} of 255): check exposure and lens cap."
            )
            return Finding("Data", Level.WARNING, text)
    if len(shapes) > 1:
        text = f"{stream.name}: the size of the pictures changes within the bag."
        return Finding("Data", Level.WARNING, text)
    text = f"{stream.name}: first and last picture decode ({kind})."
    return Finding("Data", Level.OK, text)


def _check_points(case: Case, found: TopicSurvey) -> Iterator[Finding]:
    clouds = []
    for which, message in (("first", found.first), ("last", found.last)):
        try:
            points, dropped = decode_points(message)
        except InputError as error:
            text = f"lidar: the {which} cloud cannot be used: {_clean(error)}."
            yield Finding("Data", Level.PROBLEM, text)
            return
        total = len(points) + dropped
        if dropped and dropped >= _NAN_SHARE * total:
            level = Level.PROBLEM if dropped == total else Level.WARNING
            text = f"lidar: {dropped} of {total} points of the {which} cloud are NaN or infinite."
            yield Finding("Data", level, text)
        clouds.append((points, dropped))
    empty = int((found.rows[:, 0] == 0).sum())
    if empty:
        level = Level.PROBLEM if empty == len(found.rows) else Level.WARNING
        text = f"lidar: {empty} of {len(found.rows)} clouds hold no point."
        yield Finding("Data", level, text)
    points, dropped = clouds[0]
    base_SE3_lidar = case.bag.transform(case.inputs.base_frame, found.frame_id)
    if len(points) and base_SE3_lidar is not None:
        median = int(np.median(found.rows[:, 0]))
        in_ego = transform_points(base_SE3_lidar, points.astype(np.float64))
        yield _describe_points(case, in_ego, median, dropped / (len(points) + dropped))
        yield from _check_view(case, in_ego)


def _describe_points(
    case: Case, in_ego: NDArray[np.float64], median: int, nan_share: float
) -> Finding:
    own = float(is_on_vehicle(case, in_ego).mean())
    text = f"lidar: {median} points a cloud (median), {nan_share:.1%} NaN, {own:.1%} on the vehicle"
    faults = []
    if median < FEW_POINTS:
        faults.append(f"expected at least {FEW_POINTS} to see obstacles")
    if own > 0.5:
        faults.append("most points lie on the own vehicle: check frame and vehicle size")
    ground_m = ground_height_m(in_ego)
    if ground_m is not None:
        text += f", ground at z = {ground_m:+.2f} m"
        if abs(ground_m) > GROUND_M:
            faults.append(
                f"expected the ground at z = 0 of {case.inputs.base_frame}: check the height and "
                "tilt of the LiDAR's transform"
            )
    level = Level.WARNING if faults else Level.OK
    return Finding("Data", level, "; ".join([text, *faults]) + ".")


def _check_view(case: Case, in_ego: NDArray[np.float64]) -> Iterator[Finding]:
    """Project the first cloud into the cameras: none seen means wrong extrinsics."""
    seen: list[str] = []
    blind: list[str] = []
    for name, camera in case.inputs.cameras.items():
        info = case.bag.topics.get(camera.info)
        frame = case.frame_of(name)
        base_SE3_camera = None if not frame else case.bag.transform(case.inputs.base_frame, frame)
        if info is None or info.first is None or base_SE3_camera is None:
            continue
        size = (int(info.first.height), int(info.first.width))
        try:
            calibration = camera_calibration(
                info.first, size, base_SE3_camera, is_rectified=is_rectified(camera.image)
            )
            _, _, is_visible = project(calibration, in_ego)
        except InputError:
            continue  # said under "Calibration"
        (seen if is_visible.any() else blind).append(f"{name} {is_visible.mean():.1%}")
    if blind:
        text = (
            f"No LiDAR point falls on the pictures of {', '.join(blind)}: check extrinsics and K."
        )
        yield Finding("Data", Level.WARNING, text)
    if seen:
        yield Finding("Data", Level.OK, f"LiDAR points fall on the pictures: {', '.join(seen)}.")


def is_on_vehicle(case: Case, in_ego: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points [N] lie in the vehicle's box."""
    vehicle = case.config.vehicle
    x, y, z = in_ego.T
    is_within: NDArray[np.bool_] = (
        (x >= -vehicle.rear_m)
        & (x <= vehicle.front_m)
        & (np.abs(y) <= 0.5 * vehicle.width_m)
        & (z >= 0.0)
        & (z <= vehicle.height_m)
    )
    return is_within


def ground_height_m(in_ego: NDArray[np.float64]) -> float | None:
    """Return the most frequent height of points around the vehicle, None with too few points."""
    distance = np.hypot(in_ego[:, 0], in_ego[:, 1])
    low, high = _GROUND_RANGE_M
    z = in_ego[(distance > low) & (distance < high) & (np.abs(in_ego[:, 2]) < 3.0), 2]
    if len(z) < FEW_POINTS:
        return None
    counts, edges = np.histogram(z, bins=60, range=(-3.0, 3.0))
    best = int(counts.argmax())
    near = z[(z >= edges[best] - 0.1) & (z <= edges[best + 1] + 0.1)]
    return float(np.median(near))


def _check_odometry(case: Case, found: TopicSurvey) -> Iterator[Finding]:
    try:
        decode_odometry(found.first, found.first.child_frame_id.lstrip("/"))
    except InputError as error:
        yield Finding("Data", Level.PROBLEM, f"odometry: {_clean(error)}.")
        return
    broken = int((~np.isfinite(found.rows).all(axis=1)).sum())
    if broken:
        text = f"odometry: {broken} of {len(found.rows)} messages hold NaN or infinity."
        yield Finding("Data", Level.WARNING, text)
    motion = motion_errors(found)
    if motion is None:
        yield Finding("Data", Level.WARNING, "odometry: too few messages to compare speeds.")
        return
    error_mps, sideways_deg = motion
    text = (
        f"odometry: speed agrees with positions within {error_mps:.3f} m/s (median), up to "
        f"{np.nanmax(np.hypot(found.rows[:, 3], found.rows[:, 4])):.1f} m/s driven"
    )
    level = Level.OK
    if error_mps > SPEED_WARNING_MPS:
        level = Level.PROBLEM if error_mps > SPEED_PROBLEM_MPS else Level.WARNING
        text += (
            f"; expected less than {SPEED_WARNING_MPS} m/s: the twist must be that of "
            f"{case.inputs.base_frame} in m/s"
        )
    if abs(sideways_deg) > SIDEWAYS_DEG:
        level = Level.WARNING if level is Level.OK else level
        text += (
            f"; positions move {sideways_deg:+.0f} degrees from the heading: check the frame's "
            "x axis (forward) and its origin (rear axle)"
        )
    yield Finding("Data", level, text + ".")


def motion_errors(found: TopicSurvey) -> tuple[float, float] | None:
    """Compare positions with twist and heading.

    Returns:
        Median over windows of a second of |speed from positions - speed from twist| in m/s, and
        the median angle in degrees from heading to direction of travel where it moves (0 when it
        never does); None with too few distinct stamps.
    """
    stamps_ns, first = np.unique(found.stamps_ns, return_index=True)
    is_finite = np.isfinite(found.rows[first]).all(axis=1)
    stamps_ns, rows = stamps_ns[is_finite], found.rows[first][is_finite]
    times_s = (stamps_ns - stamps_ns[:1]) / 1e9
    if len(rows) < 3 or times_s[-1] < _WINDOW_S:
        return None
    steps, dt_s = np.diff(rows[:, :2], axis=0), np.diff(times_s)
    twist_mps = np.hypot(rows[:, 3], rows[:, 4])
    # Path lengths by positions and by twist, along the curve, so that turning is no error.
    by_positions_m = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
    by_twist_m = np.concatenate([[0.0], np.cumsum(0.5 * (twist_mps[1:] + twist_mps[:-1]) * dt_s)])
    ends = np.searchsorted(times_s, times_s + _WINDOW_S)
    begins = np.flatnonzero(ends < len(times_s))
    ends = ends[begins]
    error_m = (by_positions_m - by_twist_m)[ends] - (by_positions_m - by_twist_m)[begins]
    error_mps = float(np.median(np.abs(error_m / (times_s[ends] - times_s[begins]))))
    is_moving = np.hypot(steps[:, 0], steps[:, 1]) > _MOVING_MPS * dt_s
    if not is_moving.any():
        return error_mps, 0.0
    middle_yaw = rows[:-1, 2] + 0.5 * wrap_angle(np.diff(rows[:, 2]))
    reverse = np.where(rows[:-1, 3] < 0, np.pi, 0.0)
    angles = wrap_angle(np.arctan2(steps[:, 1], steps[:, 0]) - middle_yaw + reverse)
    return error_mps, float(np.degrees(np.median(angles[is_moving])))


def _check_acceleration(case: Case, found: TopicSurvey) -> Iterator[Finding]:
    try:
        decode_acceleration(found.first, case.inputs.base_frame)
    except InputError as error:
        text = (
            f"{_clean(error)}; it is derived from odometry instead, set inputs.acceleration: null."
        )
        yield Finding("Data", Level.WARNING, text)


def _clean(error: Exception) -> str:
    return str(error).rstrip(".")
