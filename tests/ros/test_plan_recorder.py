"""The recorder over DDS: what a node publishes is what lies in the bag; a full disk is told."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.cdr import stamp_ns
from diff_planner.errors import BagError
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.plan_recorder import PlanRecorder, SpinThread
from msgs.samples import full_name, make_typestore, sample
from player_graph import DEEP, node_of, own_graph

pytestmark = pytest.mark.ros

STEP_NS = 100_000_000
TOPICS = {
    "planning/trajectory": "Trajectory",
    "planning/candidates": "CandidateSet",
    "planning/status": "PlannerStatus",
    "planning/timing": "CycleTiming",
}
STORE = make_typestore()


def message_of(name, plan_id, **fields):
    """A serialized output of the node, stamped by its plan_id."""
    message = sample(STORE, full_name(name), np.random.default_rng(1))
    stamp = message.header.stamp
    stamp.sec, stamp.nanosec = divmod(plan_id * STEP_NS, 10**9)
    message.plan_id = plan_id
    for field, value in fields.items():
        setattr(message, field, value)
    return bytes(STORE.serialize_cdr(message, full_name(name)))


class NodeStandIn:
    """Publishes what the test wants, where the node would."""

    def __init__(self, node, namespace=""):
        self._publishers = {
            name: node.create_publisher(
                message_class(full_name(name)), f"{namespace}/{topic}", DEEP
            )
            for topic, name in TOPICS.items()
        }

    def wait_for_recorder(self, timeout_s=10.0):
        deadline_s = time.monotonic() + timeout_s
        while not all(p.get_subscription_count() for p in self._publishers.values()):
            assert time.monotonic() < deadline_s, "nobody subscribed"
            time.sleep(0.02)

    def say(self, name, plan_id, **fields):
        data = message_of(name, plan_id, **fields)
        self._publishers[name].publish(data)
        return data

    def plan(self, plan_id):
        return {name: self.say(name, plan_id) for name in TOPICS.values()}


@contextmanager
def recording(bag, namespace=""):
    """Yield (stand-in, recorder) of one graph, the recorder listening."""
    with (
        own_graph() as context,
        node_of(context, "stand_in") as (node, _),
        node_of(context, "recorder") as (listener, executor),
    ):
        executor.remove_node(listener)
        recorder = PlanRecorder(listener, bag, namespace=namespace)
        with SpinThread(listener) as thread:
            stand_in = NodeStandIn(node, namespace)
            stand_in.wait_for_recorder()
            yield stand_in, recorder
            thread.raise_error()


def wait_until(is_there, timeout_s=10.0):
    deadline_s = time.monotonic() + timeout_s
    while not is_there():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def raw_by_topic(path):
    with BagReader(path) as reader:
        messages = list(reader.raw_messages())
    assert all(m.log_time_ns == stamp_ns(m.data) for m in messages)
    return {topic: [m.data for m in messages if m.topic == topic] for topic in reader.topics}


def test_plans_candidates_and_status_are_logged_as_they_came_at_their_stamp(tmp_path):
    with BagWriter(tmp_path / "plans.mcap") as bag, recording(bag) as (node, recorder):
        sent = [node.plan(plan_id) for plan_id in range(1, 6)]
        wait_until(lambda: recorder.plans == len(recorder.timings) == 5)
    found = raw_by_topic(tmp_path / "plans.mcap")
    assert found == {
        f"/{topic}": [plan[name] for plan in sent]
        for topic, name in TOPICS.items()
        if name != "CycleTiming"
    }
    assert (recorder.lost, recorder.restarts) == (0, 0)


def test_a_namespace_is_listened_to_and_left_out_of_the_bag(tmp_path):
    with BagWriter(tmp_path / "plans.mcap") as bag, recording(bag, "/car1") as (node, recorder):
        node.plan(1)
        wait_until(lambda: recorder.timings)
    assert set(raw_by_topic(tmp_path / "plans.mcap")) == {
        "/planning/trajectory",
        "/planning/candidates",
        "/planning/status",
    }


def test_plans_that_did_not_come_are_counted_by_the_gaps_of_their_ids(tmp_path):
    with BagWriter(tmp_path / "plans.mcap") as bag, recording(bag) as (node, recorder):
        for plan_id in (3, 4, 7, 8, 10, 1, 2):
            node.say("Trajectory", plan_id)
        wait_until(lambda: recorder.plans == 7)
    assert recorder.lost == 3
    assert recorder.restarts == 1


def test_a_status_that_is_repeated_is_written_once_and_news_always(tmp_path):
    said = [(1, 5, ""), (1, 5, ""), (1, 7, "odometry is silent"), (2, 5, ""), (2, 5, "")]
    with BagWriter(tmp_path / "plans.mcap") as bag, recording(bag) as (node, recorder):
        for plan_id, state, reason in said:
            node.say("PlannerStatus", plan_id, state=state, reason=reason)
        node.say("PlannerStatus", 0)  # before the first clock: there is no stamp to log it at
        node.plan(3)
        wait_until(lambda: recorder.timings)
    assert len(raw_by_topic(tmp_path / "plans.mcap")["/planning/status"]) == 4


def test_timings_are_kept_without_the_stages_that_do_not_exist(tmp_path):
    with BagWriter(tmp_path / "plans.mcap") as bag, recording(bag) as (node, recorder):
        node.say("CycleTiming", 4, h2d_ms=-1.0, denoise_ms=7.5, compute_total_ms=0.0)
        wait_until(lambda: recorder.timings)
        node.plan(5)  # a bag of no messages would be empty
        wait_until(lambda: recorder.plans)
    first = recorder.timings[0]
    assert first["stamp_ns"] == 4 * STEP_NS
    assert first["plan_id"] == 4
    assert first["inference"] == 7.5
    assert first["total"] == 0.0
    assert "h2d" not in first


def test_a_full_disk_stops_the_recording_once_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "plans.mcap"

    def refuse(self, topic, data, log_time_ns):
        raise BagError(f"{path}: cannot be written (No space left on device)")

    with (
        pytest.raises(BagError, match="No space left"),
        BagWriter(path) as bag,
        recording(bag) as (node, recorder),
    ):
        node.plan(1)
        wait_until(lambda: recorder.plans == 1)
        monkeypatch.setattr(BagWriter, "write_raw", refuse)
        node.plan(2)
        wait_until(lambda: recorder.error is not None)
        node.plan(3)
        wait_until(lambda: len(recorder.timings) == 3)
        assert recorder.plans == 1
        recorder.raise_error()
    assert list(tmp_path.iterdir()) == []


def start_program(path, domain, *, file_limit=None):
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    limit = (file_limit, file_limit)
    return subprocess.Popen(
        [sys.executable, "-m", "diff_planner.ros.plan_recorder", "--out", str(path)],
        env={**environment, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=file_limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_ends_with_a_whole_bag_when_it_is_told_to(tmp_path, number):
    path = tmp_path / "plans.mcap"
    with own_graph() as context, node_of(context, "stand_in") as (node, _):
        program = start_program(path, context.get_domain_id())
        stand_in = NodeStandIn(node)
        stand_in.wait_for_recorder(timeout_s=20.0)
        for plan_id in range(1, 4):
            stand_in.plan(plan_id)
        assert all(p.wait_for_all_acked() for p in stand_in._publishers.values())
        time.sleep(0.5)
        program.send_signal(number)
        out, error = program.communicate(timeout=20)
    assert program.returncode == 0, error
    assert out.strip() == f"{path}: 3 plans, 0 lost on the way"
    assert len(raw_by_topic(path)["/planning/trajectory"]) == 3
    assert len((tmp_path / "plans.timing.jsonl").read_text().splitlines()) == 3


def test_the_program_on_a_full_disk_says_so_once_and_exits_with_1(tmp_path):
    path = tmp_path / "plans.mcap"
    with own_graph() as context, node_of(context, "stand_in") as (node, _):
        # A limit on the size of files is the full disk that a test can make.
        program = start_program(path, context.get_domain_id(), file_limit=200_000)
        stand_in = NodeStandIn(node)
        stand_in.wait_for_recorder(timeout_s=20.0)
        for plan_id in range(1, 10_000):
            stand_in.plan(plan_id)
            if program.poll() is not None:
                break
        _, error = program.communicate(timeout=20)
    assert program.returncode == 1
    assert error.count("cannot be written") == 1
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_the_program_without_any_plan_says_where_it_listened_and_exits_with_1(tmp_path):
    path = tmp_path / "plans.mcap"
    with own_graph() as context, node_of(context, "stand_in") as (node, _):
        program = start_program(path, context.get_domain_id())
        NodeStandIn(node).wait_for_recorder(timeout_s=20.0)
        program.send_signal(signal.SIGINT)
        _, error = program.communicate(timeout=20)
    assert program.returncode == 1
    assert "no plan came on /planning/trajectory; nothing was written" in error
    assert list(tmp_path.iterdir()) == []
