import dataclasses
import json
import re

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from diff_planner.config import PlannerConfig, load_config
from diff_planner.data import doctor
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.doctor import Level
from diff_planner.data.rig import suggest_config
from diff_planner.data.typestore import typestore
from diff_planner.errors import BagError
from doctor_cases import examine, said
from rig_bags import (
    ACCELERATION,
    LIDAR,
    ODOMETRY,
    change,
    image_topic,
    info_topic,
    make_header,
    make_rig,
    stamp_of,
)

FRONT = image_topic("front")


@pytest.fixture
def rig():
    return make_rig(duration_s=1.5, yaws_deg={"front": 0.0})


@pytest.fixture
def triple():
    return make_rig(duration_s=1.5)


def test_a_healthy_bag_can_drive_and_every_finding_is_ok(triple, tmp_path):
    report = examine(triple, tmp_path)
    assert report.can_drive
    assert report.verdict == (
        "This bag can drive the planner: 15 of 15 anchors (lidar) are complete."
    )
    assert {finding.level for finding in report.findings} == {Level.OK}
    sections = ["Topics", "Rates and gaps", "Stamps", "Synchronization", "Clocks", "Calibration",
                "Frames", "Data"]  # fmt: skip
    assert list(dict.fromkeys(finding.section for finding in report.findings)) == sections


def test_the_report_is_json_and_its_configuration_loads(rig, tmp_path):
    report = examine(rig, tmp_path)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["can_drive"] is True
    assert values["findings"][0]["level"] == "ok"
    rates = {row["topic"]: row["rate_hz"] for row in values["topics"]}
    assert rates[LIDAR] == pytest.approx(10.0)
    assert rates["/tf_static"] is None
    path = tmp_path / "rig.yaml"
    path.write_text(report.config_yaml)
    assert load_config(path).inputs.nav_command is None


def test_the_text_shows_verdict_table_sections_and_configuration(triple, tmp_path):
    text = doctor.render(examine(triple, tmp_path))
    lines = text.splitlines()
    assert lines[0].startswith("bag.mcap: 1.5 s, 256 messages, 10 topics")
    assert lines[1].startswith("This bag can drive")
    assert re.search(rf"^{LIDAR} +PointCloud2 +15 +10.0 Hz +lidar$", text, re.MULTILINE)
    assert "\nSynchronization\n" in text
    assert "    nav_command: null" in text
    sentences = [line for line in lines if line.startswith("  ok")]
    assert max(map(len, sentences)) <= 100


def test_a_camera_without_camera_info_is_named_and_left_out(triple, tmp_path):
    del triple[info_topic("left")]
    report = examine(triple, tmp_path)
    expected = rf"Camera {image_topic('left')} has no CameraInfo .* {info_topic('left')}"
    assert said(report, Level.WARNING, expected)
    assert report.can_drive


def test_no_camera_with_camera_info_is_a_problem(triple, tmp_path):
    for name in ("left", "front", "right"):
        del triple[info_topic(name)]
    report = examine(triple, tmp_path)
    assert said(report, Level.PROBLEM, "has no CameraInfo")
    assert not report.can_drive


def test_without_lidar_no_plan_is_the_networks_so_it_is_a_problem(triple, tmp_path):
    del triple[LIDAR]
    report = examine(triple, tmp_path)
    assert said(report, Level.PROBLEM, "No LiDAR: the collision rule has nothing to judge by")
    assert not report.can_drive


def test_without_any_camera_no_plan_is_the_networks_so_it_is_a_problem(tmp_path):
    report = examine(make_rig(duration_s=1.5, yaws_deg={}), tmp_path)
    assert said(report, Level.PROBLEM, "No camera: the network is blind")
    assert not report.can_drive


def test_acceleration_of_another_frame_is_said_to_be_derived(rig, tmp_path):
    change(
        rig,
        ACCELERATION,
        lambda _, t, m: (t, dataclasses.replace(m, header=make_header("imu_link", stamp_of(m)))),
    )
    report = examine(rig, tmp_path)
    assert said(report, Level.OK, "given in frame 'imu_link', not in 'base_link'")
    assert report.can_drive


def test_a_configured_topic_that_is_missing_names_those_of_its_type(triple, tmp_path):
    triple["/lidar/points"] = triple.pop(LIDAR)
    report = examine(triple, tmp_path, PlannerConfig())
    assert said(
        report,
        Level.PROBLEM,
        rf"lidar: no topic {LIDAR} .*has /lidar/points; set inputs.lidar.topic",
    )
    assert (report.complete_anchors, report.anchors) == (0, 0)
    assert "/lidar/points" in report.config_yaml


def test_a_configured_topic_of_another_type_is_a_problem(triple, tmp_path):
    triple[LIDAR] = triple[FRONT]
    report = examine(triple, tmp_path, PlannerConfig())
    assert said(
        report, Level.PROBLEM, "lidar: topic .* is of type .*CompressedImage, expected .*Cloud"
    )


def test_a_bag_without_odometry_gets_no_configuration_but_a_reason(rig, tmp_path):
    del rig[ODOMETRY]
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, "expected an odometry topic of type nav_msgs/msg/Odometry")
    assert (report.can_drive, report.config_yaml) == (False, "")
    assert "something indispensable" in doctor.render(report)


def test_a_bag_with_none_of_the_topics_gets_no_configuration_but_a_reason(rig, tmp_path):
    report = examine({"/tf_static": rig["/tf_static"]}, tmp_path)
    assert said(report, Level.PROBLEM, r"the bag has /tf_static \(tf2_msgs/msg/TFMessage, 1\)")


def write_with_broken_cloud(rig, path, number):
    """Write a rig with the bytes of one cloud cut off, which `BagWriter` would not do."""
    store = typestore()
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, msgtype, typestore=store)
            for topic, (msgtype, _) in rig.items()
        }
        entries = [
            (log_ns, topic, i, message)
            for topic, (_, messages) in rig.items()
            for i, (log_ns, message) in enumerate(messages)
        ]
        for log_ns, topic, i, message in sorted(entries, key=lambda entry: entry[:3]):
            raw = bytes(store.serialize_cdr(message, rig[topic][0]))
            is_broken = topic == LIDAR and i == number
            writer.write(connections[topic], log_ns, raw[:20] if is_broken else raw)
    return path


@pytest.mark.parametrize(("number", "anchors"), [(12, 12), (3, 3)])
def test_a_bag_with_a_broken_message_is_examined_up_to_it(rig, tmp_path, number, anchors):
    report = doctor.examine(write_with_broken_cloud(rig, tmp_path / "bag", number))
    assert said(report, Level.PROBLEM, f"Reading stopped: .*corrupted message on {LIDAR}")
    assert report.anchors == anchors
    assert not report.can_drive


def test_a_bag_that_is_broken_from_the_start_gives_no_configuration(rig, tmp_path):
    path = write_with_broken_cloud({LIDAR: rig[LIDAR]}, tmp_path / "bag", 0)
    report = doctor.examine(path)
    assert said(report, Level.PROBLEM, "Reading stopped: .*corrupted message")
    assert report.config_yaml == ""
    with BagReader(path) as reader, pytest.raises(BagError, match="corrupted message"):
        suggest_config(reader)


def test_a_bag_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BagError, match="no such bag"):
        doctor.examine(tmp_path / "none.mcap")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("bag", "anchors"), [("nuscenes_scene_0006", 40), ("kitti_drive_0001", 108)]
)
def test_the_recorded_bags_can_drive_the_planner_without_a_warning(real_data, bag, anchors):
    report = doctor.examine(real_data / "bags" / bag)
    assert report.can_drive, doctor.render(report)
    assert (report.complete_anchors, report.anchors) == (anchors, anchors)
    assert not report.of_level(Level.WARNING), doctor.render(report)
