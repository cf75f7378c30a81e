"""The node's publishers: what goes out, where, and with which QoS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from diff_planner.data import encode
from diff_planner.data.encode_status import (
    Counters,
    ModelLabel,
    StatusReport,
    status_message,
    timing_message,
)
from diff_planner.ros.diagnostics import diagnostics_message
from diff_planner.ros.markers import candidate_markers, plan_path
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.messages import make
from diff_planner.ros.qos import OnMismatch, Role, publisher_options
from diff_planner.types import FloatArray, Message, PlannerOutput

TOPICS: Mapping[Role, tuple[str, str]] = {
    "trajectory": ("trajectory", "diff_planner_msgs/msg/Trajectory"),
    "candidates": ("candidates", "diff_planner_msgs/msg/CandidateSet"),
    "status": ("status", "diff_planner_msgs/msg/PlannerStatus"),
    "timing": ("timing", "diff_planner_msgs/msg/CycleTiming"),
    "path": ("path", "nav_msgs/msg/Path"),
    "markers": ("markers", "visualization_msgs/msg/MarkerArray"),
}
"""By role: topic below `planning/` (in shadow mode `planning/shadow/`) and message type."""
DIAGNOSTICS = "/diagnostics"


def output_topic(role: Role, *, is_shadow: bool) -> str:
    """Return the relative topic of an output."""
    return f"planning/shadow/{TOPICS[role][0]}" if is_shadow else f"planning/{TOPICS[role][0]}"


class Outputs:
    """Publishers that live as long as the node."""

    def __init__(self, node: Node, on_mismatch: OnMismatch, *, is_shadow: bool) -> None:
        """Advertise.

        Args:
            node: to publish from.
            on_mismatch: told of subscribers that get nothing.
            is_shadow: publish beside, never where control listens.
        """
        self.is_shadow = is_shadow
        self._publishers: dict[Role, Any] = {}
        for role, (_, msgtype) in TOPICS.items():
            self._advertise(
                node, role, output_topic(role, is_shadow=is_shadow), msgtype, on_mismatch
            )
        self._advertise(
            node, "diagnostics", DIAGNOSTICS, "diagnostic_msgs/msg/DiagnosticArray", on_mismatch
        )

    def _advertise(
        self, node: Node, role: Role, topic: str, msgtype: str, on_mismatch: OnMismatch
    ) -> None:
        options = publisher_options(node, role, topic, on_mismatch)
        self._publishers[role] = node.create_publisher(message_class(msgtype), topic, **options)

    def trajectory(
        self, output: PlannerOutput, wheelbase_m: float, frame_id: str, frame_SE3_ego: FloatArray
    ) -> Message:
        """Return the message of a plan; not published yet.

        Raises:
            ContractError: a number in it is not finite.
        """
        return encode.trajectory_message(
            make, output, wheelbase_m=wheelbase_m, frame_id=frame_id, frame_SE3_ego=frame_SE3_ego
        )

    def publish_trajectory(self, message: Message) -> None:
        """Send a plan to whoever follows it."""
        self._publishers["trajectory"].publish(message)

    def publish_views(
        self, output: PlannerOutput, trajectory: Message, base_frame: str, frame_SE3_ego: FloatArray
    ) -> None:
        """Send what people look at; path and markers only where somebody does."""
        candidates = encode.candidates_message(make, output, base_frame)
        self._publishers["candidates"].publish(candidates)
        if self._publishers["path"].get_subscription_count():
            self._publishers["path"].publish(plan_path(make, trajectory))
        if self._publishers["markers"].get_subscription_count():
            frame_id = trajectory.header.frame_id
            markers = candidate_markers(make, output, frame_id, frame_SE3_ego)
            self._publishers["markers"].publish(markers)

    def publish_timing(
        self, output: PlannerOutput, timing: Mapping[str, float], *, is_deadline_missed: bool
    ) -> None:
        """Send where the time of a cycle went."""
        stamp_ns, plan_id = output.trajectory.stamp_ns, output.plan_id
        message = timing_message(make, stamp_ns, plan_id, timing, is_deadline_missed)
        self._publishers["timing"].publish(message)

    def publish_status(self, report: StatusReport, model: ModelLabel, counters: Counters) -> None:
        """Send the state; whoever joins later gets it too."""
        message = status_message(
            make, report, model=model, counters=counters, is_shadow=self.is_shadow
        )
        self._publishers["status"].publish(message)

    def publish_diagnostics(
        self,
        stamp_ns: int,
        report: StatusReport,
        model: ModelLabel,
        counters: Counters,
        timing: Mapping[str, float],
        mismatches: Mapping[str, str],
    ) -> None:
        """Send the same for a vehicle's diagnostic aggregator.

        Args:
            stamp_ns: the present, on the node's clock.
            report: the newest status.
            model: which model runs.
            counters: of the process.
            timing: milliseconds by stage of the newest cycle.
            mismatches: words on what is not connected, by topic.
        """
        message = diagnostics_message(make, stamp_ns, report, model, counters, timing, mismatches)
        self._publishers["diagnostics"].publish(message)
