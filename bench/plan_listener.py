"""Listens to a planner node's plans until standard input is closed, then prints them as JSON.

python bench/plan_listener.py
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from typing import Any

import rclpy
from diff_planner_msgs.msg import CycleTiming, PlannerStatus, Trajectory
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from diff_planner.types import PlannerState

_RELIABLE = QoSProfile(depth=50)
_LATCHED = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_STAGES = [name for name in CycleTiming.get_fields_and_field_types() if name.endswith("_ms")]


class PlanListener(Node):
    """Notes what comes, and when."""

    def __init__(self) -> None:
        super().__init__("plan_listener")
        self.plans: list[tuple[int, int, float]] = []
        """(stamp_ns, source, arrival in steady seconds) of each trajectory."""
        self.timings: list[tuple[int, dict[str, float]]] = []
        self.states: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.first_nominal_ns: int | None = None
        self.create_subscription(Trajectory, "planning/trajectory", self._on_plan, _RELIABLE)
        self.create_subscription(CycleTiming, "planning/timing", self._on_timing, _RELIABLE)
        self.create_subscription(PlannerStatus, "planning/status", self._on_status, _LATCHED)

    def _on_plan(self, message: Trajectory) -> None:
        self.plans.append((stamp_ns(message), message.source, time.monotonic()))

    def _on_timing(self, message: CycleTiming) -> None:
        values = {name: getattr(message, name) for name in _STAGES}
        self.timings.append((stamp_ns(message), values))

    def _on_status(self, message: PlannerStatus) -> None:
        self.states[PlannerState(message.state).name] += 1
        if message.state == PlannerStatus.STATE_NOMINAL:
            if self.first_nominal_ns is None:
                self.first_nominal_ns = stamp_ns(message)
        elif message.reason:
            self.reasons[message.reason] += 1


def stamp_ns(message: Any) -> int:  # noqa: ANN401 - of any type with a header
    """Return a header's stamp."""
    return int(message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec)


def main() -> None:
    """Listen and print."""
    rclpy.init()
    node, executor = PlanListener(), SingleThreadedExecutor()
    executor.add_node(node)
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    while not closed.is_set():
        executor.spin_once(timeout_sec=0.2)
    found = {
        "plans": node.plans,
        "timings": node.timings,
        "states": node.states,
        "reasons": dict(node.reasons.most_common(5)),
        "first_nominal_ns": node.first_nominal_ns,
    }
    print(json.dumps(found), flush=True)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
