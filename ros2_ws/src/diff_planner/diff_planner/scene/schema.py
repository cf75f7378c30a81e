"""Scene, schema v1: one planning moment with its past, its surroundings and its future.

World frame: x, y in metres, yaw in radians counter-clockwise.  Ego poses are of the rear axle,
agent states of the box centre.  Times are seconds after the moment; agents are sampled each 0.1 s.
What a scene does not have is None or empty; `notes` says why, and a metric that needs it is "not
evaluated".
"""

from __future__ import annotations

import enum
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.errors import SceneError

SCHEMA_VERSION = 1
_FRAME_REACH_S = 0.55
_LARGEST = 1e12
"""Beyond all coordinates and clocks; squares of larger numbers would overflow one day."""
AGENT_DT_S = 0.1
"""Spacing of agent states."""
REFERENCE_SHAPE = (8, 3)
PAST_MOTION = ("vx_mps", "vy_mps", "ax_mps2", "ay_mps2", "steer_rad", "yaw_rate_radps")
"""Columns of `Scene.past_motion`; velocities and accelerations along the axes of the ego."""

Array = NDArray[np.float64]


class AgentClass(enum.Enum):
    """What an agent is, as far as metrics tell agents apart."""

    VEHICLE = "vehicle"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    TRAFFIC_CONE = "traffic_cone"
    BARRIER = "barrier"
    SIGN = "sign"
    GENERIC = "generic"

    @property
    def is_static(self) -> bool:
        """True for things that stand by their nature; all others are road users."""
        return self not in (AgentClass.VEHICLE, AgentClass.PEDESTRIAN, AgentClass.BICYCLE)


class PolygonType(enum.Enum):
    """What a polygon of the map is."""

    LANE = "lane"
    LANE_CONNECTOR = "lane_connector"
    ROADBLOCK = "roadblock"
    INTERSECTION = "intersection"
    CAR_PARK = "car_park"
    CROSSWALK = "crosswalk"
    DRIVABLE = "drivable"


def _checked(name: str, values: Array, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another shape or with a value that is not finite."""
    fits = values.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, values.shape, strict=False)
    )
    if not fits:
        wanted = tuple("any" if want is None else want for want in shape)
        raise SceneError(f"{name}: expected shape {wanted}, got {values.shape}")
    is_sensible = np.abs(values) <= _LARGEST  # not so for NaN
    if not is_sensible.all():
        first = np.argwhere(~is_sensible)[0].tolist()
        raise SceneError(
            f"{name}: expected finite numbers up to {_LARGEST:g}, "
            f"got {values[tuple(first)]} at {first}"
        )


def _checked_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SceneError(f"{name}: expected a number, got {value!r}")
    if not abs(float(value)) <= _LARGEST:
        raise SceneError(f"{name}: expected finite numbers up to {_LARGEST:g}, got {value}")


def _checked_name(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise SceneError(f"{name}: expected a name, got {value!r}")


def _checked_ring(name: str, ring: Array) -> None:
    _checked(name, ring, (None, 2))
    if len(ring) < 3:
        raise SceneError(f"{name}: expected a ring of 3 points or more, got {len(ring)}")


def _checked_times(name: str, times_s: Array | None, poses: Array | None) -> None:
    if (times_s is None) != (poses is None):
        raise SceneError(f"{name}: poses and times come together, got only one of them")
    if times_s is None or poses is None:
        return
    _checked(f"{name} poses", poses, (None, 3))
    _checked(f"{name} times", times_s, (len(poses),))
    if len(poses) == 0:
        raise SceneError(f"{name}: expected poses, got none; leave it out")
    if not (np.diff(times_s) > 0.0).all():
        raise SceneError(f"{name} times: expected growing seconds, got {times_s.tolist()}")


@dataclass(frozen=True)
class SceneEgo:
    """The ego's rear axle at the moment: pose in the world, motion along its own axes."""

    x_m: float
    y_m: float
    yaw_rad: float
    vx_mps: float
    vy_mps: float = 0.0
    ax_mps2: float = 0.0
    ay_mps2: float = 0.0
    steer_rad: float = 0.0
    yaw_rate_radps: float = 0.0

    def __post_init__(self) -> None:
        """Check that every number is finite."""
        for name in self.__dataclass_fields__:
            _checked_number(f"ego.{name}", getattr(self, name))

    @property
    def pose(self) -> Array:
        """[3] x, y, yaw."""
        return np.array([self.x_m, self.y_m, self.yaw_rad], dtype=np.float64)


@dataclass(frozen=True)
class Agent:
    """A box that is there, moving or not."""

    id: str
    agent_class: AgentClass
    length_m: float
    width_m: float
    states: Array
    """[T, 5] x, y, yaw, vx, vy (world) of the box centre each 0.1 s from t = 0."""
    valid: NDArray[np.bool_]
    """[T] False where it was not seen; such states are finite and mean nothing."""

    def __post_init__(self) -> None:
        """Check shapes and numbers."""
        _checked_name("agent id", self.id)
        name = f"agent {self.id!r}"
        _checked(f"{name}: states", self.states, (None, 5))
        if len(self.states) == 0:
            raise SceneError(f"{name}: states: expected at least the one at t = 0, got none")
        if self.valid.dtype != np.bool_ or self.valid.shape != (len(self.states),):
            raise SceneError(
                f"{name}: valid: expected {len(self.states)} booleans, "
                f"got {self.valid.dtype} {self.valid.shape}"
            )
        size = (self.length_m, self.width_m)
        for side in size:
            _checked_number(f"{name}: size", side)
        if min(size) <= 0.0:
            raise SceneError(f"{name}: expected a length and a width above 0, got {size}")


@dataclass(frozen=True)
class MapPolygon:
    """An area of the map."""

    type: PolygonType
    id: str
    ring: Array
    """[P, 2] corners in order, world; the last need not repeat the first."""

    def __post_init__(self) -> None:
        """Check the ring."""
        _checked_name("map polygon id", self.id)
        _checked_ring(f"map polygon {self.id!r}", self.ring)


@dataclass(frozen=True)
class RedLight:
    """A stretch of a lane that may not be entered while its light is red."""

    id: str
    ring: Array
    """[P, 2] corners in order, world."""
    t_on_s: float
    t_off_s: float
    """Red from t_on_s to t_off_s, both included."""

    def __post_init__(self) -> None:
        """Check the ring and the times."""
        _checked_name("red light id", self.id)
        _checked_ring(f"red light {self.id!r}", self.ring)
        times = (self.t_on_s, self.t_off_s)
        for time_s in times:
            _checked_number(f"red light {self.id!r}: time", time_s)
        if times[0] > times[1]:
            raise SceneError(f"red light {self.id!r}: expected t_on_s <= t_off_s, got {times}")


@dataclass(frozen=True)
class Scene:
    """One planning moment with its past and its future."""

    token: str
    """Its name, unique within a set of scenes."""
    ego: SceneEgo
    vehicle: VehicleConfig = field(default_factory=VehicleConfig)
    agents: tuple[Agent, ...] = ()
    map_polygons: tuple[MapPolygon, ...] = ()
    route_lane_ids: frozenset[str] = frozenset()
    """Ids of lanes and connectors that the route follows."""
    centerline: Array | None = None
    """[P, 3] x, y, yaw along the route, world."""
    red_lights: tuple[RedLight, ...] = ()
    are_red_lights_known: bool = True
    """False where nobody recorded the lights: then none in `red_lights` does not mean green."""
    past: Array | None = None
    """[Q, 3] x, y, yaw of the rear axle, world, up to and with t = 0."""
    past_times_s: Array | None = None
    """[Q] growing; the last is 0."""
    past_motion: Array | None = None
    """[Q, 6] columns of `PAST_MOTION`."""
    human: Array | None = None
    """[T, 3] x, y, yaw of the rear axle, world, as a human drove on."""
    human_times_s: Array | None = None
    """[T] growing, above 0."""
    reference: Array | None = None
    """[8, 3] x, y, yaw each 0.5 s from 0.5 s, ego frame: what progress is measured against."""
    log: str = ""
    """The recording it is from; moments of one log follow each other by `time_s`."""
    time_s: float = 0.0
    """When in the log."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Why a field is not there or how it was derived, by the field's name."""

    def __post_init__(self) -> None:
        """Check shapes, numbers and names."""
        _checked_name("scene token", self.token)
        try:
            self._check()
        except SceneError as error:
            raise SceneError(f"scene {self.token!r}: {error}") from None

    def _check(self) -> None:
        if self.centerline is not None:
            _checked("centerline", self.centerline, (None, 3))
            if len(self.centerline) < 2:
                raise SceneError("centerline: expected 2 points or more; leave it out")
        if self.reference is not None:
            _checked("reference", self.reference, REFERENCE_SHAPE)
        _checked_times("past", self.past_times_s, self.past)
        _checked_times("human", self.human_times_s, self.human)
        if self.past_times_s is not None and abs(float(self.past_times_s[-1])) > 1e-9:
            raise SceneError(f"past times: expected a last of 0, got {self.past_times_s[-1]}")
        if self.human_times_s is not None and float(self.human_times_s[0]) <= 0.0:
            raise SceneError(f"human times: expected a first above 0, got {self.human_times_s[0]}")
        if self.past_motion is not None:
            rows = 0 if self.past is None else len(self.past)
            _checked("past_motion", self.past_motion, (rows, len(PAST_MOTION)))
        _checked_number("time_s", self.time_s)
        ids = [agent.id for agent in self.agents]
        if len(ids) != len(set(ids)):
            doubled = sorted({name for name in ids if ids.count(name) > 1})
            raise SceneError(f"agents: expected each id once, doubled: {doubled}")

    def follows(self, earlier: Scene) -> bool:
        """Tell whether this is the next frame of the log that `earlier` is of: EC compares them.

        The official scorer takes frames less than 0.55 s apart (planner_facts 3.5, EC).
        """
        is_near = 0.0 < self.time_s - earlier.time_s < _FRAME_REACH_S
        return bool(self.log) and self.log == earlier.log and is_near

    def polygons(self, *types: PolygonType) -> tuple[MapPolygon, ...]:
        """Return the polygons of these types, in the map's order."""
        return tuple(polygon for polygon in self.map_polygons if polygon.type in types)
