"""Faults of single inputs: over DDS, each is answered in time by a labelled safe plan."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.data.encode_status import HealthState
from diff_planner.data.typestore import make_message, typestore
from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import answer_to, stays_nominal
from message_factories import make_image, make_odometry
from ros_sensors import SPEED_MPS, late, replaced, silent

pytestmark = pytest.mark.ros

CAMERAS = ("left", "front", "right")
DEGRADED, FALLBACK = PlannerState.DEGRADED, PlannerState.FALLBACK
MILD = (Source.HOLD_LAST, Source.FALLBACK_STOP)
"""Of the first plan without odometry: stamped with the newest one, which may be a little older than
the last plan, and then there is nothing to hold."""
IMAGE = "sensor_msgs/msg/CompressedImage"


def serialized(message):
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def changed(sensor, **fields):
    """The message of a sensor with other fields, serialized."""
    message = typestore().deserialize_cdr(sensor.data, sensor.msgtype)
    for name, value in fields.items():
        setattr(message, name, value)
    return serialized(message)


def in_frame(sensor, frame_id):
    message = typestore().deserialize_cdr(sensor.data, sensor.msgtype)
    message.header.frame_id = frame_id
    return serialized(message)


def with_points(sensor, value, share):
    """The cloud with a share of its x coordinates replaced."""
    message = typestore().deserialize_cdr(sensor.data, sensor.msgtype)
    rows = message.data.reshape(-1, message.point_step).copy()
    count = round(share * len(rows))
    rows[:count, :4] = np.frombuffer(np.float32(value).tobytes(), np.uint8)
    message.data = rows.reshape(-1)
    return serialized(message)


def breaking(graph, *names, fault):
    return lambda: graph.sensors.break_(*names, fault=fault)


def health_of(plan, name):
    (entry,) = (entry for entry in plan.status.inputs if entry.name == name)
    return entry


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_camera_that_is_gone_is_named_and_the_plan_goes_on_without_it(graph, camera):
    plan = answer_to(
        graph,
        breaking(graph, camera, fault=silent),
        state=DEGRADED,
        fault=FaultBit.INPUT_STALE,
        words=f"{camera}: newest message on /sensing/camera/{camera}/image_rect/compressed is",
    )
    assert plan.source == Source.DIFFUSION
    assert health_of(plan, camera).state == HealthState.STALE


def test_without_any_camera_the_vehicle_is_not_driven_by_the_network(graph):
    plan = answer_to(
        graph,
        breaking(graph, *CAMERAS, fault=silent),
        state=FALLBACK,
        fault=FaultBit.INPUT_STALE,
        words="no camera input in this cycle",
    )
    assert plan.source == Source.HOLD_LAST


def test_a_lidar_that_stops_is_answered_by_the_watchdog(graph):
    plan = answer_to(
        graph,
        breaking(graph, "lidar", fault=silent),
        state=FALLBACK,
        fault=FaultBit.INPUT_MISSING,
        words="no cycle for 0.2 s: anchor 'lidar' is silent",
    )
    assert plan.source == Source.HOLD_LAST
    # Held, then a comfortable stop, then an emergency stop: each milder one for its time only.
    graph.wait(lambda: graph.plans[-1].source == Source.EMERGENCY_STOP, "emergency stop")
    sources = [p.source for p in graph.plans_since(plan.at_ns)]
    assert sources == sorted(sources)
    assert Source.FALLBACK_STOP in sources
    assert graph.plans[-1].speeds[-1] == 0.0


def test_a_lidar_that_is_late_by_300_ms_is_not_planned_from(graph):
    plan = answer_to(
        graph,
        breaking(graph, "lidar", fault=late(0.3)),
        state=FALLBACK,
        fault=FaultBit.NONE,
        words="lidar",
        lasts=0,
    )
    assert plan.source == Source.HOLD_LAST
    stale = "lidar: stamp of the anchor is 0."
    graph.wait(lambda: stale in graph.plans[-1].reason, f"plan with '{stale}'")
    late_plans = graph.wait_for_plans(5)
    assert all(p.state == FALLBACK and FaultBit.INPUT_STALE in p.faults for p in late_plans)
    assert all("older than the newest odometry, allowed 0.25 s" in p.reason for p in late_plans)


def test_odometry_that_stops_ends_in_a_standstill(graph):
    plan = answer_to(
        graph,
        breaking(graph, "odometry", fault=silent),
        state=FALLBACK,
        fault=FaultBit.INPUT_STALE,
        words="odometry: newest message on /localization/kinematic_state is 0.",
    )
    assert plan.source in MILD
    # After half a second nobody knows how fast the vehicle is: all that is left is to stand.
    graph.wait(lambda: FaultBit.STAMP_ESTIMATED in graph.plans[-1].faults, "estimated stamp")
    last = graph.plans[-1]
    assert last.source == Source.EMERGENCY_STOP
    assert not last.speeds.any()
    assert last.trajectory.header.frame_id == "base_link"


def test_a_cloud_of_nan_is_no_cloud(graph):
    broken = replaced(with_points(graph.sensors.sensors["lidar"], np.nan, 1.0))
    plan = answer_to(
        graph,
        breaking(graph, "lidar", fault=broken),
        state=FALLBACK,
        fault=FaultBit.NONFINITE_IN,
        words="points are NaN or infinite",
    )
    assert plan.source == Source.HOLD_LAST


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_few_points_that_are_not_finite_are_left_out(graph, value):
    some = replaced(with_points(graph.sensors.sensors["lidar"], value, 0.05))
    stays_nominal(graph, breaking(graph, "lidar", fault=some))


@pytest.mark.parametrize(
    "wrong",
    [
        {"position": (np.nan, 0.0, 0.0), "vx": SPEED_MPS},
        {"vx": np.nan},
        {"vx": np.inf},
        {"vx": SPEED_MPS, "quaternion": (0.0, 0.0, 0.0, np.nan)},
        {"vx": SPEED_MPS, "yaw_rate": -np.inf},
    ],
)
def test_odometry_that_is_not_finite_is_no_odometry(graph, wrong):
    plan = answer_to(
        graph,
        breaking(graph, "odometry", fault=replaced(serialized(make_odometry(**wrong)))),
        state=FALLBACK,
        fault=FaultBit.NONFINITE_IN,
        words="odometry: ",
    )
    assert plan.source in MILD


def test_odometry_of_another_frame_is_refused(graph):
    other = serialized(make_odometry(vx=SPEED_MPS, child_frame_id="imu_link"))
    plan = answer_to(
        graph,
        breaking(graph, "odometry", fault=replaced(other)),
        state=FALLBACK,
        fault=FaultBit.NONE,
        words="imu_link",
    )
    assert plan.source in MILD


def test_a_picture_in_a_wrong_encoding_is_named(graph):
    broken = changed(graph.sensors.sensors["front"], format="webp")
    plan = answer_to(
        graph,
        breaking(graph, "front", fault=replaced(broken)),
        state=DEGRADED,
        fault=FaultBit.INPUT_MISSING,
        words="front: expected a jpeg or png image, got format 'webp'",
    )
    assert plan.source == Source.DIFFUSION


def test_a_picture_that_is_cut_off_is_named(graph):
    whole = graph.sensors.sensors["left"]
    pixels = typestore().deserialize_cdr(whole.data, IMAGE).data
    answer_to(
        graph,
        breaking(graph, "left", fault=replaced(changed(whole, data=pixels[: len(pixels) // 2]))),
        state=DEGRADED,
        fault=FaultBit.INPUT_MISSING,
        words="left: jpeg image of",
    )


@pytest.mark.parametrize("name", ["left", "lidar", "odometry"])
def test_bytes_that_are_no_message_are_named_and_end_nothing(graph, name):
    junk = b"\x00\x01\x00\x00" + bytes(range(256))
    state = DEGRADED if name == "left" else FALLBACK
    answer_to(
        graph,
        breaking(graph, name, fault=lambda _: [(0.0, junk)]),
        state=state,
        fault=FaultBit.NONE,
        words=name,
    )


def test_a_calibration_that_cannot_be_used_is_named(graph):
    broken = changed(graph.sensors.sensors["right_info"], k=np.zeros(9), p=np.zeros(12))
    plan = answer_to(
        graph,
        breaking(graph, "right_info", fault=replaced(broken)),
        state=DEGRADED,
        fault=FaultBit.CAMERA_INFO,
        words="right: ",
    )
    assert plan.source == Source.DIFFUSION


@pytest.mark.parametrize(("name", "state"), [("front", DEGRADED), ("lidar", FALLBACK)])
def test_a_sensor_in_a_frame_that_nobody_knows_is_never_taken_for_base_link(graph, name, state):
    elsewhere = in_frame(graph.sensors.sensors[name], "nowhere")
    answer_to(
        graph,
        breaking(graph, name, fault=replaced(elsewhere)),
        state=state,
        fault=FaultBit.TF,
        words="nowhere",
    )


def test_a_raw_picture_where_compressed_ones_are_expected_ends_nothing(graph):
    """Bytes of another type on the right topic: a publisher that was started wrongly."""
    raw = serialized(make_image(np.zeros((8, 8, 3), np.uint8), "rgb8"))
    answer_to(
        graph,
        breaking(graph, "front", fault=replaced(raw)),
        state=DEGRADED,
        fault=FaultBit.INPUT_MISSING,
        words="front: ",
    )


def test_an_empty_cloud_is_no_free_road(graph):
    message = typestore().deserialize_cdr(
        graph.sensors.sensors["lidar"].data, "sensor_msgs/msg/PointCloud2"
    )
    message.width, message.row_step = 0, 0
    message.data = np.zeros(0, np.uint8)
    plan = answer_to(
        graph,
        breaking(graph, "lidar", fault=replaced(serialized(message))),
        state=FALLBACK,
        fault=FaultBit.INPUT_MISSING,
        words="lidar: the sweep has 0 points",
    )
    assert plan.source == Source.HOLD_LAST


def test_a_jump_of_the_localisation_is_told(graph):
    far = serialized(make_odometry(position=(9e4, 9e4, 0.0), vx=SPEED_MPS, frame_id="map"))
    first = graph.wait_for_plans(1)[0]
    graph.sensors.break_("odometry", fault=replaced(far))
    graph.wait(
        lambda: any(
            FaultBit.DISCONTINUOUS in plan.faults and "odometry jumped" in plan.reason
            for plan in graph.plans_since(first.at_ns)
        ),
        "plan that tells the jump",
    )


def test_a_header_without_a_stamp_is_refused(graph):
    message = typestore().deserialize_cdr(
        graph.sensors.sensors["lidar"].data, "sensor_msgs/msg/PointCloud2"
    )
    message.header.stamp = make_message("builtin_interfaces/msg/Time", sec=0, nanosec=0)
    unset = serialized(message)
    answer_to(
        graph,
        breaking(graph, "lidar", fault=lambda _: [(0.0, unset)]),
        state=FALLBACK,
        fault=FaultBit.INPUT_MISSING,
        words="anchor 'lidar' is silent",
    )
