"""The tf2_msgs of the environment, ours or the real one, is what everyone else's is on the wire."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from rosbags.typesys import Stores, get_typestore

pytestmark = pytest.mark.ros

rclpy = pytest.importorskip("rclpy")
geometry_msgs = pytest.importorskip("geometry_msgs.msg")
tf2_msgs = pytest.importorskip("tf2_msgs.msg")
NAME = "tf2_msgs/msg/TFMessage"


def make_transform():
    transform = geometry_msgs.TransformStamped()
    transform.header.frame_id, transform.child_frame_id = "base_link", "lidar_top"
    transform.header.stamp.sec = 12
    transform.transform.translation.z = 1.8
    transform.transform.rotation.w = 1.0
    return transform


def test_its_type_hash_is_that_of_jazzys_tf2_msgs():
    prefixes = [Path(prefix) for prefix in os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)]
    files = [p / "share" / "tf2_msgs" / "msg" / "TFMessage.json" for p in prefixes]
    description = next(path for path in files if path.is_file())
    hashes = json.loads(description.read_text(encoding="utf-8"))["type_hashes"]
    by_name = {entry["type_name"]: entry["hash_string"] for entry in hashes}
    assert by_name[NAME] == get_typestore(Stores.ROS2_JAZZY).hash_rihs01(NAME)


def test_its_bytes_are_read_by_jazzys_definition():
    serialization = pytest.importorskip("rclpy.serialization")
    message = tf2_msgs.TFMessage(transforms=[make_transform()])
    data = serialization.serialize_message(message)
    back = get_typestore(Stores.ROS2_JAZZY).deserialize_cdr(data, NAME)
    assert back.transforms[0].child_frame_id == "lidar_top"
    assert back.transforms[0].transform.translation.z == 1.8


def test_a_transform_that_is_published_is_received(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=random.randint(1, 101))
    node = rclpy.create_node("tf_echo", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        latched = rclpy.qos.QoSProfile(
            depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL
        )
        received = []
        node.create_subscription(tf2_msgs.TFMessage, "/tf_static", received.append, latched)
        publisher = node.create_publisher(tf2_msgs.TFMessage, "/tf_static", latched)
        publisher.publish(tf2_msgs.TFMessage(transforms=[make_transform()]))
        deadline = time.monotonic() + 10.0
        while not received and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        assert [m.transforms[0].header.frame_id for m in received] == ["base_link"]
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
