"""The topics that the views are held to are those that the node publishes."""

import pytest

from node_topics import OUTPUTS

pytestmark = pytest.mark.ros

pytest.importorskip("rclpy")

from diff_planner.ros.outputs import DIAGNOSTICS, TOPICS, output_topic  # noqa: E402


def test_the_views_know_every_topic_of_the_node_and_its_type():
    published = {
        f"/{output_topic(role, is_shadow=False)}": msgtype for role, (_, msgtype) in TOPICS.items()
    }
    published[DIAGNOSTICS] = "diagnostic_msgs/msg/DiagnosticArray"
    assert published == OUTPUTS
