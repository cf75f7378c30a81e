"""How points and directions of `base_link` fall on a camera's picture; numpy only.

Pixels follow OpenCV: (0, 0) is the centre of the upper left pixel.  Distortion models and the
order of their coefficients follow OpenCV and sensor_msgs/CameraInfo; the formulas are those of
Brown-Conrady (`plumb_bob`), its rational extension and Kannala-Brandt (`equidistant`).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_planner.errors import InputError, NonFiniteInputError
from diff_planner.geometry import transform_points
from diff_planner.types import CameraCalibration

Array = NDArray[np.float64]
NEAR_M = 0.1
"""Points nearer to the image plane than this are not seen: their pixel means nothing."""
_COEFFICIENTS = {
    "none": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 4, 5, 8),
    "equidistant": (0, 4),
}


def project(
    calibration: CameraCalibration, points_in_ego: ArrayLike
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Project points onto the picture.

    Args:
        calibration: the camera.
        points_in_ego: [N, 3] metres in base_link.

    Returns:
        uv [N, 2] px, NaN for points behind the camera or beyond what its distortion model can
        describe, outside the picture for other points that it does not show; depth [N] m along
        the optical axis; is_visible [N], true where the point falls on the picture.

    Raises:
        InputError: unknown distortion model or a wrong number of coefficients.
        NonFiniteInputError: the calibration is not finite.
    """
    points = np.asarray(points_in_ego, dtype=np.float64)
    in_camera = transform_points(np.asarray(calibration.camera_SE3_ego, np.float64), points)
    return _project(calibration, in_camera, NEAR_M)


def project_directions(
    calibration: CameraCalibration, directions_in_ego: ArrayLike
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Project directions, as points at infinity: where the camera stands does not matter.

    Args:
        calibration: the camera.
        directions_in_ego: [N, 3] unit vectors in base_link.

    Returns:
        uv [N, 2] px and is_visible [N] as `project`; in place of the depth, between the two, the
        cosine [N] of the angle to the optical axis.

    Raises:
        InputError: as `project`.
        NonFiniteInputError: as `project`.
    """
    directions = np.asarray(directions_in_ego, dtype=np.float64)
    in_camera = directions @ np.asarray(calibration.camera_SE3_ego, np.float64)[:3, :3].T
    return _project(calibration, in_camera, 1e-3)


def optical_axis(calibration: CameraCalibration) -> Array:
    """Return the unit vector [3] in base_link that the camera looks along."""
    return np.asarray(calibration.camera_SE3_ego, dtype=np.float64)[2, :3]


def _project(
    calibration: CameraCalibration, in_camera: Array, near: float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Project points [N, 3] of the optical frame."""
    coefficients = _checked(calibration)
    depth = in_camera[:, 2]
    is_ahead = depth > near
    normalized = in_camera[:, :2] / np.where(is_ahead, depth, 1.0)[:, None]  # [N, 2]
    radius = np.hypot(normalized[:, 0], normalized[:, 1])
    is_ahead &= radius < _largest_radius(calibration.distortion_model, coefficients)
    uv = np.full((len(in_camera), 2), np.nan)
    kept = normalized[is_ahead]
    bent = _distort(calibration.distortion_model, coefficients, kept, radius[is_ahead])
    uv[is_ahead] = bent @ calibration.intrinsics[:2, :2].T + calibration.intrinsics[:2, 2]
    with np.errstate(invalid="ignore"):  # NaN compares false, which is what is wanted
        on_picture = (
            (uv[:, 0] >= -0.5)
            & (uv[:, 0] < calibration.width_px - 0.5)
            & (uv[:, 1] >= -0.5)
            & (uv[:, 1] < calibration.height_px - 0.5)
        )
    return uv, depth, is_ahead & on_picture


def _checked(calibration: CameraCalibration) -> tuple[float, ...]:
    """Return the distortion coefficients, padded to 8, of a calibration that can be used."""
    model, frame = calibration.distortion_model, calibration.frame_id
    if model not in _COEFFICIENTS:
        raise InputError(
            f"camera {frame}: expected a distortion model of {sorted(_COEFFICIENTS)}, got {model!r}"
        )
    count = len(calibration.distortion)
    if count not in _COEFFICIENTS[model]:
        raise InputError(
            f"camera {frame}: expected {_COEFFICIENTS[model]} coefficients for {model}, got {count}"
        )
    for name in ("intrinsics", "distortion", "camera_SE3_ego"):
        if not np.isfinite(getattr(calibration, name)).all():
            raise NonFiniteInputError(f"camera {frame}: {name} is not finite")
    return (*(float(c) for c in calibration.distortion), *(0.0,) * (8 - count))


@functools.lru_cache(maxsize=64)
def _largest_radius(model: str, coefficients: tuple[float, ...]) -> float:
    """Return the normalised radius up to which the distorted radius grows with the true one.

    Beyond it a polynomial folds back and shows things of the side in the middle of the picture.
    Tangential terms are left out: they shift, they do not fold.
    """
    if model == "none":
        return float("inf")
    radius = np.tan(np.deg2rad(np.linspace(0.0, 89.9, 1800)))  # [R]
    along_x = np.column_stack([radius, np.zeros_like(radius)])
    radial = _without_tangential(model, coefficients)
    distorted = _distort(model, radial, along_x, radius)[:, 0]
    grows = np.diff(distorted) > 0.0
    first_fold = int(np.argmin(grows)) if not grows.all() else len(grows)
    return float(radius[first_fold])


def _without_tangential(model: str, coefficients: tuple[float, ...]) -> tuple[float, ...]:
    if model == "equidistant":
        return coefficients
    k1, k2, _, _, *rest = coefficients
    return (k1, k2, 0.0, 0.0, *rest)


def _distort(model: str, coefficients: tuple[float, ...], points: Array, radius: Array) -> Array:
    """Bend normalised image points [N, 2] of known radius [N]."""
    if model == "none":
        return points
    if model == "equidistant":
        angle = np.arctan(radius)
        a2 = angle * angle
        k1, k2, k3, k4 = coefficients[:4]
        bent = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
        # The centre has no direction; there the ratio tends to 1.
        ratio = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 1e-9)
        return points * ratio[:, None]
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients
    r2 = radius * radius
    numerator = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    denominator = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    # A pole of the rational model would divide by zero; past it, the radius no longer grows.
    safe = np.where(np.abs(denominator) < 1e-12, 1e-12, denominator)
    x, y = points[:, 0], points[:, 1]
    ratio = numerator / safe
    return np.column_stack(
        [
            x * ratio + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * ratio + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ]
    )
