import dataclasses

import cv2
import numpy as np
import pytest

from diff_planner.config import PlannerConfig
from diff_planner.data.doctor import Level
from doctor_cases import examine, replace_messages, said
from rig_bags import (
    LIDAR,
    ODOMETRY,
    START_NS,
    change,
    image_topic,
    info_topic,
    make_cloud,
    make_odometry,
    make_rig,
    make_transforms,
    optical_rotation,
    quaternion,
    stamp_of,
)

FRONT = image_topic("front")


@pytest.fixture
def rig():
    return make_rig(duration_s=1.5, yaws_deg={"front": 0.0})


@pytest.fixture
def triple():
    return make_rig(duration_s=1.5)


def test_a_configured_camera_info_that_is_missing_is_a_problem(triple, tmp_path):
    del triple[info_topic("left")]
    report = examine(triple, tmp_path, PlannerConfig())
    assert said(report, Level.PROBLEM, rf"left: no CameraInfo on {info_topic('left')}")


@pytest.mark.parametrize(("child", "name"), [("front_optical", "front"), ("lidar_top", "lidar")])
def test_a_missing_transform_is_a_problem_that_names_both_frames(rig, tmp_path, child, name):
    def without(_, log_ns, message):
        kept = [t for t in message.transforms if t.child_frame_id != child]
        return log_ns, dataclasses.replace(message, transforms=kept)

    change(rig, "/tf_static", without)
    report = examine(rig, tmp_path)
    assert said(
        report, Level.PROBLEM, f"{name}: no static transform joins 'base_link' and '{child}'"
    )
    assert not report.can_drive


def test_no_transforms_at_all_is_a_problem(rig, tmp_path):
    del rig["/tf_static"]
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, "known frames: none")


def test_a_transform_that_is_not_finite_is_named(triple, tmp_path):
    triple["/tf_static"][1][0][1].transforms[0].transform.translation.x = np.nan
    report = examine(triple, tmp_path)
    assert said(report, Level.WARNING, "/tf_static: static transform of 'left_optical'")


def test_an_encoding_that_cannot_be_decoded_is_named(rig, tmp_path):
    replace_messages(rig, FRONT, format="jpegxl-lossless depth")
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, "front: the first picture cannot be used: .*jpegxl")
    assert not report.can_drive


def test_a_picture_of_one_colour_is_a_warning(rig, tmp_path):
    data = np.frombuffer(cv2.imencode(".png", np.zeros((48, 80, 3), np.uint8))[1], dtype=np.uint8)
    replace_messages(rig, FRONT, data=data, format="png")
    assert said(examine(rig, tmp_path), Level.WARNING, "front: the first picture has one colour")


def test_a_cloud_of_nan_is_a_problem(rig, tmp_path):
    nan = np.full((40, 3), np.nan)
    change(rig, LIDAR, lambda _, t, m: (t, make_cloud(stamp_of(m), nan)))
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, "lidar: 40 of 40 points of the first cloud are NaN")
    assert not report.can_drive


def test_a_cloud_that_is_mostly_nan_is_a_warning(rig, tmp_path):
    points = np.array([[5.0, 0.0, 0.0]] * 10 + [[np.nan] * 3] * 30)
    change(rig, LIDAR, lambda _, t, m: (t, make_cloud(stamp_of(m), points)))
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, "lidar: 30 of 40 points of the last cloud are NaN")
    assert said(report, Level.WARNING, r"75\.0% NaN.*expected at least 500")


def test_empty_clouds_are_a_problem(rig, tmp_path):
    change(rig, LIDAR, lambda _, t, m: (t, make_cloud(stamp_of(m), np.zeros((0, 3)))))
    assert said(examine(rig, tmp_path), Level.PROBLEM, "lidar: 15 of 15 clouds hold no point")


def test_points_without_x_y_z_are_a_problem(rig, tmp_path):
    fields = rig[LIDAR][1][0][1].fields[:2]
    replace_messages(rig, LIDAR, fields=fields)
    assert said(
        examine(rig, tmp_path), Level.PROBLEM, r"lidar: the first cloud .* no field \['z'\]"
    )


def test_a_lidar_at_the_wrong_height_shows_in_the_ground(rig, tmp_path):
    transform = rig["/tf_static"][1][0][1].transforms[-1]
    assert transform.child_frame_id == "lidar_top"
    transform.transform.translation.z = 0.9
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"ground at z = -0\.90 m; expected the ground at z = 0")


def test_a_lidar_that_hangs_upside_down_is_a_warning(rig, tmp_path):
    rig["/tf_static"][1][0][1].transforms[-1].transform.rotation = quaternion(np.diag([1, -1, -1]))
    assert said(examine(rig, tmp_path), Level.WARNING, "lidar: .* its z axis does not point up")


def test_a_cloud_that_no_camera_sees_is_a_warning(rig, tmp_path):
    behind = np.column_stack([np.linspace(-30, -20, 600), np.zeros(600), np.zeros(600)])
    change(rig, LIDAR, lambda _, t, m: (t, make_cloud(stamp_of(m), behind)))
    assert said(examine(rig, tmp_path), Level.WARNING, r"No LiDAR point falls on .* front 0\.0%")


def test_a_camera_frame_that_is_not_optical_is_a_warning(triple, tmp_path):
    transforms = make_transforms({"front": 0.0, "left": 55.0, "right": -55.0})
    transforms.transforms[0].transform.rotation = quaternion(np.eye(3))
    triple["/tf_static"] = (triple["/tf_static"][0], [(START_NS, transforms)])
    report = examine(triple, tmp_path)
    assert said(report, Level.WARNING, "front: the z axis of 'front_optical' points 90 degrees up")


def test_a_rolled_camera_frame_is_a_warning(triple, tmp_path):
    transforms = make_transforms({"front": 0.0, "left": 55.0, "right": -55.0})
    rolled = optical_rotation(0.0) @ np.diag([-1.0, -1.0, 1.0])
    transforms.transforms[0].transform.rotation = quaternion(rolled)
    triple["/tf_static"] = (triple["/tf_static"][0], [(START_NS, transforms)])
    assert said(examine(triple, tmp_path), Level.WARNING, "front: .* is rolled")


@pytest.mark.parametrize(
    ("fields", "level", "pattern"),
    [
        ({"k": np.zeros(9), "p": np.zeros(12)}, Level.PROBLEM, "front: .*not calibrated"),
        ({"height": 900, "width": 900}, Level.PROBLEM, "front: .*another shape: 80 x 48 px"),
        ({"distortion_model": "magic", "d": np.ones(5)}, Level.PROBLEM, "front: .*'magic'"),
    ],
)
def test_a_camera_info_that_cannot_be_used_is_a_problem(rig, tmp_path, fields, level, pattern):
    # image_raw, because a rectified picture has no distortion to be wrong about.
    raw = FRONT.replace("image_rect", "image_raw")
    rig[raw] = rig.pop(FRONT)
    replace_messages(rig, info_topic("front"), **fields)
    assert said(examine(rig, tmp_path), level, pattern)


@pytest.mark.parametrize(
    ("k", "pattern"),
    [
        ([6000, 0, 40, 0, 6000, 24, 0, 0, 1], "front: K gives a field of view of 1 degrees"),
        ([60, 0, 40, 0, 90, 24, 0, 0, 1], "front: fx = 60.0 and fy = 90.0 px differ"),
        ([60, 0, 140, 0, 60, 24, 0, 0, 1], "front: the principal point 140, 24 px lies outside"),
    ],
)
def test_an_implausible_camera_matrix_is_a_warning(rig, tmp_path, k, pattern):
    k = np.array(k, dtype=np.float64)
    p = np.insert(k.reshape(3, 3), 3, 0.0, axis=1).ravel()
    replace_messages(rig, info_topic("front"), k=k, p=p)
    assert said(examine(rig, tmp_path), Level.WARNING, pattern)


def test_a_camera_info_of_larger_pictures_is_scaled_and_said(rig, tmp_path):
    k = np.array([120.0, 0, 79.5, 0, 120.0, 47.5, 0, 0, 1])
    p = np.insert(k.reshape(3, 3), 3, 0.0, axis=1).ravel()
    replace_messages(rig, info_topic("front"), k=k, p=p, width=160, height=96)
    assert said(examine(rig, tmp_path), Level.OK, "front: 80 x 48 px, 67 .* from the 160 x 96 px")


def test_a_twist_in_other_units_disagrees_with_the_positions(rig, tmp_path):
    change(rig, ODOMETRY, lambda _, t, m: (t, make_odometry(stamp_of(m), speed_mps=8.0 * 3.6)))
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, r"odometry: .* within 20\.800 m/s .*expected less than 0\.5")


def test_a_heading_that_is_not_the_direction_of_travel_is_a_warning(rig, tmp_path):
    north = quaternion(np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))

    def turned(_, log_ns, message):
        message.pose.pose.orientation = north
        return log_ns, message

    change(rig, ODOMETRY, turned)
    assert said(
        examine(rig, tmp_path), Level.WARNING, "positions move -90 degrees from the heading"
    )


def test_odometry_that_is_not_finite_is_a_problem(rig, tmp_path):
    change(rig, ODOMETRY, lambda _, t, m: (t, make_odometry(stamp_of(m), speed_mps=np.nan)))
    assert said(examine(rig, tmp_path), Level.PROBLEM, "odometry: .*expected finite numbers")


def test_odometry_of_another_frame_than_configured_is_a_problem(triple, tmp_path):
    replace_messages(triple, ODOMETRY, child_frame_id="imu_link")
    report = examine(triple, tmp_path, PlannerConfig())
    assert said(report, Level.PROBLEM, "tells the motion of 'imu_link', expected 'base_link'")
