"""The world of the sample bag: a road with a bend, houses, trees, parked and moving road users.

Everything is a solid, a box or an ellipsoid that stands upright; cameras and LiDAR look at the
same solids (sample_sensors.py), so they agree.  Frame `map`: metres, z up, ground at z = 0.
Along the road things are placed by s (m along the ego lane's centre line) and d (m left of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diff_planner.geometry import transform_poses

Array = NDArray[np.float64]
Color = tuple[float, float, float]
"""Red, green, blue, 0..255."""
LANE_WIDTH_M = 3.5
SIDEWALK_D_M = ((-7.9, -5.4), (5.5, 8.0))
"""From right to left edge, on the right and on the left of the road."""
ASPHALT_D_M = (-5.2, 5.3)
"""The ego lane, the oncoming lane on its left, a parking strip on its right."""
LIGHT_S_M = 70.0
"""Stop line of the traffic light."""
_START_S_M = -70.0
_GRID_M = 0.01
CAR, PEDESTRIAN, BICYCLE = 1, 7, 6
"""Classes as in diff_planner_msgs/Object."""


class Road:
    """Centre line of the ego lane: straight, a bend to the left of 60 m radius, straight.

    Curvature changes smoothly, so that a vehicle on the line never jerks its wheel.
    """

    bend_start_m = 18.0
    bend_length_m = 75.0
    ramp_m = 14.0
    radius_m = 60.0
    start_pose = (25.0, -12.0, 0.35)
    """x, y, yaw in `map` at s = 0; not the origin, so that a forgotten transform shows."""

    def __init__(self, length_m: float) -> None:
        """Lay the line from 70 m behind s = 0 to `length_m`."""
        self.length_m = length_m
        self._s = np.arange(_START_S_M, length_m + _GRID_M, _GRID_M)
        # Midpoint rule on a 1 cm grid: its error over 200 m is below a micrometre.
        middle = self._yaw(self._s[:-1] + 0.5 * _GRID_M)
        steps = _GRID_M * np.column_stack([np.cos(middle), np.sin(middle)])
        xy = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        self._xy = xy - xy[np.searchsorted(self._s, -0.5 * _GRID_M)]

    def curvature(self, s_m: ArrayLike) -> Array:
        """Return 1/m at s; left positive."""
        x_in, x_out = self._ramps(np.asarray(s_m, dtype=np.float64))
        rise = np.clip(x_in, 0.0, 1.0) ** 2 * (3.0 - 2.0 * np.clip(x_in, 0.0, 1.0))
        fall = np.clip(x_out, 0.0, 1.0) ** 2 * (3.0 - 2.0 * np.clip(x_out, 0.0, 1.0))
        return np.asarray((rise - fall) / self.radius_m)

    def poses(self, s_m: ArrayLike, d_m: ArrayLike = 0.0) -> Array:
        """Return poses [..., 3] (x, y, yaw) in `map`, d metres to the left of the line."""
        s = np.asarray(s_m, dtype=np.float64)
        yaw = self._yaw(s)
        x = np.interp(s, self._s, self._xy[:, 0]) - np.sin(yaw) * d_m
        y = np.interp(s, self._s, self._xy[:, 1]) + np.cos(yaw) * d_m
        return transform_poses(self.start_pose, np.stack([x, y, yaw], axis=-1))

    def strip(self, from_s_m: float, to_s_m: float, d_m: tuple[float, float]) -> Array:
        """Return the ring [P, 2] of the ground between two s and two d, counter-clockwise."""
        s = np.linspace(from_s_m, to_s_m, max(2, int(abs(to_s_m - from_s_m) / 0.5)))
        right, left = self.poses(s, d_m[0])[:, :2], self.poses(s, d_m[1])[:, :2]
        return np.concatenate([right, left[::-1]])

    def _ramps(self, s: Array) -> tuple[Array, Array]:
        start = self.bend_start_m
        return (s - start) / self.ramp_m, (s - start - self.bend_length_m) / self.ramp_m

    def _yaw(self, s: Array) -> Array:
        """Integrate the curvature: of 3x^2 - 2x^3 that is x^3 - x^4/2, then 1 per unit."""
        x_in, x_out = self._ramps(s)
        return np.asarray(self.ramp_m / self.radius_m * (_ramp_area(x_in) - _ramp_area(x_out)))


def _ramp_area(x: Array) -> Array:
    inside = np.clip(x, 0.0, 1.0)
    return inside**3 - 0.5 * inside**4 + np.maximum(x - 1.0, 0.0)


@dataclass(frozen=True)
class Solid:
    """An upright box, or the ellipsoid that fills it."""

    center_m: tuple[float, float, float]
    half_m: tuple[float, float, float]
    """Half of length, width and height."""
    color: Color
    yaw_rad: float = 0.0
    shape: Literal["box", "ball"] = "box"
    pattern: Literal["plain", "house", "car", "leaves"] = "plain"
    object_id: int = 0
    """Of the road user it belongs to; 0 for what is not one."""

    def placed(self, pose: Array, object_id: int = 0) -> Solid:
        """Return the solid, given in a frame that stands at `pose` (x, y, yaw), in `map`."""
        local = np.array([self.center_m[0], self.center_m[1], self.yaw_rad])
        x, y, yaw = transform_poses(pose, local).tolist()
        return replace(self, center_m=(x, y, self.center_m[2]), yaw_rad=yaw, object_id=object_id)

    def corners(self) -> Array:
        """Return the corners [8, 3] of the box in `map`."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        local = signs * self.half_m
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(local @ turn + self.center_m)


@dataclass(frozen=True)
class RoadUser:
    """Somebody on the road, moving along it at constant d; negative speed comes towards ego."""

    object_id: int
    class_id: int
    parts: tuple[Solid, ...]
    """In the user's frame: x forward, origin on the ground below the centre."""
    size_m: tuple[float, float, float]
    s_m: float
    """At time 0."""
    d_m: float
    speed_mps: float
    """Change of s; beside the line of a bend the true speed differs by 1 - curvature * d."""

    def pose(self, road: Road, time_s: float) -> Array:
        """Return x, y, yaw in `map`."""
        pose = road.poses(self.s_m + self.speed_mps * time_s, self.d_m)
        return pose + np.array([0.0, 0.0, np.pi]) if self.speed_mps < 0 else pose

    def motion(self, road: Road, time_s: float) -> tuple[float, float, float]:
        """Return vx, vy (m/s, along the axes of `map`) and yaw rate (rad/s)."""
        s = self.s_m + self.speed_mps * time_s
        curvature = float(road.curvature(s))
        along = self.speed_mps * (1.0 - curvature * self.d_m)
        yaw = float(road.poses(s)[2])
        return along * np.cos(yaw), along * np.sin(yaw), curvature * self.speed_mps


@dataclass(frozen=True)
class World:
    """All that stands and moves."""

    road: Road
    statics: tuple[Solid, ...]
    """Houses, trees, poles."""
    users: tuple[RoadUser, ...]

    def moving_parts(self, time_s: float) -> list[Solid]:
        """Return the solids of the users that move, where they are at a time."""
        return self._parts([u for u in self.users if u.speed_mps], time_s)

    def standing_parts(self) -> list[Solid]:
        """Return every solid that never moves, parked cars with the rest."""
        return [*self.statics, *self._parts([u for u in self.users if not u.speed_mps], 0.0)]

    def _parts(self, users: Sequence[RoadUser], time_s: float) -> list[Solid]:
        return [
            part.placed(user.pose(self.road, time_s), user.object_id)
            for user in users
            for part in user.parts
        ]


def build_world(rng: np.random.Generator, road: Road) -> World:
    """Furnish a road; colours, sizes and gaps come from `rng`."""
    return World(road=road, statics=tuple(_statics(rng, road)), users=tuple(_users(rng)))


def _users(rng: np.random.Generator) -> list[RoadUser]:
    """Return the road users; the way that ego drives stays free.

    The car ahead keeps a distance that a plan of 4 s at ego's speed does not reach.
    """
    car_m, walker_m, bicycle_m = (4.5, 1.9, 1.46), (0.5, 0.55, 1.75), (1.75, 0.6, 1.75)
    places: list[tuple[int, tuple[float, float, float], float, float, float]] = [
        (CAR, car_m, 46.0, 0.0, 8.4),
        (CAR, car_m, 62.0, 3.5, -7.5),
        (CAR, car_m, 108.0, 3.5, -8.0),
        (BICYCLE, bicycle_m, 33.0, 4.6, -4.0),
        (PEDESTRIAN, walker_m, 14.0, -6.6, 1.3),
        (PEDESTRIAN, walker_m, 30.0, -7.1, -1.2),
        (PEDESTRIAN, walker_m, 22.0, 6.8, 1.4),
        *((CAR, car_m, s, -4.1, 0.0) for s in (-14.0, 6.0, 12.3, 24.5, 96.0, 102.0)),
    ]
    users = []
    for number, (class_id, size, s, d, speed) in enumerate(places, start=1):
        parts = {CAR: _car, PEDESTRIAN: _walker, BICYCLE: _cyclist}[class_id](rng)
        s += float(rng.uniform(-0.6, 0.6))
        users.append(RoadUser(number, class_id, parts, size, s, d, speed))
    return users


_CAR_COLORS: tuple[Color, ...] = (
    (178, 34, 38), (38, 70, 130), (225, 225, 228), (60, 62, 66), (150, 155, 160), (30, 95, 75),
    (205, 150, 50),
)  # fmt: skip


def _car(rng: np.random.Generator) -> tuple[Solid, ...]:
    color = _CAR_COLORS[int(rng.integers(len(_CAR_COLORS)))]
    wheels = [
        Solid((x, y, 0.33), (0.33, 0.1, 0.33), (22, 22, 24), shape="ball")
        for x in (-1.4, 1.4)
        for y in (-0.85, 0.85)
    ]
    roof = tuple(0.9 * c for c in color)
    return (
        Solid((0, 0, 0.57), (2.25, 0.9, 0.32), color, pattern="car"),
        Solid((-0.2, 0, 1.15), (1.3, 0.8, 0.27), (40, 52, 62)),
        Solid((-0.25, 0, 1.44), (1.15, 0.76, 0.02), (roof[0], roof[1], roof[2])),
        *wheels,
    )


def _walker(rng: np.random.Generator) -> tuple[Solid, ...]:
    coat = (rng.uniform(60, 220), rng.uniform(40, 120), rng.uniform(40, 180))
    return (
        Solid((0.08, 0.11, 0.43), (0.1, 0.09, 0.43), (45, 50, 72)),
        Solid((-0.08, -0.11, 0.43), (0.1, 0.09, 0.43), (45, 50, 72)),
        Solid((0, 0, 1.15), (0.18, 0.27, 0.36), coat, shape="ball"),
        Solid((0, 0, 1.61), (0.12, 0.11, 0.14), (205, 165, 140), shape="ball"),
    )


def _cyclist(rng: np.random.Generator) -> tuple[Solid, ...]:
    jacket = (rng.uniform(180, 240), rng.uniform(120, 200), 40.0)
    return (
        Solid((-0.52, 0, 0.34), (0.34, 0.04, 0.34), (25, 25, 28), shape="ball"),
        Solid((0.52, 0, 0.34), (0.34, 0.04, 0.34), (25, 25, 28), shape="ball"),
        Solid((0, 0, 0.62), (0.5, 0.05, 0.08), (150, 40, 40)),
        Solid((-0.1, 0, 0.8), (0.12, 0.15, 0.35), (40, 45, 70)),
        Solid((0.02, 0, 1.25), (0.22, 0.24, 0.34), jacket, shape="ball"),
        Solid((0.1, 0, 1.61), (0.13, 0.11, 0.14), (60, 60, 65), shape="ball"),
    )


def _statics(rng: np.random.Generator, road: Road) -> list[Solid]:
    solids: list[Solid] = []
    for side, nearest_m in ((-1.0, 12.5), (1.0, 12.0)):
        s = -45.0 + float(rng.uniform(0.0, 8.0))
        while s < road.length_m - 12.0:
            width = float(rng.uniform(9.0, 16.0))
            depth, height = float(rng.uniform(4.5, 6.0)), float(rng.uniform(3.2, 7.0))
            d = side * (nearest_m + depth + float(rng.uniform(0.0, 2.5)))
            solids.append(_house(rng, (0.5 * width, depth, height), road.poses(s, d)))
            s += width + float(rng.uniform(2.0, 9.0))
    for side in (-1.0, 1.0):
        for s in np.arange(-36.0, road.length_m - 8.0, 13.0):
            where = float(s + rng.uniform(-2.0, 2.0))
            solids += _tree(rng, road.poses(where, side * 9.8))
        for s in np.arange(-20.0, road.length_m - 8.0, 28.0):
            solids += _lamp(road.poses(float(s) + 5.0, side * 5.9), side)
    return [*solids, *_traffic_light(road)]


def _house(rng: np.random.Generator, half_m: tuple[float, float, float], pose: Array) -> Solid:
    walls: tuple[Color, ...] = (
        (186, 152, 122), (150, 96, 80), (200, 194, 180), (168, 172, 176), (214, 190, 150),
    )  # fmt: skip
    color = walls[int(rng.integers(len(walls)))]
    return Solid((0, 0, half_m[2]), half_m, color, pattern="house").placed(pose)


def _tree(rng: np.random.Generator, pose: Array) -> list[Solid]:
    crown = float(rng.uniform(1.3, 1.9))
    green = (rng.uniform(50, 80), rng.uniform(95, 125), rng.uniform(45, 60))
    return [
        Solid((0, 0, 1.5), (0.14, 0.14, 1.5), (92, 70, 52)).placed(pose),
        Solid(
            (0, 0, 2.4 + crown), (crown, crown, 1.25 * crown), green, shape="ball", pattern="leaves"
        ).placed(pose),
    ]


def _lamp(pose: Array, side: float) -> list[Solid]:
    grey = (120.0, 124.0, 128.0)
    return [
        Solid((0, 0, 3.0), (0.07, 0.07, 3.0), grey).placed(pose),
        Solid((0, -0.7 * side, 6.0), (0.07, 0.8, 0.05), grey).placed(pose),
    ]


def light_position(road: Road) -> tuple[float, float, float]:
    """Return the centre of the traffic light's housing in `map`."""
    x, y, _ = road.poses(LIGHT_S_M + 1.5, -5.8).tolist()
    return x, y, 3.2


def _traffic_light(road: Road) -> list[Solid]:
    """Return a light right of the road whose green lamp shines; it stays green."""
    pose = road.poses(LIGHT_S_M + 1.5, -5.8)
    lamps = (((70.0, 22.0, 20.0), 3.45), ((80.0, 62.0, 15.0), 3.2), ((40.0, 255.0, 120.0), 2.95))
    return [
        Solid((0, 0, 1.4), (0.06, 0.06, 1.4), (90, 92, 95)).placed(pose),
        Solid((0, 0, 3.2), (0.12, 0.17, 0.42), (28, 30, 30)).placed(pose),
        *(
            Solid((-0.13, 0, z), (0.04, 0.1, 0.1), color, shape="ball").placed(pose)
            for color, z in lamps
        ),
    ]
