"""Cuts recorded traffic (npz: agent_state, map_xy, ...) into scenes, one each 0.5 s.

A recording gives poses and boxes at 0.1 s; the ego's speed, acceleration and yaw rate are fitted to
its poses, because the recorded velocities are differences of jittering poses.  The maps hold lanes
only: nothing says where one may drive, and lanes have no ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.errors import SceneError
from diff_planner.geometry import wrap_angle
from diff_planner.scene.lane_graph import LaneGraph
from diff_planner.scene.schema import (
    AGENT_DT_S,
    Agent,
    AgentClass,
    MapPolygon,
    PolygonType,
    Scene,
    SceneEgo,
)

Array = NDArray[np.float64]
PAST_STEPS = 15
FUTURE_STEPS = 50
"""A v1 score looks at agents until 4.9 s."""
SCENE_STEPS = 5
RADIUS_M = 100.0
"""Agents and map within this distance of the ego; as the official scorers cut their maps."""
_AHEAD_M = 60.0
"""The centreline goes on beyond the human's path: faster plans need it too."""
_ROUTE_PAST_STEPS = 20
_ROUTE_FUTURE_STEPS = 80
_FIT_STEPS = 5
"""Half width of the motion fit: a cubic over 1.1 s."""
_KEYS = {
    "dt_s",
    "agent_state",
    "agent_valid",
    "agent_type",
    "agent_id",
    "ego_index",
    "map_xy",
    "map_offset",
    "map_type",
    "map_kind",
}
_CLASSES = {
    "VEHICLE": AgentClass.VEHICLE,
    "PEDESTRIAN": AgentClass.PEDESTRIAN,
    "CYCLIST": AgentClass.BICYCLE,
    "TRAFFIC_CONE": AgentClass.TRAFFIC_CONE,
    "TRAFFIC_BARRIER": AgentClass.BARRIER,
}
_NOTES = {
    "drivable": "the recorded map holds lanes only, not all drivable area",
    "route_lane_ids": "the recorded map's lanes have no route",
    "red_lights": "traffic lights were not recorded",
    "ego": "speed, acceleration, yaw rate and steering are fitted to recorded poses",
}


@dataclass(frozen=True)
class _Rig:
    """The car that recorded: told by the size of its box."""

    vehicle: VehicleConfig
    is_ego_center: bool
    """The recorded ego position is the box centre, not the rear axle."""


_RIGS = (
    # nuScenes (Caesar et al., CVPR 2020): Renault Zoe; poses are of the rear axle.  Wheelbase and
    # rear overhang (0.66 m) are the maker's.
    _Rig(
        VehicleConfig(
            name="zoe",
            length_m=4.08,
            width_m=1.73,
            height_m=1.56,
            wheelbase_m=2.588,
            rear_axle_to_center_m=1.38,
        ),
        is_ego_center=False,
    ),
    # Waymo Open Motion: Chrysler Pacifica with sensors; its box centre stands 1.461 m before the
    # rear axle like that of nuPlan's Pacifica.
    _Rig(
        VehicleConfig(
            name="pacifica_waymo",
            length_m=5.286,
            width_m=2.332,
            height_m=2.33,
            wheelbase_m=3.089,
            rear_axle_to_center_m=1.461,
        ),
        is_ego_center=True,
    ),
)


def is_recorded(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether an opened npz is a recording."""
    return "agent_state" in arrays


def scenes_from_recording(path: Path, arrays: Mapping[str, NDArray[Any]]) -> tuple[Scene, ...]:
    """Cut a recording into scenes with 1.5 s of past and 5 s of future.

    Raises:
        SceneError: an array is missing or of the wrong shape, the car or a class is unknown, or
            the recording is too short for one scene.
    """
    try:
        recording = _Recording(path.stem, arrays)
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None
    first, last = PAST_STEPS, len(recording.ego) - 1 - FUTURE_STEPS
    if last < first:
        raise SceneError(
            f"{path}: expected at least {(PAST_STEPS + FUTURE_STEPS + 1) * AGENT_DT_S:.1f} s of "
            f"ego poses, got {len(recording.ego) * AGENT_DT_S:.1f} s"
        )
    return tuple(recording.scene(step) for step in range(first, last + 1, SCENE_STEPS))


class _Recording:
    """The arrays of one recording, checked, with the ego's motion."""

    def __init__(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.name = name
        missing = sorted(_KEYS - arrays.keys())
        if missing:
            raise SceneError(f"recording: expected arrays {missing}, they are missing")
        if abs(float(arrays["dt_s"]) - AGENT_DT_S) > 1e-3:
            raise SceneError(f"dt_s: expected {AGENT_DT_S}, got {float(arrays['dt_s'])}")
        self.state = arrays["agent_state"].astype(np.float64)
        self.valid = arrays["agent_valid"].astype(np.bool_)
        if self.state.ndim != 3 or self.state.shape[2] != 8:
            raise SceneError(f"agent_state: expected shape [N, T, 8], got {self.state.shape}")
        if self.valid.shape != self.state.shape[:2]:
            raise SceneError(
                f"agent_valid: expected shape {self.state.shape[:2]}, got {self.valid.shape}"
            )
        if not np.isfinite(self.state[self.valid]).all():
            raise SceneError("agent_state: expected finite numbers where valid")
        self.ego_index = int(arrays["ego_index"])
        if not self.valid[self.ego_index].all():
            raise SceneError("agent_valid: expected the ego to be seen throughout")
        self.ids = [str(i) for i in arrays["agent_id"]]
        self.classes = [_agent_class(str(t)) for t in arrays["agent_type"]]
        rig = _rig(self.state[self.ego_index, 0, 5:7])
        self.vehicle = rig.vehicle
        self.ego = self.state[self.ego_index, :, :3].copy()
        self.ego[:, 2] = np.unwrap(self.ego[:, 2])
        if rig.is_ego_center:
            back = np.stack([np.cos(self.ego[:, 2]), np.sin(self.ego[:, 2])], axis=-1)
            self.ego[:, :2] -= rig.vehicle.rear_axle_to_center_m * back
        self.motion = fitted_motion(self.ego, rig.vehicle.wheelbase_m)
        self._read_map(arrays)

    def _read_map(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        offset, xy = arrays["map_offset"], arrays["map_xy"].astype(np.float64)
        kinds, types = arrays["map_kind"].tolist(), arrays["map_type"].tolist()
        if len(offset) != len(kinds) + 1 or len(types) != len(kinds) or offset[-1] != len(xy):
            raise SceneError("map_offset: expected an offset per feature and the end")
        shapes = [xy[start:end] for start, end in pairwise(offset)]
        features = list(zip(kinds, types, shapes, strict=True))
        self.graph = LaneGraph(
            [s for kind, name, s in features if kind == "polyline" and name.startswith("LANE")]
        )
        self.polygons = [
            MapPolygon(
                PolygonType.LANE if name.startswith("LANE") else PolygonType.CROSSWALK,
                f"{name.lower()}_{index}",
                shape,
            )
            for index, (kind, name, shape) in enumerate(features)
            if kind == "polygon" and len(shape) >= 3 and name.startswith(("LANE", "CROSSWALK"))
        ]

    def scene(self, step: int) -> Scene:
        """Return the scene at a time step."""
        pose, motion = self.ego[step], self.motion[step]
        past = slice(step - PAST_STEPS, step + 1)
        future = self.ego[step + 1 : step + 1 + FUTURE_STEPS]
        path = self.ego[max(step - _ROUTE_PAST_STEPS, 0) : step + 1 + _ROUTE_FUTURE_STEPS]
        route = self.graph.centerline(path, _AHEAD_M)
        notes = dict(_NOTES)
        if isinstance(route, str):
            notes["centerline"] = route
        else:
            notes["centerline"] = "from the mapped lanes along the human's own way"
        return Scene(
            token=f"{self.name}_{step * AGENT_DT_S:05.1f}s",
            ego=SceneEgo(*(float(v) for v in (*pose[:2], wrap_angle(pose[2]), *motion))),
            vehicle=self.vehicle,
            agents=self._agents(step),
            map_polygons=tuple(p for p in self.polygons if _is_near(p.ring, pose)),
            are_red_lights_known=False,
            centerline=None if isinstance(route, str) else route,
            past=_wrapped(self.ego[past]),
            past_times_s=np.arange(-PAST_STEPS, 1) / 10.0,
            past_motion=self.motion[past].copy(),
            human=_wrapped(future),
            human_times_s=np.arange(1, FUTURE_STEPS + 1) / 10.0,
            log=self.name,
            time_s=step * AGENT_DT_S,
            notes=notes,
        )

    def _agents(self, step: int) -> tuple[Agent, ...]:
        window = slice(step, step + FUTURE_STEPS + 1)
        agents = []
        for index, name in enumerate(self.ids):
            seen = self.valid[index, window]
            if index == self.ego_index or not seen.any():
                continue
            rows = np.where(seen[:, None], self.state[index, window], 0.0)
            if not _is_near(rows[seen, :2], self.ego[step]):
                continue
            length_m, width_m = rows[seen][0, 5:7]
            agents.append(
                Agent(
                    id=name,
                    agent_class=self.classes[index],
                    length_m=float(length_m),
                    width_m=float(width_m),
                    states=rows[:, :5].copy(),
                    valid=seen.copy(),
                )
            )
        return tuple(agents)


def fitted_motion(poses: Array, wheelbase_m: float) -> Array:
    """Return the motion [T, 6] (`PAST_MOTION`) of rear axle poses [T, 3] at 0.1 s, yaw unwrapped.

    A cubic in time is fitted to x, y and yaw over 1.1 s around each pose (at the ends, over the
    nearest 1.1 s).  The steering angle is that of a bicycle at the fitted yaw rate, 0 below 0.5
    m/s, where it cannot be told.
    """
    count, width = len(poses), 2 * _FIT_STEPS + 1
    motion = np.zeros((count, 6))
    for i in range(count):
        start = min(max(i - _FIT_STEPS, 0), max(count - width, 0))
        window = poses[start : start + width]
        times = (np.arange(len(window)) + start - i) * AGENT_DT_S
        powers = np.vander(times, min(4, len(window)), increasing=True)
        fit = np.linalg.lstsq(powers, window - poses[i], rcond=None)[0]
        velocity, yaw_rate = fit[1, :2], fit[1, 2]
        acceleration = 2.0 * fit[2, :2] if len(fit) > 2 else np.zeros(2)
        cos, sin = np.cos(poses[i, 2]), np.sin(poses[i, 2])
        to_ego = np.array([[cos, sin], [-sin, cos]])
        vx, vy = to_ego @ velocity
        ax, ay = to_ego @ acceleration
        steer = np.arctan(wheelbase_m * yaw_rate / vx) if vx > 0.5 else 0.0
        motion[i] = vx, vy, ax, ay, steer, yaw_rate
    return motion


def _rig(size_m: Array) -> _Rig:
    for rig in _RIGS:
        known = (rig.vehicle.length_m, rig.vehicle.width_m)
        if np.allclose(size_m, known, atol=0.01):
            return rig
    known_cars = [(r.vehicle.name, r.vehicle.length_m, r.vehicle.width_m) for r in _RIGS]
    raise SceneError(
        f"ego: expected a box of one of {known_cars}, got {np.round(size_m, 3).tolist()} m; "
        "where its position lies on the car is not known"
    )


def _agent_class(name: str) -> AgentClass:
    if name not in _CLASSES:
        raise SceneError(f"agent_type: expected one of {sorted(_CLASSES)}, got {name!r}")
    return _CLASSES[name]


def _is_near(points: Array, pose: Array) -> bool:
    away = np.maximum(points.min(axis=0) - pose[:2], pose[:2] - points.max(axis=0))
    return bool(np.hypot(*np.maximum(away, 0.0)) <= RADIUS_M)


def _wrapped(poses: Array) -> Array:
    return np.column_stack([poses[:, :2], wrap_angle(poses[:, 2])])
