"""What the launch files compute: parameters from YAML files, and which topics a player sends where.

`ros2` runs under the system's Python even where the node runs in a virtual environment, so this
file imports nothing that apt does not bring: no rclpy, pydantic or rosbags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from diff_planner.errors import ConfigError

OUTPUTS = ("trajectory", "candidates", "status", "timing", "path", "markers")
"""What the node publishes under planning/ or, in shadow mode, under planning/shadow/."""
REFERENCE_TOPIC = "planning/reference_trajectory"
"""Where a replay shows the trajectory that was recorded."""
_TOPIC_KEYS = ("topic", "image", "info")
_STREAMS = tuple(f"inputs.{name}" for name in ("lidar", "acceleration", "nav_command", "route"))
"""What a configuration may switch off with null."""
_ABSOLUTE = ("/tf", "/tf_static", "/clock", "/diagnostics", "/rosout", "/parameter_events")
"""By convention the same in every namespace."""
_NOT_REPLAYED = ("/clock", "/diagnostics", "/rosout", "/parameter_events")
"""Said by the recorded processes about themselves; those of the replay say their own."""


def full_name(namespace: str, topic: str) -> str:
    """Return a topic under a namespace: ("", "a/b") gives "/a/b", ("/car/", "a/b") "/car/a/b"."""
    return "/".join(["", *(part for part in f"{namespace}/{topic}".split("/") if part)])


def output_topics(namespace: str, *, shadow: bool) -> list[str]:
    """Return the full names of everything that the node publishes, diagnostics included."""
    home = "planning/shadow" if shadow else "planning"
    return [*(full_name(namespace, f"{home}/{name}") for name in OUTPUTS), "/diagnostics"]


def player_arguments(topics: Iterable[str], namespace: str) -> list[str]:
    """Return what `ros2 bag play` must be told so that a bag does not speak for the node.

    Plans of a planner that ran while recording are left out, but for the trajectory, which becomes
    `REFERENCE_TOPIC`.  All else moves into the namespace unless it is there already.

    Args:
        topics: of the bag, full names.
        namespace: of the planner; "" for none.
    """
    own = {full_name(home, name) for home in ("", namespace) for name in _planning_names()}
    trajectories = {full_name(home, "planning/trajectory") for home in ("", namespace)}
    inside = full_name(namespace, "") + "/"
    remaps, excluded = [], []
    for topic in sorted(topics):
        if topic in trajectories:
            remaps.append(f"{topic}:={full_name(namespace, REFERENCE_TOPIC)}")
        elif topic in own or topic in _NOT_REPLAYED:
            excluded.append(topic)
        elif namespace.strip("/") and topic not in _ABSOLUTE and not topic.startswith(inside):
            remaps.append(f"{topic}:={full_name(namespace, topic)}")
    options = ["--remap", *remaps] if remaps else []
    return [*options, "--exclude-topics", *excluded] if excluded else options


def _planning_names() -> list[str]:
    homes = ("planning", "planning/shadow")
    return [REFERENCE_TOPIC, *(f"{home}/{name}" for home in homes for name in OUTPUTS)]


def view_remappings(view: str | Path, *, shadow: bool) -> list[tuple[str, str]]:
    """Return what moves the topics of an RViz file, which stand at the root, into RViz's namespace.

    Args:
        view: the file.
        shadow: whether to show what a node in shadow mode publishes.
    """
    text = Path(view).read_text(encoding="utf-8")
    topics = sorted(set(re.findall(r"^ +Value: (/\S+)$", text, re.MULTILINE)) - set(_ABSOLUTE))
    home = "/planning/shadow/" if shadow else "/planning/"
    return [(topic, topic.replace("/planning/", home, 1).removeprefix("/")) for topic in topics]


def is_true(name: str, text: str) -> bool:
    """Read an argument as launch's own conditions do: true, false, 1 or 0 in any case.

    Raises:
        ConfigError: it is something else.
    """
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise ConfigError(f"argument {name}: expected true or false, got {text!r}")
    return words[text.lower()]


def parameters_from(path: str | Path) -> str | dict[str, Any]:
    """Return what launch_ros takes as parameters: the path of a ROS file, else flat values.

    Args:
        path: a ROS parameter file (node names over `ros__parameters`), or a planner
            configuration as `diff-planner doctor --config-out` writes it.  The topics of the latter
            become relative, so that a namespace moves them.

    Raises:
        ConfigError: not readable, or not a mapping.
    """
    values = _mapping(Path(path))
    if any(_is_ros(value) for value in values.values()):
        return str(path)
    if isinstance(values.get("vehicle"), str):
        values = {**values, "vehicle": _mapping(Path(path).parent / values["vehicle"])}
    return _flat(values, "")


def vehicle_parameters(path: str | Path) -> dict[str, Any]:
    """Return the parameters `vehicle.*` from a vehicle's YAML file.

    Raises:
        ConfigError: not readable, or not a mapping.
    """
    return _flat(_mapping(Path(path)), "vehicle.")


def _mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got a {type(values).__name__}")
    return {str(key): value for key, value in values.items()}


def _is_ros(value: object) -> bool:
    """Say whether `ros__parameters` lies below, at whatever depth of namespaces."""
    if not isinstance(value, Mapping):
        return False
    return "ros__parameters" in value or any(_is_ros(inner) for inner in value.values())


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return nested values under dotted names; None is the empty string, as the node reads it."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name == "inputs.cameras":
            # A parameter file cannot hold an empty list: one empty name stands for it.
            flat["inputs.camera_names"] = list(value or {}) or [""]
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        elif value is None and name in _STREAMS:
            flat[f"{name}.topic"] = ""
        elif key in _TOPIC_KEYS and isinstance(value, str):
            flat[name] = value.removeprefix("/")
        elif name != "inputs.cameras":
            flat[name] = "" if value is None else value
    return flat
