"""Writes the table of the node's topics into the README of the package.

    python -m diff_planner.ros.topic_table

Needs ROS, since the quality of service is rclpy's.  A test holds that the README's is the present
one.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from diff_planner.ros.inputs import input_topics
from diff_planner.ros.outputs import DIAGNOSTICS, TOPICS, output_topic
from diff_planner.ros.parameter_specs import settings_from
from diff_planner.ros.parameter_table import README, between
from diff_planner.ros.qos import Role, profile

COMMAND = "python -m diff_planner.ros.topic_table"
_BEGIN = f"<!-- topics: written by `{COMMAND}` -->"
_END = "<!-- end of topics -->"
_HEAD = "| Topic | Type | QoS | Meaning |\n| --- | --- | --- | --- |"
_MEANINGS: dict[Role, str] = {
    "trajectory": "the plan that control follows: 41 points at 0.1 s, labelled with its source",
    "candidates": "all candidates of the cycle, their scores and reject bits",
    "status": "state, faults, reason, health of each input, model; in each period",
    "timing": "where the time of the cycle went, and its age from sensor to plan",
    "path": "the plan for viewers; only while somebody subscribes",
    "markers": "candidates and plan for viewers; only while somebody subscribes",
}


def topic_table() -> str:
    """Return inputs and outputs as two Markdown tables."""
    inputs = [
        _row(topic.topic, " or ".join(topic.types), topic.role, topic.name)
        for topic in input_topics(settings_from({}).planner.inputs)
    ]
    outputs = [
        _row(output_topic(role, is_shadow=False), msgtype, role, _MEANINGS[role])
        for role, (_, msgtype) in TOPICS.items()
    ]
    words = "the same for a diagnostic aggregator, once a second"
    outputs.append(_row(DIAGNOSTICS, "diagnostic_msgs/msg/DiagnosticArray", "diagnostics", words))
    parts = ["#### In", "", _HEAD, *inputs, "", "#### Out", "", _HEAD, *outputs]
    return "\n".join(parts)


def with_topics(text: str) -> str:
    """Return the text of the README with the present tables between their two markers."""
    return between(text, _BEGIN, _END, topic_table())


def _row(topic: str, msgtype: str, role: Role, meaning: str) -> str:
    return f"| `{topic}` | {msgtype.replace('/msg/', '/')} | {_words(role)} | {meaning} |"


def _words(role: Role) -> str:
    qos = profile(role)
    is_reliable = qos.reliability == ReliabilityPolicy.RELIABLE
    is_latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    words = ["reliable" if is_reliable else "best effort", f"depth {qos.depth}"]
    return ", ".join([*words, "transient local"] if is_latched else words)


def main() -> None:
    """Write the README of the source tree."""
    README.write_text(with_topics(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
