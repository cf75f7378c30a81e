"""A planner configuration as a ROS 2 parameter file, for a node that is started on a bag."""

from __future__ import annotations

from pathlib import Path

import yaml

from diff_planner.config import PlannerConfig
from diff_planner.files import whole_file
from diff_planner.ros.parameter_specs import NodeConfig, Settings, values_of

_TOPIC_KEYS = ("topic", "image", "info")


def parameter_yaml(
    config: PlannerConfig, node: NodeConfig | None = None, *, use_sim_time: bool = True
) -> str:
    """Return the text of a parameter file for a node of any name.

    Args:
        config: of the planner; topics become relative, so that a namespace moves them.
        node: what only the node needs to know; None for its defaults.
        use_sim_time: whether time is /clock.
    """
    values = values_of(Settings(node or NodeConfig(), config))
    parameters: dict[str, object] = {"use_sim_time": use_sim_time}
    for name, value in values.items():
        if isinstance(value, tuple):
            # ROS knows no empty list in a file.
            parameters[name] = list(value) or [""]
        elif isinstance(value, str) and name.rpartition(".")[2] in _TOPIC_KEYS:
            parameters[name] = value.removeprefix("/")
        else:
            parameters[name] = value
    return yaml.safe_dump({"/**": {"ros__parameters": parameters}}, sort_keys=False)


def write_parameter_file(
    path: Path, config: PlannerConfig, node: NodeConfig | None = None, *, use_sim_time: bool = True
) -> None:
    """Write `parameter_yaml` to a file; it appears only when complete.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    with whole_file(path) as partial:
        partial.write_text(
            parameter_yaml(config, node, use_sim_time=use_sim_time), encoding="utf-8"
        )
