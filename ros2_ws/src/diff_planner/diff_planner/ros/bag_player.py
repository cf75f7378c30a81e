"""Plays a bag to the graph where there is no `ros2 bag`: its messages and /clock.

In real time at a rate, or in lock-step with the planner node.  Messages go out as the bytes that
they are in the bag: nothing is decoded.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from diff_planner.data.play_schedule import TF_STATIC, PlayMessage, PlaySchedule
from diff_planner.errors import MissingInputError
from diff_planner.ros.lock_step import LockStep
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.node_contact import full_name

CLOCK_TOPIC = "/clock"
ABSOLUTE = (TF_STATIC, "/tf", CLOCK_TOPIC)
"""Never in the node's namespace."""
LATCHED_TYPES = (
    "diff_planner_msgs/msg/Route",
    "diff_planner_msgs/msg/LaneMap",
    "nav_msgs/msg/OccupancyGrid",
)
_CLOCK_PERIOD_S = 0.01
_DEPTH = 10
_LATCHED_DEPTH = 10
"""Bags of vehicles with several broadcasters hold several /tf_static messages."""


@dataclass(frozen=True)
class PlayReport:
    """What was sent, and how punctually."""

    messages: Mapping[str, int]
    """Count by topic, /clock not among them."""
    wall_s: float
    late_ms: tuple[float, float, float] | None
    """p50, p99 and largest delay of a message behind its time; None in lock-step."""

    def sentence(self) -> str:
        """Return it for people."""
        text = f"sent {sum(self.messages.values())} messages in {self.wall_s:.1f} s"
        if self.late_ms is None:
            return f"{text}, in lock-step"
        p50, p99, most = self.late_ms
        return f"{text}, late by {p50:.1f} ms (p50), {p99:.1f} ms (p99), {most:.1f} ms at most"


class BagPlayer:
    """Publishers for the topics of one schedule."""

    def __init__(
        self,
        node: Node,
        schedule: PlaySchedule,
        *,
        namespace: str = "",
        remap: Mapping[str, str] | None = None,
        clock_period_s: float = _CLOCK_PERIOD_S,
    ) -> None:
        """Advertise every topic of the schedule, and /clock.

        Args:
            node: to publish from; it need not be spun in real time.
            schedule: what to play.
            namespace: put before each topic but /tf, /tf_static and /clock.
            remap: topic in the bag -> topic on the graph, instead of the namespace.
            clock_period_s: wall time between two /clock where no message is due.

        Raises:
            MissingInputError: a message type is not installed.
        """
        self._node, self._schedule = node, schedule
        self._clock_period_s = clock_period_s
        self._clock = node.create_publisher(Clock, CLOCK_TOPIC, _qos(_DEPTH, latched=False))
        self._publishers: dict[str, Publisher] = {}
        for topic in schedule.topics:
            name = (remap or {}).get(topic) or _resolved(topic, namespace)
            msgtype = schedule.message_type(topic)
            latched = topic == TF_STATIC or msgtype in LATCHED_TYPES
            self._publishers[topic] = node.create_publisher(
                message_class(msgtype),
                name,
                _qos(_LATCHED_DEPTH if latched else _DEPTH, latched=latched),
            )
        self._late_ms = array("d")
        self._counts = dict.fromkeys(schedule.topics, 0)

    @property
    def publishers(self) -> dict[str, Publisher]:
        """By their topic in the bag, /clock among them: to wait until somebody listens."""
        return {CLOCK_TOPIC: self._clock, **self._publishers}

    def close(self) -> None:
        """Withdraw the publishers."""
        for publisher in self.publishers.values():
            self._node.destroy_publisher(publisher)

    def play(
        self,
        *,
        rate: float = 1.0,
        wait_after_s: float = 0.0,
        on_progress: Callable[[float], None] | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> PlayReport:
        """Play in real time; the last /clock is the end of the bag plus `wait_after_s`.

        Sleeps until the next message or /clock is due; what is late is sent at once.

        Args:
            rate: bag seconds per second.
            wait_after_s: bag time that passes after the last loop.
            on_progress: called with the share done, 0..1.
            watch: called before each message; what it raises ends the play.

        Raises:
            MissingInputError: `rate` is not positive.
            BagError: the bag breaks off.
        """
        if not 0.0 < rate < float("inf"):
            raise MissingInputError(f"rate: expected a number above 0, got {rate}")
        schedule = self._schedule
        pace = _Pace(rate, self._clock_period_s, self._send_clock)
        pace.set_clock(schedule.start_ns, 0)
        for message in schedule.messages():
            watch()
            late_s = pace.wait(message.due_ns)
            pace.set_clock(message.clock_ns, message.due_ns)
            self._send(message)
            self._late_ms.append(late_s * 1e3)
            _tell(on_progress, message.due_ns, schedule)
        after_ns = round(wait_after_s * 1e9)
        pace.wait(schedule.duration_ns + after_ns)
        self._send_clock(schedule.end_ns + after_ns)
        return self._report(pace.wall_s, is_paced=True)

    def play_in_lock_step(
        self,
        lock: LockStep,
        *,
        wait_after_s: float = 0.0,
        on_progress: Callable[[float], None] | None = None,
        watch: Callable[[], None] = lambda: None,
    ) -> PlayReport:
        """Play message by message: /clock, wait, message, wait; as fast as the node answers.

        Arguments as of `play`.

        Raises:
            MissingInputError: the node does not answer.
            BagError: the bag breaks off.
        """
        schedule = self._schedule
        begin_s = time.monotonic()
        lock.begin()
        self._step_clock(lock, schedule.start_ns)
        for message in schedule.messages():
            watch()
            self._step_clock(lock, message.clock_ns)
            self._send(message)
            lock.wait(message.topic)
            _tell(on_progress, message.due_ns, schedule)
        self._step_clock(lock, schedule.end_ns + round(wait_after_s * 1e9))
        lock.end()
        return self._report(time.monotonic() - begin_s, is_paced=False)

    def _step_clock(self, lock: LockStep, time_ns: int) -> None:
        self._send_clock(time_ns)
        lock.wait(CLOCK_TOPIC)

    def _send(self, message: PlayMessage) -> None:
        self._publishers[message.topic].publish(message.data)
        self._counts[message.topic] += 1

    def _send_clock(self, time_ns: int) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
        self._clock.publish(message)

    def _report(self, wall_s: float, *, is_paced: bool) -> PlayReport:
        late_ms = None
        if is_paced and len(self._late_ms):
            p50, p99, most = np.percentile(self._late_ms, (50, 99, 100)).tolist()
            late_ms = (p50, p99, most)
        return PlayReport(dict(self._counts), wall_s, late_ms)


class _Pace:
    """Bag time at a rate of the steady clock, told to /clock as it passes."""

    def __init__(self, rate: float, period_s: float, send_clock: Callable[[int], None]) -> None:
        self._rate, self._period_s, self._send_clock = rate, period_s, send_clock
        self._begin_s = time.monotonic()
        self._clock_minus_due_ns = 0
        self._told_s = self._begin_s

    @property
    def wall_s(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self._begin_s

    def set_clock(self, clock_ns: int, due_ns: int) -> None:
        """Say that /clock shows `clock_ns` at bag time `due_ns`, and publish it."""
        self._clock_minus_due_ns = clock_ns - due_ns
        self._tell(clock_ns)

    def wait(self, due_ns: int) -> float:
        """Sleep until a bag time, with a /clock each period; return how late it is, in seconds."""
        due_s = self._begin_s + due_ns * 1e-9 / self._rate
        while (left_s := due_s - time.monotonic()) > 0.0:
            until_tick_s = self._told_s + self._period_s - time.monotonic()
            if until_tick_s <= 0.0:
                passed_ns = round(self.wall_s * self._rate * 1e9)
                # Never ahead of the message that is waited for: its own /clock would jump back.
                self._tell(min(passed_ns, due_ns) + self._clock_minus_due_ns)
                continue
            time.sleep(min(left_s, until_tick_s))
        return -left_s

    def _tell(self, clock_ns: int) -> None:
        self._told_s = time.monotonic()
        self._send_clock(clock_ns)


def _resolved(topic: str, namespace: str) -> str:
    return topic if topic in ABSOLUTE else full_name(namespace, topic)


def _tell(on_progress: Callable[[float], None] | None, due_ns: int, schedule: PlaySchedule) -> None:
    if on_progress is not None:
        on_progress(due_ns / max(schedule.duration_ns, 1))


def _qos(depth: int, *, latched: bool) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
