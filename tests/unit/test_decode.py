"""Messages to core values: layouts, frames, and every input that must be refused."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner.data import decode
from diff_planner.data.typestore import typestore
from diff_planner.errors import (
    DiffPlannerError,
    EncodingError,
    InputError,
    MissingInputError,
    NonFiniteInputError,
)
from diff_planner.geometry import se3, se3_from_yaw
from diff_planner.types import NavCommand
from message_factories import (
    STAMP_NS,
    make_acceleration,
    make_cloud,
    make_command,
    make_compressed,
    make_image,
    make_odometry,
    make_route,
)

POINTS = np.array([[1.0, 2.0, 3.0], [-4.5, 0.25, 8.0], [7.0, -1.0, 0.0], [0.5, 0.5, -2.0]])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"kind": "f8"},
        {"offsets": [4, 12, 20], "point_step": 32},
        {"offsets": [8, 0, 4]},
        {"height": 2, "row_padding": 7},
        {"fields": ("z", "x", "y")},
    ],
)
def test_points_are_read_by_their_fields_whatever_the_layout(layout, order):
    columns = {"x": 0, "y": 1, "z": 2}
    stored = POINTS[:, [columns[name] for name in layout.get("fields", ("x", "y", "z"))]]
    points, dropped = decode.decode_points(make_cloud(stored, order=order, **layout))
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))
    assert dropped == 0
    assert points.dtype == np.float32


def test_points_that_are_not_finite_are_dropped_and_counted():
    dirty = np.concatenate([POINTS, [[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -np.inf]]])
    points, dropped = decode.decode_points(make_cloud(dirty))
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))
    assert dropped == 3
    far = np.concatenate([POINTS, [[1e300, 0, 0]]])  # infinite as float32
    assert decode.decode_points(make_cloud(far, kind="f8"))[1] == 1


@pytest.mark.parametrize("far_m", [1e6, -3e38])
def test_points_that_no_lidar_measures_are_dropped_and_counted(far_m):
    points, dropped = decode.decode_points(make_cloud(np.vstack([POINTS, [[1.0, far_m, 0.0]]])))
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))
    assert dropped == 1


def test_an_empty_cloud_gives_no_points():
    points, dropped = decode.decode_points(make_cloud(np.zeros((0, 3))))
    assert points.shape == (0, 3)
    assert dropped == 0


def test_a_cloud_without_z_is_refused_by_name():
    message = make_cloud(POINTS, fields=("x", "y", "range"))
    with pytest.raises(EncodingError, match=r"no field \['z'\], the message has \['range', 'x'"):
        decode.decode_points(message)


def test_a_cloud_of_whole_numbers_is_refused():
    with pytest.raises(EncodingError, match=r"expected field 'x' to be one FLOAT32.*datatype 5"):
        decode.decode_points(make_cloud(POINTS, kind="i4"))


@pytest.mark.parametrize(
    "change", [{"width": 5}, {"height": 2}, {"row_step": 3, "height": 4, "width": 1}]
)
def test_a_cloud_whose_sizes_do_not_fit_its_data_is_refused(change):
    message = make_cloud(POINTS)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(EncodingError, match="do not fit into 48 bytes"):
        decode.decode_points(message)


def test_a_field_outside_of_the_point_is_refused():
    message = make_cloud(POINTS)
    message.fields[2].offset = 10
    with pytest.raises(EncodingError, match="'z' at offset 10 does not fit into point_step 12"):
        decode.decode_points(message)


def test_a_point_of_billions_of_bytes_is_refused():
    message = make_cloud(POINTS)
    message.point_step, message.width = 2**32 - 1, 0
    with pytest.raises(EncodingError, match="point_step 4294967295 cannot be used"):
        decode.decode_points(message)


def test_odometry_gives_pose_and_motion():
    message = make_odometry(
        position=(1.0, 2.0, 3.0),
        quaternion=(0.0, 0.0, np.sin(0.25), np.cos(0.25)),
        vx=4.0,
        vy=0.1,
        yaw_rate=-0.2,
        frame_id="map",
    )
    odometry = decode.decode_odometry(message, "base_link")
    np.testing.assert_allclose(odometry.odom_SE3_ego, se3_from_yaw(1.0, 2.0, 0.5, 3.0))
    assert (odometry.vx_mps, odometry.vy_mps, odometry.yaw_rate_radps) == (4.0, 0.1, -0.2)
    assert (odometry.stamp_ns, odometry.frame_id) == (STAMP_NS, "map")


def test_odometry_of_another_frame_is_refused_and_both_are_named():
    with pytest.raises(MissingInputError, match="expected 'base_link', got 'imu_link'"):
        decode.decode_odometry(make_odometry(child_frame_id="imu_link"), "base_link")


@pytest.mark.parametrize(
    "change",
    [
        {"vx": np.nan},
        {"yaw_rate": np.inf},
        {"position": (np.nan, 0.0, 0.0)},
        {"quaternion": (0.0, 0.0, np.nan, 1.0)},
    ],
)
def test_odometry_that_is_not_finite_is_refused(change):
    with pytest.raises(NonFiniteInputError, match="odometry: pose and twist"):
        decode.decode_odometry(make_odometry(**change), "base_link")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"quaternion": (0.0, 0.0, 0.0, 0.0)}, "expected a unit quaternion"),
        ({"vx": 400.0}, "at most 150 m/s"),
        ({"yaw_rate": 90.0}, "20 rad/s"),
        ({"position": (0.0, 1e308, 0.0)}, "a position within 1e[+]08 m"),
    ],
)
def test_odometry_that_no_vehicle_has_is_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        decode.decode_odometry(make_odometry(**change), "base_link")


@pytest.mark.parametrize("stamp_ns", [0, -5_000_000_000])
def test_a_stamp_that_was_not_set_is_refused(stamp_ns):
    with pytest.raises(InputError, match="expected a stamp after 1970"):
        decode.stamp_ns(make_odometry(stamp_ns))


def test_acceleration_is_read_with_and_without_covariance():
    message = make_acceleration(ax=1.5, ay=-0.5)
    assert decode.decode_acceleration(message, "base_link") == (1.5, -0.5)
    plain = SimpleNamespace(header=message.header, accel=message.accel.accel)
    assert decode.decode_acceleration(plain, "base_link") == (1.5, -0.5)


def test_acceleration_that_cannot_be_used_is_refused():
    with pytest.raises(NonFiniteInputError, match="acceleration"):
        decode.decode_acceleration(make_acceleration(ax=np.nan), "base_link")
    with pytest.raises(InputError, match="at most 200 m/s2, got x 2000"):
        decode.decode_acceleration(make_acceleration(ax=2e3), "base_link")
    with pytest.raises(MissingInputError, match="expected 'base_link', got 'imu'"):
        decode.decode_acceleration(make_acceleration(frame_id="imu"), "base_link")


@pytest.mark.parametrize(
    ("valid_for_s", "age_s", "expected"),
    [
        (0.0, 1000.0, NavCommand.LEFT),
        (2.0, 1.9, NavCommand.LEFT),
        (2.0, 2.1, NavCommand.LANE_FOLLOW),
        (2.0, -0.1, NavCommand.LEFT),
    ],
)
def test_a_command_holds_for_its_time_then_the_lane_is_followed(valid_for_s, age_s, expected):
    message = make_command(valid_for_s=valid_for_s)
    assert decode.decode_nav_command(message, STAMP_NS + round(age_s * 1e9)) == expected


@pytest.mark.parametrize("change", [{"command": 9}, {"valid_for_s": -1.0}, {"valid_for_s": np.nan}])
def test_a_command_that_means_nothing_is_refused(change):
    with pytest.raises(InputError, match="navigation command: expected"):
        decode.decode_nav_command(make_command(**change), STAMP_NS)


def test_a_route_comes_in_base_link_from_the_nearest_point_on():
    ego = se3_from_yaw(10.0, 5.0, np.pi / 2)  # looks along +y of odom
    route = decode.decode_route(make_route([[10, 0], [10, 20], [0, 20]]), ego, np.eye(4))
    np.testing.assert_allclose(route.points, [[0, 0], [15, 0], [15, 10]], atol=1e-9)


def test_a_route_of_another_frame_is_carried_over():
    ego = se3_from_yaw(0.0, 0.0, 0.0)
    shifted = se3(np.eye(3), [3.0, 1.0, 50.0])  # another height does not tilt or shift it
    route = decode.decode_route(make_route([[0, 0], [10, 0]]), ego, shifted)
    np.testing.assert_allclose(route.points, [[3, 1], [13, 1]])


def test_a_looped_route_is_followed_once_around():
    square = [[0, 0], [10, 0], [10, 10], [0, 10]]
    ego = se3_from_yaw(10.0, 4.0, 0.0)
    route = decode.decode_route(make_route(square, is_loop=True), ego, np.eye(4))
    expected = np.array([[10, 4], [10, 10], [0, 10], [0, 0], [10, 0]]) - [10, 4]
    np.testing.assert_allclose(route.points, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "error", "sentence"),
    [
        ([[0, 0]], InputError, "at least 2 points, got 1 x"),
        ([[0, 0], [np.nan, 1]], NonFiniteInputError, "finite coordinates"),
    ],
)
def test_a_route_that_cannot_be_followed_is_refused(points, error, sentence):
    with pytest.raises(error, match=sentence):
        decode.decode_route(make_route(points), np.eye(4), np.eye(4))


DECODERS = {
    "sensor_msgs/msg/Image": decode.decode_image,
    "sensor_msgs/msg/CompressedImage": decode.decode_image,
    "sensor_msgs/msg/PointCloud2": decode.decode_points,
    "nav_msgs/msg/Odometry": lambda m: decode.decode_odometry(m, "base_link"),
    "diff_planner_msgs/msg/NavCommand": lambda m: decode.decode_nav_command(m, STAMP_NS),
}
VALID = {
    "sensor_msgs/msg/Image": lambda: make_image(np.zeros((4, 6, 3), np.uint8), "bgr8"),
    "sensor_msgs/msg/CompressedImage": lambda: make_compressed(np.zeros((4, 6, 3), np.uint8)),
    "sensor_msgs/msg/PointCloud2": lambda: make_cloud(POINTS),
    "nav_msgs/msg/Odometry": make_odometry,
    "diff_planner_msgs/msg/NavCommand": make_command,
}


@pytest.mark.parametrize("msgtype", sorted(DECODERS))
@settings(max_examples=60, deadline=None, derandomize=True)
@given(flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=6))
def test_flipped_bytes_never_lead_to_anything_but_our_errors(msgtype, flips):
    raw = bytearray(typestore().serialize_cdr(VALID[msgtype](), msgtype))
    for at, mask in flips:
        raw[4 + at % (len(raw) - 4)] ^= mask
    try:
        message = typestore().deserialize_cdr(bytes(raw), msgtype)
    except Exception:  # the reader's business: test_bag_reader
        return
    with contextlib.suppress(DiffPlannerError):
        DECODERS[msgtype](message)
