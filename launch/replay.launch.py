"""Plays a bag to the planner: `ros2 launch diff_planner replay.launch.py bag:=my_drive`.

Starts planner.launch.py on the bag's clock, plays as soon as the node waits for inputs, and ends
all when the bag has ended.  Without `bag` it plays the sample bag, made where it is not there yet.
"""

from __future__ import annotations

import os
from pathlib import Path

import rosbag2_py
from ament_index_python.packages import get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from diff_planner.ros import dds
from diff_planner.ros.launch_values import full_name, is_true, output_topics, player_arguments

ARGUMENTS = [
    DeclareLaunchArgument(
        "bag", default_value="", description="The bag to play; empty: the sample bag."
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="Bag seconds per second."),
    DeclareLaunchArgument(
        "record",
        default_value="",
        description="A new bag folder for what the planner publishes; empty: nothing is recorded.",
    ),
    DeclareLaunchArgument(
        "use_sim_time", default_value="true", description="true: time is the bag's, by /clock."
    ),
    DeclareLaunchArgument(
        "shadow",
        default_value="false",
        description="true: publish under planning/shadow/ only; here it wins over params_file.",
    ),
]
READY = "m.state in (m.STATE_WAITING_INPUT, m.STATE_NOMINAL, m.STATE_DEGRADED, m.STATE_FALLBACK)"
CLOCK_HZ = "100"
DISCOVERY_S = "3.0"
"""Between the player's start and the first message: what it sends to nobody is lost."""
LAST_WORDS_S = 0.3
"""Between the end of the bag and of the launch, for the last plans to be made and recorded."""


def generate_launch_description() -> LaunchDescription:
    """Return the planner's launch and the replay's own arguments and processes."""
    planner = Path(__file__).with_name("planner.launch.py")
    return LaunchDescription(
        [
            *ARGUMENTS,
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(planner))),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    bag = Path(given["bag"]) if given["bag"] else _sample_bag()
    status = full_name(given["namespace"], "planning/status")
    if is_true("shadow", given["shadow"]):
        status = full_name(given["namespace"], "planning/shadow/status")
    ready = _process(
        "is_ready",
        *("ros2", "topic", "echo", status, "diff_planner_msgs/msg/PlannerStatus", "--once"),
        *("--qos-reliability", "reliable", "--qos-durability", "transient_local"),
        *("--filter", READY),
    )
    play = [LogInfo(msg=f"playing {bag}"), OpaqueFunction(function=_play, args=[bag])]
    actions = [*_recorder(given), *_end_with_planner(given), *_then(ready, play), ready]
    if given["bag"] or bag.is_file():
        return actions
    # `demo` makes the bag and plans on it offline; the node waits meanwhile.
    prefix = get_package_prefix("diff_planner")
    program = f"{prefix}/lib/diff_planner/diff-planner"
    demo = _process("sample_bag", program, "demo", "--out", str(bag.parent), output="screen")
    return [
        LogInfo(msg=f"making the sample bag, half a minute: {bag}"),
        *_then(demo, actions),
        demo,
    ]


def _sample_bag() -> Path:
    """Where ROS keeps what its tools make."""
    home = os.environ.get("ROS_HOME") or Path.home() / ".ros"
    return Path(home) / "diff_planner" / "sample.mcap"


def _play(context: LaunchContext, bag: Path) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    metadata = rosbag2_py.Info().read_metadata(str(bag), "")
    topics = [topic.topic_metadata.name for topic in metadata.topics_with_message_count]
    player = _process(
        "player",
        *("ros2", "bag", "play", str(bag), "--clock", CLOCK_HZ, "--rate", given["rate"]),
        *("--delay", DISCOVERY_S),
        *("--disable-keyboard-controls", *player_arguments(topics, given["namespace"])),
        output="screen",
        # The images' sender needs shared memory that holds them; who receives them does not.
        environment=dds.environment(),
    )
    end = TimerAction(period=LAST_WORDS_S, actions=[_shutdown("the bag has ended")])
    return [*_then(player, [end]), player]


def _recorder(given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    """Record outputs alone, on the bag's clock, so that both bags can be laid side by side."""
    if not given["record"]:
        return []
    is_shadow = is_true("shadow", given["shadow"])
    sim_time = ["--use-sim-time"] if is_true("use_sim_time", given["use_sim_time"]) else []
    recorder = _process(
        "recorder",
        *("ros2", "bag", "record", "--storage", "mcap", "--output", given["record"], *sim_time),
        *("--disable-keyboard-controls", "--topics"),
        *output_topics(given["namespace"], shadow=is_shadow),
        output="screen",
    )
    failed = OnProcessExit(target_action=recorder, on_exit=[_shutdown("recording has ended")])
    return [RegisterEventHandler(failed), recorder]


def _end_with_planner(given: dict[str, str]) -> list[LaunchDescriptionEntity]:
    """Without its planner a replay has no purpose."""
    if is_true("respawn", given["respawn"]):
        return []
    ended = OnProcessExit(
        target_action=lambda action: (
            isinstance(action, Node) and action.node_package == "diff_planner"
        ),
        on_exit=[_shutdown("the planner has ended")],
    )
    return [RegisterEventHandler(ended)]


def _process(
    name: str, *words: str, output: str = "log", environment: dict[str, str] | None = None
) -> ExecuteProcess:
    return ExecuteProcess(cmd=list(words), name=name, output=output, additional_env=environment)


def _then(
    process: ExecuteProcess, actions: list[LaunchDescriptionEntity]
) -> list[LaunchDescriptionEntity]:
    """Do `actions` when the process has ended well, else end the launch."""

    def follow(event: ProcessExited, _: LaunchContext) -> list[LaunchDescriptionEntity]:
        failed = _shutdown(f"`{' '.join(event.cmd[:3])}` ended with {event.returncode}")
        return actions if event.returncode == 0 else [failed]

    return [RegisterEventHandler(OnProcessExit(target_action=process, on_exit=follow))]


def _shutdown(reason: str) -> EmitEvent:
    return EmitEvent(event=Shutdown(reason=reason))
