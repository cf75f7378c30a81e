"""The views for RViz and Foxglove show topics and fields that exist, and are installed."""

import json
import re
import runpy
from pathlib import Path

import pytest
import setuptools
import yaml
from rosbags.interfaces import Nodetype

from contract.source_tree import PACKAGE
from diff_planner.config import PlannerConfig
from diff_planner.data import encode
from diff_planner.data.sample_messages import topics as input_topics
from diff_planner.data.typestore import typestore
from node_topics import OUTPUTS

RVIZ = PACKAGE.parent / "rviz" / "planner.rviz"
FOXGLOVE = PACKAGE.parent / "foxglove" / "planner.json"
INPUTS = {name: kind for name, (kind, _) in input_topics(PlannerConfig().inputs).items()}
TOPICS = {**INPUTS, **OUTPUTS}
RVIZ_TYPES = {
    "PointCloud2": {"sensor_msgs/msg/PointCloud2"},
    "Image": {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"},
    "Path": {"nav_msgs/msg/Path"},
    "MarkerArray": {"visualization_msgs/msg/MarkerArray"},
}
SENSORS = ("PointCloud2", "Image")


@pytest.fixture(scope="module")
def rviz():
    return yaml.safe_load(RVIZ.read_text(encoding="utf-8"))["Visualization Manager"]


@pytest.fixture(scope="module")
def foxglove():
    return json.loads(FOXGLOVE.read_text(encoding="utf-8"))


def displays_with_topic(rviz):
    """(display class, its topic's settings) of each display of a topic."""
    return [
        (display["Class"].removeprefix("rviz_default_plugins/"), display["Topic"])
        for display in rviz["Displays"]
        if "Topic" in display
    ]


def strings_in(value):
    """Every string of nested dicts and lists, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


def message_paths(foxglove):
    """(topic, field path) of all that the layout names; the path is "" for a whole message."""
    named = [text for text in strings_in(foxglove) if text.startswith("/")]
    return [(path.partition(".")[0], path.partition(".")[2]) for path in named]


def has_field(msgtype, path):
    """Whether a path such as points[0].pose leads to a field of a message."""
    for part in path.split("."):
        name, _, index = part.partition("[")
        fields = dict(typestore().fielddefs[msgtype][1]) if msgtype else {}
        if name not in fields:
            return False
        node, detail = fields[name]
        if (node in (Nodetype.ARRAY, Nodetype.SEQUENCE)) != bool(index):
            return False
        if index:
            node, detail = detail[0]
        msgtype = detail if node == Nodetype.NAME else None
    return True


def test_rviz_shows_topics_that_exist_with_displays_for_their_type(rviz):
    displays = displays_with_topic(rviz)
    assert {kind for kind, _ in displays} == set(RVIZ_TYPES)
    wrong = [
        (kind, topic["Value"])
        for kind, topic in displays
        if TOPICS.get(topic["Value"]) not in RVIZ_TYPES[kind]
    ]
    assert not wrong


def test_rviz_shows_each_camera_of_the_default_configuration(rviz):
    shown = {topic["Value"] for kind, topic in displays_with_topic(rviz) if kind == "Image"}
    assert shown == {camera.image for camera in PlannerConfig().inputs.cameras.values()}


def test_rviz_receives_sensors_that_are_published_best_effort(rviz):
    reliability = {
        topic["Value"]: topic["Reliability Policy"]
        for kind, topic in displays_with_topic(rviz)
        if kind in SENSORS
    }
    assert set(reliability.values()) == {"Best Effort"}


def test_rviz_has_a_fixed_frame_and_follows_the_vehicle(rviz):
    assert rviz["Global Options"]["Fixed Frame"] == "map"  # of the odometry in our bags
    assert rviz["Views"]["Current"]["Target Frame"] == PlannerConfig().inputs.base_frame


def test_foxglove_names_topics_and_fields_that_exist(foxglove):
    paths = message_paths(foxglove)
    assert not [topic for topic, _ in paths if topic not in TOPICS]
    assert not [(t, path) for t, path in paths if path and not has_field(TOPICS[t], path)]


def test_foxglove_shows_speed_acceleration_latency_state_reason_and_diagnostics(foxglove):
    named = {f"{topic}.{path}".rstrip(".") for topic, path in message_paths(foxglove)}
    assert named >= {
        "/planning/trajectory.points[0].longitudinal_velocity_mps",
        "/planning/trajectory.points[0].acceleration_mps2",
        "/planning/timing.end_to_end_ms",
        "/planning/status.state",
        "/planning/status.reason",
        "/planning/markers",
        "/diagnostics",
        *(camera.image for camera in PlannerConfig().inputs.cameras.values()),
    }


def test_every_panel_of_the_layout_has_a_configuration_and_a_place(foxglove):
    placed = [text for text in strings_in(foxglove["layout"]) if "!" in text]
    assert sorted(placed) == sorted(foxglove["configById"])
    assert all(re.fullmatch(r"[\w]+!\w+", panel) for panel in placed)


@pytest.mark.parametrize("path", ["points[0].no_such_field", "points.pose", "header[0]", "x"])
def test_the_field_test_sees_a_path_that_does_not_exist(path):
    assert not has_field(encode.TRAJECTORY, path)


def test_setup_installs_both(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **words: given.update(words))
    monkeypatch.chdir(PACKAGE.parent)
    runpy.run_path(str(PACKAGE.parent / "setup.py"))
    installed = {
        Path(folder).name: {Path(file).name for file in files}
        for folder, files in given["data_files"]
    }
    assert installed["rviz"] == {RVIZ.name}
    assert installed["foxglove"] == {FOXGLOVE.name}
