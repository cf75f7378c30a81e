"""The messages that rosidl generates and those that rosbags reads are the same on the wire."""

import array
import json
import os
from pathlib import Path

import numpy as np
import pytest

from msgs.samples import NAMES, full_name, make_typestore, sample

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def store():
    return make_typestore()


@pytest.fixture(scope="module")
def ros_messages():
    """The generated Python module of the messages."""
    return pytest.importorskip(
        "diff_planner_msgs.msg", reason="diff_planner_msgs is not on the path: tools/ros_env.sh"
    )


def to_ros(message, ros_class):
    """The generated message with the values of a message of rosbags."""
    result = ros_class()
    for field in ros_class.get_fields_and_field_types():
        value = getattr(message, field)
        current = getattr(result, field)
        setattr(result, field, _to_ros_value(value, current, ros_class, field))
    return result


def _to_ros_value(value, current, ros_class, field):
    if isinstance(value, np.ndarray):
        if isinstance(current, array.array):
            return array.array(current.typecode, value.tolist())
        return value if isinstance(current, np.ndarray) else value.tolist()
    if isinstance(value, list):
        slot = ros_class.SLOT_TYPES[list(ros_class.get_fields_and_field_types()).index(field)]
        module = __import__(".".join(slot.value_type.namespaces), fromlist=[slot.value_type.name])
        element = getattr(module, slot.value_type.name)
        return [to_ros(item, element) for item in value]
    if hasattr(current, "get_fields_and_field_types"):
        return to_ros(value, type(current))
    return value


@pytest.mark.parametrize("name", NAMES)
def test_both_write_the_same_bytes(store, ros_messages, name):
    serialization = pytest.importorskip("rclpy.serialization")
    message = sample(store, full_name(name), np.random.default_rng(11))
    ours = bytes(store.serialize_cdr(message, full_name(name)))
    ros_class = getattr(ros_messages, name)
    theirs = serialization.serialize_message(to_ros(message, ros_class))
    # ROS leaves the gaps of alignment uninitialised and may fill up to a multiple of four at the
    # end. Only in a gap may the two differ: reading skips it, writing zeroes it.
    assert 0 <= len(theirs) - len(ours) < 4
    assert without_gaps(store, theirs, name) == ours
    back = serialization.deserialize_message(ours, ros_class)
    assert without_gaps(store, serialization.serialize_message(back), name) == ours


def without_gaps(store, data, name):
    """The same message with zeroes in the gaps."""
    message = store.deserialize_cdr(data, full_name(name))
    return bytes(store.serialize_cdr(message, full_name(name)))


@pytest.mark.parametrize("name", NAMES)
def test_both_compute_the_same_type_hash(store, ros_messages, name):
    prefixes = [Path(prefix) for prefix in os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)]
    files = [p / "share" / "diff_planner_msgs" / "msg" / f"{name}.json" for p in prefixes]
    description = next(path for path in files if path.is_file())
    hashes = json.loads(description.read_text(encoding="utf-8"))["type_hashes"]
    by_name = {entry["type_name"]: entry["hash_string"] for entry in hashes}
    assert store.hash_rihs01(full_name(name)) == by_name[full_name(name)]


@pytest.mark.parametrize("name", NAMES)
def test_constants_of_the_generated_class_equal_those_of_the_file(store, ros_messages, name):
    found, _ = store.fielddefs[full_name(name)]
    generated = getattr(ros_messages, name)
    assert {key: getattr(generated, key) for key, _, _ in found} == {k: v for k, _, v in found}


def test_the_service_has_the_fields_of_its_file():
    service = pytest.importorskip("diff_planner_msgs.srv").LoadModel
    assert list(service.Request.get_fields_and_field_types()) == [
        "path",
        "expected_sha256",
        "activate",
    ]
    assert list(service.Response.get_fields_and_field_types()) == ["success", "message", "model_id"]
