"""Processes that end: the node's own by a signal, a sensor's by one that nobody can catch."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from calm_machine import in_a_calm_moment
from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import BOUND_S
from ros_graph import graph_of
from slow_planner_node import BEGINS, CYCLE_S

pytestmark = pytest.mark.ros

TESTS = Path(__file__).resolve().parents[1]
ENDS_WITHIN_S = 1.0


@contextmanager
def process(graph, *words, **options):
    """A Python program on the domain of a graph; killed if it does not end by itself."""
    folders = [str(TESTS), *sys.path]
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(graph.domain),
        "PYTHONPATH": os.pathsep.join(folders),
    }
    started = subprocess.Popen(
        [sys.executable, *map(str, words)], env=environment, text=True, **options
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        if started.stdout is not None:
            started.stdout.close()


def ended_by(bag, number):
    """Signal a node in mid-cycle; return its plans, and seconds to the last one and to its end."""
    program = TESTS / "slow_planner_node.py"
    with (
        graph_of(bag, has_node=False) as graph,
        process(graph, program, stdout=subprocess.PIPE) as node,
    ):
        graph.until_nominal(within_s=30.0)
        too_late = threading.Timer(30.0, node.kill)
        too_late.start()
        while BEGINS not in (line := node.stdout.readline()):
            assert line, f"the node ended without '{BEGINS}'"
        too_late.cancel()
        time.sleep(CYCLE_S / 3)
        node.send_signal(number)
        begin_ns = time.monotonic_ns()
        assert node.wait(10.0) == 0
        took_s = (time.monotonic_ns() - begin_ns) / 1e9
        said = (PlannerState.UNCONFIGURED, "shut down")
        graph.wait(lambda: graph.said == said, "last status")
        graph.wait(lambda: "shutting down" in graph.plans[-1].reason, "last plan")
        return graph.plans, (graph.plans[-1].at_ns - begin_ns) / 1e9, took_s


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_cycle_ends_in_a_plan_that_stops(moment_bag, number):
    def attempt():
        plans, last_s, took_s = ended_by(moment_bag, number)
        last = plans[-1]
        assert "shutting down: this plan ends in a standstill and none follows" in last.reason
        assert last.state == PlannerState.FALLBACK
        assert last.source in (Source.FALLBACK_STOP, Source.EMERGENCY_STOP)
        assert last.speeds[0] > 1.0
        assert last.speeds[-1] == 0.0
        ids = [plan.trajectory.plan_id for plan in plans]
        assert all(b > a for a, b in itertools.pairwise(ids))
        assert last_s < BOUND_S
        assert took_s < ENDS_WITHIN_S

    in_a_calm_moment(attempt)


def test_a_sensor_whose_process_is_killed_is_missed_at_once_and_heard_again_when_it_is_back(
    moment_bag,
):
    program = TESTS / "ros_sensors.py"

    def attempt():
        with process(graph, program, moment_bag, "lidar") as sensor:
            graph.until_nominal(within_s=30.0)
            since_ns = time.monotonic_ns()
            sensor.kill()
            words = "anchor 'lidar' is silent"
            plan = graph.wait(
                lambda: [p for p in graph.plans_since(since_ns) if words in p.reason], words
            )[0]
        assert plan.state == PlannerState.FALLBACK
        assert FaultBit.INPUT_MISSING in plan.faults
        assert (plan.at_ns - since_ns) / 1e9 <= BOUND_S

    with graph_of(moment_bag, without=("lidar",)) as graph:
        for _ in range(2):
            in_a_calm_moment(attempt)


def test_a_node_that_is_killed_and_started_again_plans_again(moment_bag):
    """As `respawn` of the launch file does it: that is what covers a hang of the interpreter."""
    words = ("-m", "diff_planner.ros.planner_node")
    with graph_of(moment_bag, has_node=False) as graph:
        with process(graph, *words) as node:
            graph.until_nominal(within_s=30.0)
            node.kill()
        with process(graph, *words):
            graph.until_nominal(within_s=30.0)
            # Its numbers begin anew: whoever counts them sees that it is another process.
            assert graph.plans[-1].trajectory.plan_id < 100
