"""Where the files that come with the package lie: models, message definitions, config.

Three homes, tried in this order: the source checkout, an install prefix of pip
(`<prefix>/share`), the prefixes of a sourced ROS workspace (AMENT_PREFIX_PATH).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from diff_planner.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[3]
"""The repository's root when the package runs from its source tree."""


def _prefixes() -> list[Path]:
    ament = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [*ament, Path(sys.prefix)]


def _find(kind: str, candidates: list[Path]) -> Path:
    for path in candidates:
        if path.exists():
            return path
    looked = ", ".join(str(path) for path in candidates)
    raise ConfigError(f"{kind}: found in none of {looked}")


def model_folder(name_or_path: str) -> Path:
    """Return the folder of a model by its name in models/ or by a path.

    Raises:
        ConfigError: no such folder; the text lists where it was looked for.
    """
    if os.sep in name_or_path or Path(name_or_path).is_dir():
        return _find("model", [Path(name_or_path)])
    shared = [p / "share" / "diff_planner" / "models" / name_or_path for p in _prefixes()]
    return _find(f"model '{name_or_path}'", [_CHECKOUT / "models" / name_or_path, *shared])


def message_folder() -> Path:
    """Return the folder that holds diff_planner_msgs' .msg files.

    Raises:
        ConfigError: the message package is neither beside the source nor installed.
    """
    source = _CHECKOUT / "ros2_ws" / "src" / "diff_planner_msgs" / "msg"
    shared = [p / "share" / "diff_planner_msgs" / "msg" for p in _prefixes()]
    return _find("message definitions", [source, *shared])


def checkout() -> Path | None:
    """Return the root of the source checkout, or None when installed elsewhere."""
    return _CHECKOUT if (_CHECKOUT / "ros2_ws").is_dir() else None
