"""A network that fails: raises, gives no numbers, is slow, hangs, comes back late or never."""

import itertools
import threading
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner_msgs.srv import LoadModel

from diff_planner.errors import BackendError
from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import BOUND_S, answer_to, once_more
from faulty_backend import Hanging, not_finite, raising, slow
from ros_graph import graph_of

pytestmark = pytest.mark.ros

DEGRADED, FALLBACK, NOMINAL = PlannerState.DEGRADED, PlannerState.FALLBACK, PlannerState.NOMINAL
LEFT_BEHIND_S = 2.0
"""So long a network that hangs is waited for, as InferenceThread.stop has it."""


def breaking(graph, fault):
    def break_it():
        graph.backend.fault = fault

    return break_it


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BackendError("the accelerator is gone"), "the accelerator is gone"),
        (RuntimeError("out of luck"), "unexpected RuntimeError: out of luck"),
        (MemoryError("no room"), "unexpected MemoryError: no room"),
    ],
)
def test_a_network_that_raises_is_answered_in_its_own_cycle(graph, error, words):
    plan = answer_to(
        graph,
        breaking(graph, raising(error)),
        state=FALLBACK,
        fault=FaultBit.MODEL,
        words=words,
    )
    assert plan.source == Source.HOLD_LAST


def test_proposals_that_are_no_numbers_never_leave_the_node(graph):
    plan = answer_to(
        graph,
        breaking(graph, not_finite),
        state=FALLBACK,
        fault=FaultBit.NONFINITE_OUT,
        words="NONFINITE",
    )
    assert plan.source == Source.HOLD_LAST
    graph.ear.take()
    candidates = graph.ear.heard["candidates"][-1].message
    assert candidates.selected == -1
    assert not candidates.is_valid.any()
    assert not candidates.states.any()


def test_what_is_raised_outside_of_the_planner_is_answered_by_the_watchdog_and_said(graph):
    assembler = graph.node._runtime.loop.assembler

    def break_it():
        def fail(match):
            raise KeyError("nobody thought of that")

        assembler.assemble = fail

    try:
        with_words = "unexpected KeyError in a cycle: 'nobody thought of that'"
        first = graph.plans[-1].at_ns
        break_it()
        plan = graph.wait(
            lambda: [p for p in graph.plans_since(first) if with_words in p.reason], with_words
        )[0]
        assert plan.state == FALLBACK
        assert FaultBit.MODEL in plan.faults
        assert plan.source != Source.DIFFUSION
    finally:
        del assembler.assemble


def test_inputs_that_take_too_long_to_decode_are_answered_by_the_watchdog(graph):
    assembler = graph.node._runtime.loop.assembler
    began_ns = []

    def break_it():
        whole = type(assembler).assemble
        began_ns.clear()

        def slowly(match):
            began_ns.append(time.monotonic_ns())
            time.sleep(0.35)
            return whole(assembler, match)

        assembler.assemble = slowly

    try:
        plan = answer_to(
            graph,
            break_it,
            began_ns=lambda: began_ns[0],
            state=FALLBACK,
            fault=FaultBit.DEADLINE,
            words="the inputs of a cycle take too long to decode",
        )
        # What was begun before the watchdog spoke comes too late, decoded or not.
        graph.wait_for_plans(8)
        assert not [p for p in graph.plans_since(plan.at_ns) if p.source == Source.DIFFUSION]
    finally:
        del assembler.assemble


def test_a_network_slower_than_the_period_misses_its_deadline_and_frames_are_dropped(graph):
    before = graph.status
    plan = answer_to(
        graph,
        breaking(graph, slow(0.12)),
        state=DEGRADED,
        fault=FaultBit.DEADLINE,
        words="allowed 100",
    )
    assert plan.source == Source.DIFFUSION
    graph.wait_for_plans(8)
    after = graph.status
    assert after.deadline_miss_count >= before.deadline_miss_count + 8
    assert after.dropped_frame_count > before.dropped_frame_count
    assert after.drop_ratio > before.drop_ratio


def test_a_network_slower_than_the_watchdog_only_ever_comes_too_late(graph):
    fault = slow(0.32)
    plan = answer_to(
        graph,
        breaking(graph, fault),
        began_ns=lambda: graph.backend.began_ns,
        state=FALLBACK,
        fault=FaultBit.MODEL | FaultBit.DEADLINE,
        words="the network has not answered for",
        lasts=0,
    )
    graph.wait_for_plans(12)
    assert not [p for p in graph.plans_since(plan.at_ns) if p.source == Source.DIFFUSION]


def hang(graph):
    """Let the network hang on a graph that is well; return what hangs."""
    hanging = []

    def break_it():
        for old in hanging:
            old.release()
        hanging.append(Hanging())
        graph.backend.fault = hanging[-1]

    plan = answer_to(
        graph,
        break_it,
        began_ns=lambda: hanging[-1].began_ns,
        state=FALLBACK,
        fault=FaultBit.MODEL | FaultBit.DEADLINE,
        words="the network has not answered for",
    )
    assert plan.source in (Source.HOLD_LAST, Source.FALLBACK_STOP)
    return hanging[-1], plan


def test_a_plan_that_comes_after_the_watchdogs_is_never_published(graph):
    hanging, first = hang(graph)
    graph.backend.fault = None
    before = graph.plans[-1]
    hanging.release()
    assert hanging.is_over.wait(5.0)
    graph.until_nominal()
    ids = [plan.trajectory.plan_id for plan in graph.plans]
    assert ids == sorted(set(ids))
    # One number is missing: that of the plan that came too late.
    after = graph.plans_since(before.at_ns)
    spared = set(range(before.trajectory.plan_id, after[-1].trajectory.plan_id)) - set(ids)
    assert len(spared) == 1
    (late,) = spared
    nominal = next(plan for plan in after if plan.source == Source.DIFFUSION)
    assert first.trajectory.plan_id < late < nominal.trajectory.plan_id


def test_while_the_network_hangs_the_fallback_ends_in_a_standstill_and_statuses_go_on(graph):
    def attempt():
        hanging, first = hang(graph)
        graph.wait(lambda: graph.plans[-1].source == Source.EMERGENCY_STOP, "emergency stop")
        plans = graph.plans_since(first.at_ns)
        gaps = [(b.at_ns - a.at_ns) / 1e9 for a, b in itertools.pairwise(plans)]
        assert len(plans) >= 15
        assert max(gaps) < BOUND_S, gaps
        assert plans[-1].speeds[-1] == 0.0
        hanging.release()

    once_more(graph, attempt)


def test_a_model_that_is_asked_for_while_the_network_hangs_is_not_put_to_work_later(graph):
    hanging, _ = hang(graph)
    in_use = graph.backend
    answer = graph.call(LoadModel, "/diff_planner/load_model", path="nano", activate=True)
    assert not answer.success
    assert "did not come to an end" in answer.message
    assert graph.loader.newest is not in_use
    assert graph.loader.newest.is_closed
    in_use.fault = None
    hanging.release()
    graph.until_nominal()
    assert not in_use.is_closed


def test_a_network_that_never_comes_back_is_left_behind_and_said(moment_bag):
    """Deactivate, activate, cleanup and the end are bounded; what hangs is never closed."""
    with graph_of(moment_bag) as graph:
        graph.until_nominal()
        hanging, _ = hang(graph)
        begin_s = time.monotonic()
        before_ns = time.monotonic_ns()
        assert graph.transition("deactivate")
        assert time.monotonic() - begin_s < LEFT_BEHIND_S + 1.0
        # The last plan did not wait for what hangs.
        last = graph.plans_since(before_ns)[-1]
        assert "deactivated: this plan ends in a standstill" in last.reason
        assert (last.at_ns - before_ns) / 1e9 < LEFT_BEHIND_S / 2
        assert last.speeds[-1] == 0.0
        assert not graph.transition("activate")
        graph.wait_for_status("the network hangs in an earlier cycle", state=PlannerState.FAULT)
        assert graph.transition("cleanup")
        assert not graph.loader.newest.is_closed
        assert graph.transition("configure")
        assert graph.transition("activate")
        graph.until_nominal()
        begin_s = time.monotonic()
    assert time.monotonic() - begin_s < 3.0
    hanging.release()
    for thread in threading.enumerate():
        if thread.name == "diff_planner inference":
            thread.join(5.0)


def test_the_node_ends_in_time_though_the_network_hangs(moment_bag):
    with graph_of(moment_bag) as graph:
        graph.until_nominal()
        hanging, _ = hang(graph)
        graph.spinner.close()
        begin_s = time.monotonic()
        graph.node.destroy_node()
        took_s = time.monotonic() - begin_s
        graph.node = None
        assert took_s < LEFT_BEHIND_S + 1.0
        graph.wait(lambda: "shutting down" in graph.plans[-1].reason, "last plan")
        assert graph.plans[-1].speeds[-1] == 0.0
        hanging.release()
