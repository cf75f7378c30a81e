"""States, services and parameters of a node that runs: what goes out, and what never does."""

import itertools
import shutil
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner_msgs.srv import LoadModel
from rclpy.qos import DurabilityPolicy
from std_srvs.srv import SetBool

from calm_machine import in_a_calm_moment
from diff_planner.resources import model_folder
from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import PERIOD_S, once_more, stays_nominal
from ros_graph import LATCHED, OUTPUTS, graph_of
from ros_sensors import silent

pytestmark = pytest.mark.ros

NOMINAL, WAITING = PlannerState.NOMINAL, PlannerState.WAITING_INPUT
LONGEST_GAP_S = 2 * PERIOD_S
"""Between two statuses: one period, and what a tick of the watchdog and a busy machine add."""


def load_model(graph, path, *, activate, sha256=""):
    fields = {"path": str(path), "expected_sha256": sha256, "activate": activate}
    return graph.call(LoadModel, "/diff_planner/load_model", **fields)


@pytest.fixture
def restarted(graph):
    """The shared graph; active again after the test."""
    yield graph
    graph.heal()
    if graph.lifecycle == "inactive":
        graph.transition("activate")


def test_deactivated_it_says_one_plan_that_stops_and_none_after_it(restarted):
    graph = restarted
    graph.wait_for_plans(3)
    before_ns = time.monotonic_ns()
    assert graph.transition("deactivate")
    graph.wait_for_status("inactive: configured and waiting", state=WAITING)
    last = graph.plans[-1]
    assert "deactivated: this plan ends in a standstill and none follows" in last.reason
    assert last.source == Source.FALLBACK_STOP
    assert last.speeds[-1] == 0.0
    assert last.at_ns > before_ns
    time.sleep(0.5)
    assert graph.plans[-1] is last
    assert len([at_ns for at_ns, _ in graph.statuses if at_ns > last.at_ns]) >= 5
    assert graph.transition("activate")
    graph.until_nominal()


def test_a_cycle_that_waits_while_the_last_plan_is_said_says_no_more(restarted, monkeypatch):
    graph = restarted
    graph.sensors.break_("front", fault=silent)  # each cycle waits for it
    loop = graph.node._runtime.loop
    said = loop.overdue

    def slowly(*args, **options):
        time.sleep(0.1)
        return said(*args, **options)

    for _ in range(3):
        graph.wait_for_plans(2)
        graph.wait(lambda: loop.assembler.is_pending, "cycle that waits")
        with monkeypatch.context() as patched:
            patched.setattr(loop, "overdue", slowly)
            assert graph.transition("deactivate")
        time.sleep(0.2)
        assert "deactivated" in graph.plans[-1].reason
        assert graph.transition("activate")


def test_a_transition_that_the_state_does_not_have_is_refused_and_ends_nothing(graph):
    for transition in ("configure", "activate", "cleanup"):
        assert not graph.transition(transition)
    assert graph.lifecycle == "active"
    graph.until_nominal()


def test_twice_around_all_states_the_numbers_of_plans_rise_and_no_period_is_silent(moment_bag):
    def attempt():
        with graph_of(moment_bag, is_started=False) as graph:
            graph.wait_for_status("not configured", state=PlannerState.UNCONFIGURED)
            begin_ns = time.monotonic_ns()
            for _ in range(2):
                assert graph.transition("configure")
                graph.wait_for_status("inactive", state=WAITING)
                assert graph.transition("activate")
                graph.until_nominal()
                assert graph.transition("deactivate")
                graph.wait_for_status("inactive", state=WAITING)
                assert graph.transition("cleanup")
                graph.wait_for_status("not configured", state=PlannerState.UNCONFIGURED)
            ids = [plan.trajectory.plan_id for plan in graph.plans]
            times = [at_ns for at_ns, _ in graph.statuses if at_ns > begin_ns]
            states = {status.state for _, status in graph.statuses}
        assert len(ids) >= 8
        assert all(b > a for a, b in itertools.pairwise(ids))
        assert {PlannerState.BUILDING_ENGINE, PlannerState.WARMING_UP} <= states
        gap_s = max(b - a for a, b in itertools.pairwise(times)) / 1e9
        print(f"largest gap between statuses: {gap_s * 1e3:.0f} ms")
        assert gap_s <= LONGEST_GAP_S

    in_a_calm_moment(attempt)


def test_every_period_of_a_node_that_plans_has_a_status_and_the_state_does_not_flicker(graph):
    def attempt():
        since_ns = time.monotonic_ns()
        graph.wait_for_plans(30)
        heard = [(at_ns, status) for at_ns, status in graph.statuses if at_ns > since_ns]
        gap_s = max(b[0] - a[0] for a, b in itertools.pairwise(heard)) / 1e9
        assert gap_s <= LONGEST_GAP_S
        assert {PlannerState(status.state) for _, status in heard} == {NOMINAL}
        # Exactly one status of each plan carries its source: shares are counted by it.
        ids = [status.plan_id for _, status in heard if status.source]
        assert len(ids) == len(set(ids))

    once_more(graph, attempt)


def test_who_joins_late_gets_the_status_at_once(graph):
    name = "status that comes late"
    subscription = graph.ear.listen(name, OUTPUTS["status"], "/planning/status", LATCHED)
    begin_s = time.monotonic()
    graph.wait(lambda: graph.ear.take(name) or graph.ear.heard[name], "status")
    assert time.monotonic() - begin_s < 1.0
    (info,) = graph.ear.node.get_publishers_info_by_topic("/planning/status")
    assert info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    graph.ear.node.destroy_subscription(subscription)


def test_a_status_comes_in_each_state_that_only_waits(moment_bag):
    def attempt():
        graph.wait_for_status("")
        begin_ns = time.monotonic_ns()
        time.sleep(1.0)
        assert 8 <= len([1 for at_ns, _ in graph.statuses if at_ns > begin_ns]) <= 12

    with graph_of(moment_bag, is_started=False) as graph:
        graph.sensors.pause()
        for transition in ("configure", "activate"):
            in_a_calm_moment(attempt)
            assert graph.transition(transition)
        in_a_calm_moment(attempt)


def test_not_enabled_no_plan_goes_out_and_the_status_says_why(graph):
    assert graph.call(SetBool, "/diff_planner/enable", data=False).success
    status = graph.wait_for_status("not enabled: no plan goes out")
    count = len(graph.plans)
    time.sleep(0.5)
    assert len(graph.plans) == count
    assert graph.status.plan_id > status.plan_id
    assert graph.call(SetBool, "/diff_planner/enable", data=True).success
    graph.until_nominal()


def test_in_shadow_it_plans_beside_and_never_where_control_listens(moment_bag):
    prefix = "/planning/shadow"
    with graph_of(moment_bag, parameters={"shadow": True}, prefix=prefix) as graph:
        for name, msgtype in OUTPUTS.items():
            graph.ear.listen(f"control's {name}", msgtype, f"/planning/{name}")
        graph.until_nominal()
        assert graph.status.is_shadow
        assert graph.transition("deactivate")
        graph.wait_for_status("inactive", state=WAITING)
        graph.ear.take()
        assert graph.plans
        assert not [name for name, got in graph.ear.heard.items() if "control's" in name and got]
        assert not graph.ear.node.get_publishers_info_by_topic("/planning/trajectory")


def test_a_change_of_parameters_is_taken_as_a_whole_or_not_at_all(graph):
    refusals = [
        ({"safety__max_lateral_shift_m": 1.0, "safety__obstacle_min_height_m": 5.0}, "height_m"),
        ({"safety__max_lateral_shift_m": 1.0, "safety__max_start_deviation_m": -1.0}, "deviation"),
        ({"safety__max_lateral_shift_m": 1.0, "inputs__anchor": "front"}, "read"),
        ({"safety__max_lateral_shift_m": "wide"}, "expected 'Type.DOUBLE'"),
        ({"selection__max_tries": 0}, "max_tries"),
        ({"safety__max_lateral_shift_m": float("nan")}, "max_lateral_shift_m"),
        ({"safety__max_lateral_shift_m": float("inf")}, "max_lateral_shift_m"),
    ]
    for values, words in refusals:
        result = graph.set_parameters(**values)
        assert not result.successful, values
        assert words in result.reason, result.reason
        assert graph.node.get_parameter("safety.max_lateral_shift_m").value == 0.8
    stays_nominal(graph, lambda: None)


@pytest.fixture
def set_limit(restarted):
    """Sets a limit that no plan but the first can keep, or its default; that again at the end."""

    def set_limit(*, is_narrow):
        limit_m = 1e-6 if is_narrow else 2.0
        assert restarted.set_parameters(safety__max_longitudinal_shift_m=limit_m).successful

    yield set_limit
    set_limit(is_narrow=False)


def infeasible_since(graph, since_ns):
    return lambda: [p for p in graph.plans_since(since_ns) if FaultBit.INFEASIBLE in p.faults]


def test_a_limit_that_is_changed_holds_from_the_next_cycle_on(graph, set_limit):
    since_ns = graph.plans[-1].at_ns
    set_limit(is_narrow=True)
    refused = graph.wait(infeasible_since(graph, since_ns), "refused plan")
    assert "DISCONTINUITY" in refused[0].reason
    set_limit(is_narrow=False)
    graph.until_nominal()


def test_a_limit_that_is_changed_at_the_very_end_holds_after_the_next_activation(graph, set_limit):
    set_limit(is_narrow=True)
    assert graph.transition("deactivate")
    since_ns = time.monotonic_ns()
    assert graph.transition("activate")
    graph.wait(infeasible_since(graph, since_ns), "refused plan")
    set_limit(is_narrow=False)
    assert graph.transition("deactivate")
    assert graph.transition("activate")
    graph.until_nominal()


def test_a_model_can_be_tried_without_planning_with_it(graph):
    count, in_use = len(graph.loader.backends), graph.backend
    answer = load_model(graph, "nano", activate=False)
    assert answer.success, answer.message
    assert answer.model_id == "nano"
    assert len(graph.loader.backends) == count + 1
    assert graph.loader.newest.is_closed
    assert not in_use.is_closed
    graph.until_nominal()


def test_a_model_is_changed_between_two_cycles_and_none_is_missed(graph, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model_folder("nano"), other)

    def attempt():
        since_ns, old = time.monotonic_ns(), graph.backend
        answer = load_model(graph, other, activate=True)
        assert answer.success, answer.message
        plans = graph.wait_for_plans(3) and graph.plans_since(since_ns)
        assert old.is_closed
        assert len(plans) >= 5  # sensors are heard while the model is loaded
        assert graph.backend.runs >= 2
        # Loading takes a core for half a second, so a cycle may be slow; none is left out.
        assert all(p.source == Source.DIFFUSION for p in plans), [str(plan) for plan in plans]
        stamps = [plan.trajectory.header.stamp for plan in plans]
        times = [stamp.sec + stamp.nanosec * 1e-9 for stamp in stamps]
        assert max(b - a for a, b in itertools.pairwise(times)) < 1.5 * PERIOD_S

    once_more(graph, attempt)


@pytest.mark.parametrize(
    ("path", "sha256", "words"),
    [
        ("nano", "0" * 64, "load_model: expected sha256 0000"),
        ("no/such/model", "", "found in none of no/such/model"),
    ],
)
def test_a_model_that_is_not_the_one_meant_changes_nothing(graph, path, sha256, words):
    in_use = graph.backend
    answer = load_model(graph, path, activate=True, sha256=sha256)
    assert not answer.success
    assert words in answer.message
    assert graph.backend is in_use
    assert not in_use.is_closed
    graph.until_nominal()
