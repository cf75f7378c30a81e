"""Clocks that are wrong, stamps that come twice or in a wrong order."""

import itertools

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import PERIOD_S, answer_to, stays_nominal
from ros_sensors import TICK_S, doubled, shifted, swapped

pytestmark = pytest.mark.ros

DEGRADED, FALLBACK, NOMINAL = PlannerState.DEGRADED, PlannerState.FALLBACK, PlannerState.NOMINAL
ALL = ("odometry", "left", "left_info", "front", "front_info", "right", "right_info", "lidar")


def stamps_of(plans):
    stamps = [plan.trajectory.header.stamp for plan in plans]
    return [stamp.sec * 10**9 + stamp.nanosec for stamp in stamps]


def rises(stamps):
    return all(b > a for a, b in itertools.pairwise(stamps))


def dropped(graph, name):
    health = graph.plans[-1].status.inputs
    return next(entry.dropped for entry in health if entry.name == name)


@pytest.mark.parametrize(
    ("offset_s", "fault"), [(1.0, FaultBit.SYNC), (-1.0, FaultBit.INPUT_STALE)]
)
def test_a_camera_whose_clock_is_off_by_a_second_is_left_out(graph, offset_s, fault):
    plan = answer_to(
        graph,
        lambda: graph.sensors.break_("front", fault=shifted(offset_s)),
        state=DEGRADED,
        fault=FaultBit.NONE,
        words="front: ",
        lasts=0,
    )
    assert plan.source == Source.DIFFUSION
    # The pictures from before the fault are still near: only after them the reason is the last one.
    graph.wait(lambda: fault in graph.plans[-1].faults, repr(fault))
    # For as long as it lasts: a clock that runs ahead by a second offers, after a second, pictures
    # of the right stamp that show the past.
    after = graph.wait_for_plans(15)
    assert all(p.state != NOMINAL for p in after), [str(p) for p in after]


@pytest.mark.parametrize(
    ("offset_s", "fault", "words"),
    [
        (1.0, FaultBit.INPUT_STALE, "odometry: newest message on /localization/kinematic_state"),
        (-1.0, FaultBit.SYNC, "within 0.06 s of the anchor's stamp, the newest is 1.0"),
    ],
)
def test_a_lidar_whose_clock_is_off_by_a_second_is_not_planned_from(graph, offset_s, fault, words):
    plan = answer_to(
        graph,
        lambda: graph.sensors.break_("lidar", fault=shifted(offset_s)),
        state=FALLBACK,
        fault=FaultBit.NONE,
        words="",
        lasts=5,
    )
    assert plan.source in (Source.HOLD_LAST, Source.FALLBACK_STOP)
    graph.wait(lambda: words in graph.plans[-1].reason, f"plan with '{words}'")
    assert fault in graph.plans[-1].faults
    assert FaultBit.STAMP_ESTIMATED not in graph.plans[-1].faults
    graph.heal()
    graph.until_nominal()


@pytest.mark.parametrize(
    ("offset_s", "fault"), [(1.0, FaultBit.SYNC), (-1.0, FaultBit.INPUT_STALE)]
)
def test_an_odometry_whose_clock_is_off_by_a_second_is_not_planned_from(graph, offset_s, fault):
    plan = answer_to(
        graph,
        lambda: graph.sensors.break_("odometry", fault=shifted(offset_s)),
        state=FALLBACK,
        fault=fault,
        words="odometry",
        lasts=15,
    )
    assert plan.source != Source.DIFFUSION


@pytest.mark.parametrize(("offset_s", "side"), [(1.0, "ahead of"), (-1.0, "behind")])
def test_sensors_a_second_off_this_computers_clock_are_told(graph, offset_s, side):
    """Whoever follows the plans judges them by the computer's clock."""
    plan = answer_to(
        graph,
        lambda: graph.sensors.break_(*ALL, fault=shifted(offset_s)),
        state=FALLBACK,
        fault=FaultBit.INPUT_STALE,
        words=f"s {side} this computer's clock, allowed 0.5 s",
        lasts=3,
    )
    assert plan.source != Source.DIFFUSION


def test_stamps_that_jump_back_are_told_and_planning_goes_on_in_the_new_time(graph):
    """By 0.6 s and back: all sensors, as when their common clock is set."""
    graph.sensors.break_(*ALL, fault=shifted(0.4))
    graph.until_nominal()
    plan = answer_to(
        graph,
        lambda: graph.sensors.break_(*ALL, fault=shifted(-0.3)),
        state=DEGRADED,
        fault=FaultBit.CLOCK_JUMP,
        words="",
        lasts=0,
    )
    assert plan.source == Source.DIFFUSION
    graph.until_nominal()
    assert rises(stamps_of(graph.plans_since(plan.at_ns)))


def test_messages_that_come_twice_give_one_plan_each(graph):
    before = dropped(graph, "lidar")
    plans = stays_nominal(graph, lambda: graph.sensors.break_(*ALL, fault=doubled), count=10)
    assert rises(stamps_of(plans))
    span_s = (plans[-1].at_ns - plans[0].at_ns) / 1e9
    assert (len(plans) - 1) / span_s < 1.3 / PERIOD_S
    assert dropped(graph, "lidar") >= before + 8


def test_clouds_out_of_order_are_not_planned_from_backwards(graph):
    before = graph.plans[-1].at_ns
    graph.sensors.break_("lidar", fault=swapped(PERIOD_S))
    graph.wait_for_plans(12)
    plans = [p for p in graph.plans_since(before) if p.source == Source.DIFFUSION]
    assert len(plans) >= 4
    assert rises(stamps_of(plans))
    assert dropped(graph, "lidar") > 0


@pytest.mark.parametrize(("name", "period_s"), [("odometry", TICK_S), ("front", 0.01)])
def test_other_messages_out_of_order_are_put_in_order(graph, name, period_s):
    stays_nominal(graph, lambda: graph.sensors.break_(name, fault=swapped(period_s)), count=10)
