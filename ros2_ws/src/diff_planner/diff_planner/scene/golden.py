"""Reads the JSON in which scenes were given to the official scorers: golden scenes with candidates.

Layout (planner_facts.md, section 7): a list of scenes with `name`, `ego` {x, y, h, vx, ax, steer
[, vy, ay, yaw_rate]}, `map`, `route_lane_ids`, `centerline`, `agents`, `past`, `red_lights`, `ref`,
`cands` and `dump_full`.  World frame; the ego is the rear axle, agents are box centres at 0.1 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import SceneError
from diff_planner.scene.io import require_unique_tokens
from diff_planner.scene.schema import (
    AGENT_DT_S,
    PAST_MOTION,
    Agent,
    AgentClass,
    MapPolygon,
    PolygonType,
    RedLight,
    Scene,
    SceneEgo,
)

T = TypeVar("T")
_CLASSES = {
    "VEHICLE": AgentClass.VEHICLE,
    "PEDESTRIAN": AgentClass.PEDESTRIAN,
    "BICYCLE": AgentClass.BICYCLE,
    "TRAFFIC_CONE": AgentClass.TRAFFIC_CONE,
    "BARRIER": AgentClass.BARRIER,
    "CZONE_SIGN": AgentClass.SIGN,
    "GENERIC_OBJECT": AgentClass.GENERIC,
}
_POLYGONS = {
    "LANE": PolygonType.LANE,
    "LANE_CONNECTOR": PolygonType.LANE_CONNECTOR,
    "ROADBLOCK": PolygonType.ROADBLOCK,
    "INTERSECTION": PolygonType.INTERSECTION,
    "CARPARK_AREA": PolygonType.CAR_PARK,
    "DRIVABLE_AREA": PolygonType.DRIVABLE,
    "CROSSWALK": PolygonType.CROSSWALK,
}
_EGO_KEYS = {
    "vx_mps": "vx",
    "vy_mps": "vy",
    "ax_mps2": "ax",
    "ay_mps2": "ay",
    "steer_rad": "steer",
    "yaw_rate_radps": "yaw_rate",
}
"""Our names of the motion; what the JSON leaves out was 0 when the goldens were made."""


@dataclass(frozen=True)
class GoldenCase:
    """A scene and what was scored on it."""

    scene: Scene
    candidates: NDArray[np.float64]
    """[K, 8, 3] x, y, yaw each 0.5 s, ego frame."""
    dump_full: frozenset[int]
    """Candidates whose proposal and simulated states belong in the results."""


def is_golden(document: object) -> bool:
    """Tell whether a parsed JSON file is of this layout."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and {"name", "ego", "cands"} <= first.keys()


def cases_from_document(path: Path, document: object) -> tuple[GoldenCase, ...]:
    """Return the cases of a parsed golden JSON file.

    Raises:
        SceneError: a key is missing, a type is unknown, a table has another shape, or a name came
            twice.
    """
    if not isinstance(document, list) or not document:
        raise SceneError(f"{path}: expected a list of golden scenes, got none")
    cases = []
    for index, values in enumerate(document):
        name = values.get("name", index) if isinstance(values, dict) else index
        try:
            cases.append(_case(values))
        except KeyError as error:
            raise SceneError(f"{path}: scene {name!r}: key {error} is missing") from None
        except TypeError as error:
            raise SceneError(
                f"{path}: scene {name!r}: a field has another layout than golden scenes ({error})"
            ) from None
        except (SceneError, ValueError) as error:
            raise SceneError(f"{path}: scene {name!r}: {error}") from None
    require_unique_tokens(path, [case.scene for case in cases])
    return tuple(cases)


def _case(values: Mapping[str, Any]) -> GoldenCase:
    candidates = np.asarray(values["cands"], dtype=np.float64)
    if candidates.ndim != 3 or candidates.shape[1:] != (8, 3) or not len(candidates):
        raise SceneError(f"cands: expected shape [K, 8, 3], got {candidates.shape}")
    if not np.isfinite(candidates).all():
        raise SceneError("cands: expected finite numbers")
    dump_full = frozenset(int(index) for index in values.get("dump_full", []))
    if not dump_full <= set(range(len(candidates))):
        raise SceneError(f"dump_full: expected indices below {len(candidates)}, got {dump_full}")
    return GoldenCase(_scene(values), candidates, dump_full)


def _scene(values: Mapping[str, Any]) -> Scene:
    ego = values["ego"]
    past = values.get("past") or []
    return Scene(
        token=values["name"],
        ego=SceneEgo(
            x_m=float(ego["x"]), y_m=float(ego["y"]), yaw_rad=float(ego["h"]), **_motion(ego)
        ),
        agents=tuple(_agent(agent) for agent in values["agents"]),
        map_polygons=tuple(
            MapPolygon(
                _known(_POLYGONS, polygon["type"], "map type"),
                polygon["token"],
                _floats(polygon["polygon"]),
            )
            for polygon in values["map"]
        ),
        route_lane_ids=frozenset(values["route_lane_ids"]),
        centerline=_floats(values["centerline"]) if values.get("centerline") else None,
        red_lights=tuple(
            RedLight(
                light["token"],
                _floats(light["polygon"]),
                float(light["t_on"]) * AGENT_DT_S,
                float(light["t_off"]) * AGENT_DT_S,
            )
            for light in values.get("red_lights", [])
        ),
        past=_floats([[p["x"], p["y"], p["h"]] for p in past]) if past else None,
        past_times_s=_floats([p["t"] for p in past]) if past else None,
        past_motion=(
            _floats([[_motion(p)[name] for name in PAST_MOTION] for p in past]) if past else None
        ),
        reference=_floats(values["ref"]) if values.get("ref") else None,
        log=values["name"],
        notes={"human": "golden scenes have no logged future"},
    )


def _motion(values: Mapping[str, Any]) -> dict[str, float]:
    return {ours: float(values.get(theirs, 0.0)) for ours, theirs in _EGO_KEYS.items()}


def _agent(values: Mapping[str, Any]) -> Agent:
    rows = values["states"]
    seen = np.array([row is not None for row in rows], dtype=np.bool_)
    states = _floats([[0.0] * 5 if row is None else row for row in rows])
    return Agent(
        id=values["token"],
        agent_class=_known(_CLASSES, values["type"], "agent type"),
        length_m=float(values["length"]),
        width_m=float(values["width"]),
        states=states,
        valid=seen,
    )


def _known(table: Mapping[str, T], name: str, what: str) -> T:
    if name not in table:
        raise SceneError(f"{what}: expected one of {sorted(table)}, got {name!r}")
    return table[name]


def _floats(values: object) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
