"""Parameters and QoS on a real node: parameter files, parameter services, and DDS."""

import random
import time
from contextlib import contextmanager

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

import rclpy
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from diff_planner.errors import ConfigError
from diff_planner.ros import qos
from diff_planner.ros.parameter_specs import parameter_specs, settings_from
from diff_planner.ros.parameters import (
    NODE_OPTIONS,
    GivenParameters,
    changed_settings,
    declare_parameters,
    read_settings,
)

pytestmark = pytest.mark.ros

SHIFT = "safety.max_lateral_shift_m"
NOT_OURS = {"use_sim_time", "start_type_description_service"}


class Node(GivenParameters, LifecycleNode):
    """As the planner's."""


@pytest.fixture
def context(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=random.SystemRandom().randint(1, 101))
    yield made
    rclpy.shutdown(context=made)


@pytest.fixture
def make_node(context, tmp_path):
    """Make a lifecycle node in the namespace /car with a parameter file, and its faults."""
    nodes = []

    def make(values=None, options=NODE_OPTIONS):
        path = tmp_path / f"{len(nodes)}.params.yaml"
        parameters = {"ros__parameters": values or {"use_sim_time": False}}
        path.write_text(yaml.safe_dump({"/**": {"diff_planner": parameters}}))
        arguments = ["--ros-args", "--params-file", str(path), "-r", "__ns:=/car"]
        node = Node("diff_planner", context=context, cli_args=arguments, **options)
        nodes.append(node)
        return node, declare_parameters(node)

    yield make
    for node in nodes:
        node.destroy_node()


@contextmanager
def spinning(context, *nodes):
    """Yield a function that spins the nodes until a condition holds."""
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)

    def until(condition, within_s=10.0):
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, f"nothing came of it within {within_s} s"
            executor.spin_once(timeout_sec=0.05)

    try:
        yield until
    finally:
        executor.shutdown()


def value_of(node, name):
    return node.get_parameter(name).value


def test_without_a_file_every_parameter_has_its_default(make_node):
    node, faults = make_node()
    assert faults == []
    declared = set(node.get_parameters_by_prefix(""))
    assert declared == {spec.name for spec in parameter_specs()} | NOT_OURS
    assert read_settings(node) == settings_from({})


def test_a_parameter_is_described_and_an_integer_is_taken_for_a_double(context, make_node):
    node, _ = make_node()
    user = rclpy.create_node("user", context=context)
    describe = user.create_client(DescribeParameters, "/car/diff_planner/describe_parameters")
    change = user.create_client(SetParameters, "/car/diff_planner/set_parameters")
    with spinning(context, node, user) as until:
        until(lambda: describe.service_is_ready() and change.service_is_ready())
        names = ["vehicle.length_m", "model.backend", "selection.max_tries"]
        asked = describe.call_async(DescribeParameters.Request(names=names))
        until(asked.done)
        # As `ros2 param set /car/diff_planner safety.max_lateral_shift_m 1` sends it.
        one = Parameter(SHIFT, value=1).to_parameter_msg()
        told = change.call_async(SetParameters.Request(parameters=[one]))
        until(told.done)
    length, backend, tries = asked.result().descriptors
    assert length.type == Parameter.Type.DOUBLE.value
    assert length.description == "Overall length. Unit: m."
    assert length.additional_constraints == "above 0, at most 30"
    (bounds,) = length.floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.0, 30.0)
    assert length.read_only
    assert not length.dynamic_typing
    assert backend.additional_constraints == "openvino or torch"
    assert not tries.read_only
    (bounds,) = tries.integer_range
    assert (bounds.from_value, bounds.to_value, bounds.step) == (1, 100, 1)
    (result,) = told.result().results
    assert result.successful, result.reason
    assert value_of(node, SHIFT) == 1.0
    user.destroy_node()


def test_a_file_changes_what_it_names_flat_or_nested(make_node):
    values = {SHIFT: 1, "vehicle": {"length_m": 4, "name": "bus"}, "output_frame": ""}
    node, faults = make_node(values)
    assert faults == []
    settings = read_settings(node)
    assert settings.planner.safety.max_lateral_shift_m == 1.0
    assert settings.planner.vehicle.length_m == 4.0
    assert settings.planner.vehicle.name == "bus"
    assert settings.planner.output_frame is None
    assert node.describe_parameter(SHIFT).type == Parameter.Type.DOUBLE.value


def test_values_that_do_not_fit_are_told_and_leave_a_node_with_defaults(make_node):
    values = {
        SHIFT: 9.0,
        "model": {"backend": 3, "threads": 0},
        "vehicle": {"width_m": float("nan")},
        "inputs": {"camera_names": "front", "period_s": 0.01},
    }
    node, faults = make_node(values)
    assert sorted(faults) == [
        "parameter inputs.camera_names: expected a list of strings, each once, of letters, digits "
        "and _; got 'front'",
        "parameter inputs.period_s: expected a number, above 0.01, at most 2; got 0.01",
        "parameter model.backend: expected openvino or torch; got 3",
        "parameter model.threads: expected an integer, at least 1, at most 64; got 0",
        f"parameter {SHIFT}: expected a number, above 0, at most 5; got 9.0",
        "parameter vehicle.width_m: expected a number, above 0, at most 4; got nan",
    ]
    assert read_settings(node) == settings_from({})


def test_a_name_that_is_no_parameter_is_told_with_the_nearest_one_and_not_listed(make_node):
    values = {
        "use_sim_time": False,
        "start_type_description_service": False,
        "vehicle": {"lenght_m": 4.0},
        "qos_overrides": {"/tf_static": {"subscription": {"depth": 5}}},
    }
    node, faults = make_node(values)
    assert faults == ["unknown parameter vehicle.lenght_m: did you mean vehicle.length_m?"]
    assert not node.has_parameter("vehicle.lenght_m")


def test_what_does_not_fit_together_is_told_when_the_settings_are_read(make_node):
    node, faults = make_node({"inputs": {"anchor": "roof"}})
    assert faults == []
    with pytest.raises(ConfigError, match=r"anchor: expected one of .*, got 'roof'"):
        read_settings(node)


def test_cameras_of_other_names_have_their_three_parameters(make_node):
    cameras = {"rear": {"image": "rear/image", "info": "rear/info", "tolerance_s": 1}}
    node, faults = make_node({"inputs": {"camera_names": ["front", "rear"], "cameras": cameras}})
    assert faults == []
    found = read_settings(node).planner.inputs.cameras
    assert list(found) == ["front", "rear"]
    assert (found["rear"].image, found["rear"].tolerance_s) == ("rear/image", 1.0)
    assert node.describe_parameter("inputs.cameras.rear.info").read_only


def test_a_camera_that_is_not_named_and_one_without_topics_are_told(make_node):
    node, faults = make_node({"inputs": {"cameras": {"rear": {"image": "x"}}}})
    assert faults == [
        "unknown parameter inputs.cameras.rear.image: inputs.camera_names does not name 'rear'"
    ]
    node, faults = make_node({"inputs": {"camera_names": ["rear"], "anchor": "rear"}})
    assert faults == [
        f"parameter inputs.cameras.rear.{key}: expected a string, not empty; got ''"
        for key in ("image", "info")
    ]
    with pytest.raises(ConfigError, match=r"inputs\.cameras\.rear\.image: expected a string"):
        read_settings(node)


@pytest.mark.parametrize("names", [[""], []])
def test_an_empty_list_and_one_of_an_empty_name_mean_no_camera(make_node, names):
    node, faults = make_node({"inputs": {"camera_names": names}})
    assert faults == []
    assert read_settings(node).planner.inputs.cameras == {}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("vehicle.length_m", 4.0, "read-only"),
        ("shadow", True, "read-only"),
        (SHIFT, 5.1, "out of range"),
        (SHIFT, float("nan"), "out of range"),
        (SHIFT, "1", "Wrong parameter type"),
        ("selection.max_tries", 1.0, "Wrong parameter type"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_with_the_reason(make_node, name, value, reason):
    node, _ = make_node()
    before = value_of(node, name)
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert reason in result.reason
    assert value_of(node, name) == before


def test_changes_are_judged_together_and_none_is_applied_when_one_does_not_fit(make_node):
    node, _ = make_node()
    kept = [read_settings(node)]

    def on_set(parameters):
        try:
            kept.append(changed_settings(kept[-1], parameters))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)
    low, high = "safety.obstacle_min_height_m", "safety.obstacle_max_height_m"
    both = [Parameter(low, value=1.5), Parameter(high, value=1.0)]
    result = node.set_parameters_atomically(both)
    assert not result.successful
    assert "obstacle_min_height_m: expected less than 1.0 m, got 1.5" in result.reason
    assert (value_of(node, low), value_of(node, high)) == (0.3, 2.3)
    assert len(kept) == 1
    both = [Parameter(low, value=1), Parameter(high, value=1.5)]
    assert node.set_parameters_atomically(both).successful
    assert kept[-1].planner.safety.obstacle_min_height_m == 1.0
    assert kept[-1] == read_settings(node)
    # An open end is within the range of ROS, which has none: the settings refuse it.
    result = node.set_parameters_atomically([Parameter(SHIFT, value=0.0)])
    assert "above 0, at most 5; got 0.0" in result.reason


def test_parameters_of_others_change_nothing(make_node):
    node, _ = make_node()
    settings = read_settings(node)
    other = [Parameter("use_sim_time", value=True), Parameter("qos_overrides.x", value=1)]
    assert changed_settings(settings, other) is settings


def test_a_node_that_was_not_made_as_it_should_be_loses_no_value_of_a_file(make_node):
    node, _ = make_node({SHIFT: 1.5}, options={})
    assert read_settings(node).planner.safety.max_lateral_shift_m == 1.5


def subscribe(node, topic="odometry", role="odometry", told=None, message=Odometry, **options):
    report = [].append if told is None else told.append
    arguments = qos.subscription_options(node, role, topic, lambda *a: report(a), **options)
    return node.create_subscription(message, topic, lambda _: None, **arguments)


def test_a_qos_override_is_seen_on_the_subscription_each_time_it_is_made(make_node):
    override = {"subscription": {"reliability": "reliable", "depth": 7}}
    node, faults = make_node({"qos_overrides": {"/car/odometry": override}})
    assert faults == []
    for _ in range(2):  # again after cleanup and configure
        subscription = subscribe(node)
        assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert subscription.qos_profile.depth == 7
        node.destroy_subscription(subscription)
    assert node.describe_parameter("qos_overrides./car/odometry.subscription.depth").read_only
    assert qos.unused_overrides(node) == []


def test_an_override_of_a_latched_topic_may_change_its_durability(make_node):
    override = {"publisher": {"durability": "volatile"}}
    node, _ = make_node({"qos_overrides": {"/car/status": override}})
    arguments = qos.publisher_options(node, "status", "status", lambda *_: None)
    publisher = node.create_lifecycle_publisher(Odometry, "status", **arguments)
    assert publisher.qos_profile.durability == DurabilityPolicy.VOLATILE


def test_an_override_that_nothing_takes_is_told_with_the_nearest_one(make_node):
    override = {"subscription": {"reliability": "reliable"}}
    node, _ = make_node({"qos_overrides": {"/odometry": override}})
    subscribe(node)
    assert qos.unused_overrides(node) == [
        "nothing is overridden by qos_overrides./odometry.subscription.reliability: "
        "did you mean qos_overrides./car/odometry.subscription.reliability?"
    ]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ({"reliability": "best"}, "reliability: expected reliable or best_effort; got 'best'"),
        ({"depth": "7"}, "depth: expected an integer, at least 1, at most 10000; got '7'"),
        ({"depth": 0}, "depth: expected an integer, at least 1, at most 10000; got 0"),
        ({"history": []}, "history: expected keep_last or keep_all; got ['']"),
    ],
)
def test_an_override_that_is_no_policy_is_told_and_passed_over(make_node, override, sentence):
    node, faults = make_node({"qos_overrides": {"/car/odometry": {"subscription": override}}})
    assert faults == [f"parameter qos_overrides./car/odometry.subscription.{sentence}"]
    subscription = subscribe(node)
    assert subscription.qos_profile.depth == 20
    assert subscription.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.unused_overrides(node) == []


def test_in_lock_step_inputs_are_reliable_even_the_clock_that_rclpy_subscribed_to(make_node):
    node, _ = make_node({"use_sim_time": True})
    for role, topic, message in (("odometry", "o", Odometry), ("clock", "/clock", Clock)):
        subscription = subscribe(node, topic, role, message=message, lock_step=True)
        assert subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        assert subscription.qos_profile.depth >= 10
    assert qos.unused_overrides(node) == []


def test_only_what_is_said_once_or_asked_for_late_is_latched():
    latched = {
        role
        for role in qos.Role.__args__
        if qos.profile(role).durability == DurabilityPolicy.TRANSIENT_LOCAL
    }
    assert latched == {"route", "tf_static", "status", "consumed"}
    assert qos.profile("sensor").reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.profile("trajectory").depth == 1


def test_policies_that_do_not_fit_are_told_on_both_sides_with_the_topic(context, make_node):
    node, _ = make_node()
    other = rclpy.create_node("other", context=context)
    told = []
    subscribe(node, role="route", told=told)
    arguments = qos.publisher_options(node, "trajectory", "plan", lambda *a: told.append(a))
    node.create_lifecycle_publisher(Odometry, "plan", **arguments)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    with spinning(context, node, other) as until:
        other.create_publisher(Odometry, "/car/odometry", best_effort)
        other.create_subscription(Odometry, "/car/plan", lambda _: None, latched)
        until(lambda: len(told) >= 2)
    (sub, sub_words), (pub, pub_words) = sorted(told)
    assert (sub, pub) == ("/car/odometry", "/car/plan")
    assert sub_words.startswith("nothing arrives from a publisher that offers another ")
    assert pub_words == "nothing reaches a subscriber that asks for another durability"
    other.destroy_node()
