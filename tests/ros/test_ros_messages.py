"""Messages that `make` builds of rclpy's classes are those that a replay writes."""

import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from diff_planner.data import encode, encode_status
from diff_planner.data.typestore import make_message, typestore
from diff_planner.errors import InputError, MissingInputError
from diff_planner.types import Candidates, FaultBit, InputHealth, RejectBit, StateIndex
from factories import STAMP_NS
from plan_factories import make_output

pytestmark = pytest.mark.ros

serialization = pytest.importorskip("rclpy.serialization")
pytest.importorskip(
    "diff_planner_msgs.msg", reason="diff_planner_msgs is not on the path: tools/ros_env.sh"
)

from diff_planner.ros.diagnostics import diagnostics_message  # noqa: E402
from diff_planner.ros.markers import candidate_markers, plan_path  # noqa: E402
from diff_planner.ros.messages import make  # noqa: E402

MODEL = encode_status.ModelLabel("nano", "ab" * 32, "untrained", "openvino", "f32")
COUNTERS = encode_status.Counters(5, 2, 1, 3, 0.25)
TIMING = {"decode": 3.0, "inference": np.float64(7.0), "total": 12.0}


def many_candidates(count=20):
    states = np.repeat(make_output().trajectory.states[None], count, axis=0)
    states[3, 7, StateIndex.X] = np.nan
    scores = np.linspace(0.0, 1.0, count, dtype=np.float32)
    bits = np.zeros(count, np.uint32)
    bits[3:6] = RejectBit.NONFINITE | RejectBit.COLLISION
    return Candidates(states, scores, scores, bits, np.arange(count), selected=0)


def make_report():
    health = (
        InputHealth("lidar", "/p", True, 0.01, 0.06, received=4),
        InputHealth("left", "/l", False, np.nan, 0.06, FaultBit.INPUT_MISSING, "left: none"),
    )
    output = make_output(reason="Gründe: left: none", faults=FaultBit.INPUT_MISSING, health=health)
    return encode_status.StatusReport.of(output)


def trajectory(maker):
    output = make_output()
    pose = output.odom_SE3_ego
    return encode.trajectory_message(
        maker, output, wheelbase_m=3.0, frame_id="map", frame_SE3_ego=pose
    )


def candidates(maker):
    output = make_output(candidates=many_candidates())
    return encode.candidates_message(maker, output, "base_link")


def no_candidates(maker):
    return encode.candidates_message(maker, make_output(candidates=None), "base_link")


def status(maker):
    return encode_status.status_message(
        maker, make_report(), model=MODEL, counters=COUNTERS, is_shadow=True
    )


def timing(maker):
    return encode_status.timing_message(maker, STAMP_NS, 7, TIMING, is_deadline_missed=True)


def path(maker):
    return plan_path(maker, trajectory(maker))


def markers(maker):
    output = make_output(candidates=many_candidates())
    return candidate_markers(maker, output, "map", output.odom_SE3_ego)


def diagnostics(maker):
    # Memory is another one at each call; an empty entry says the same in both.
    message = diagnostics_message(
        maker, STAMP_NS, make_report(), MODEL, COUNTERS, TIMING, {"/p": "best effort"}
    )
    message.status = message.status[:3]
    return message


@pytest.mark.parametrize(
    "build",
    [trajectory, candidates, no_candidates, status, timing, path, markers, diagnostics],
    ids=lambda build: build.__name__,
)
def test_rclpys_message_has_the_values_of_the_one_that_a_replay_writes(build):
    written = build(make_message)
    name, store = written.__msgtype__, typestore()
    sent = serialization.serialize_message(build(make))
    # ROS leaves gaps of alignment as they are: compared is what is read.
    received = store.deserialize_cdr(sent, name)
    expected = bytes(store.serialize_cdr(written, name))
    assert bytes(store.serialize_cdr(received, name)) == expected


def test_all_of_it_holds_where_rclpy_checks_each_field():
    """As Humble always does, and Jazzy by an environment variable that is read on import."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "ros", "-p", "no:cacheprovider"]
    command += [__file__, "-k", "replay_writes or cannot_hold"]
    environment = {**os.environ, "ROS_PYTHON_CHECK_FIELDS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^9 passed", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sec": 1}, r"expected the fields \['nanosec', 'sec'\], got \['sec'\]"),
        ({"sec": 1, "nanosec": 2, "nsec": 3}, "expected the fields"),
    ],
)
def test_a_missing_or_unknown_field_is_refused_as_for_bags(fields, words):
    with pytest.raises(InputError, match=words):
        make("builtin_interfaces/msg/Time", **fields)
    with pytest.raises(InputError):
        make_message("builtin_interfaces/msg/Time", **fields)


def test_a_value_that_a_field_cannot_hold_is_refused_by_name():
    with pytest.raises(InputError, match=r"builtin_interfaces/msg/Time\.sec: "):
        make("builtin_interfaces/msg/Time", sec=1.5, nanosec=0)


def test_a_type_that_is_not_installed_is_refused_by_name():
    with pytest.raises(MissingInputError, match="no_such_msgs"):
        make("no_such_msgs/msg/Thing")


def test_a_field_of_fixed_size_takes_a_list():
    uuid = make("unique_identifier_msgs/msg/UUID", uuid=list(range(16)))
    assert uuid.uuid.tolist() == list(range(16))


def test_twenty_candidates_are_built_in_far_less_than_two_milliseconds():
    output = replace(make_output(), candidates=many_candidates())
    spans = []
    for _ in range(20):
        begin = time.perf_counter()
        encode.candidates_message(make, output, "base_link")
        spans.append(time.perf_counter() - begin)
    assert min(spans) < 0.002
