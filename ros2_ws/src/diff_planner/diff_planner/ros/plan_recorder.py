"""Records the plans of a running node into the bag that an offline replay writes.

Plans, candidates and status are logged at their stamp, as raw bytes; timings are wall-clock figures
and stay out of the bag.  The node never waits for its recorder: what is not received is counted.

As a program:  python -m diff_planner.ros.plan_recorder --out plans.mcap
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import rclpy
from diff_planner_msgs.msg import CandidateSet, CycleTiming, PlannerStatus, Trajectory
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from diff_planner.data import cdr
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.replay import CANDIDATES_TOPIC, STATUS_TOPIC, TRAJECTORY_TOPIC
from diff_planner.data.replay_tally import write_timings
from diff_planner.errors import BagError, DiffPlannerError, MissingInputError, RecordingError
from diff_planner.files import make_folder
from diff_planner.ros.node_contact import full_name

PREFIX, SHADOW_PREFIX = "planning", "planning/shadow"
_DEPTH = 1000
"""More than a recorder can fall behind without having failed; memory is taken when it is used."""
_TYPES = {
    TRAJECTORY_TOPIC: "diff_planner_msgs/msg/Trajectory",
    CANDIDATES_TOPIC: "diff_planner_msgs/msg/CandidateSet",
    STATUS_TOPIC: "diff_planner_msgs/msg/PlannerStatus",
}
_STAGE_NAMES = {
    "preprocess": "features",
    "denoise": "inference",
    "validate": "safety",
    "compute_total": "total",
}
"""As an offline replay names them, where CycleTiming has another word."""


class PlanRecorder:
    """Subscriptions to one node's outputs, written to one open bag."""

    def __init__(
        self, node: Node, bag: BagWriter, *, namespace: str = "", prefix: str = PREFIX
    ) -> None:
        """Declare the topics in the bag and subscribe.

        Args:
            node: to subscribe with; whoever spins it does the writing.
            bag: open for writing; whoever opened it closes it.
            namespace: of the planner node.
            prefix: "planning", or "planning/shadow" for a node in shadow mode.
        """
        self.plans = 0
        """Plans written."""
        self.lost = 0
        """Plans that the node made and that never came, by gaps of plan_id."""
        self.restarts = 0
        """How often plan_id began anew."""
        self.error: BagError | None = None
        """Why nothing is written any more; the node is not bothered with it."""
        self.timings: list[dict[str, float]] = []
        """Milliseconds of each cycle with its `stamp_ns` and `plan_id`."""
        self._bag = bag
        self._last_id: int | None = None
        self._status_news: tuple[int, int, str] | None = None
        for topic, msgtype in _TYPES.items():
            bag.add_topic(topic, msgtype, latched=topic == STATUS_TOPIC)
        # Volatile: of a latched plan of before nobody knows which run it belongs to.
        qos = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        outputs = (
            (Trajectory, "trajectory", self._on_trajectory),
            (CandidateSet, "candidates", self._on_candidates),
            (PlannerStatus, "status", self._on_status),
            (CycleTiming, "timing", self._on_timing),
        )
        self._node = node
        self._subscriptions = [
            node.create_subscription(
                kind, full_name(namespace, f"{prefix}/{name}"), callback, qos, raw=True
            )
            for kind, name, callback in outputs
        ]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def raise_error(self) -> None:
        """Raise what stopped the recording, if anything did.

        Raises:
            RecordingError: the disk is full.
        """
        if self.error is not None:
            raise RecordingError(str(self.error)) from self.error

    def _on_trajectory(self, data: bytes) -> None:
        plan_id = cdr.plan_id(data)
        if self._last_id is not None:
            if plan_id > self._last_id:
                self.lost += plan_id - self._last_id - 1
            else:
                self.restarts += 1
        self._last_id = plan_id
        self.plans += self._write(TRAJECTORY_TOPIC, data)

    def _on_candidates(self, data: bytes) -> None:
        self._write(CANDIDATES_TOPIC, data)

    def _on_status(self, data: bytes) -> None:
        """Write a status that says something new; in between the node repeats it each period."""
        status: PlannerStatus = deserialize_message(data, PlannerStatus)
        news = (status.plan_id, status.state, status.reason)
        # Before the first /clock there is no stamp to log at.
        if news != self._status_news and cdr.stamp_ns(data) > 0:
            self._status_news = news
            self._write(STATUS_TOPIC, data)

    def _on_timing(self, data: bytes) -> None:
        timing: CycleTiming = deserialize_message(data, CycleTiming)
        stages = {
            field.removesuffix("_ms"): float(getattr(timing, field))
            for field in timing.get_fields_and_field_types()
            if field.endswith("_ms")
        }
        # Negative: the stage does not exist.
        known = {_STAGE_NAMES.get(s, s): value for s, value in stages.items() if value >= 0.0}
        self.timings.append({"stamp_ns": cdr.stamp_ns(data), "plan_id": timing.plan_id, **known})

    def _write(self, topic: str, data: bytes) -> bool:
        if self.error is not None:
            return False
        try:
            self._bag.write_raw(topic, data, cdr.stamp_ns(data))
        except BagError as error:
            self.error = error
        return self.error is None


class SpinThread:
    """Spins one node in a thread of its own, as a context manager."""

    def __init__(self, node: Node) -> None:
        """Take the node; nobody else may spin it."""
        self._node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._is_ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"spin {node.get_name()}")

    def __enter__(self) -> SpinThread:
        """Begin to spin."""
        self._executor.add_node(self._node)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop spinning."""
        self._is_ended.set()
        self._executor.wake()
        self._thread.join()
        self._executor.remove_node(self._node)
        self._executor.shutdown()

    def raise_error(self) -> None:
        """Raise what a callback raised, if any did; nothing is spun after it."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while not self._is_ended.is_set():
                self._executor.spin_once(timeout_sec=0.2)
        except BaseException as error:  # a thread cannot raise to who started it
            self._failure = error


def main(argv: Sequence[str] | None = None) -> int:
    """Record until SIGINT or SIGTERM; return 0, 1 when nothing could be recorded, 2 for bad use."""
    parser = argparse.ArgumentParser(prog="plan_recorder", description=(__doc__ or "").strip())
    parser.add_argument(
        "--out", type=Path, required=True, help="bag to write: OUT.mcap or a folder"
    )
    parser.add_argument("--namespace", default="", help="of the planner node")
    parser.add_argument("--shadow", action="store_true", help="record a node in shadow mode")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")
    arguments = parser.parse_args(remove_ros_args(sys.argv if argv is None else ["", *argv])[1:])
    is_ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_ended.set())
    try:
        make_folder(arguments.out.parent)
        print(record(arguments, is_ended.is_set))
        return 0
    except DiffPlannerError as error:
        print(f"plan_recorder: {error}", file=sys.stderr)
        return 1


def record(arguments: argparse.Namespace, is_ended: Callable[[], bool]) -> str:
    """Record to `arguments.out` until `is_ended`; return what was done, in a sentence.

    Raises:
        BagError: the disk is full, or `out` is taken.
        MissingInputError: no plan came, so nothing was written.
    """
    prefix = SHADOW_PREFIX if arguments.shadow else PREFIX
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = rclpy.create_node("plan_recorder")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        with BagWriter(arguments.out, overwrite=arguments.overwrite) as bag:
            recorder = PlanRecorder(node, bag, namespace=arguments.namespace, prefix=prefix)
            while not is_ended() and recorder.error is None:
                executor.spin_once(timeout_sec=0.2)
            recorder.raise_error()
            if not recorder.plans:
                topic = full_name(arguments.namespace, f"{prefix}/trajectory")
                raise MissingInputError(f"no plan came on {topic}; nothing was written")
        timing = arguments.out.with_suffix("")
        write_timings(timing.with_name(f"{timing.name}.timing.jsonl"), recorder.timings)
        return f"{arguments.out}: {recorder.plans} plans, {recorder.lost} lost on the way"
    finally:
        with suppress(Exception):  # the outcome is known; what closing raises changes nothing
            rclpy.shutdown()


if __name__ == "__main__":
    sys.exit(main())
