"""The loop that replay and node share: what runs when, what is dropped, what comes too late."""

import numpy as np
import pytest

from diff_planner.config import PlannerConfig
from diff_planner.data.planning_loop import PlanningLoop
from diff_planner.errors import MissingInputError
from diff_planner.types import FaultBit, PlannerState
from input_moments import IMAGE, LIDAR, MS, ODOMETRY, make_inputs, messages_at
from message_factories import STAMP_NS, make_odometry, make_transforms
from plan_factories import make_output

S = 1000 * MS
PERIOD_NS = 100 * MS


class PlannerStub:
    """Notes what it is asked for."""

    def __init__(self):
        self.config = PlannerConfig(inputs=make_inputs(nav_command=None, route=None))
        self.asked, self.resets = [], []

    def plan(self, planner_input):
        self.asked.append(planner_input.stamp_ns)
        return make_output(faults=planner_input.faults, timing_ms={"total": 3.0})

    def fallback(self, stamp_ns, ego, reason, *, faults, lidar=None, health=(), may_hold=True):
        output = make_output(state=PlannerState.FALLBACK, faults=faults, reason=reason)
        self.asked.append((stamp_ns, ego is not None, reason, lidar is not None, may_hold))
        return output

    def reset(self, reason):
        self.resets.append(reason)


@pytest.fixture
def planner():
    return PlannerStub()


def make_loop(planner, **clocks):
    return PlanningLoop(planner, 0, **clocks)


def moment(k, **changes):
    return messages_at(STAMP_NS + k * PERIOD_NS, **changes)


def feed(loop, messages, now_ns):
    return [cycle for topic, m in messages.items() for cycle in loop.feed(topic, m, now_ns)]


def add(loop, messages, now_ns):
    for topic, message in messages.items():
        loop.add(topic, message, now_ns)


def test_a_complete_moment_is_one_cycle_at_once(planner):
    loop = make_loop(planner)
    (cycle,) = feed(loop, moment(0), 10 * MS)
    assert planner.asked == [STAMP_NS]
    assert cycle.planner_input.stamp_ns == STAMP_NS
    assert not cycle.is_watchdog
    assert cycle.output.timing_ms["total"] >= cycle.output.timing_ms["decode"] + 3.0


def test_the_watchdog_runs_before_a_message_that_comes_after_its_time(planner):
    loop = make_loop(planner)
    assert len(feed(loop, moment(0), 0)) == 1
    cycles = feed(loop, moment(4), 400 * MS)
    assert [cycle.is_watchdog for cycle in cycles] == [True, True, False]
    assert [entry[0] for entry in planner.asked[1:3]] == [STAMP_NS, STAMP_NS]
    assert "anchor 'lidar' is silent" in cycles[0].output.reason


def test_a_message_of_the_very_moment_is_still_in_time_for_the_watchdog(planner):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    assert [c.is_watchdog for c in feed(loop, moment(2), 200 * MS)] == [False]


def test_time_that_passes_runs_the_cycle_that_waited(planner):
    loop = make_loop(planner)
    without = {**moment(0), IMAGE.format("front"): None}
    assert not feed(loop, {t: m for t, m in without.items() if m is not None}, 0)
    assert not list(loop.pass_time(49 * MS))
    (cycle,) = loop.pass_time(51 * MS)
    assert cycle.output.faults & FaultBit.INPUT_MISSING
    assert not list(loop.pass_time(52 * MS))


def test_the_newest_ready_cycle_is_taken_and_those_before_it_are_counted(planner):
    loop = make_loop(planner)
    for k in range(3):
        add(loop, moment(k), k)
    due = loop.take(S, is_newest_wanted=True)
    assert due.item.stamp_ns == STAMP_NS + 2 * PERIOD_NS
    assert loop.assembler.dropped_anchors == 2
    assert loop.take(S, is_newest_wanted=True) is None


def test_else_they_come_in_order_and_none_is_dropped(planner):
    loop = make_loop(planner)
    for k in range(3):
        add(loop, moment(k), k)
    stamps = [loop.take(S).item.stamp_ns for _ in range(3)]
    assert stamps == [STAMP_NS + k * PERIOD_NS for k in range(3)]
    assert loop.assembler.dropped_anchors == 0


def test_an_anchor_behind_the_odometry_is_not_planned_from(planner):
    loop = make_loop(planner)
    add(loop, moment(0), 0)
    loop.add(ODOMETRY, make_odometry(STAMP_NS + 300 * MS, vx=8.0), 300 * MS)
    cycle = loop.plan(loop.take(S))
    assert cycle.output.faults & FaultBit.INPUT_STALE
    assert "0.300 s older than the newest odometry, allowed 0.25 s" in cycle.output.reason
    ((stamp_ns, has_ego, _, has_sweep, may_hold),) = planner.asked
    assert (stamp_ns, has_ego, has_sweep, may_hold) == (STAMP_NS + 300 * MS, True, True, True)


@pytest.mark.parametrize(("off_s", "side"), [(0.51, "behind"), (-0.51, "ahead of")])
def test_stamps_off_the_consumers_clock_are_not_planned_from(planner, off_s, side):
    loop = make_loop(planner, stamp_clock=lambda: STAMP_NS + round(off_s * S))
    (cycle,) = feed(loop, moment(0), 0)
    assert cycle.output.faults & FaultBit.INPUT_STALE
    assert f"0.510 s {side} this computer's clock" in cycle.output.reason


def test_stamps_near_the_consumers_clock_are_planned_from(planner):
    loop = make_loop(planner, stamp_clock=lambda: STAMP_NS + 490 * MS)
    assert not feed(loop, moment(0), 0)[0].output.reason


def test_the_watchdog_may_have_a_clock_of_its_own(planner):
    watch_ns = [0]
    loop = make_loop(planner, watch_clock=lambda: watch_ns[0])
    watch_ns[0] = 5 * S  # the arrivals say nothing to it
    add(loop, moment(0), 77 * S)
    loop.plan(loop.take(77 * S))
    assert not loop.is_overdue(5 * S + 199 * MS)
    assert loop.is_overdue(5 * S + 200 * MS)
    assert not loop.is_overdue(5 * S + 299 * MS)


def test_a_fallback_is_stamped_with_the_newest_odometry_then_with_time_elapsed(planner):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    loop.add(ODOMETRY, make_odometry(STAMP_NS + 150 * MS, vx=8.0), 150 * MS)
    loop.overdue(200 * MS)
    cycle = loop.overdue(800 * MS)
    young, old = planner.asked[1:]
    assert young[:2] == (STAMP_NS + 150 * MS, True)
    assert old[:2] == (STAMP_NS + 800 * MS, False)
    assert cycle.output.faults & FaultBit.STAMP_ESTIMATED


def test_an_anchor_whose_clock_runs_ahead_does_not_make_the_odometry_old(planner):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    loop.add(ODOMETRY, make_odometry(STAMP_NS + 80 * MS, vx=8.0), 80 * MS)
    ahead = messages_at(STAMP_NS + S)[LIDAR]
    cycles = [*loop.feed(LIDAR, ahead, 100 * MS), *loop.pass_time(160 * MS)]
    assert len(cycles) == 1
    assert planner.asked[-1][:2] == (STAMP_NS + 80 * MS, True)
    assert not cycles[0].output.faults & FaultBit.STAMP_ESTIMATED


def test_the_last_plan_before_an_end_may_not_be_held(planner):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    loop.overdue(100 * MS, "the end", FaultBit.NONE, may_hold=False)
    assert planner.asked[-1][2:] == ("the end", True, False)


def test_blind_it_asks_for_a_standstill_without_looking_at_the_inputs(planner, monkeypatch):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    monkeypatch.setattr(loop, "assembler", None)
    cycle = loop.overdue_blind(300 * MS, "hangs", FaultBit.MODEL)
    assert planner.asked[-1] == (STAMP_NS + 300 * MS, False, "hangs", False, True)
    assert cycle.output.faults == FaultBit.MODEL | FaultBit.STAMP_ESTIMATED


def test_a_reset_forgets_messages_and_stamps_and_begins_to_wait_anew(planner):
    loop = make_loop(planner)
    feed(loop, moment(0), 0)
    assert loop.has_stamp
    add(loop, {t: m for t, m in moment(1).items() if t == LIDAR}, 90 * MS)
    loop.reset("the clock jumped", 150 * MS)
    assert planner.resets == ["the clock jumped"]
    assert not loop.has_stamp
    assert loop.take(10 * S) is None
    assert not loop.is_overdue(349 * MS)
    assert loop.is_overdue(350 * MS)
    # Calibration stays: the next moment needs no transforms and no CameraInfo.
    sensors = {t: m for t, m in moment(-50).items() if "camera_info" not in t and t != "/tf_static"}
    (cycle,) = feed(loop, sensors, 360 * MS)
    assert cycle.output.faults == FaultBit.NONE


def test_after_a_jump_of_the_anchors_stamps_the_planner_forgets(planner):
    loop = make_loop(planner)
    feed(loop, moment(50), 0)
    (cycle,) = feed(loop, moment(0), 100 * MS)
    assert cycle.output.faults & FaultBit.CLOCK_JUMP
    assert len(planner.resets) == 1


def test_a_plan_is_told_in_the_odometrys_frame_or_in_another_that_is_known(planner):
    output = make_output()
    frame_id, pose = make_loop(planner).output_pose(output)
    assert frame_id == output.frame_id
    assert pose is output.odom_SE3_ego
    planner.config = planner.config.model_copy(update={"output_frame": "utm"})
    loop = make_loop(planner)
    with pytest.raises(MissingInputError, match="utm"):
        loop.output_pose(output)
    loop.add("/tf_static", make_transforms(("utm", "map", (5.0, 0.0, 0.0), (0, 0, 0, 1))), 0)
    frame_id, moved = loop.output_pose(output)
    assert frame_id == "utm"
    np.testing.assert_allclose(moved[:3, 3], pose[:3, 3] + [5.0, 0.0, 0.0])
    # Where the vehicle is lost, its own frame is all there is.
    lost = make_output(frame_id="base_link", odom_SE3_ego=np.eye(4))
    assert loop.output_pose(lost)[0] == "base_link"
