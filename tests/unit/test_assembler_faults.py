"""Every way in which an input can fail: it is absent, its fault is set, its reason is said."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner.data.assembler import MissedCycle
from diff_planner.types import FaultBit, PlannerInput
from input_moments import (
    ACCELERATION,
    COMMAND,
    FRAME,
    FRONT,
    FRONT_INFO,
    LIDAR,
    MS,
    ODOMETRY,
    OPTICAL,
    PICTURE,
    POINTS,
    ROUTE,
    TF_STATIC,
    assert_absent,
    health_of,
    make_assembler,
    messages_at,
    one,
    run,
)
from message_factories import (
    STAMP_NS,
    make_acceleration,
    make_cloud,
    make_command,
    make_compressed,
    make_image,
    make_info,
    make_odometry,
    make_route,
    make_transforms,
)


@pytest.mark.parametrize(
    ("changes", "fault", "sentence"),
    [
        ({FRONT: None}, FaultBit.INPUT_MISSING, f"front: no message on {FRONT}"),
        ({FRONT_INFO: None}, FaultBit.CAMERA_INFO, f"front: no CameraInfo on {FRONT_INFO}"),
        (
            {FRONT: make_image(PICTURE, "16UC1", **FRAME)},
            FaultBit.INPUT_MISSING,
            "front: image encoding '16UC1' is not supported",
        ),
        (
            {FRONT: make_compressed(PICTURE, text="h264", **FRAME)},
            FaultBit.INPUT_MISSING,
            "front: expected a jpeg or png image, got format 'h264'",
        ),
        (
            {FRONT: make_compressed(PICTURE, frame_id="mirror")},
            FaultBit.TF,
            "front: no static transform joins 'base_link' and 'mirror'; known frames: base_link",
        ),
        (
            {FRONT_INFO: make_info(k=[0.0] * 9, **FRAME)},
            FaultBit.CAMERA_INFO,
            "front: camera 'camera_front': not calibrated",
        ),
        (
            {FRONT_INFO: make_info(hw=(200, 200), **FRAME)},
            FaultBit.CAMERA_INFO,
            "got a picture of another shape: 200 x 120 px",
        ),
        (
            {FRONT_INFO: make_info(d=[np.nan] * 5, **FRAME)},
            FaultBit.CAMERA_INFO | FaultBit.NONFINITE_IN,
            "'d' of CameraInfo is not finite",
        ),
        (
            {FRONT_INFO: make_odometry()},
            FaultBit.CAMERA_INFO,
            "front: expected sensor_msgs/CameraInfo, got nav_msgs__msg__Odometry",
        ),
        (
            {FRONT: make_odometry()},
            FaultBit.INPUT_MISSING,
            "front: expected sensor_msgs/Image or CompressedImage, got a message that is not",
        ),
        (
            {FRONT: make_compressed(PICTURE, stamp_ns=0, **FRAME)},
            FaultBit.INPUT_MISSING,
            "front: expected a stamp after 1970",
        ),
    ],
)
def test_a_camera_that_cannot_be_used_is_absent_and_says_why(changes, fault, sentence):
    cycle = one(changes)
    assert list(cycle.cameras) == ["left"]
    assert_absent(cycle, "front", fault, sentence)


@pytest.mark.parametrize(
    ("after_ms", "fault", "sentence"),
    [
        (-61, FaultBit.INPUT_STALE, "is 0.061 s old, allowed 0.06 s"),
        (61, FaultBit.SYNC, "of the anchor's stamp, the newest is 0.061 s ahead"),
    ],
)
def test_a_camera_outside_of_its_tolerance_is_stale_or_not_in_sync(after_ms, fault, sentence):
    late = make_compressed(PICTURE, stamp_ns=STAMP_NS + after_ms * MS, **FRAME)
    assert_absent(one({FRONT: late}), "front", fault, sentence)


NAN_POINT = [np.nan, 0.0, 0.0]


@pytest.mark.parametrize(
    ("cloud", "fault", "sentence"),
    [
        (
            make_cloud([NAN_POINT, NAN_POINT]),
            FaultBit.NONFINITE_IN,
            "lidar: all 2 points are NaN or infinite",
        ),
        (make_cloud(np.zeros((0, 3))), FaultBit.INPUT_MISSING, "lidar: the sweep has 0 points"),
        (
            make_cloud(POINTS, fields=("x", "y", "r")),
            FaultBit.INPUT_MISSING,
            "lidar: points: no field ['z'], the message has ['r', 'x', 'y']",
        ),
        (
            make_cloud(POINTS, frame_id="roof"),
            FaultBit.TF,
            "lidar: no static transform joins 'base_link' and 'roof'",
        ),
        (make_odometry(), FaultBit.INPUT_MISSING, "lidar: expected sensor_msgs/PointCloud2"),
    ],
)
def test_an_anchor_that_cannot_be_decoded_still_makes_a_cycle(cloud, fault, sentence):
    cycle = one({LIDAR: cloud})
    assert isinstance(cycle, PlannerInput)
    assert cycle.lidar is None
    assert list(cycle.cameras) == ["left", "front"]
    assert_absent(cycle, "lidar", fault, sentence)


def test_points_that_are_partly_nan_are_dropped_and_counted_without_a_fault():
    cycle = one({LIDAR: make_cloud([*POINTS, NAN_POINT])})
    assert len(cycle.lidar.points) == 2
    assert cycle.lidar.dropped_nonfinite == 1
    assert cycle.faults == FaultBit.NONE


@pytest.mark.parametrize(
    ("odometry", "fault", "sentence"),
    [
        (None, FaultBit.INPUT_MISSING, f"odometry: no message on {ODOMETRY}"),
        (make_odometry(vx=np.nan), FaultBit.NONFINITE_IN, "expected finite numbers"),
        (make_odometry(child_frame_id="imu"), FaultBit.TF, "expected 'base_link', got 'imu'"),
        (make_odometry(STAMP_NS - 70 * MS), FaultBit.INPUT_STALE, "is 0.070 s old, allowed 0.06"),
        (make_odometry(0), FaultBit.INPUT_MISSING, "expected a stamp after 1970"),
        (make_odometry(vx=1e300), FaultBit.INPUT_MISSING, "expected at most 150 m/s"),
        (make_command(), FaultBit.INPUT_MISSING, "odometry: expected nav_msgs/Odometry"),
    ],
)
def test_without_ego_motion_the_cycle_is_missed_with_its_reason(odometry, fault, sentence):
    cycle = one({ODOMETRY: odometry})
    assert isinstance(cycle, MissedCycle)
    assert cycle.stamp_ns == STAMP_NS
    assert sentence in cycle.reason
    assert_absent(cycle, "odometry", fault, sentence)
    assert health_of(cycle, "lidar").is_present


def test_an_old_fault_is_not_blamed_for_a_later_absence():
    assembler = make_assembler()
    assembler.add(FRONT, make_compressed(PICTURE, stamp_ns=0, **FRAME), STAMP_NS)
    run(assembler, messages_at())
    later_ns = STAMP_NS + 1_000 * MS
    (cycle,) = run(assembler, messages_at(later_ns, **{FRONT: None}), later_ns)
    sentence = f"front: newest message on {FRONT} is 1.000 s old, allowed 0.06 s"
    assert_absent(cycle, "front", FaultBit.INPUT_STALE, sentence)


def test_one_broken_odometry_among_good_ones_does_no_harm():
    assembler = make_assembler()
    assembler.add(ODOMETRY, make_odometry(STAMP_NS - 10 * MS, vx=8.0), STAMP_NS)
    (cycle,) = run(assembler, messages_at(**{ODOMETRY: make_odometry(vx=np.nan)}))
    assert isinstance(cycle, PlannerInput)
    assert cycle.ego.vx_mps == 8.0
    entry = health_of(cycle, "odometry")
    assert (entry.received, entry.dropped) == (2, 1)
    assert entry.age_s == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "name", "fault", "sentence"),
    [
        (
            {ACCELERATION: make_acceleration(ax=np.inf)},
            "acceleration",
            FaultBit.NONFINITE_IN,
            "acceleration: expected finite numbers",
        ),
        (
            {COMMAND: make_command(command=99)},
            "nav_command",
            FaultBit.INPUT_MISSING,
            "navigation command: expected one of",
        ),
        (
            {ROUTE: make_route([[0, 0], [1, 1]], frame_id="map")},
            "route",
            FaultBit.TF,
            "route: no static transform joins 'odom' and 'map'",
        ),
        (
            {ROUTE: make_route([[0, 0]])},
            "route",
            FaultBit.INPUT_MISSING,
            "route: expected at least 2 points",
        ),
    ],
)
def test_a_broken_optional_input_is_a_fault(changes, name, fault, sentence):
    cycle = one(changes)
    assert isinstance(cycle, PlannerInput)
    assert_absent(cycle, name, fault, sentence)


def test_a_broken_command_is_counted_once_however_many_cycles_it_lasts():
    assembler = make_assembler()
    assembler.add(COMMAND, make_command(command=99), STAMP_NS)
    for k in range(3):
        now_ns = STAMP_NS + k * 100 * MS
        (cycle,) = run(assembler, messages_at(now_ns), now_ns)
    entry = health_of(cycle, "nav_command")
    assert (entry.received, entry.dropped) == (1, 1)


def test_a_broken_transform_is_named_where_it_is_missed():
    broken = make_transforms(
        ("base_link", "lidar", (0, 0, 0), (0, 0, 0, 0)),
        ("base_link", "camera_left", (1.5, 0.5, 1.6), OPTICAL),
        ("base_link", "camera_front", (1.5, 0.0, 1.6), OPTICAL),
    )
    cycle = one({"/tf_static": broken})
    assert list(cycle.cameras) == ["left", "front"]
    assert_absent(cycle, "lidar", FaultBit.TF, "static transform of 'lidar': rotation: expected")
    cycle = one({"/tf_static": SimpleNamespace()})
    assert_absent(cycle, "lidar", FaultBit.TF, "expected tf2_msgs/TFMessage, got a message that")


TEMPLATES = {
    FRONT: lambda s: make_compressed(PICTURE[:8, :8], stamp_ns=s, **FRAME),
    FRONT_INFO: lambda s: make_info(stamp_ns=s, **FRAME),
    LIDAR: lambda s: make_cloud(POINTS, stamp_ns=s),
    ODOMETRY: lambda s: make_odometry(s, vx=5.0),
    "/tf_static": lambda s: TF_STATIC,
    COMMAND: make_command,
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(sorted(TEMPLATES)),
            st.sampled_from(sorted(TEMPLATES)),
            st.one_of(st.integers(0, 2_000), st.integers(-(10**7), 10**7)),
            st.integers(0, 200),
        ),
        max_size=60,
    )
)
def test_any_message_on_any_topic_in_any_order_never_raises(events):
    assembler = make_assembler()
    now_ns, cycles = STAMP_NS, []
    for topic, kind, stamp_ms, elapsed_ms in events:
        now_ns += elapsed_ms * MS
        assembler.add(topic, TEMPLATES[kind](STAMP_NS + stamp_ms * MS), now_ns)
        cycles += assembler.take(now_ns)
    for before, after in itertools.pairwise(cycles):
        assert after.stamp_ns > before.stamp_ns or after.faults & FaultBit.CLOCK_JUMP
