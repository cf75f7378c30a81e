"""Plans read back from their messages are the plans that were written."""

import math

import numpy as np
import pytest

from diff_planner.data import encode
from diff_planner.data.decode_plan import planner_output
from diff_planner.data.encode_status import Counters, ModelLabel, StatusReport, status_message
from diff_planner.data.typestore import make_message
from diff_planner.errors import InputError
from diff_planner.types import FaultBit, InputHealth, PlannerState, Source, Trajectory
from factories import STAMP_NS
from plan_factories import make_output, through_cdr

WHEELBASE_M = 3.089
HEALTH = (
    InputHealth("front", "/front", True, -0.012, 0.06, received=4, dropped=1, rate_hz=9.5),
    InputHealth("lidar", "/lidar", False, math.nan, 0.06),
)


def messages_of(output):
    """Trajectory, CandidateSet and PlannerStatus as they come out of a bag."""
    trajectory = encode.trajectory_message(
        make_message,
        output,
        wheelbase_m=WHEELBASE_M,
        frame_id=output.frame_id,
        frame_SE3_ego=output.odom_SE3_ego,
    )
    status = status_message(
        make_message,
        StatusReport.of(output),
        model=ModelLabel("nano"),
        counters=Counters(),
        is_shadow=False,
    )
    candidates = encode.candidates_message(make_message, output, "base_link")
    return [through_cdr(message) for message in (trajectory, candidates, status)]


def assert_same_plan(found, output):
    assert found.trajectory.stamp_ns == output.trajectory.stamp_ns
    assert found.trajectory.source == output.trajectory.source
    assert found.trajectory.dt_s == pytest.approx(output.trajectory.dt_s)
    assert np.allclose(found.trajectory.states, output.trajectory.states, atol=1e-6)


def test_a_plan_is_read_back_with_its_candidates_and_what_was_said_of_it():
    output = make_output(
        state=PlannerState.DEGRADED,
        faults=FaultBit.SYNC | FaultBit.DEADLINE,
        reason="lidar is late",
        health=HEALTH,
        seed=3,
    )
    pose = output.odom_SE3_ego
    found = planner_output(*messages_of(output), wheelbase_m=WHEELBASE_M, frame_SE3_ego=pose)
    assert_same_plan(found, output)
    for name in ("plan_id", "frame_id", "state", "faults", "reason", "seed"):
        assert getattr(found, name) == getattr(output, name), name
    for name in ("states", "scores_raw", "scores", "reject_bits", "order"):
        ours, theirs = getattr(found.candidates, name), getattr(output.candidates, name)
        assert np.allclose(ours, theirs, atol=1e-6), name
    assert found.candidates.selected == output.candidates.selected


def test_the_health_of_the_inputs_is_read_back_with_what_nobody_knows_as_nan():
    output = make_output(health=HEALTH)
    found = planner_output(*messages_of(output), wheelbase_m=WHEELBASE_M).health
    assert [(h.name, h.topic, h.is_present) for h in found] == [
        ("front", "/front", True),
        ("lidar", "/lidar", False),
    ]
    assert found[0].age_s == pytest.approx(-0.012)
    assert (found[0].received, found[0].dropped) == (4, 1)
    assert found[0].rate_hz == pytest.approx(9.5)
    assert math.isnan(found[1].age_s)


def test_without_a_known_pose_the_first_point_stands_for_the_vehicle():
    output = make_output()
    found = planner_output(*messages_of(output), wheelbase_m=WHEELBASE_M)
    assert_same_plan(found, output)
    assert np.allclose(found.odom_SE3_ego, output.odom_SE3_ego, atol=1e-9)


def test_a_plan_whose_other_messages_were_lost_is_still_a_plan():
    output = make_output()
    trajectory, _, _ = messages_of(output)
    found = planner_output(trajectory, None, None, wheelbase_m=WHEELBASE_M)
    assert_same_plan(found, output)
    assert found.candidates is None
    assert found.state == PlannerState.UNKNOWN


def test_a_cycle_in_which_the_network_did_not_run_has_no_candidates():
    output = make_output(candidates=None)
    assert planner_output(*messages_of(output), wheelbase_m=WHEELBASE_M).candidates is None


def test_a_plan_without_points_is_refused():
    plan = Trajectory(STAMP_NS, Source.DIFFUSION, np.zeros((0, 7)))
    trajectory, _, _ = messages_of(make_output(trajectory=plan))
    with pytest.raises(InputError, match="plan 7: expected points, got none"):
        planner_output(trajectory, None, None, wheelbase_m=WHEELBASE_M)


def test_candidates_that_do_not_fit_their_own_numbers_are_refused():
    trajectory, candidates, _ = messages_of(make_output())
    candidates.num_steps = 40
    with pytest.raises(InputError, match=r"expected 2 x 40 x 7 numbers, got 574"):
        planner_output(trajectory, candidates, None, wheelbase_m=WHEELBASE_M)
