"""Messages to core values; works on rosbags' and rclpy's message objects alike.

Only this file and calibration.py read message fields of inputs.  Layouts that are not known are
refused with the list of those that are; nothing is guessed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import (
    EncodingError,
    InputError,
    MissingInputError,
    NonFiniteInputError,
)
from diff_planner.geometry import (
    Array,
    inverse_se3,
    rotation_from_quaternion,
    se3,
    transform_points,
)
from diff_planner.types import Message, NavCommand, Route

_RAW_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
}
"""Bytes a pixel and OpenCV's conversion, by the names of sensor_msgs/image_encodings.hpp."""
_POINT_TYPES = {7: "f4", 8: "f8"}
"""sensor_msgs/PointField datatypes FLOAT32 and FLOAT64."""
_POINT_AXES = ("x", "y", "z")
_MAX_SPEED_MPS, _MAX_YAW_RATE_RADPS = 150.0, 20.0
"""Faster than any road vehicle: wrong units, or a filter that has diverged."""
_MAX_ACCELERATION_MPS2 = 200.0
"""More than any crash that the planner survives."""
_MAX_POSITION_M = 1e8
"""Farther than any map's origin on Earth; beyond, sums of poses lose their meaning."""
_FARTHEST_POINT_M = 1e5
"""Farther than any LiDAR measures: some drivers write such numbers where nothing came back."""
_JPEG_BEGIN, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Odometry:
    """Pose and motion of base_link, as one odometry message tells them."""

    stamp_ns: int
    frame_id: str
    odom_SE3_ego: Array
    """[4, 4] pose in `frame_id`."""
    vx_mps: float
    vy_mps: float
    yaw_rate_radps: float


def stamp_ns(message: Message) -> int:
    """Return the stamp of a message's header in nanoseconds.

    Raises:
        InputError: the stamp is zero or negative: the driver did not set it.
    """
    stamp = message.header.stamp
    value = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
    if value <= 0:
        raise InputError(f"expected a stamp after 1970, got {stamp.sec} s {stamp.nanosec} ns")
    return value


def decode_image(message: Message) -> NDArray[np.uint8]:
    """Decode sensor_msgs/Image or sensor_msgs/CompressedImage.

    Returns:
        [H, W, 3] uint8 RGB; may be a read-only view of the message.

    Raises:
        EncodingError: an encoding or compression that is not supported, or broken data.
    """
    if hasattr(message, "encoding"):
        return _decode_raw(message)
    return _decode_compressed(message)


def _decode_compressed(message: Message) -> NDArray[np.uint8]:
    """Decode JPEG or PNG; `format` is "jpeg" or like "rgb8; jpeg compressed bgr8"."""
    name = str(message.format).lower()
    if "depth" in name or not any(kind in name for kind in ("jpeg", "jpg", "png")):
        raise EncodingError(f"expected a jpeg or png image, got format '{message.format}'")
    content = np.asarray(message.data, dtype=np.uint8)
    if content[:2].tobytes() == _JPEG_BEGIN and not _ends_as_jpeg(content):
        # The decoder would fill the missing part with grey.
        raise EncodingError(f"jpeg image of {len(content)} bytes is cut off: no end marker")
    # A rotation flag in the file must not turn the pixels away from their calibration.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(content, flags) if content.size else None
    except cv2.error:  # for example a header that promises more pixels than OpenCV takes
        pixels = None
    if pixels is None:
        raise EncodingError(
            f"image of {len(content)} bytes cannot be decoded as '{message.format}'"
        )
    # image_transport names after "compressed" the order that the pixels had when compressed.
    if "rgb" in name.partition("compressed")[2]:
        return np.asarray(pixels, dtype=np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _ends_as_jpeg(content: NDArray[np.uint8]) -> bool:
    """Tell whether the end marker is there; drivers may pad with zeros."""
    return content[-4096:].tobytes().rstrip(b"\x00").endswith(_JPEG_END)


def _decode_raw(message: Message) -> NDArray[np.uint8]:
    encoding = str(message.encoding)
    if encoding.lower() not in _RAW_ENCODINGS:
        raise EncodingError(
            f"image encoding '{encoding}' is not supported, expected one of "
            f"{', '.join(sorted(_RAW_ENCODINGS))}, or CompressedImage"
        )
    channels, conversion = _RAW_ENCODINGS[encoding.lower()]
    height, width, step = int(message.height), int(message.width), int(message.step)
    content = np.asarray(message.data, dtype=np.uint8)
    if height < 2 or width < 2 or step < width * channels or len(content) != step * height:
        raise EncodingError(
            f"{encoding} image of {width} x {height} px with step {step}: expected at least "
            f"{width * channels} bytes a row and {step * height} in all, got {len(content)}"
        )
    rows = content.reshape(height, step)[:, : width * channels]  # padding cut off
    pixels = np.ascontiguousarray(rows).reshape(height, width, channels)
    if conversion is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, conversion), dtype=np.uint8)
    except cv2.error as error:  # for example yuv422 with an odd width
        raise EncodingError(f"{encoding} image of {width} x {height} px: {error.err}") from None


def decode_points(message: Message) -> tuple[NDArray[np.float32], int]:
    """Decode sensor_msgs/PointCloud2 by its fields x, y, z.

    Returns:
        Finite points [N, 3] float32 in the message's frame, and how many were dropped because
        they are NaN or infinite (REP-117), or farther away than 100 km.

    Raises:
        EncodingError: a field is missing or of another type, or the sizes do not fit the data.
    """
    layout = _point_layout(message)
    width, height = int(message.width), int(message.height)
    row_step = int(message.row_step)
    content = np.asarray(message.data, dtype=np.uint8)
    row_bytes = width * layout.itemsize
    if (height > 1 and row_step < row_bytes) or len(content) < row_bytes * min(height, 1):
        raise _wrong_size(message, len(content))
    if height > 1:
        if len(content) != row_step * height:
            raise _wrong_size(message, len(content))
        content = content.reshape(height, row_step)[:, :row_bytes]  # padding cut off
    content = np.ascontiguousarray(content).reshape(-1)[: row_bytes * height]
    structured = content.view(layout)
    points = np.empty((len(structured), 3), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: infinite, dropped
        for column, axis in enumerate(_POINT_AXES):
            points[:, column] = structured[axis]
    with np.errstate(invalid="ignore"):  # NaN compares false, which is what is wanted
        is_measured = (np.abs(points) <= _FARTHEST_POINT_M).all(axis=1)
    dropped = int(len(points) - is_measured.sum())
    return (points[is_measured] if dropped else points), dropped


def _point_layout(message: Message) -> np.dtype[np.void]:
    """Return the structured type of one point with only x, y, z named."""
    fields = {field.name: field for field in message.fields}
    if missing := [axis for axis in _POINT_AXES if axis not in fields]:
        raise EncodingError(f"points: no field {missing}, the message has {sorted(fields)}")
    axes = [fields[axis] for axis in _POINT_AXES]
    point_step = int(message.point_step)
    order = ">" if message.is_bigendian else "<"
    for field in axes:
        if field.datatype not in _POINT_TYPES or field.count > 1:
            raise EncodingError(
                f"points: expected field '{field.name}' to be one FLOAT32 (7) or FLOAT64 (8), got "
                f"datatype {field.datatype} x {field.count}"
            )
        if int(field.offset) + int(_POINT_TYPES[field.datatype][1]) > point_step:
            raise EncodingError(
                f"points: field '{field.name}' at offset {field.offset} does not fit into "
                f"point_step {point_step}"
            )
    layout = {
        "names": _POINT_AXES,
        "formats": [order + _POINT_TYPES[field.datatype] for field in axes],
        "offsets": [int(field.offset) for field in axes],
        "itemsize": point_step,
    }
    try:
        return np.dtype(layout)  # type: ignore[call-overload]
    except ValueError as error:  # larger than any point
        raise EncodingError(f"points: point_step {point_step} cannot be used ({error})") from None


def _wrong_size(message: Message, size: int) -> EncodingError:
    return EncodingError(
        f"points: {message.width} x {message.height} points of {message.point_step} bytes with "
        f"row_step {message.row_step} do not fit into {size} bytes of data"
    )


def decode_odometry(message: Message, base_frame: str) -> Odometry:
    """Decode nav_msgs/Odometry: pose in its frame, twist in the child's frame.

    Args:
        message: the message.
        base_frame: what its child frame must be.

    Raises:
        MissingInputError: the child frame is another one.
        NonFiniteInputError: a number is NaN or infinite.
        InputError: no stamp, no rotation, a speed that no road vehicle reaches, or a position that
            no map has.
    """
    _require_frame("odometry: child_frame_id", message.child_frame_id, base_frame)
    pose, twist = message.pose.pose, message.twist.twist
    position, q = pose.position, pose.orientation
    numbers = [position.x, position.y, position.z, q.x, q.y, q.z, q.w]
    motion = [twist.linear.x, twist.linear.y, twist.angular.z]
    _require_finite("odometry: pose and twist", [*numbers, *motion])
    if math.hypot(*motion[:2]) > _MAX_SPEED_MPS or abs(motion[2]) > _MAX_YAW_RATE_RADPS:
        raise InputError(
            f"odometry: expected at most {_MAX_SPEED_MPS:g} m/s and {_MAX_YAW_RATE_RADPS:g} rad/s, "
            f"got vx {motion[0]:g}, vy {motion[1]:g}, yaw rate {motion[2]:g}"
        )
    if max(map(abs, numbers[:3])) > _MAX_POSITION_M:
        raise InputError(
            f"odometry: expected a position within {_MAX_POSITION_M:g} m, got {numbers[:3]}"
        )
    return Odometry(
        stamp_ns=stamp_ns(message),
        frame_id=str(message.header.frame_id),
        odom_SE3_ego=se3(rotation_from_quaternion(q.x, q.y, q.z, q.w), numbers[:3]),
        vx_mps=float(motion[0]),
        vy_mps=float(motion[1]),
        yaw_rate_radps=float(motion[2]),
    )


def decode_acceleration(message: Message, base_frame: str) -> tuple[float, float]:
    """Decode geometry_msgs/AccelWithCovarianceStamped or AccelStamped.

    Returns:
        Acceleration along x and y of base_link, m/s^2.

    Raises:
        MissingInputError: it is given in another frame.
        NonFiniteInputError: a number is NaN or infinite.
        InputError: more than any vehicle knows.
    """
    _require_frame("acceleration: frame_id", message.header.frame_id, base_frame)
    accel = message.accel
    linear = accel.accel.linear if hasattr(accel, "accel") else accel.linear
    _require_finite("acceleration", [linear.x, linear.y])
    if math.hypot(linear.x, linear.y) > _MAX_ACCELERATION_MPS2:
        raise InputError(
            f"acceleration: expected at most {_MAX_ACCELERATION_MPS2:g} m/s2, "
            f"got x {linear.x:g}, y {linear.y:g}"
        )
    return float(linear.x), float(linear.y)


def decode_nav_command(message: Message, now_ns: int) -> NavCommand:
    """Decode diff_planner_msgs/NavCommand.

    Args:
        message: the newest command.
        now_ns: the cycle's stamp.  A command that is older than its valid_for_s gives
            LANE_FOLLOW; valid_for_s = 0 holds until the next one.

    Raises:
        InputError: a command that is not known, or a validity that is negative or not finite.
    """
    valid_for_s = float(message.valid_for_s)
    if not math.isfinite(valid_for_s) or valid_for_s < 0:
        raise InputError(f"navigation command: expected valid_for_s >= 0, got {valid_for_s}")
    try:
        command = NavCommand(int(message.command))
    except ValueError:
        known = ", ".join(f"{c.value} {c.name}" for c in NavCommand)
        raise InputError(
            f"navigation command: expected one of {known}, got {message.command}"
        ) from None
    if valid_for_s and now_ns - stamp_ns(message) > valid_for_s * 1e9:
        return NavCommand.LANE_FOLLOW
    return command


def decode_route(message: Message, odom_SE3_ego: Array, odom_SE3_route: Array) -> Route:
    """Decode diff_planner_msgs/Route into what lies ahead.

    Args:
        message: the route, in the frame of its header.
        odom_SE3_ego: [4, 4] pose of base_link at the cycle's stamp.
        odom_SE3_route: [4, 4] the route's frame in the frame of the odometry.

    Returns:
        Points in base_link at the cycle's stamp, from the point of the route nearest to the
        vehicle on; a loop is followed once around.

    Raises:
        InputError: fewer than two points, or x and y of different length.
        NonFiniteInputError: a coordinate is NaN or infinite.
    """
    x = np.asarray(message.x_m, dtype=np.float64)
    y = np.asarray(message.y_m, dtype=np.float64)
    if len(x) != len(y) or len(x) < 2:
        raise InputError(f"route: expected at least 2 points, got {len(x)} x and {len(y)} y")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NonFiniteInputError("route: expected finite coordinates, got NaN or infinity")
    # A route is drawn on the ground plane: it takes the vehicle's own height.
    points = np.stack([x, y, np.zeros_like(x)], axis=1)
    points = transform_points(odom_SE3_route, points)
    points[:, 2] = odom_SE3_ego[2, 3]
    points = transform_points(inverse_se3(odom_SE3_ego), points)[:, :2]
    return Route(_ahead(points, is_loop=bool(message.is_loop)))


def _ahead(points: Array, *, is_loop: bool) -> Array:
    """Cut a polyline [P, 2] at its point nearest to the origin; keep what follows."""
    if is_loop:
        points = np.concatenate([points, points[:1]])
    begins, steps = points[:-1], np.diff(points, axis=0)
    squared = np.maximum((steps**2).sum(axis=1), 1e-12)
    along = np.clip(-(begins * steps).sum(axis=1) / squared, 0.0, 1.0)
    feet = begins + along[:, None] * steps  # nearest point of each segment
    nearest = int(np.argmin((feet**2).sum(axis=1)))
    following = points[nearest + 1 :]
    if is_loop:
        following = np.concatenate([following, points[1 : nearest + 1]])
    return np.concatenate([feet[nearest : nearest + 1], following])


def _require_frame(what: str, got: str, expected: str) -> None:
    if str(got).lstrip("/") != expected:
        raise MissingInputError(f"{what}: expected '{expected}', got '{got}'")


def _require_finite(what: str, numbers: list[float]) -> None:
    if not all(math.isfinite(number) for number in numbers):
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise NonFiniteInputError(f"{what}: expected finite numbers, got {shown}")
