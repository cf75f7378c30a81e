"""A graph of its own for tests of the bag player and the recorder, and stand-ins for the node."""

import os
import threading
import time
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import UInt64

from diff_planner.ros.domain import free_domain_id
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.plan_recorder import SpinThread

DEEP = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


@contextmanager
def own_graph():
    """Yield a context in a domain of its own that only this machine sees."""
    before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain_id())
    try:
        yield context
    finally:
        rclpy.shutdown(context=context)
        if before is None:
            del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        else:
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = before


@contextmanager
def node_of(context, name):
    """Yield a node and an executor that spins it when it is told to."""
    node = rclpy.create_node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield node, executor
    finally:
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_node()


def clock_ns(data):
    """The time of a serialized Clock."""
    return int.from_bytes(data[4:8], "little") * 10**9 + int.from_bytes(data[8:12], "little")


class Listener:
    """Keeps everything that comes, in order: (topic, bytes, wall time)."""

    def __init__(self, context, topics, *, name="listener", qos=DEEP):
        self.node = rclpy.create_node(name, context=context)
        self.received = []
        for topic, msgtype in {"/clock": "rosgraph_msgs/msg/Clock", **topics}.items():
            self.node.create_subscription(
                message_class(msgtype), topic, self._taker(topic), qos, raw=True
            )
        self._thread = SpinThread(self.node)

    def __enter__(self):
        self._thread.__enter__()
        return self

    def __exit__(self, *error):
        self._thread.__exit__(*error)
        self.node.destroy_node()

    def _taker(self, topic):
        return lambda data: self.take(topic, data)

    def take(self, topic, data):
        self.received.append((topic, data, time.monotonic()))

    def of(self, topic):
        return [data for name, data, _ in self.received if name == topic]

    def wait_for(self, is_there, timeout_s=10.0):
        """Wait until something is there; fail with what came instead."""
        deadline_s = time.monotonic() + timeout_s
        while not is_there():
            got = {t: len(self.of(t)) for t, _, _ in self.received}
            assert time.monotonic() < deadline_s, f"waited {timeout_s} s; received {got}"
            time.sleep(0.01)


class CountingNode(Listener):
    """Answers each message as the planner node does in lock-step, after a while."""

    def __init__(
        self,
        context,
        topics,
        *,
        before=0,
        answer_after_s=0.0,
        is_silent_after=None,
        begins_anew=False,
    ):
        super().__init__(context, topics, name="diff_planner")
        self._count = before
        self._answer_after_s = answer_after_s
        self._silent_after = is_silent_after
        self._lock = threading.Lock()
        self._publisher = self.node.create_publisher(UInt64, "~/consumed", LATCHED)
        for count in range(before + 1):
            self._publisher.publish(UInt64(data=count))
        if begins_anew:
            self._count = 0

    def take(self, topic, data):
        super().take(topic, data)
        if self._silent_after is not None and len(self.received) > self._silent_after:
            return
        time.sleep(self._answer_after_s)
        with self._lock:
            self._count += 1
            self._publisher.publish(UInt64(data=self._count))
