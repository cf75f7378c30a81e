"""What a reviewer broke: names on the graph, races between threads, states in a wrong order."""

import gc
import itertools
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

import rclpy
from rclpy.parameter import Parameter

from diff_planner.data.typestore import typestore
from diff_planner.ros.domain import free_domain_id
from diff_planner.ros.inbox import Arrival
from diff_planner.ros.memory import settle_heap
from diff_planner.ros.planner_node import PlannerNode
from diff_planner.types import FaultBit, PlannerState, Source
from faulty_backend import Hanging, Loader
from message_factories import make_route
from ros_sensors import silent

pytestmark = pytest.mark.ros

FAULT, FALLBACK, NOMINAL = PlannerState.FAULT, PlannerState.FALLBACK, PlannerState.NOMINAL
LIDAR = "sensing/lidar/top/pointcloud"
ROUTE = "/navigation/route"


@pytest.fixture
def make_node(monkeypatch):
    """Makes nodes without sensors, each on a graph of its own."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    made = []

    def make(*remaps, parameters=None, namespace=None, load=None, **options):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=free_domain_id())
        words = [word for remap in remaps for word in ("-r", remap)]
        given = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        node = PlannerNode(
            load=load or Loader(),
            context=context,
            namespace=namespace,
            cli_args=["--ros-args", *words],
            parameter_overrides=given,
            **options,
        )
        made.append((node, context))
        return node

    yield make
    for node, context in made:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def restarted(graph):
    """The shared graph; active again after the test."""
    yield graph
    graph.heal()
    if graph.lifecycle == "inactive":
        graph.transition("activate")


def said_by(node, find, within_s=3.0):
    """The first status that is as wanted."""
    end_s = time.monotonic() + within_s
    while not find(node.board.report):
        assert time.monotonic() < end_s, node.board.report
        time.sleep(0.01)
    return node.board.report


def test_reasons_and_health_name_the_topics_as_they_are_on_the_graph(make_node):
    node = make_node(f"{LIDAR}:=/raw/points", "/tf_static:=/car1/tf_static", namespace="car1")
    node.trigger_configure()
    node.trigger_activate()
    report = said_by(node, lambda said: "waiting for inputs" in said.reason)
    assert "lidar: no message on /raw/points yet" in report.reason
    camera = "/car1/sensing/camera/left/image_rect/compressed"
    assert f"left: no message on {camera} yet" in report.reason
    topics = {entry.name: entry.topic for entry in report.health}
    assert topics["left"] == camera
    assert topics["lidar"] == "/raw/points"
    subscribed = {subscription.topic_name for subscription in node.subscriptions}
    assert {*topics.values(), "/car1/tf_static"} <= subscribed


def test_two_topics_that_are_remapped_to_each_other_are_each_heard_once(make_node):
    left, right = (f"sensing/camera/{side}/image_rect/compressed" for side in ("left", "right"))
    node = make_node(f"{left}:={right}", f"{right}:={left}")
    node.trigger_configure()
    node.trigger_activate()
    report = said_by(node, lambda said: len(said.health) > 2)
    topics = {entry.name: entry.topic for entry in report.health}
    assert (topics["left"], topics["right"]) == (f"/{right}", f"/{left}")
    subscribed = {subscription.topic_name for subscription in node.subscriptions}
    assert {f"/{left}", f"/{right}"} <= subscribed


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("bad topic!", "inputs.lidar: topic name must not contain characters"),
        ("/localization/kinematic_state", "is configured for two inputs"),
    ],
)
def test_a_topic_that_cannot_be_is_refused_and_leaves_no_subscription(make_node, topic, words):
    node = make_node(parameters={"inputs.lidar.topic": topic})
    before = len(list(node.subscriptions))
    for _ in range(2):
        node.trigger_configure()
        assert not node.is_configured
        report = said_by(node, lambda said: said.state == FAULT)
        assert words in report.reason
        assert report.faults == FaultBit.NONE
        assert len(list(node.subscriptions)) == before


def test_a_route_that_came_while_inactive_is_there_when_it_plans(make_node):
    node = make_node()
    node.trigger_configure()
    msgtype = "diff_planner_msgs/msg/Route"
    data = bytes(typestore().serialize_cdr(make_route([(0.0, 0.0), (9.0, 0.0)]), msgtype))
    node._inputs.inbox.put(Arrival(ROUTE, msgtype, data, time.monotonic_ns()))
    node._check_inputs()  # once a second while nothing plans
    for _ in range(2):
        node.trigger_activate()
        assert "route" in node._runtime.loop.assembler._latched
        node.trigger_deactivate()


def test_what_came_before_an_activation_is_not_planned_from(restarted):
    graph = restarted
    graph.wait_for_plans(3)
    runtime = graph.node._runtime
    with runtime._thread.lock:  # nobody looks into the inbox: it fills
        time.sleep(0.25)
        stamp_ns = graph.sensors.now_ns()
        graph.sensors.pause()
        runtime._around.subscriptions.is_active = False
    assert graph.transition("deactivate")
    before_ns = time.monotonic_ns()
    assert graph.transition("activate")
    time.sleep(0.2)
    graph.sensors.pause(False)
    for plan in graph.wait_for_plans(3, since_ns=before_ns):
        stamp = plan.trajectory.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec > stamp_ns, str(plan)


def test_after_the_plan_that_stops_the_watchdog_says_no_other(restarted):
    graph = restarted
    runtime = graph.node._runtime
    why, has_begun, may_go_on = runtime._why_overdue, threading.Event(), threading.Event()

    def slowly(*args, **options):
        has_begun.set()
        assert may_go_on.wait(10.0)
        return why(*args, **options)

    runtime._why_overdue = slowly
    try:
        graph.sensors.break_("lidar", fault=silent)
        assert has_begun.wait(5.0)
        assert graph.transition("deactivate")
    finally:
        may_go_on.set()
        runtime._why_overdue = why
    graph.wait_for_status("inactive: configured and waiting")
    time.sleep(0.3)
    assert "deactivated: this plan ends in a standstill" in graph.plans[-1].reason


def test_the_last_plan_is_made_while_nobody_else_touches_the_inputs(restarted):
    graph = restarted
    runtime = graph.node._runtime
    thread, overdue, was_locked = runtime._thread, runtime._loop.overdue, []

    def observed(*args, **options):
        was_locked.append(thread.lock.locked())
        return overdue(*args, **options)

    runtime._loop.overdue = observed
    try:
        assert graph.transition("deactivate")
    finally:
        del runtime._loop.overdue
    assert was_locked == [True]


def test_a_watchdog_that_fails_does_not_silence_the_status(graph):
    runtime = graph.node._runtime

    def broken():
        raise RuntimeError("no luck at all")

    runtime.tick = broken
    try:
        graph.sensors.pause()
        status = graph.wait_for_status("the watchdog failed: no luck at all")
        assert status.state != NOMINAL
        since_ns = time.monotonic_ns()
        time.sleep(1.0)
        assert len([1 for at_ns, _ in graph.statuses if at_ns > since_ns]) >= 6
    finally:
        del runtime.tick


def test_a_cycle_whose_plan_cannot_be_published_is_answered_by_the_watchdog(graph):
    outputs = graph.node._runtime._around.outputs
    trajectory = outputs.trajectory

    def broken(output, *args):
        if output.source == Source.DIFFUSION:
            raise RuntimeError("a field of the wrong type")
        return trajectory(output, *args)

    outputs.trajectory = broken
    try:
        since_ns = time.monotonic_ns()
        plans = graph.wait_for_plans(8, since_ns=since_ns)[2:]
    finally:
        outputs.trajectory = trajectory
    assert all(plan.state == FALLBACK for plan in plans), [str(plan) for plan in plans]
    assert all("a field of the wrong type" in plan.reason for plan in plans)
    gaps = [(b.at_ns - a.at_ns) / 1e9 for a, b in itertools.pairwise(plans)]
    assert max(gaps) < 0.3, gaps


def test_a_network_that_came_back_after_it_was_left_behind_can_be_activated(restarted):
    graph = restarted
    hanging = Hanging()
    graph.backend.fault = hanging
    assert hanging.has_begun.wait(5.0)
    assert graph.transition("deactivate")
    assert not graph.transition("activate")
    graph.wait_for_status("the network hangs", state=FAULT)
    graph.backend.fault = None
    hanging.release()
    assert hanging.is_over.wait(5.0)
    graph.wait(lambda: graph.transition("activate"), "activation")
    graph.until_nominal()


def test_the_kind_of_time_is_not_changed_under_a_configured_node(make_node):
    node = make_node()
    node.trigger_configure()
    (result,) = node.set_parameters([Parameter("use_sim_time", value=True)])
    assert not result.successful
    assert "use_sim_time" in result.reason
    assert not node.get_parameter("use_sim_time").value
    node.trigger_cleanup()
    (result,) = node.set_parameters([Parameter("use_sim_time", value=True)])
    assert result.successful


def test_what_a_configured_node_is_made_of_is_no_work_for_the_collector():
    settle_heap()
    assert gc.get_freeze_count() > 10_000
    gc.unfreeze()


def test_a_process_settles_once_its_node_is_configured(make_node):
    settled = []
    node = make_node(settle=lambda: settled.append(node.is_configured))
    assert not settled
    node.trigger_configure()
    assert settled == [True]
