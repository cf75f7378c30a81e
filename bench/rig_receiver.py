"""Receives what rig_publisher.py sends, and does nothing else with it.

Runs until standard input is closed, then prints one JSON line: for each topic how many messages
came and their ages, from stamp to callback.

    python bench/rig_receiver.py [--keep-memory] [--raw]

With --raw the messages stay serialized bytes, which tells what rclpy's conversion costs.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import sys
import threading
import time
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from diff_planner.ros.memory import keep_large_blocks

TOPICS = {
    **{f"sensing/camera/{name}/image_rect": Image for name in ("left", "front", "right")},
    "sensing/lidar/top/pointcloud": PointCloud2,
}
STAMP = struct.Struct("<iI")
"""Seconds and nanoseconds after CDR's four bytes of encapsulation, in little endian."""


class Receiver(Node):
    """Notes the age of every message on arrival."""

    def __init__(self, depth: int, raw: bool) -> None:
        super().__init__("rig_receiver")
        self.ages_ms: dict[str, list[float]] = {topic: [] for topic in TOPICS}
        self.stamps_ns: dict[str, set[int]] = {topic: set() for topic in TOPICS}
        qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)
        for topic, kind in TOPICS.items():
            self.create_subscription(kind, topic, self._make_callback(topic, raw), qos, raw=raw)

    def _make_callback(self, topic: str, raw: bool) -> Callable[[object], None]:
        ages_ms, stamps_ns = self.ages_ms[topic], self.stamps_ns[topic]

        def note(sec: int, nanosec: int) -> None:
            stamp_ns = sec * 1_000_000_000 + nanosec
            ages_ms.append((time.time_ns() - stamp_ns) * 1e-6)
            stamps_ns.add(stamp_ns)

        if raw:
            return lambda content: note(*STAMP.unpack_from(content, 4))
        return lambda message: note(message.header.stamp.sec, message.header.stamp.nanosec)


def main() -> None:
    """Receive and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--depth", type=int, default=2, help="of the subscriptions' queues")
    parser.add_argument(
        "--keep-memory", action="store_true", help="as the planner's node does: ros/memory.py"
    )
    parser.add_argument("--raw", action="store_true", help="leave the messages serialized")
    arguments = parser.parse_args()
    if arguments.keep_memory:
        keep_large_blocks()
    rclpy.init()
    node = Receiver(arguments.depth, arguments.raw)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    begin = None
    used = resource.getrusage(resource.RUSAGE_SELF)
    while not closed.is_set():
        executor.spin_once(timeout_sec=0.2)
        if begin is None and any(node.ages_ms.values()):
            # Start-up and discovery are not what is measured.
            begin, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(
        json.dumps(
            {
                "received": {topic: len(stamps) for topic, stamps in node.stamps_ns.items()},
                "ages_ms": node.ages_ms,
                "cpu_s": cpu_s,
                "rss_mb": after.ru_maxrss / 1024,
            }
        ),
        flush=True,
    )
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
