"""Who is not connected is named: in the status where it is vital, in /diagnostics always."""

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

import rclpy
from diff_planner_msgs.msg import NavCommand, Trajectory
from nav_msgs.msg import Path
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from diff_planner.data.typestore import typestore
from diff_planner.types import FaultBit, PlannerState
from message_factories import make_image
from ros_graph import LATCHED, graph_of

pytestmark = pytest.mark.ros

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
VOLATILE = QoSProfile(depth=1, durability=DurabilityPolicy.VOLATILE)


@pytest.fixture
def other(graph):
    """A node of somebody else on the shared graph, with a participant of its own."""
    context = graph.make_context()
    node, made = rclpy.create_node("other", context=context), []

    class Other:
        def subscribe(self, kind, topic, qos):
            subscription = node.create_subscription(kind, topic, print, qos)
            made.append((node.destroy_subscription, subscription))

        def advertise(self, kind, topic, qos):
            made.append((node.destroy_publisher, node.create_publisher(kind, topic, qos)))

        def leave(self):
            while made:
                destroy, entity = made.pop()
                destroy(entity)

    yield Other()
    node.destroy_node()
    rclpy.shutdown(context=context)


def diagnosed(graph, topic):
    """Whether the newest diagnostics name a topic."""
    graph.ear.take("diagnostics")
    if not graph.ear.heard["diagnostics"]:
        return False
    return topic in str(graph.ear.heard["diagnostics"][-1].message)


def test_a_follower_that_gets_no_plans_is_a_fault_of_every_status_until_it_is_gone(graph, other):
    other.subscribe(Trajectory, "/planning/trajectory", LATCHED)
    status = graph.wait_for_status("/planning/trajectory: nothing reaches a subscriber")
    assert status.state == PlannerState.DEGRADED
    assert status.fault_bits & FaultBit.QOS
    assert "durability" in status.reason
    graph.wait(lambda: diagnosed(graph, "/planning/trajectory"), "diagnostics that name it")
    other.leave()
    graph.until_nominal()
    graph.wait(lambda: not diagnosed(graph, "/planning/trajectory"), "diagnostics without it")


def test_a_viewer_that_gets_nothing_is_told_in_the_diagnostics_only(graph, other):
    other.subscribe(Path, "/planning/path", LATCHED)
    graph.wait(lambda: diagnosed(graph, "/planning/path"), "diagnostics that name it")
    graph.until_nominal()


def test_a_publisher_that_offers_less_than_is_needed_is_named(graph, other):
    other.advertise(NavCommand, "/navigation/command", BEST_EFFORT)
    status = graph.wait_for_status("/navigation/command: nothing arrives from a publisher")
    assert "reliability" in status.reason
    assert status.fault_bits & FaultBit.QOS
    assert status.state == PlannerState.DEGRADED
    other.leave()
    graph.until_nominal()


def test_a_publisher_of_another_message_type_is_named(graph, other):
    topic = "/sensing/lidar/top/pointcloud"
    graph.sensors.disconnect("lidar")
    other.advertise(String, topic, VOLATILE)
    words = f"{topic}: expected sensor_msgs/msg/PointCloud2, got std_msgs/msg/String"
    status = graph.wait_for_status(words)
    assert status.fault_bits & FaultBit.QOS
    assert status.state == PlannerState.FALLBACK
    other.leave()
    graph.sensors.connect("lidar")
    graph.until_nominal()


def test_transforms_that_are_not_latched_are_named(moment_bag):
    with graph_of(moment_bag, without=("tf_static",)) as graph:
        publisher = graph.ear.node.create_publisher(TFMessage, "/tf_static", VOLATILE)
        status = graph.wait_for_status("/tf_static: nothing arrives from a publisher")
        assert "durability" in status.reason
        graph.ear.node.destroy_publisher(publisher)


def raw_picture(sensor):
    """A compressed picture's pixels as sensor_msgs/Image, serialized."""
    message = typestore().deserialize_cdr(sensor.data, sensor.msgtype)
    pixels = cv2.imdecode(np.asarray(message.data), cv2.IMREAD_COLOR)
    raw = make_image(pixels, "bgr8", frame_id=message.header.frame_id)
    return bytes(typestore().serialize_cdr(raw, raw.__msgtype__))


def test_raw_pictures_on_a_compressed_topic_are_subscribed_to_instead(moment_bag):
    with graph_of(moment_bag, is_started=False) as graph:
        sensors = graph.sensors
        sensors.disconnect("front")
        kind = "sensor_msgs/msg/Image"
        raw = sensors.sensors["front"]._replace(
            msgtype=kind, data=raw_picture(sensors.sensors["front"])
        )
        sensors.sensors["front"] = raw
        sensors.connect("front")
        assert graph.transition("configure")
        assert graph.transition("activate")
        graph.until_nominal()


def test_a_publisher_that_is_restarted_is_heard_again(graph):
    for name in ("lidar", "odometry", "front"):
        graph.sensors.disconnect(name)
        graph.wait(lambda: graph.plans[-1].state != PlannerState.NOMINAL, f"fault without {name}")
        graph.sensors.connect(name)
        graph.until_nominal()
