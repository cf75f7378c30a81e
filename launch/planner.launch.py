"""Starts the planner node: `ros2 launch diff_planner planner.launch.py`, or by this file's path.

Every argument is described by `--show-args` and in launch/README.md.  An argument that is not
given leaves its parameter as params_file has it.
"""

from __future__ import annotations

from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from diff_planner.ros.launch_values import (
    is_true,
    parameters_from,
    vehicle_parameters,
    view_remappings,
)

ARGUMENTS = [
    DeclareLaunchArgument(
        "namespace", default_value="", description="Put before the node's name and its topics."
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="YAML: a ROS 2 parameter file, or a planner configuration as "
        "`diff-planner doctor --config-out` writes it.",
    ),
    DeclareLaunchArgument(
        "vehicle", default_value="", description="YAML of the vehicle; wins over params_file."
    ),
    DeclareLaunchArgument(
        "use_sim_time", default_value="", description="true: time is /clock (a bag, a simulator)."
    ),
    DeclareLaunchArgument(
        "model", default_value="", description="A model of the package (nano), or a folder."
    ),
    DeclareLaunchArgument(
        "backend", default_value="", description="What runs the model: openvino or torch."
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        description="debug, info, warn, error or fatal; diff_planner:=debug for one logger.",
    ),
    DeclareLaunchArgument(
        "respawn", default_value="false", description="true: start the node again when it ends."
    ),
    DeclareLaunchArgument(
        "shadow",
        default_value="",
        description="true: publish under planning/shadow/ only, never where control listens.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="",
        description="false: stay unconfigured until `ros2 lifecycle set` or a manager says so.",
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", description="true: open RViz with the planner's topics."
    ),
]
RESPAWN_DELAY_S = 1.0
"""Longer than DDS needs to notice that the old node is gone."""


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and what is started with them."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    planner = Node(
        package="diff_planner",
        executable="planner_node",
        name="diff_planner",
        namespace=given["namespace"],
        parameters=_parameters(given),
        ros_arguments=["--log-level", given["log_level"]],
        respawn=is_true("respawn", given["respawn"]),
        respawn_delay=RESPAWN_DELAY_S,
        output="screen",
        emulate_tty=True,
    )
    return [planner, _rviz(given)] if is_true("rviz", given["rviz"]) else [planner]


def _parameters(given: dict[str, str]) -> list[Any]:
    """Return files and values; launch_ros lets later ones win."""
    values: dict[str, Any] = {}
    for name in ("use_sim_time", "shadow", "autostart"):
        if given[name]:
            values[name] = is_true(name, given[name])
    for argument, name in (("model", "model.path"), ("backend", "model.backend")):
        if given[argument]:
            values[name] = given[argument]
    files: list[Any] = []
    if given["params_file"]:
        files.append(parameters_from(given["params_file"]))
    if given["vehicle"]:
        files.append(vehicle_parameters(given["vehicle"]))
    return [*files, values] if values else files


def _rviz(given: dict[str, str]) -> Node:
    view = f"{get_package_share_directory('diff_planner')}/rviz/planner.rviz"
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        arguments=["-d", view],
        parameters=[{"use_sim_time": is_true("use_sim_time", given["use_sim_time"] or "false")}],
        remappings=view_remappings(view, shadow=is_true("shadow", given["shadow"] or "false")),
        output="log",
    )
