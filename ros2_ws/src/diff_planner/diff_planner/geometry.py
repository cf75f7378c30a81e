"""Rigid transforms, angles, boxes and polylines; numpy only.

Angles are radians, counter-clockwise positive.  `dst_SE3_src` maps points of frame src into
frame dst; a wrong composition shows, because inner names must match.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_planner.errors import InputError

Array = NDArray[np.float64]


def wrap_angle(angle_rad: ArrayLike) -> Array:
    """Bring angles into [-pi, pi)."""
    return (np.asarray(angle_rad, dtype=np.float64) + np.pi) % (2.0 * np.pi) - np.pi


def rotation_from_quaternion(x: float, y: float, z: float, w: float) -> Array:
    """Return the rotation matrix [3, 3] of a quaternion; it need not be of unit length.

    Raises:
        InputError: the quaternion is not finite or has no length (an unset message field).
    """
    q = np.array([x, y, z, w], dtype=np.float64)
    norm = float(np.linalg.norm(q))
    if not np.isfinite(norm) or norm < 1e-6:
        raise InputError(f"rotation: expected a unit quaternion, got x y z w = {q.tolist()}")
    x, y, z, w = (q / norm).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: Array) -> Array:
    """Return the unit quaternion [4] (x, y, z, w; w >= 0) of a rotation matrix [3, 3].

    Uses the largest of the four candidates, so that no division loses precision.
    """
    r = np.asarray(rotation, dtype=np.float64)
    xx, yy, zz = r[0, 0], r[1, 1], r[2, 2]
    # Four times the outer product q q^T, ordered x, y, z, w.
    outer = np.array(
        [
            [1 + xx - yy - zz, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[0, 1] + r[1, 0], 1 - xx + yy - zz, r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1 - xx - yy + zz, r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 1 + xx + yy + zz],
        ]
    )
    q = outer[int(np.argmax(np.diag(outer)))]
    q = q / np.linalg.norm(q)
    return -q if q[3] < 0 else q


def se3(rotation: Array, translation_m: ArrayLike) -> Array:
    """Return the transform [4, 4] of a rotation [3, 3] and a translation [3]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation_m
    return matrix


def se3_from_yaw(x_m: float, y_m: float, yaw_rad: float, z_m: float = 0.0) -> Array:
    """Return the transform [4, 4] of a pose in the plane."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return se3(rotation, [x_m, y_m, z_m])


def inverse_se3(dst_SE3_src: Array) -> Array:
    """Return src_SE3_dst."""
    rotation = dst_SE3_src[:3, :3].T
    return se3(rotation, -rotation @ dst_SE3_src[:3, 3])


def transform_points(dst_SE3_src: Array, points_in_src: Array) -> Array:
    """Map points [..., 3] of frame src into frame dst."""
    return points_in_src @ dst_SE3_src[:3, :3].T + dst_SE3_src[:3, 3]


def yaw_of(dst_SE3_src: Array) -> float:
    """Return the heading of src's x axis in dst's plane."""
    return float(np.arctan2(dst_SE3_src[1, 0], dst_SE3_src[0, 0]))


def se2_between(odom_SE3_a: Array, odom_SE3_b: Array) -> tuple[float, float, float]:
    """Return the pose (x_m, y_m, yaw_rad) of b in a's plane."""
    a_SE3_b = inverse_se3(odom_SE3_a) @ odom_SE3_b
    return float(a_SE3_b[0, 3]), float(a_SE3_b[1, 3]), yaw_of(a_SE3_b)


def transform_poses(pose: ArrayLike, poses: Array) -> Array:
    """Carry planar poses [..., 3] (x, y, yaw) of a frame into the one where it stands at `pose`."""
    x, y, yaw = np.asarray(pose, dtype=np.float64)
    cos, sin = np.cos(yaw), np.sin(yaw)
    out = np.empty(poses.shape, dtype=np.float64)
    out[..., 0] = x + cos * poses[..., 0] - sin * poses[..., 1]
    out[..., 1] = y + sin * poses[..., 0] + cos * poses[..., 1]
    out[..., 2] = wrap_angle(poses[..., 2] + yaw)
    return out


def poses_seen_from(pose: ArrayLike, poses: Array) -> Array:
    """Return planar poses [..., 3] in the frame that stands at `pose`: undoes `transform_poses`."""
    yaw = wrap_angle(poses[..., 2] - np.asarray(pose, dtype=np.float64)[2])
    return np.concatenate([points_seen_from(pose, poses[..., :2]), yaw[..., None]], axis=-1)


def points_seen_from(pose: ArrayLike, points: Array) -> Array:
    """Return points [..., 2] in the frame that stands at `pose`."""
    x, y, yaw = np.asarray(pose, dtype=np.float64)
    cos, sin = np.cos(yaw), np.sin(yaw)
    # Differences first: world coordinates may be millions of metres.
    dx, dy = points[..., 0] - x, points[..., 1] - y
    return np.stack([cos * dx + sin * dy, -sin * dx + cos * dy], axis=-1)


def constant_twist(speed_mps: float, yaw_rate_radps: float, times_s: Array) -> Array:
    """Return the poses [N, 3] reached from the origin at constant speed and yaw rate."""
    yaw = yaw_rate_radps * times_s
    # sin(x)/x and (1-cos(x))/x by sinc: no special case at zero yaw rate.
    along = speed_mps * times_s * np.sinc(yaw / np.pi)
    half = np.sinc(yaw / (2.0 * np.pi))
    across = speed_mps * times_s * 0.5 * yaw * half * half
    return np.stack([along, across, yaw], axis=-1)


def arc_lengths(points: Array) -> Array:
    """Return the distance [P] travelled along a polyline [P, >=2] at each of its points."""
    steps = np.hypot(np.diff(points[:, 0]), np.diff(points[:, 1]))
    return np.concatenate([[0.0], np.cumsum(steps)])


def project_on_polyline(points: Array, polyline: Array) -> tuple[Array, Array]:
    """Return where the nearest point of a polyline lies for each point, and how far aside.

    Args:
        points: [N, 2].
        polyline: [P, >=2], P >= 2; steps without length are allowed.

    Returns:
        The arc length [N] of the nearest point (0 to the polyline's length) and the distance [N] to
        it, positive where the point is left of the nearest segment.
    """
    start, step = polyline[:-1, :2], np.diff(polyline[:, :2], axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    along = start[None] - points[:, None]
    squared = length * length
    share = -(along * step).sum(axis=-1) / np.where(squared > 0.0, squared, 1.0)
    share = np.clip(share, 0.0, 1.0)
    aside = along + share[..., None] * step
    distance = np.hypot(aside[..., 0], aside[..., 1])
    nearest = np.argmin(distance, axis=1)
    row = np.arange(len(points))
    s = arc_lengths(polyline)[nearest] + share[row, nearest] * length[nearest]
    to_point = -aside[row, nearest]
    left = step[nearest, 0] * to_point[:, 1] - step[nearest, 1] * to_point[:, 0]
    return s, np.where(left < 0.0, -1.0, 1.0) * distance[row, nearest]


def box_corners(x_m: float, y_m: float, yaw_rad: float, length_m: float, width_m: float) -> Array:
    """Return the corners [4, 2] of a centred box.

    Order: front-left, rear-left, rear-right, front-right.
    """
    half = 0.5 * np.array(
        [[length_m, width_m], [-length_m, width_m], [-length_m, -width_m], [length_m, -width_m]]
    )
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return half @ np.array([[cos, sin], [-sin, cos]]) + [x_m, y_m]
