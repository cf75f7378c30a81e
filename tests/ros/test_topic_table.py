"""The README's table of topics is that of the code."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from diff_planner.ros.topic_table import COMMAND, README, with_topics

pytestmark = pytest.mark.ros


def test_the_readme_has_the_present_topics_and_their_quality_of_service():
    text = README.read_text(encoding="utf-8")
    assert with_topics(text) == text, f"run `{COMMAND}` (make docs)"
