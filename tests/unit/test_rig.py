import dataclasses

import numpy as np
import pytest

from diff_planner.config import InputsConfig, PlannerConfig, to_yaml
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.rig import nice_period_s, suggest_config
from diff_planner.data.survey import nearest_index
from diff_planner.data.typestore import make_message
from diff_planner.errors import MissingInputError
from rig_bags import (
    ACCELERATION,
    LIDAR,
    ODOMETRY,
    START_NS,
    change,
    image_topic,
    info_topic,
    make_header,
    make_rig,
    restamped,
    stamp_of,
    write_rig,
)


def suggest(rig, tmp_path):
    with BagReader(write_rig(rig, tmp_path / "bag.mcap")) as reader:
        return suggest_config(reader)


def renamed(rig, names):
    """Rename topics by the first fitting pair of (old part, new part)."""

    def rename(topic):
        for old, new in names:
            if old in topic:
                return topic.replace(old, new)
        return topic

    return {rename(topic): entry for topic, entry in rig.items()}


def shift_stamps(rig, topic, shift_s, *, also_log=True):
    shift_ns = round(shift_s * 1e9)
    change(
        rig,
        topic,
        lambda _, log_ns, m: (
            log_ns + shift_ns * also_log,
            restamped(m, stamp_of(m) + shift_ns),
        ),
    )


def as_raw_images(rig, name):
    """Replace a camera's compressed topic by /sensing/camera/NAME/image_raw."""
    _, messages = rig.pop(image_topic(name))
    raw = [
        (
            log_ns,
            make_message(
                "sensor_msgs/msg/Image",
                header=m.header,
                height=2,
                width=2,
                encoding="rgb8",
                is_bigendian=0,
                step=6,
                data=np.zeros(12, dtype=np.uint8),
            ),
        )
        for log_ns, m in messages
    ]
    rig[f"/sensing/camera/{name}/image_raw"] = ("sensor_msgs/msg/Image", raw)


def test_a_bag_with_the_default_topics_gives_the_default_config(tmp_path):
    rig = make_rig(duration_s=1.0)
    header = make_header("", START_NS)
    command = make_message(
        "diff_planner_msgs/msg/NavCommand",
        header=header, command=1, distance_m=1.0, target_speed_mps=1.0, speed_limit_mps=1.0,
        confidence=1.0, valid_for_s=0.0,
    )  # fmt: skip
    route = make_message(
        "diff_planner_msgs/msg/Route",
        header=header,
        uuid=make_message("unique_identifier_msgs/msg/UUID", uuid=np.zeros(16, dtype=np.uint8)),
        x_m=np.zeros(2),
        y_m=np.zeros(2),
        speed_limit_mps=np.zeros(2, dtype=np.float32),
        goal=make_message(
            "geometry_msgs/msg/Pose",
            position=make_message("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
            orientation=make_message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        ),
        is_loop=False,
    )
    rig["/navigation/command"] = ("diff_planner_msgs/msg/NavCommand", [(START_NS, command)])
    rig["/navigation/route"] = ("diff_planner_msgs/msg/Route", [(START_NS, route)])
    config = suggest(rig, tmp_path)
    assert config == PlannerConfig()
    assert to_yaml(config).strip() == "{}"


def test_three_cameras_are_named_by_where_they_look_and_the_rest_is_left_out(tmp_path):
    yaws = {"a": -57.0, "b": 2.0, "c": 52.0, "d": 180.0, "e": 110.0, "f": -110.0}
    config = suggest(make_rig(duration_s=1.0, yaws_deg=yaws), tmp_path)
    images = {name: camera.image for name, camera in config.inputs.cameras.items()}
    assert images == {
        "left": image_topic("c"),
        "front": image_topic("b"),
        "right": image_topic("a"),
    }


def test_cameras_without_a_triple_keep_the_name_in_their_topic(tmp_path):
    yaws = {"image_02": 0.0, "image_03": 0.0, "rear": 180.0}
    config = suggest(make_rig(duration_s=1.0, yaws_deg=yaws), tmp_path)
    assert list(config.inputs.cameras) == ["image_02", "image_03"]


def test_names_that_promise_a_triple_are_not_given_to_cameras_that_look_elsewhere(tmp_path):
    yaws = {"left": 5.0, "front": 0.0, "right": -5.0}
    config = suggest(make_rig(duration_s=1.0, yaws_deg=yaws), tmp_path)
    assert list(config.inputs.cameras) == ["camera_front", "camera_left", "camera_right"]


def test_at_most_six_cameras_stay_and_they_are_the_most_forward(tmp_path):
    yaws = {f"c{i}": 3.0 * i for i in range(8)}
    config = suggest(make_rig(duration_s=1.0, yaws_deg=yaws), tmp_path)
    assert list(config.inputs.cameras) == [f"c{i}" for i in range(6)]


def test_equal_camera_parts_are_told_apart_by_more_of_the_path(tmp_path):
    rig = make_rig(duration_s=1.0, yaws_deg={"one": 0.0, "two": 0.0})
    rig = renamed(rig, [("/sensing/camera/one/", "/near/color/"),
                        ("/sensing/camera/two/", "/far/color/")])  # fmt: skip
    assert list(suggest(rig, tmp_path).inputs.cameras) == ["far_color", "near_color"]


def test_a_compressed_topic_is_preferred_and_a_depth_topic_ignored(tmp_path):
    rig = make_rig(duration_s=1.0, yaws_deg={"front": 0.0})
    both = dict(rig)
    as_raw_images(rig, "front")
    raw = "/sensing/camera/front/image_raw"
    both[raw] = rig[raw]
    rig["/sensing/camera/front/depth/image_rect"] = rig[raw]
    rig["/sensing/camera/front/depth/camera_info"] = rig[info_topic("front")]
    assert suggest(both, tmp_path).inputs.cameras["front"].image == image_topic("front")
    (tmp_path / "bag.mcap").unlink()
    cameras = suggest(rig, tmp_path).inputs.cameras
    assert {name: camera.image for name, camera in cameras.items()} == {"front": raw}


def test_the_cloud_with_most_points_is_the_lidar(tmp_path):
    rig = make_rig(duration_s=1.0)
    msgtype, messages = rig[LIDAR]
    rig["/sensing/radar/points"] = (msgtype, messages[:3])
    assert suggest(rig, tmp_path).inputs.lidar.topic == LIDAR


def test_without_lidar_the_camera_that_looks_forward_is_the_anchor(tmp_path):
    rig = make_rig(duration_s=1.0)
    del rig[LIDAR]
    inputs = suggest(rig, tmp_path).inputs
    assert inputs.anchor == "front"
    assert inputs.lidar is None


def test_without_cameras_the_lidar_alone_is_configured(tmp_path):
    inputs = suggest(make_rig(duration_s=1.0, yaws_deg={}), tmp_path).inputs
    assert inputs.cameras == {}
    assert inputs.anchor == "lidar"


def test_a_bag_without_pictures_and_points_is_refused_with_its_topics(tmp_path):
    rig = {ODOMETRY: make_rig(duration_s=1.0)[ODOMETRY]}
    with pytest.raises(MissingInputError, match=r"PointCloud2.*the bag has /localization/kinem"):
        suggest(rig, tmp_path)


def test_a_bag_without_odometry_is_refused_with_its_topics(tmp_path):
    rig = make_rig(duration_s=1.0)
    del rig[ODOMETRY]
    with pytest.raises(MissingInputError, match=r"nav_msgs/msg/Odometry; the bag has .*lidar/top"):
        suggest(rig, tmp_path)


def test_the_odometry_on_whose_frame_the_sensors_hang_is_taken(tmp_path):
    rig = make_rig(duration_s=1.0)
    msgtype, messages = rig[ODOMETRY]
    rig["/gps/odometry"] = (
        msgtype,
        [(t, dataclasses.replace(m, child_frame_id="antenna")) for t, m in messages * 2],
    )
    inputs = suggest(rig, tmp_path).inputs
    assert inputs.odometry.topic == ODOMETRY
    assert inputs.base_frame == "base_link"


def test_acceleration_of_another_frame_is_not_configured(tmp_path):
    rig = make_rig(duration_s=1.0)
    change(
        rig,
        ACCELERATION,
        lambda _, t, m: (t, dataclasses.replace(m, header=make_header("imu_link", stamp_of(m)))),
    )
    assert suggest(rig, tmp_path).inputs.acceleration is None


def test_the_tolerance_grows_to_the_measured_distance_but_not_over_half_a_period(tmp_path):
    rig = make_rig(duration_s=4.0, rate_hz=4.0)
    shift_stamps(rig, image_topic("left"), -0.083)
    shift_stamps(rig, image_topic("right"), -0.02)
    cameras = suggest(rig, tmp_path).inputs.cameras
    assert cameras["left"].tolerance_s == 0.09
    assert cameras["front"].tolerance_s == InputsConfig().cameras["front"].tolerance_s
    assert cameras["right"].tolerance_s == 0.06


def test_the_wait_grows_with_pictures_that_arrive_late(tmp_path):
    rig = make_rig(duration_s=2.0)
    change(rig, image_topic("front"), lambda _, log_ns, m: (log_ns + 83_000_000, m))
    assert suggest(rig, tmp_path).inputs.sync_wait_s == 0.09


@pytest.mark.parametrize(
    ("measured_s", "configured_s"),
    [
        (0.103, 0.1), (0.5, 0.5), (0.4871, 0.5), (0.05, 0.05), (0.0335, 0.0333), (0.14, 0.14),
        (1.6, 1.6), (3.0, 2.0), (0.001, 0.011), (float("nan"), 0.1), (0.0, 0.1),
    ],
)  # fmt: skip
def test_periods_are_rounded_to_usual_rates_within_the_allowed_range(measured_s, configured_s):
    period_s = nice_period_s(measured_s)
    assert period_s == configured_s
    assert InputsConfig(period_s=period_s).period_s == period_s


def test_a_topic_that_begins_after_the_sampled_seconds_is_found_all_the_same(tmp_path):
    rig = make_rig(duration_s=8.0, rate_hz=2.0)
    for topic in (image_topic("front"), info_topic("front")):
        msgtype, messages = rig[topic]
        rig[topic] = (msgtype, messages[13:])
    assert set(suggest(rig, tmp_path).inputs.cameras) == {"left", "front", "right"}


def test_the_nearest_stamp_is_found_in_any_order_and_at_both_ends():
    stamps_ns = np.array([40, 10, 30, 20])
    index = nearest_index(np.array([0, 14, 15, 26, 99]), stamps_ns)
    assert stamps_ns[index].tolist() == [10, 10, 10, 30, 40]


@pytest.mark.realdata
def test_nuscenes_gives_the_triple_at_two_hertz(real_data):
    with BagReader(real_data / "bags" / "nuscenes_scene_0006") as reader:
        inputs = suggest_config(reader).inputs
    segments = {name: camera.image.split("/")[3] for name, camera in inputs.cameras.items()}
    assert segments == {"left": "cam_front_left", "front": "cam_front", "right": "cam_front_right"}
    assert (inputs.anchor, inputs.period_s) == ("lidar", 0.5)
    assert {camera.tolerance_s for camera in inputs.cameras.values()} == {0.06}


@pytest.mark.realdata
def test_kitti_gives_its_two_forward_cameras_at_ten_hertz(real_data):
    with BagReader(real_data / "bags" / "kitti_drive_0001") as reader:
        inputs = suggest_config(reader).inputs
    assert list(inputs.cameras) == ["image_02", "image_03"]
    assert (inputs.anchor, inputs.period_s) == ("lidar", 0.1)
