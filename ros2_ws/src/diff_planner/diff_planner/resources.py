"""Where the files that come with the package lie: models, message definitions, configuration.

Tried in this order: the source checkout; `share` of the prefix that the package is installed in, by
pip or colcon; the prefixes of a sourced ROS workspace (AMENT_PREFIX_PATH).
"""

from __future__ import annotations

import os
from pathlib import Path

from diff_planner.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_IN_CHECKOUT = Path("ros2_ws/src/diff_planner/diff_planner")


def checkout() -> Path | None:
    """Return the root of the source checkout, or None when installed elsewhere."""
    return next((root for root in _PACKAGE.parents if root / _IN_CHECKOUT == _PACKAGE), None)


def model_folder(name_or_path: str) -> Path:
    """Return the folder of a model by its name in models/ or by a path.

    A name that no model of the package has is a folder here.

    Raises:
        ConfigError: no such folder; the text lists where it was looked for.
    """
    if os.sep in name_or_path:
        return _find("model", [Path(name_or_path)])
    own = _places(f"models/{name_or_path}", f"diff_planner/models/{name_or_path}")
    return _find(f"model '{name_or_path}'", [*own, Path(name_or_path)])


def message_folder() -> Path:
    """Return the folder that holds diff_planner_msgs' .msg files.

    Raises:
        ConfigError: they are neither beside the source nor installed.
    """
    in_checkout = "ros2_ws/src/diff_planner_msgs/msg"
    places = _places(in_checkout, "diff_planner/msg", "diff_planner_msgs/msg")
    return _find("message definitions", places)


def config_file(name: str) -> Path:
    """Return a file of config/, such as "planner.yaml".

    Raises:
        ConfigError: it is neither beside the source nor installed.
    """
    places = _places(f"ros2_ws/src/diff_planner/config/{name}", f"diff_planner/config/{name}")
    return _find(f"configuration '{name}'", places)


def _places(in_checkout: str, *in_share: str) -> list[Path]:
    root = checkout()
    # <prefix>/lib/python3.X/site-packages/diff_planner and <prefix>/share; with pip's --target the
    # two lie side by side.
    prefixes = [] if root else list(_PACKAGE.parents)[:4]
    prefixes += [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    places = [prefix / "share" / name for name in in_share for prefix in prefixes]
    return [root / in_checkout, *places] if root else places


def _find(kind: str, candidates: list[Path]) -> Path:
    for path in candidates:
        if path.exists():
            return path
    looked = ", ".join(str(path) for path in candidates)
    raise ConfigError(f"{kind}: found in none of {looked}")
