"""Fields of serialized messages that are read and written without decoding them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.data import cdr
from diff_planner.data.typestore import typestore
from diff_planner.errors import InputError
from message_factories import STAMP_NS, make_cloud, make_odometry, make_transforms
from msgs.samples import full_name, make_typestore, sample

ODOMETRY = "nav_msgs/msg/Odometry"
WITH_PLAN_ID = ["Trajectory", "CandidateSet", "PlannerStatus", "CycleTiming"]
NS_LIMIT = 2**31 * 10**9


def serialized(message, msgtype=ODOMETRY, little_endian=True):
    return bytes(typestore().serialize_cdr(message, msgtype, little_endian=little_endian))


@pytest.mark.parametrize(
    ("msgtype", "answer"),
    [
        ("sensor_msgs/msg/PointCloud2", True),
        ("diff_planner_msgs/msg/Trajectory", True),
        ("tf2_msgs/msg/TFMessage", False),
        ("rosgraph_msgs/msg/Clock", False),
        ("nobody/msg/Knows", False),
    ],
)
def test_a_type_is_known_to_begin_with_a_header_or_not(msgtype, answer):
    assert cdr.begins_with_header(msgtype) is answer


@pytest.mark.parametrize("little_endian", [True, False])
@given(stamp_ns=st.integers(0, NS_LIMIT - 1), shift_ns=st.integers(-(10**12), 10**12))
def test_a_shifted_stamp_is_the_only_thing_that_differs(little_endian, stamp_ns, shift_ns):
    data = serialized(make_odometry(stamp_ns, vx=3.0), little_endian=little_endian)
    assert cdr.stamp_ns(data) == stamp_ns
    if not 0 <= stamp_ns + shift_ns < NS_LIMIT:
        return
    shifted = cdr.with_stamp_shifted(data, shift_ns)
    expected = make_odometry(stamp_ns + shift_ns, vx=3.0)
    assert shifted == serialized(expected, little_endian=little_endian)


def test_a_cloud_is_shifted_without_a_change_to_its_points():
    cloud = make_cloud(np.random.default_rng(0).normal(size=(1000, 3)))
    data = serialized(cloud, "sensor_msgs/msg/PointCloud2")
    shifted = cdr.with_stamp_shifted(data, 5)
    assert cdr.stamp_ns(shifted) == cdr.stamp_ns(data) + 5
    assert shifted[:4] == data[:4]
    assert shifted[12:] == data[12:]


@pytest.mark.parametrize("name", WITH_PLAN_ID)
@pytest.mark.parametrize("frame_id", ["", "a", "map", "base_link", "a/longer/frame"])
def test_the_plan_id_is_found_behind_any_header(name, frame_id):
    store = make_typestore()
    message = sample(store, full_name(name), np.random.default_rng(3))
    message.header.frame_id = frame_id
    for little_endian in (True, False):
        data = bytes(store.serialize_cdr(message, full_name(name), little_endian=little_endian))
        assert cdr.plan_id(data) == message.plan_id


@pytest.mark.parametrize("frame_id", ["", "map", "base_link"])
def test_the_source_of_a_plan_is_found_behind_its_id(frame_id):
    store = make_typestore()
    message = sample(store, full_name("Trajectory"), np.random.default_rng(3))
    message.header.frame_id = frame_id
    message.source = 3
    assert cdr.plan_source(bytes(store.serialize_cdr(message, full_name("Trajectory")))) == 3


def test_every_transform_of_a_message_is_shifted():
    entries = [("map", "odom", (0, 0, 0), (0, 0, 0, 1)), ("odom", "base", (1, 0, 0), (0, 0, 0, 1))]
    data = serialized(make_transforms(*entries), cdr.TF_MESSAGE)
    shifted = typestore().deserialize_cdr(cdr.with_transforms_shifted(data, 10**9), cdr.TF_MESSAGE)
    stamps = [t.header.stamp.sec * 10**9 + t.header.stamp.nanosec for t in shifted.transforms]
    assert stamps == [STAMP_NS + 10**9] * 2
    assert shifted.transforms[1].child_frame_id == "base"


@pytest.mark.parametrize("layout", [b"\x00\x03", b"\x00\x09", b"\x01\x00"])
def test_a_layout_that_is_not_plain_cdr_is_refused(layout):
    data = layout + serialized(make_odometry())[2:]
    with pytest.raises(InputError, match=f"expected plain CDR, got layout {layout.hex()}"):
        cdr.stamp_ns(data)


@pytest.mark.parametrize("length", [0, 4, 11])
def test_bytes_that_end_before_the_stamp_are_refused(length):
    with pytest.raises(InputError, match=f"expected 12 bytes or more, got {length}"):
        cdr.with_stamp_shifted(serialized(make_odometry())[:length], 1)


def test_bytes_that_end_before_the_plan_id_are_refused():
    store = make_typestore()
    message = sample(store, full_name("Trajectory"), np.random.default_rng(3))
    data = bytes(store.serialize_cdr(message, full_name("Trajectory")))
    with pytest.raises(InputError, match="bytes or more, got 20"):
        cdr.plan_id(data[:20])


def test_a_stamp_beyond_32_bits_of_seconds_is_refused():
    with pytest.raises(InputError, match="does not fit the 32 bits"):
        cdr.with_stamp_shifted(serialized(make_odometry(NS_LIMIT - 1)), 1)
