"""A replay through the graph: the bag is played to a node, and what it plans is recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from diff_planner.config import PlannerConfig
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.errors import MissingInputError
from diff_planner.ros import dds
from diff_planner.ros.bag_player import CLOCK_TOPIC, BagPlayer, PlayReport
from diff_planner.ros.lock_step import LockStep
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.node_contact import NodeContact, Say
from diff_planner.ros.node_process import NodeProcess
from diff_planner.ros.parameter_specs import NodeConfig
from diff_planner.ros.plan_recorder import PREFIX, SHADOW_PREFIX, PlanRecorder, SpinThread

_OWN_PREFIX = "/planning/"
_NOT_PLAYED = (CLOCK_TOPIC, "/diagnostics", "/rosout", "/parameter_events")
"""Said by recorded processes of themselves; those that run now say their own."""
_SETTLE_S = 0.5
"""A subscriber that reads best effort may know of us later than we of it."""
_LAST_PLAN_S = 0.15
"""For the last plan to come; shorter than any watchdog, which speaks when nothing is played."""
_LAST_PLAN_IN_LOCK_STEP_S = 1.0
"""There the watchdog speaks when /clock says so, and not before."""


@dataclass(frozen=True)
class GraphRequest:
    """How to play, and to whom."""

    rate: float = 1.0
    is_lock_step: bool = False
    loops: int = 1
    is_continuous: bool = False
    start_s: float = 0.0
    duration_s: float | None = None
    namespace: str = ""
    is_shadow: bool = False
    node_timeout_s: float = 60.0
    """Longest wait for the node, for each thing that is waited for."""
    has_all_topics: bool = False
    """Also what the planner does not read, for people who look on."""
    has_own_node: bool = False
    """Start a node, and end it; else one must be running."""
    node_log: Path | None = None
    """What the own node prints; None: nobody wants to keep it."""


@dataclass(frozen=True)
class GraphRun:
    """What was sent and what came back; the plans are in the recorder's bag."""

    play: PlayReport
    schedule: PlaySchedule
    plans: int
    lost: int
    """Plans that were made and not received."""
    timings: list[dict[str, float]]


def make_schedule(reader: BagReader, config: PlannerConfig, request: GraphRequest) -> PlaySchedule:
    """Return what is to be played.

    Raises:
        BagError: nothing is left to play.
        MissingInputError: the bag has none of the configured topics.
    """
    topics = list(InputAssembler(config.inputs, config.vehicle).topics)
    if request.has_all_topics:
        topics += [
            topic
            for topic in reader.topics
            if topic not in (*topics, *_NOT_PLAYED)
            and not topic.startswith(_OWN_PREFIX)
            and _is_installed(reader.topics[topic].msgtype)
        ]
    return PlaySchedule(
        reader,
        topics,
        start_s=request.start_s,
        duration_s=request.duration_s,
        loops=request.loops,
        continuous=request.is_continuous,
        loop_gap_s=config.inputs.period_s,
        latched=config.inputs.tf_static,
    )


def replay_on_graph(
    reader: BagReader,
    config: PlannerConfig,
    bag: BagWriter,
    request: GraphRequest,
    *,
    say: Say = lambda _: None,
    on_progress: Callable[[float], None] | None = None,
) -> GraphRun:
    """Play a bag to the planner node and record its plans.

    Fast DDS is given the profile for sensors, unless the environment names another.

    Args:
        reader: the bag to play.
        config: that the node has, or is started with.
        bag: open for writing.
        request: how to play.
        say: takes lines for people.
        on_progress: called with the share done, 0..1.

    Raises:
        MissingInputError: the node is not there, does not listen or does not answer.
        BackendError: the node cannot be configured, or its process ended.
        BagError: the bag breaks off, or the recording failed.
    """
    os.environ.update(dds.environment())  # read when the first participant is made
    schedule = make_schedule(reader, config, request)
    process = _own_node(config, request)
    with process or nullcontext(), _context() as context, _node(context, "plan_recorder") as node:
        prefix = SHADOW_PREFIX if request.is_shadow else PREFIX
        recorder = PlanRecorder(node, bag, namespace=request.namespace, prefix=prefix)
        with SpinThread(node) as thread:

            def watch() -> None:
                recorder.raise_error()
                thread.raise_error()
                if process is not None:
                    process.watch()

            with _node(context, "bag_player") as source:
                player = BagPlayer(source, schedule, namespace=request.namespace)
                report = _play(player, source, config, request, say, on_progress, watch)
            is_lock_step = request.is_lock_step
            time.sleep(_LAST_PLAN_IN_LOCK_STEP_S if is_lock_step else _LAST_PLAN_S)
            watch()
    return GraphRun(report, schedule, recorder.plans, recorder.lost, recorder.timings)


def _own_node(config: PlannerConfig, request: GraphRequest) -> NodeProcess | None:
    if not request.has_own_node:
        return None
    node = NodeConfig(lock_step=request.is_lock_step, shadow=request.is_shadow)
    return NodeProcess(config, node, namespace=request.namespace, log=request.node_log)


def _play(
    player: BagPlayer,
    node: Node,
    config: PlannerConfig,
    request: GraphRequest,
    say: Say,
    on_progress: Callable[[float], None] | None,
    watch: Callable[[], None],
) -> PlayReport:
    """Wait for the node, then play."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    contact = NodeContact(
        node,
        executor,
        namespace=request.namespace,
        prefix=SHADOW_PREFIX if request.is_shadow else PREFIX,
        timeout_s=request.node_timeout_s,
        say=say,
        watch=watch,
    )
    wanted = {CLOCK_TOPIC, *InputAssembler(config.inputs, config.vehicle).topics}
    needed = {t: p for t, p in player.publishers.items() if t in wanted}
    try:
        contact.wait_until_active()
        say(f"{contact.name} is active")
        wait_after_s = config.inputs.sync_wait_s
        if request.is_lock_step:
            contact.wait_until_in_lock_step(needed)
            return player.play_in_lock_step(
                LockStep(node, executor, contact.name),
                wait_after_s=wait_after_s,
                on_progress=on_progress,
                watch=watch,
            )
        contact.wait_until_matched(needed)
        time.sleep(_SETTLE_S)
        return player.play(
            rate=request.rate, wait_after_s=wait_after_s, on_progress=on_progress, watch=watch
        )
    finally:
        executor.remove_node(node)
        executor.shutdown()


def _is_installed(msgtype: str) -> bool:
    try:
        message_class(msgtype)
    except MissingInputError:
        return False
    return True


@contextmanager
def _context() -> Iterator[Context]:
    context = Context()
    # A Ctrl-C is Python's, as in every other command: half-written files are removed by it.
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield context
    finally:
        rclpy.shutdown(context=context)


@contextmanager
def _node(context: Context, name: str) -> Iterator[Node]:
    # Without a namespace: it would move the topics that are absolute on purpose.
    node = rclpy.create_node(name, context=context)
    try:
        yield node
    finally:
        node.destroy_node()
