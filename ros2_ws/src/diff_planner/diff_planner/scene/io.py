"""Scenes of schema v1 in a file: JSON, or npz with the same fields; a file holds a list of them.

The npz holds one array per array field, named by its way (`0/agents/3/states`), and `document`, the
same JSON with {"array": name} in those places.  Numbers come back as they were written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from diff_planner.config import VehicleConfig
from diff_planner.errors import SceneError
from diff_planner.files import whole_file
from diff_planner.scene.schema import (
    SCHEMA_VERSION,
    Agent,
    AgentClass,
    MapPolygon,
    PolygonType,
    RedLight,
    Scene,
    SceneEgo,
)

SCHEMA = "diff_planner.scenes"
_ARRAYS = {
    Agent: ("states",),
    MapPolygon: ("ring",),
    RedLight: ("ring",),
    Scene: (
        "centerline",
        "past",
        "past_times_s",
        "past_motion",
        "human",
        "human_times_s",
        "reference",
    ),
}
"""The float fields of each type that hold arrays."""
_NAMES = {(Agent, "agent_class"): "class", (RedLight, "ring"): "polygon"}
"""Fields that are named otherwise in a file."""
T = TypeVar("T")


def save_scenes(path: Path, scenes: Iterable[Scene]) -> None:
    """Write scenes as JSON, or as npz where the name ends so; the file appears whole or not at all.

    Raises:
        SceneError: there are no scenes, two have one token, or the ending is unknown.
        OutputError: the folder or the disk refuses.
    """
    found = list(scenes)
    if not found:
        raise SceneError(f"{path}: expected at least one scene to write, got none")
    require_unique_tokens(path, found)
    if path.suffix not in (".json", ".npz"):
        raise SceneError(f"{path}: expected a name that ends in .json or .npz")
    document = {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "scenes": [_plain(scene) for scene in found],
    }
    with whole_file(path) as partial:
        if path.suffix == ".json":
            text = json.dumps(_map_arrays(document, lambda _, a: a.tolist()), allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
            return
        arrays: dict[str, NDArray[Any]] = {}

        def store(way: str, array: NDArray[Any]) -> dict[str, str]:
            name = way.removeprefix("scenes/")
            arrays[name] = array
            return {"array": name}

        arrays["document"] = np.array(json.dumps(_map_arrays(document, store), allow_nan=False))
        with partial.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)


def scenes_from_document(path: Path, document: object) -> tuple[Scene, ...]:
    """Return the scenes of a parsed JSON file.

    Raises:
        SceneError: another schema or version, a wrong field, or no scenes.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        got = repr(document.get("schema")) if isinstance(document, dict) else _brief(document)
        raise SceneError(f"{path}: expected schema {SCHEMA}, got {got}")
    if document.get("version") != SCHEMA_VERSION:
        raise SceneError(
            f"{path}: this program reads version {SCHEMA_VERSION} of {SCHEMA}, "
            f"the file has {document.get('version')!r}; use the program that wrote it"
        )
    scenes = document.get("scenes")
    if not isinstance(scenes, list) or not scenes:
        raise SceneError(f"{path}: expected a list of scenes, got {_brief(scenes)}")
    try:
        found = [_scene(values) for values in scenes]
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None
    require_unique_tokens(path, found)
    return tuple(found)


def scenes_from_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> tuple[Scene, ...]:
    """Return the scenes of an opened npz file.

    Raises:
        SceneError: as `scenes_from_document`; an array that the document names is missing.
    """
    try:
        document = read_json_text(path, str(arrays["document"]))
        return scenes_from_document(path, _fill_arrays(document, arrays))
    except KeyError as error:
        raise SceneError(f"{path}: an array is missing: {error}") from None


def read_json_text(path: Path, text: str) -> object:
    """Parse JSON; NaN and infinity, which JSON does not have, are refused.

    Raises:
        SceneError: not JSON, or a number that is not finite.
    """

    def refuse(name: str) -> float:
        raise SceneError(f"{path}: expected finite numbers, got {name}")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise SceneError(f"{path}: not JSON ({error})") from None


def require_unique_tokens(path: Path, scenes: Iterable[Scene]) -> None:
    """Refuse two scenes of one token.

    Raises:
        SceneError: a token came twice.
    """
    seen: set[str] = set()
    for scene in scenes:
        if scene.token in seen:
            raise SceneError(f"{path}: scene {scene.token!r} came twice")
        seen.add(scene.token)


def _plain(value: object) -> object:
    """Return nested dicts and lists with numpy arrays at their leaves."""
    if isinstance(value, VehicleConfig):
        return value.model_dump()
    if isinstance(value, AgentClass | PolygonType):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Agent | MapPolygon | RedLight | Scene | SceneEgo):
        kind = type(value)
        return {
            _NAMES.get((kind, field.name), field.name): _plain(getattr(value, field.name))
            for field in fields(value)
        }
    return value


def _map_arrays(
    value: object, change: Callable[[str, NDArray[Any]], object], way: str = ""
) -> object:
    """Return `value` with each array changed; `way` is where it lies."""
    if isinstance(value, dict):
        return {k: _map_arrays(v, change, f"{way}/{k}" if way else k) for k, v in value.items()}
    if isinstance(value, list):
        return [_map_arrays(v, change, f"{way}/{i}") for i, v in enumerate(value)]
    return change(way, value) if isinstance(value, np.ndarray) else value


def _fill_arrays(value: object, arrays: Mapping[str, NDArray[Any]]) -> object:
    """Put the arrays back where the document names them."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {k: _fill_arrays(v, arrays) for k, v in value.items()}
    return [_fill_arrays(v, arrays) for v in value] if isinstance(value, list) else value


def _scene(values: object) -> Scene:
    name = f"scene {values.get('token')!r}" if isinstance(values, dict) else "scene"
    row = _row(Scene, values, name)
    if "ego" in row:
        row["ego"] = _made(SceneEgo, _row(SceneEgo, row["ego"], f"{name}: ego"), name)
    if "vehicle" in row:
        try:
            row["vehicle"] = VehicleConfig.model_validate(row["vehicle"])
        except ValidationError as error:
            first = error.errors()[0]
            raise SceneError(f"{name}: vehicle.{first['loc'][0]}: {first['msg']}") from None
    row["agents"] = tuple(_agent(v, name) for v in _list(row, "agents", name))
    row["map_polygons"] = tuple(_polygon(v, name) for v in _list(row, "map_polygons", name))
    row["red_lights"] = tuple(
        _made(RedLight, _row(RedLight, v, f"{name}: red light"), name)
        for v in _list(row, "red_lights", name)
    )
    if not isinstance(row.get("are_red_lights_known", True), bool):
        raise SceneError(f"{name}: are_red_lights_known: expected true or false")
    row["route_lane_ids"] = frozenset(_list(row, "route_lane_ids", name))
    return _made(Scene, row, name)


def _list(row: dict[str, Any], key: str, name: str) -> list[Any]:
    values = row.get(key, [])
    if not isinstance(values, list):
        raise SceneError(f"{name}: {key}: expected a list, got {_brief(values)}")
    return values


def _agent(values: object, scene: str) -> Agent:
    row = _row(Agent, values, f"{scene}: agent")
    row["agent_class"] = _member(AgentClass, row.get("agent_class"), f"{scene}: agent class")
    valid = np.asarray(row.get("valid"))
    # An unsure truth value ("yes", 2) would become True without a word.
    if valid.dtype != np.bool_:
        raise SceneError(f"{scene}: agent {row.get('id')!r}: valid: expected booleans")
    return _made(Agent, row | {"valid": valid}, scene)


def _polygon(values: object, scene: str) -> MapPolygon:
    row = _row(MapPolygon, values, f"{scene}: map polygon")
    row["type"] = _member(PolygonType, row.get("type"), f"{scene}: map polygon type")
    return _made(MapPolygon, row, scene)


def _row(kind: type, values: object, name: str) -> dict[str, Any]:
    """Return the fields of a dict under their own names, arrays as float64."""
    if not isinstance(values, dict):
        raise SceneError(f"{name}: expected an object, got {_brief(values)}")
    known = {_NAMES.get((kind, f.name), f.name): f.name for f in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SceneError(f"{name}: unknown fields {unknown}; known are {sorted(known)}")
    row = {known[key]: value for key, value in values.items()}
    for key in _ARRAYS.get(kind, ()):
        if row.get(key) is not None:
            row[key] = _array(row[key], f"{name}: {key}")
    return row


def _array(values: object, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SceneError(f"{name}: expected a table of numbers ({error})") from None


def _made(kind: type[T], row: dict[str, Any], name: str) -> T:
    needed = [
        _NAMES.get((kind, f.name), f.name)
        for f in fields(kind)  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in row
    ]
    if needed:
        raise SceneError(f"{name}: missing fields {needed}")
    try:
        return kind(**row)
    except TypeError as error:
        raise SceneError(f"{name}: {kind.__name__}: {error}") from None


def _member(kind: type[T], value: object, name: str) -> T:
    try:
        return kind(value)  # type: ignore[call-arg]
    except ValueError:
        known = [member.value for member in kind]  # type: ignore[attr-defined]
        raise SceneError(f"{name}: expected one of {known}, got {value!r}") from None


def _brief(value: object) -> str:
    return f"an empty {type(value).__name__}" if value in ([], {}, "") else type(value).__name__
