"""Planner.plan with the shipped nano network, and with backends that misbehave."""

from dataclasses import replace

import numpy as np
import pytest

from diff_planner.config import PlannerConfig
from diff_planner.errors import BackendError
from diff_planner.geometry import constant_twist, se3_from_yaw
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.resources import model_folder
from diff_planner.types import (
    FaultBit,
    InputHealth,
    PlannerState,
    Proposals,
    RejectBit,
    Source,
    StateIndex,
)
from factories import STAMP_NS, make_ego, make_planner_input, make_sweep

PERIOD_NS = 100_000_000


@pytest.fixture(scope="module")
def nano():
    backend = load_backend(model_folder("nano"), "openvino", threads=1)
    yield backend
    backend.close()


class Scripted:
    """A backend that gives what a test wants; the card is nano's."""

    name, precision = "scripted", "f32"

    def __init__(self, card, answer):
        self.card = card
        self.answer = answer
        self.noise = []

    def run(self, inputs, noise):
        self.noise.append(noise)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def straight(speed_mps, count=3, scores=None):
    times = np.arange(1, 9) * 0.5
    poses = np.stack([constant_twist(speed_mps, 0.0, times)] * count).astype(np.float32)
    scores = np.zeros(count) if scores is None else np.asarray(scores)
    return Proposals(poses, scores.astype(np.float32))


def later(planner_input, periods, speed_mps=8.0):
    """The same input some periods later, the ego having driven straight on."""
    stamp_ns = planner_input.stamp_ns + periods * PERIOD_NS
    pose = se3_from_yaw(speed_mps * 0.1 * periods, 0.0, 0.0)
    ego = make_ego(stamp_ns=stamp_ns, odom_SE3_ego=pose, vx_mps=speed_mps)
    return replace(planner_input, stamp_ns=stamp_ns, ego=ego)


def test_on_a_free_road_the_plan_is_the_networks_and_starts_at_the_ego(nano):
    output = Planner(PlannerConfig(), nano).plan(make_planner_input())
    assert output.source is Source.DIFFUSION
    assert output.state is PlannerState.NOMINAL
    assert output.faults == FaultBit.NONE
    assert output.trajectory.stamp_ns == STAMP_NS
    assert output.trajectory.states.shape == (41, 7)
    assert np.allclose(output.trajectory.states[0, :3], 0.0, atol=1e-6)
    assert output.trajectory.states[0, StateIndex.SPEED] == pytest.approx(8.0, abs=0.1)
    chosen = output.candidates.selected
    assert output.candidates.reject_bits[chosen] == 0
    assert np.array_equal(output.candidates.states[chosen], output.trajectory.states)
    assert output.candidates.scores.sum() == pytest.approx(1.0, abs=1e-5)
    assert {"features", "inference", "refine", "safety", "total"} <= set(output.timing_ms)


def test_the_same_input_and_seed_give_the_same_plan(nano):
    outputs = [Planner(PlannerConfig(), nano).plan(make_planner_input()) for _ in range(2)]
    assert np.array_equal(outputs[0].trajectory.states, outputs[1].trajectory.states)
    assert np.array_equal(outputs[0].candidates.states, outputs[1].candidates.states)


def test_noise_follows_seed_and_stamp_and_not_the_number_of_cycles(nano):
    backend = Scripted(nano.card, straight(8.0))
    planner = Planner(PlannerConfig(), backend)
    first = make_planner_input()
    planner.plan(first)
    planner.plan(later(first, 1))
    planner.plan(first)
    name = nano.card.noise[0].name
    assert np.array_equal(backend.noise[0][name], backend.noise[2][name])
    assert not np.array_equal(backend.noise[0][name], backend.noise[1][name])


def test_the_best_scored_candidate_that_passes_is_chosen(nano):
    answer = straight(8.0, scores=[0.0, 2.0, 1.0])
    answer.poses[1, :, 0] *= np.nan
    output = Planner(PlannerConfig(), Scripted(nano.card, answer)).plan(make_planner_input())
    assert output.candidates.order.tolist() == [1, 2, 0]
    assert output.candidates.selected == 2
    assert output.candidates.reject_bits[1] == RejectBit.NONFINITE


def test_a_wall_across_the_road_ends_in_a_labelled_stop_that_names_collision(nano):
    wall = np.array([[12.0, y, z] for y in np.arange(-6, 6, 0.1) for z in np.arange(0.4, 1.8, 0.2)])
    ground = make_sweep().points
    answer = straight(8.0)
    planner = Planner(PlannerConfig(), Scripted(nano.card, answer))
    output = planner.plan(make_planner_input(lidar=make_sweep(np.vstack([ground, wall]))))
    assert output.source in (Source.FALLBACK_STOP, Source.EMERGENCY_STOP)
    assert output.state is PlannerState.FALLBACK
    assert output.faults & FaultBit.INFEASIBLE
    assert "COLLISION 3" in output.reason
    assert output.trajectory.states[-1, StateIndex.SPEED] == 0.0
    assert (output.candidates.reject_bits & RejectBit.COLLISION).all()
    assert output.candidates.selected == -1


def test_only_the_first_five_of_the_order_are_tried(nano):
    answer = straight(8.0, count=7, scores=[7, 6, 5, 4, 3, 2, 1])
    answer.poses[:5] = np.nan
    output = Planner(PlannerConfig(), Scripted(nano.card, answer)).plan(make_planner_input())
    assert output.source is not Source.DIFFUSION
    assert output.candidates.reject_bits[5] == 0
    assert output.faults & FaultBit.NONFINITE_OUT


@pytest.mark.parametrize(
    ("error", "fault", "sentence"),
    [
        (BackendError("engine lost"), FaultBit.MODEL, "engine lost"),
        (ZeroDivisionError("division"), FaultBit.MODEL, "unexpected ZeroDivisionError: division"),
    ],
)
def test_a_backend_that_raises_ends_in_a_labelled_plan_with_the_reason(
    nano, caplog, error, fault, sentence
):
    output = Planner(PlannerConfig(), Scripted(nano.card, error)).plan(make_planner_input())
    assert output.source is Source.FALLBACK_STOP
    assert output.faults & fault
    assert sentence in output.reason
    assert np.isfinite(output.trajectory.states).all()
    # What nobody expected is logged with its trace; a named failure is a sentence.
    assert bool(caplog.records) == isinstance(error, ZeroDivisionError)


def test_failing_cycles_hold_the_last_plan_then_stop_then_brake_hard(nano):
    good = Scripted(nano.card, straight(8.0))
    planner = Planner(PlannerConfig(), good)
    first = make_planner_input()
    assert planner.plan(first).source is Source.DIFFUSION
    good.answer = BackendError("gone")
    seen = {k: planner.plan(later(first, k)).source for k in (1, 4, 6, 20, 30)}
    assert seen == {
        1: Source.HOLD_LAST,
        4: Source.HOLD_LAST,
        6: Source.FALLBACK_STOP,
        20: Source.FALLBACK_STOP,
        30: Source.EMERGENCY_STOP,
    }
    good.answer = straight(8.0)
    assert planner.plan(later(first, 31)).source is Source.DIFFUSION


def test_after_a_reset_no_plan_is_held(nano):
    backend = Scripted(nano.card, straight(8.0))
    planner = Planner(PlannerConfig(), backend)
    first = make_planner_input()
    planner.plan(first)
    planner.reset("new bag")
    backend.answer = BackendError("gone")
    assert planner.plan(later(first, 1)).source is Source.FALLBACK_STOP


def test_a_plan_told_in_another_frame_is_not_held(nano):
    backend = Scripted(nano.card, straight(8.0))
    planner = Planner(PlannerConfig(), backend)
    first = make_planner_input()
    planner.plan(first)
    backend.answer = BackendError("gone")
    moved = later(first, 1)
    moved = replace(moved, ego=replace(moved.ego, frame_id="map"))
    assert planner.plan(moved).source is Source.FALLBACK_STOP


def test_a_fallback_asked_for_in_another_frame_is_a_stop_by_the_known_motion(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    planner.plan(make_planner_input())
    output = planner.fallback(STAMP_NS + PERIOD_NS, make_ego(frame_id="map"), "anchor silent")
    assert output.source is Source.FALLBACK_STOP
    assert output.reason.startswith("anchor silent")
    assert output.trajectory.states[0, StateIndex.SPEED] == 8.0


def test_a_fallback_at_the_last_plans_own_stamp_holds_it(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    planned = planner.plan(make_planner_input())
    held = planner.fallback(STAMP_NS, make_ego(), "odometry silent")
    assert held.source is Source.HOLD_LAST
    assert held.trajectory.states == pytest.approx(planned.trajectory.states, abs=1e-9)


def test_what_blocked_the_way_is_not_forgotten_when_the_lidar_falls_out(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    free = make_planner_input()
    assert planner.plan(free).source is Source.DIFFUSION
    wall = np.array([[8.0, y, z] for y in np.arange(-6, 6, 0.1) for z in np.arange(0.4, 1.8, 0.2)])
    blocked = replace(later(free, 1), lidar=make_sweep(np.vstack([free.lidar.points, wall])))
    assert planner.plan(blocked).source is Source.EMERGENCY_STOP
    assert planner.plan(replace(later(free, 2), lidar=None)).source is Source.EMERGENCY_STOP
    assert planner.plan(later(free, 3)).source is Source.DIFFUSION
    assert planner.plan(replace(later(free, 4), lidar=None)).source is Source.HOLD_LAST


def test_stamps_that_go_back_during_a_fault_do_not_stop_its_clock(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    planner.fallback(STAMP_NS + 1000 * 10**9, None, "estimated stamp")
    sources = [
        planner.fallback(stamp_ns, make_ego(stamp_ns=stamp_ns), "silent").source
        for stamp_ns in range(STAMP_NS, STAMP_NS + 3 * 10**9, PERIOD_NS)
    ]
    assert sources[0] is Source.FALLBACK_STOP
    assert sources[-1] is Source.EMERGENCY_STOP


def test_a_fallback_that_is_not_finite_never_leaves(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    pose = se3_from_yaw(1e308, 1e308, 0.3)  # overflows when composed
    planner.plan(make_planner_input(ego=make_ego(odom_SE3_ego=pose)))
    ego = make_ego(stamp_ns=STAMP_NS + 1, odom_SE3_ego=se3_from_yaw(-1e308, 1e308, 2.0))
    output = planner.fallback(STAMP_NS + 1, ego, "silent")
    assert output.source in (Source.FALLBACK_STOP, Source.EMERGENCY_STOP)
    assert np.isfinite(output.trajectory.states).all()


def test_an_odometry_that_jumps_is_degraded_with_its_metres_and_forgets_the_last_plan(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    first = make_planner_input()
    planner.plan(first)
    moved = later(first, 1)
    ego = replace(moved.ego, odom_SE3_ego=se3_from_yaw(40.8, 0.0, 0.0))
    output = planner.plan(replace(moved, ego=ego))
    assert output.state is PlannerState.DEGRADED
    assert output.faults == FaultBit.DISCONTINUOUS
    assert output.reason == "odometry jumped 40.8 m in 0.10 s at 8.0 m/s"
    assert planner.plan(later(replace(moved, ego=ego), 1)).source is not Source.UNKNOWN


def test_an_odometry_that_drives_on_is_no_jump(nano):
    planner = Planner(PlannerConfig(), Scripted(nano.card, straight(8.0)))
    first = make_planner_input()
    states = [planner.plan(later(first, k)).state for k in range(8)]
    assert set(states) == {PlannerState.NOMINAL}


def test_without_lidar_there_is_no_network_plan_and_the_health_says_why(nano):
    health = InputHealth(
        "lidar", "/lidar", False, np.nan, 0.1, FaultBit.NONFINITE_IN, "lidar: all points are NaN"
    )
    planner_input = make_planner_input(lidar=None, health=(health,), faults=FaultBit.NONFINITE_IN)
    output = Planner(PlannerConfig(), nano).plan(planner_input)
    assert output.source is Source.FALLBACK_STOP
    assert output.reason == "no lidar input in this cycle; lidar: all points are NaN"
    assert output.faults == FaultBit.INPUT_MISSING | FaultBit.NONFINITE_IN


def test_a_missing_camera_degrades_the_cycle_and_is_named(nano):
    whole = make_planner_input()
    cameras = {name: camera for name, camera in whole.cameras.items() if name != "left"}
    health = InputHealth(
        "left", "/left", False, np.nan, 0.06, FaultBit.INPUT_MISSING, "left: no image"
    )
    output = Planner(PlannerConfig(), nano).plan(
        replace(whole, cameras=cameras, health=(health,), faults=FaultBit.INPUT_MISSING)
    )
    assert output.source is Source.DIFFUSION
    assert output.state is PlannerState.DEGRADED
    assert output.reason == "left: no image"


def test_without_any_camera_there_is_no_network_plan(nano):
    output = Planner(PlannerConfig(), nano).plan(make_planner_input(cameras={}))
    assert output.source is Source.FALLBACK_STOP
    assert output.reason.startswith("no camera input")


def test_a_fallback_without_known_motion_is_a_standstill_in_the_base_frame(nano):
    output = Planner(PlannerConfig(), nano).fallback(5, None, "odometry is silent")
    assert output.source is Source.EMERGENCY_STOP
    assert output.frame_id == "base_link"
    assert not output.trajectory.states.any()
    assert output.trajectory.stamp_ns == 5


@pytest.mark.parametrize("overtake", ["fallback", "reset"])
def test_a_plan_that_was_overtaken_while_the_backend_hung_is_not_kept(nano, overtake):
    class Hanging(Scripted):
        def run(self, inputs, noise):
            # What another thread does while this one waits for the backend.
            if overtake == "reset":
                planner.reset("clock jump")
            else:
                planner.fallback(STAMP_NS + 30 * PERIOD_NS, make_ego(), "hangs")
            return super().run(inputs, noise)

    planner = Planner(PlannerConfig(), Hanging(nano.card, straight(8.0)))
    first = make_planner_input()
    assert planner.plan(first).source is Source.DIFFUSION
    planner.backend = Scripted(nano.card, BackendError("gone"))
    assert planner.plan(later(first, 1)).source is Source.FALLBACK_STOP


def test_plan_ids_rise_by_one_with_each_plan_whoever_made_it(nano):
    planner = Planner(PlannerConfig(), nano)
    ids = [
        planner.plan(make_planner_input()).plan_id,
        planner.fallback(STAMP_NS + 1, None, "x").plan_id,
        planner.plan(make_planner_input(cameras={})).plan_id,
    ]
    assert ids == [1, 2, 3]


def test_a_fallback_that_fails_itself_still_ends_in_a_labelled_standstill(nano, monkeypatch):
    def broken(*args, **options):
        raise FloatingPointError("bad plan")

    monkeypatch.setattr("diff_planner.fallback.plan", broken)
    output = Planner(PlannerConfig(), nano).plan(make_planner_input(cameras={}))
    assert output.source is Source.EMERGENCY_STOP
    assert output.reason.endswith("the fallback failed too: bad plan")
    assert not output.trajectory.states.any()
