"""Plans of a bag joined with their inputs again: the cycles of the replay that wrote them."""

import itertools

import numpy as np
import pytest

from diff_planner.config import PlannerConfig
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.node_plans import (
    PlanMark,
    anchor_stamps,
    first_loop,
    node_cycles,
    plan_marks,
    planned_anchors,
)
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.data.replay import Replay
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.resources import model_folder
from diff_planner.types import Source
from tampering import rewrite

CONFIG = PlannerConfig()
LIDAR = CONFIG.inputs.lidar.topic
S = 1_000_000_000


@pytest.fixture(scope="module")
def gappy_bag(sample_bag, tmp_path_factory):
    """The sample drive without the LiDAR in the middle: there the watchdog plans."""
    sweeps = itertools.count()

    def change(topic, message, log_time_ns):
        is_left_out = topic == LIDAR and 3 <= next(sweeps) < 7
        return [] if is_left_out else [(topic, message, log_time_ns)]

    return rewrite(sample_bag, tmp_path_factory.mktemp("gap") / "gap.mcap", change)


@pytest.fixture(scope="module", params=[0.0, 0.25])
def replayed(request, gappy_bag, tmp_path_factory):
    """(cycles of an offline replay, its plans, start_s)."""
    path = tmp_path_factory.mktemp("plans") / "plans.mcap"
    backend = load_backend(model_folder("nano"), "openvino", threads=1)
    cycles = []
    with BagReader(gappy_bag) as reader, BagWriter(path) as writer:
        replay = Replay(Planner(CONFIG, backend), writer=writer, on_cycle=cycles.append)
        replay.run(reader, start_s=request.param)
    backend.close()
    return cycles, path, request.param


def schedule_of(reader, **options):
    topics = InputAssembler(CONFIG.inputs, CONFIG.vehicle).topics
    return PlaySchedule(reader, topics, **options)


def test_the_cycles_are_those_of_the_replay_with_inputs_and_plans(gappy_bag, replayed):
    expected, path, start_s = replayed
    with BagReader(gappy_bag) as reader, BagReader(path) as plans:
        wanted = {mark.plan_id for mark in plan_marks(plans)}
        schedule = schedule_of(reader, start_s=start_s)
        found = list(node_cycles(plans, reader, schedule, CONFIG, wanted=wanted, timings={}))
    by_id = {cycle.output.plan_id: cycle for cycle in expected}
    assert len(found) == len(expected) > 0
    assert any(is_watchdog for _, is_watchdog in found)
    for cycle, is_watchdog in found:
        offline = by_id[cycle.output.plan_id]
        assert cycle.stamp_ns == offline.stamp_ns
        assert is_watchdog == (offline.planner_input is None)
        states = offline.output.trajectory.states
        # Without inputs nobody tells where the vehicle was: the plan's first point is near.
        tolerance = 1e-2 if is_watchdog else 1e-5
        assert np.allclose(cycle.output.trajectory.states, states, atol=tolerance)
        assert cycle.output.reason == offline.output.reason
        if offline.planner_input is not None:
            assert set(cycle.planner_input.cameras) == set(offline.planner_input.cameras)
            points = offline.planner_input.lidar.points
            assert np.array_equal(cycle.planner_input.lidar.points, points)


def test_timings_are_joined_by_plan_id_and_only_wanted_plans_come(gappy_bag, replayed):
    _, path, start_s = replayed
    with BagReader(gappy_bag) as reader, BagReader(path) as plans:
        options = {"wanted": {2, 3}, "timings": {3: {"total": 7.5}}}
        schedule = schedule_of(reader, start_s=start_s)
        found = [c.output for c, _ in node_cycles(plans, reader, schedule, CONFIG, **options)]
    assert [(o.plan_id, dict(o.timing_ms)) for o in found] == [(2, {}), (3, {"total": 7.5})]


def test_the_marks_of_the_plans_tell_stamp_and_source_in_the_order_they_were_made(replayed):
    expected, path, _ = replayed
    with BagReader(path) as plans:
        marks = plan_marks(plans)
    assert marks == [PlanMark(c.output.plan_id, c.stamp_ns, int(c.output.source)) for c in expected]
    assert {mark.source for mark in marks} >= {Source.DIFFUSION, Source.HOLD_LAST}


def test_the_anchors_that_got_a_plan_are_counted(gappy_bag, replayed):
    _, path, start_s = replayed
    with BagReader(gappy_bag) as reader, BagReader(path) as plans:
        anchors = anchor_stamps(schedule_of(reader, start_s=start_s), LIDAR)
        marks = plan_marks(plans)
    assert anchors.total() == planned_anchors(marks, anchors)
    assert planned_anchors(marks[:-2], anchors) == anchors.total() - 2


def test_a_stamp_that_is_played_in_two_loops_needs_two_plans(gappy_bag):
    with BagReader(gappy_bag) as reader:
        anchors = anchor_stamps(schedule_of(reader, loops=2), LIDAR)
        moved = anchor_stamps(schedule_of(reader, loops=2, continuous=True), LIDAR)
    assert set(anchors.values()) == {2}
    assert set(moved.values()) == {1}
    assert moved.total() == anchors.total()
    once = [PlanMark(k, stamp, 1) for k, stamp in enumerate(anchors)]
    assert planned_anchors(once, anchors) == len(anchors)
    # More plans for one anchor, of a watchdog, do not make up for another's.
    assert planned_anchors(once[:1] * 10, anchors) == 2


@pytest.mark.parametrize("second_start", [0, 10 * S])
def test_the_first_loop_ends_where_time_jumps_back_or_runs_into_the_next(second_start):
    loop = [k * S for k in range(10)]
    stamps = [*loop, *(second_start + stamp for stamp in loop)]
    marks = [PlanMark(k + 1, stamp, 1) for k, stamp in enumerate(stamps)]
    assert first_loop(marks, 10 * S) == set(range(1, 11))


def test_a_plan_that_is_stamped_a_little_earlier_does_not_end_the_loop():
    marks = [PlanMark(1, 5 * S, 1), PlanMark(2, 4 * S, 1), PlanMark(3, 6 * S, 1)]
    assert first_loop(marks, 10 * S) == {1, 2, 3}
