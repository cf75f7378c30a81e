"""A LiDAR that casts rays at made-up ground and boxes; also puts boxes into recorded sweeps."""

from dataclasses import dataclass

import numpy as np

RANGES_M = np.geomspace(1.5, 80.0, 400)


@dataclass(frozen=True)
class Box:
    """Stands on `z_m` with its middle at x, y; turned by `yaw_rad`."""

    x_m: float
    y_m: float
    length_m: float
    width_m: float
    height_m: float
    yaw_rad: float = 0.0
    z_m: float = 0.0

    def hits(self, sensor, directions):
        """Return for each ray [R, 3] from the sensor how far the box is; inf where it is missed."""
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        origin = turn @ (np.asarray(sensor) - [self.x_m, self.y_m, self.z_m])
        rays = directions @ turn.T
        rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
        low = np.array([-0.5 * self.length_m, -0.5 * self.width_m, 0.0])
        one = (low - origin) / rays
        size = np.array([self.length_m, self.width_m, self.height_m])
        two = (low + size - origin) / rays
        enter = np.minimum(one, two).max(axis=1)
        leave = np.maximum(one, two).min(axis=1)
        return np.where((enter <= leave) & (enter > 0.0), enter, np.inf)


def car(x_m, y_m, **place):
    """The rear of a car."""
    return Box(x_m, y_m, 0.3, 1.8, 1.6, **place)


def pedestrian(x_m, y_m, **place):
    return Box(x_m, y_m, 0.6, 0.6, 1.7, **place)


def cone(x_m, y_m, **place):
    return Box(x_m, y_m, 0.4, 0.4, 0.7, **place)


def rays(elevations_deg, azimuths_deg):
    """Unit vectors [R, 3] of a spinning LiDAR."""
    azimuth, elevation = np.meshgrid(np.deg2rad(azimuths_deg), np.deg2rad(elevations_deg))
    flat = np.cos(elevation)
    vectors = [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]
    return np.stack(vectors, axis=-1).reshape(-1, 3)


# 32 beams as nuScenes' LiDAR; ahead and a little to the sides is all the tests look at.
RAYS_32 = rays(np.linspace(-30.67, 10.67, 32), np.arange(-90.0, 90.0, 0.5))
SENSOR_M = (0.9, 0.0, 1.84)


def cast(ground, boxes=(), *, noise_m=0.02, seed=0, directions=RAYS_32):
    """Return the points [N, 3] of base_link seen of `ground(x, y) -> z` and the boxes."""
    sensor = np.array(SENSOR_M)
    along = sensor + directions[:, None] * RANGES_M[None, :, None]  # [R, S, 3]
    over = along[..., 2] - ground(along[..., 0], along[..., 1])
    first = np.argmax(over < 0.0, axis=1)
    has_ground = over[:, -1] < 0.0
    has_ground |= first > 0
    before = np.maximum(first - 1, 0)
    row = np.arange(len(directions))
    share = over[row, before] / np.maximum(over[row, before] - over[row, first], 1e-9)
    distance = RANGES_M[before] + share * (RANGES_M[first] - RANGES_M[before])
    distance = np.where(has_ground & (first > 0), distance, np.inf)
    for box in boxes:
        distance = np.minimum(distance, box.hits(sensor, directions))
    is_back = np.isfinite(distance)
    noise = np.random.default_rng(seed).normal(0.0, noise_m, len(directions))
    return sensor + directions[is_back] * (distance + noise)[is_back, None]


def with_box(points, box, sensor, directions, *, seed=0):
    """Put a box into a sweep [N, 3]: returns behind it go, its own come from `directions`."""
    offset = points - sensor
    kept = points[box.hits(sensor, offset) >= 1.0]
    distance = box.hits(sensor, directions)
    is_hit = np.isfinite(distance)
    noise = np.random.default_rng(seed).normal(0.0, 0.02, int(is_hit.sum()))
    return np.concatenate([kept, sensor + directions[is_hit] * (distance[is_hit] + noise)[:, None]])
