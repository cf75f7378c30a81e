"""The node's parameters as values: made from the config models, and made into them again.

Names, types, defaults, ranges and descriptions come from NodeConfig and PlannerConfig, so node,
parameter files and README cannot drift apart.  Nothing here needs ROS.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from diff_planner.config import CameraInputConfig, ConfigModel, InputsConfig, PlannerConfig, parse
from diff_planner.errors import ConfigError
from diff_planner.ros.parameter_kinds import Kind, ParameterSpec, Value

CAMERAS = "inputs.cameras"
CAMERA_NAMES = "inputs.camera_names"
_CHANGEABLE = ("safety.", "selection.", "refine.", "fallback.", "model.seed")
"""What takes effect with the next plan; everything else is settled when the node configures."""
_TOPIC_KEYS = ("topic", "image", "info")
"""Relative by default, so that a namespace moves them; /tf_static is absolute by convention."""
_UNITS = {
    "s": "s",
    "m": "m",
    "mps": "m/s",
    "mps2": "m/s^2",
    "mps3": "m/s^3",
    "rad": "rad",
    "radps": "rad/s",
}
_KINDS: dict[object, Kind] = {bool: "bool", int: "int", float: "double"}
_DEFAULT = PlannerConfig()
QOS_OVERRIDES = "qos_overrides."
_QOS_WORDS = {
    "history": ("keep_last", "keep_all"),
    "reliability": ("reliable", "best_effort"),
    "durability": ("volatile", "transient_local"),
}


class NodeConfig(ConfigModel):
    """What only the node needs to know."""

    autostart: bool = Field(
        True, description="Configure and activate at the start; else a lifecycle manager does."
    )
    shadow: bool = Field(
        False, description="Publish under planning/shadow/ alone, never where control listens."
    )
    lock_step: bool = Field(
        False, description="For tests: time is /clock alone, and each message done is reported."
    )
    enabled: bool = Field(
        True, description="Plans go to control from the start; ~/enable changes it later."
    )


@dataclass(frozen=True)
class Settings:
    """All parameters, as the node uses them.  Topics of the planner's inputs may be relative."""

    node: NodeConfig
    planner: PlannerConfig


def parameter_specs(camera_names: Iterable[str] = ()) -> tuple[ParameterSpec, ...]:
    """Return every parameter of the node, in the order of the config models.

    Args:
        camera_names: cameras that have parameters beside those of the default rig.
    """
    specs = [*_specs_of(NodeConfig, NodeConfig(), ""), *_specs_of(PlannerConfig, _DEFAULT, "")]
    for name in dict.fromkeys(camera_names):
        if name and name not in _DEFAULT.inputs.cameras:
            specs += _camera_specs(name, CameraInputConfig.model_construct(image="", info=""))
    return tuple(specs)


def camera_names_in(values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the cameras that values of parameters name; the default's where they are no names."""
    (spec,) = (spec for spec in parameter_specs() if spec.name == CAMERA_NAMES)
    names, _ = checked_value(spec, values.get(CAMERA_NAMES, spec.default))
    return tuple(name for name in cast("tuple[str, ...]", names) if name)


def is_misspelt(name: str, known: Iterable[str]) -> bool:
    """Tell an unknown parameter that was meant for this node from one that was meant for others.

    Parameter files of whole vehicles give some to every node, below `/**`.
    """
    known = list(known)
    groups = {other.partition(".")[0] for other in known if "." in other}
    if name.partition(".")[0] in groups:
        return True
    return bool(difflib.get_close_matches(name, known, n=1, cutoff=0.8))


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """Return the sentence on a parameter that the node does not have."""
    head, _, rest = name.removeprefix(f"{CAMERAS}.").partition(".")
    if name.startswith(f"{CAMERAS}.") and rest in CameraInputConfig.model_fields:
        return f"unknown parameter {name}: {CAMERA_NAMES} does not name '{head}'"
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"unknown parameter {name}" + (f": did you mean {near[0]}?" if near else "")


def qos_override_spec(name: str) -> ParameterSpec | None:
    """Return what a parameter under QOS_OVERRIDES may be; None where it names no policy of ours."""
    policy = name.rpartition(".")[2]
    if policy == "depth":
        return ParameterSpec(name, "int", 1, "", low=1, high=10_000)
    words = _QOS_WORDS.get(policy)
    return words and ParameterSpec(name, "string", words[0], "", choices=words)


def settings_from(values: Mapping[str, object]) -> Settings:
    """Parse values of parameters as a whole; those that are absent keep their defaults.

    Raises:
        ConfigError: with a sentence for every parameter that is unknown or does not fit.
    """
    specs = {spec.name: spec for spec in parameter_specs(camera_names_in(values))}
    faults = [unknown_parameter(name, specs) for name in values if name not in specs]
    checked = {}
    for name, spec in specs.items():
        value, fault = checked_value(spec, values.get(name, spec.default))
        checked[name] = value
        faults += fault
    if faults:
        raise ConfigError("; ".join(faults))
    return _assembled(checked)


def checked_value(spec: ParameterSpec, value: object) -> tuple[Value, list[str]]:
    """Return the value as its parameter's type, or the default and the sentence on the fault."""
    try:
        return spec.check(value), []
    except ConfigError as error:
        return spec.default, [str(error)]


def values_of(settings: Settings) -> dict[str, Value]:
    """Return the values of all parameters for some settings; settings_from undoes it."""
    planner = settings.planner.model_dump()
    planner["inputs"]["camera_names"] = tuple(planner["inputs"]["cameras"])
    tree = {**settings.node.model_dump(), **planner}
    specs = parameter_specs(settings.planner.inputs.cameras)
    return {spec.name: _value_at(tree, spec) for spec in specs}


def _specs_of(
    model: type[BaseModel], default: BaseModel, prefix: str, said: str = "", is_unused: bool = False
) -> Iterator[ParameterSpec]:
    """Walk a config model.

    Args:
        model: the class.
        default: the values to walk along.
        prefix: the name of the group with a dot at its end.
        said: what the group's own description says.
        is_unused: whether None may stand for the whole group: an empty topic says so.
    """
    for key, field in model.model_fields.items():
        name, value = prefix + key, getattr(default, key)
        text = f"{said} {field.description or ''}".strip()
        group = _model_of(field)
        if name == CAMERAS:
            text = f'Names of the cameras in {CAMERAS}. {text} [""] for none.'
            yield ParameterSpec(CAMERA_NAMES, "string array", tuple(value), text)
            for camera, its_default in value.items():
                yield from _camera_specs(camera, its_default)
        elif group is not None:
            yield from _specs_of(group, value, f"{name}.", text, _takes_none(field))
        else:
            yield _spec(name, field, value, text, is_unused and key in _TOPIC_KEYS)


def _camera_specs(name: str, default: CameraInputConfig) -> Iterator[ParameterSpec]:
    return _specs_of(CameraInputConfig, default, f"{CAMERAS}.{name}.", f"Camera {name}.")


def _spec(
    name: str, field: FieldInfo, value: Value | None, text: str, is_unused: bool
) -> ParameterSpec:
    key = name.rpartition(".")[2]
    kind = _KINDS.get(field.annotation, "string")
    unit = _UNITS.get(key.rpartition("_")[2]) if kind == "double" else None
    default = "" if value is None else value
    if isinstance(default, str) and key in _TOPIC_KEYS:
        default = default.removeprefix("/")
    low, is_low_open = _limit(field, kind, "ge", "gt", 1)
    high, is_high_open = _limit(field, kind, "le", "lt", -1)
    return ParameterSpec(
        name=name,
        kind=kind,
        default=default,
        description=text + (f" Unit: {unit}." if unit else "") + " Empty: not used." * is_unused,
        low=low,
        high=high,
        is_low_open=is_low_open,
        is_high_open=is_high_open,
        choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else (),
        may_be_empty=is_unused or _takes_none(field),
        is_read_only=not name.startswith(_CHANGEABLE),
    )


def _limit(
    field: FieldInfo, kind: Kind, closed: str, opened: str, step: int
) -> tuple[float | None, bool]:
    """Return a limit among a field's constraints, and whether it is itself not allowed."""
    limits = {
        key: getattr(item, key)
        for item in field.metadata
        for key in (closed, opened)
        if getattr(item, key, None) is not None
    }
    if opened not in limits:
        return limits.get(closed), False
    if kind == "int":  # closed, as the ranges of ROS are
        return limits[opened] + step, False
    return limits[opened], True


def _takes_none(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the config class of a field of `X` or `X | None`, or None for a plain value."""
    classes = [a for a in (field.annotation, *get_args(field.annotation)) if isinstance(a, type)]
    return next((a for a in classes if issubclass(a, BaseModel)), None)


def _assembled(values: Mapping[str, Value]) -> Settings:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, key = name.split(".")
        level = tree
        for group in groups:
            level = level.setdefault(group, {})
        level[key] = value
    node = {key: tree.pop(key) for key in NodeConfig.model_fields}
    inputs = tree["inputs"]
    cameras = inputs.get("cameras", {})
    inputs["cameras"] = {name: cameras[name] for name in inputs.pop("camera_names") if name}
    _put_none(PlannerConfig, tree)
    _put_none(InputsConfig, inputs)
    return Settings(parse(NodeConfig, node, "parameters"), parse(PlannerConfig, tree, "parameters"))


def _put_none(model: type[BaseModel], values: dict[str, Any]) -> None:
    """Make None again of the empty strings that stand for it: a field's own, or its topic."""
    for key, field in model.model_fields.items():
        value = values[key]
        word = value.get("topic") if isinstance(value, dict) else value
        if _takes_none(field) and word == "":
            values[key] = None


def _value_at(tree: Mapping[str, Any], spec: ParameterSpec) -> Value:
    value: Any = tree
    for part in spec.name.split("."):
        if value is None:  # a group that is not used
            return "" if spec.may_be_empty else spec.default
        if part not in value:  # a camera of the default rig that this one lacks
            return spec.default
        value = value[part]
    return "" if value is None else cast("Value", value)
