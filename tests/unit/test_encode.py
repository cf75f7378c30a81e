"""A plan as messages: through CDR and back, against the core values."""

import numpy as np
import pytest

from diff_planner.data import encode
from diff_planner.data.typestore import make_message
from diff_planner.errors import ContractError
from diff_planner.geometry import rotation_from_quaternion, transform_points
from diff_planner.types import RejectBit, Source, StateIndex, Trajectory
from factories import STAMP_NS, make_ego
from plan_factories import make_output, through_cdr

WHEELBASE_M = 3.0


def trajectory_of(output):
    message = encode.trajectory_message(
        make_message,
        output,
        wheelbase_m=WHEELBASE_M,
        frame_id=output.frame_id,
        frame_SE3_ego=output.odom_SE3_ego,
    )
    return through_cdr(message)


def test_a_plan_is_published_in_the_odometrys_frame_at_the_anchors_stamp():
    output = make_output()
    message = trajectory_of(output)
    assert message.header.frame_id == "map"
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS
    assert (message.plan_id, message.source) == (7, Source.DIFFUSION)
    states = output.trajectory.states
    in_ego = np.column_stack([states[:, :2], np.zeros(41)])
    expected = transform_points(output.odom_SE3_ego, in_ego)
    got = np.array(
        [[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in message.points]
    )
    assert np.allclose(got, expected, atol=1e-9)


def test_each_point_has_the_heading_speed_and_time_of_the_plan():
    output = make_output()
    for k, point in enumerate(trajectory_of(output).points):
        q = point.pose.orientation
        rotation = rotation_from_quaternion(q.x, q.y, q.z, q.w)
        yaw = output.trajectory.states[k, StateIndex.YAW]
        x_axis = output.odom_SE3_ego[:3, :3] @ [np.cos(yaw), np.sin(yaw), 0.0]
        assert np.allclose(rotation[:, 0], x_axis, atol=1e-12)
        assert point.time_from_start.sec + point.time_from_start.nanosec * 1e-9 == (
            pytest.approx(0.1 * k)
        )
        assert point.longitudinal_velocity_mps == 5.0
        assert point.front_wheel_angle_rad == pytest.approx(np.arctan(WHEELBASE_M * 0.008))
        assert point.heading_rate_rps == pytest.approx(0.04)


def test_candidates_travel_flat_with_their_reject_bits():
    output = make_output()
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    assert message.header.frame_id == "base_link"
    shape = (message.num_candidates, message.num_steps, message.state_dim)
    assert np.allclose(message.states.reshape(shape), output.candidates.states, atol=1e-5)
    assert message.is_valid.tolist() == [True, False]
    assert message.reject_bits[1] == message.REJECT_COLLISION | message.REJECT_JERK
    assert message.selected == 0
    assert len(message.state_layout.split(",")) == message.state_dim


def test_a_cycle_without_candidates_gives_an_empty_set_and_none_selected():
    output = make_output(candidates=None)
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    assert (message.num_candidates, message.selected, len(message.states)) == (0, -1, 0)


def test_an_ego_at_the_origin_gives_the_plan_as_it_is():
    output = make_output(odom_SE3_ego=make_ego().odom_SE3_ego)
    got = [(p.pose.position.x, p.pose.position.y) for p in trajectory_of(output).points]
    assert np.allclose(got, output.trajectory.states[:, :2])


def assert_refused(column, value):
    states = make_output().trajectory.states.copy()
    states[7, column] = value
    output = make_output(trajectory=Trajectory(STAMP_NS, Source.HOLD_LAST, states))
    with pytest.raises(
        ContractError, match=r"HOLD_LAST plan at \d+ ns: expected finite .* 1 of 41"
    ):
        trajectory_of(output)


@pytest.mark.parametrize("column", list(StateIndex), ids=lambda column: column.name)
@pytest.mark.parametrize("value", [np.nan, -np.inf], ids=str)
def test_a_plan_with_a_number_that_is_not_finite_is_refused(column, value):
    assert_refused(column, value)


@pytest.mark.parametrize("column", ["SPEED", "ACCELERATION", "HEADING_RATE"])
def test_a_plan_with_a_motion_too_large_for_the_messages_32_bits_is_refused(column):
    assert_refused(StateIndex[column], 1e39)


def test_a_pose_that_is_not_finite_is_refused():
    pose = make_ego().odom_SE3_ego.copy()
    pose[0, 1] = np.nan
    with pytest.raises(ContractError, match="from a pose that is not"):
        trajectory_of(make_output(odom_SE3_ego=pose))


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e39], ids=str)
def test_a_candidate_with_a_number_that_is_not_finite_travels_as_zeros(value):
    output = make_output()
    output.candidates.states[1, 5, StateIndex.SPEED] = value
    output.candidates.scores_raw[1] = np.nan
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    states = message.states.reshape(2, 41, 7)
    assert np.array_equal(states[1], np.zeros((41, 7)))
    assert np.allclose(states[0], output.candidates.states[0], atol=1e-5)
    expected = RejectBit.COLLISION | RejectBit.JERK | RejectBit.NONFINITE
    assert message.reject_bits.tolist() == [0, int(expected)]
    assert message.is_valid.tolist() == [True, False]
    assert (message.score_raw.tolist(), message.score[1]) == ([1.0, 0.0], 0.0)


def test_a_score_that_is_not_finite_is_zero_and_the_candidate_keeps_its_states():
    output = make_output()
    output.candidates.scores_raw[0] = np.inf
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    assert message.score_raw.tolist() == [0.0, 2.0]
    assert message.reject_bits[0] == 0
    assert np.allclose(message.states[: 41 * 7], output.candidates.states[0].ravel(), atol=1e-5)
