import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner.config import RefineConfig
from diff_planner.geometry import constant_twist
from diff_planner.refine import refine
from diff_planner.types import Proposals, StateIndex
from factories import make_ego

CONFIG = RefineConfig()
NETWORK_S = 0.5 * np.arange(1, 9)
PLAN_S = 0.1 * np.arange(41)
SPEED, ACCELERATION = StateIndex.SPEED, StateIndex.ACCELERATION


def proposals(*poses):
    poses = np.stack(poses).astype(np.float32)
    return Proposals(poses, np.zeros(len(poses), dtype=np.float32))


def refine_one(poses, **ego):
    return refine(proposals(poses), make_ego(**ego), CONFIG)[0]


def reintegrated(states):
    """Poses from speeds and headings alone, by the trapezoidal rule."""
    yaw, speed = states[:, StateIndex.YAW], states[:, SPEED]
    velocity = speed[:, None] * np.column_stack([np.cos(yaw), np.sin(yaw)])
    steps = 0.05 * (velocity[1:] + velocity[:-1])
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


@pytest.mark.parametrize("speed", [0.5, 3.0, 7.0, 20.0])
def test_constant_speed_straight_ahead_comes_back_unchanged(speed):
    states = refine_one(constant_twist(speed, 0.0, NETWORK_S), vx_mps=speed)
    assert states[:, 0] == pytest.approx(speed * PLAN_S, abs=1e-5)
    assert np.abs(states[:, 1:3]).max() < 1e-6
    assert np.abs(states[:, ACCELERATION]).max() < 1e-4


@pytest.mark.parametrize(("speed", "curvature"), [(4.0, 0.1), (8.0, -0.04), (12.0, 0.015)])
def test_a_steady_curve_comes_back_within_three_centimetres(speed, curvature):
    rate = speed * curvature
    states = refine_one(constant_twist(speed, rate, NETWORK_S), vx_mps=speed, yaw_rate_radps=rate)
    truth = constant_twist(speed, rate, PLAN_S)
    assert np.hypot(*(states[:, :2] - truth[:, :2]).T).max() < 0.03
    assert states[:, StateIndex.CURVATURE] == pytest.approx(curvature, abs=0.015)


def test_a_trained_networks_manoeuvre_is_tracked_within_ten_centimetres():
    # Brake from 9 m/s at 1.5 m/s2 into a bend: made by integrating a bicycle finely.
    fine = np.arange(0.0, 4.0001, 0.01)
    speed = np.maximum(9.0 - 1.5 * fine, 0.0)
    yaw = np.cumsum(speed * 0.08 * np.sin(fine / 4.0 * np.pi) ** 2) * 0.01
    track = np.column_stack(
        [np.cumsum(speed * np.cos(yaw)) * 0.01, np.cumsum(speed * np.sin(yaw)) * 0.01, yaw]
    )
    states = refine_one(track[50::50], vx_mps=9.0, ax_mps2=-1.5)
    assert np.hypot(*(states[:, :2] - track[::10, :2]).T).max() < 0.10
    assert np.abs(states[:, SPEED] - speed[::10]).max() < 0.3


def test_point_zero_is_the_vehicle_now():
    states = refine_one(constant_twist(8.5, 0.3, NETWORK_S), vx_mps=7.0)
    assert states[0, :4].tolist() == [0.0, 0.0, 0.0, 7.0]


def test_the_stop_anchor_at_rest_is_no_motion_at_all():
    states = refine_one(np.zeros((8, 3)), vx_mps=0.0, ax_mps2=0.05, yaw_rate_radps=0.01)
    assert not states[:, [0, 1, 2, 3, 4, 6]].any()
    assert np.isfinite(states).all()


@pytest.mark.parametrize("speed", [1.0, 4.0, 7.0, 12.0, 16.0])
def test_the_stop_anchor_while_moving_is_a_plausible_stop(speed):
    states = refine_one(np.zeros((8, 3)), vx_mps=speed)
    assert states[-1, SPEED] == 0.0
    assert states[:, SPEED].min() == 0.0
    assert np.diff(states[:, 0]).min() >= 0.0
    assert states[:, ACCELERATION].min() > -8.0
    assert states[-1, 0] == pytest.approx(speed**2 / 10.0, rel=0.25, abs=0.3)


def test_the_stop_anchor_in_a_bend_stops_along_the_bend():
    states = refine_one(np.zeros((8, 3)), vx_mps=8.0, yaw_rate_radps=0.8)
    assert states[-1, StateIndex.YAW] > 0.3
    assert states[:, StateIndex.CURVATURE] == pytest.approx(0.1, abs=0.05)


def test_heading_does_not_spin_where_the_vehicle_stands():
    jitter = np.zeros((8, 3))
    jitter[:, :2] = np.random.default_rng(0).normal(0.0, 0.01, (8, 2))
    states = refine_one(jitter, vx_mps=0.0)
    assert np.abs(states[:, StateIndex.YAW]).max() < 0.02
    assert np.abs(states[:, StateIndex.CURVATURE]).max() < 0.5
    assert states[:, SPEED].min() >= 0.0


def test_pulling_away_into_a_turn_leaves_along_the_vehicles_own_heading():
    times = NETWORK_S
    way = 0.75 * times**2
    poses = np.column_stack([np.sin(0.1 * way) / 0.1, (1 - np.cos(0.1 * way)) / 0.1, 0.1 * way])
    states = refine_one(poses, vx_mps=0.0)
    assert abs(states[3, StateIndex.YAW]) < 0.02
    assert np.abs(states[:, StateIndex.CURVATURE]).max() < 0.16
    assert np.hypot(*(states[5::5, :2] - poses[:, :2]).T).max() < 0.1


def test_poses_out_of_reach_are_approached_not_jumped_to():
    faster, slower = refine(
        proposals(constant_twist(12.0, 0.0, NETWORK_S), constant_twist(5.0, 0.0, NETWORK_S)),
        make_ego(vx_mps=7.0),
        CONFIG,
    )
    assert faster[:, ACCELERATION].max() < 4.0
    assert slower[:, ACCELERATION].min() > -6.0
    assert slower[-1, 0] == pytest.approx(20.0, abs=0.2)


def test_a_proposal_that_runs_backwards_keeps_its_negative_speed():
    states = refine_one(constant_twist(-2.0, 0.0, NETWORK_S), vx_mps=0.0)
    assert states[:, SPEED].min() < -1.5


def test_a_nonfinite_proposal_is_nan_and_leaves_the_others_alone():
    good = constant_twist(6.0, 0.1, NETWORK_S)
    bad_pose, bad_yaw = good.copy(), good.copy()
    bad_pose[3, 0] = np.nan
    bad_yaw[7, 2] = np.inf
    with np.errstate(all="raise"):
        states = refine(proposals(good, bad_pose, bad_yaw, good), make_ego(vx_mps=6.0), CONFIG)
    assert np.isnan(states[1]).all()
    assert np.isnan(states[2]).all()
    alone = refine(proposals(good), make_ego(vx_mps=6.0), CONFIG)[0]
    assert states[0] == pytest.approx(alone, abs=1e-9)
    assert states[3] == pytest.approx(alone, abs=1e-9)


def test_no_proposals_give_no_states():
    empty = Proposals(np.zeros((0, 8, 3), np.float32), np.zeros(0, np.float32))
    assert refine(empty, make_ego(), CONFIG).shape == (0, 41, 7)


def test_zero_jerk_weight_still_gives_finite_states():
    states = refine(
        proposals(constant_twist(6.0, 0.1, NETWORK_S), np.zeros((8, 3))),
        make_ego(vx_mps=6.0),
        RefineConfig(jerk_weight=0.0),
    )
    assert np.isfinite(states).all()


@settings(max_examples=60, deadline=None)
@given(
    ego_speed=st.floats(0.0, 20.0),
    speeds=st.lists(st.floats(0.0, 20.0), min_size=8, max_size=8),
    turns=st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8),
)
def test_whatever_is_proposed_pose_speed_and_heading_agree(ego_speed, speeds, turns):
    yaw = np.cumsum(turns)
    steps = 0.5 * np.array(speeds)
    poses = np.column_stack([np.cumsum(steps * np.cos(yaw)), np.cumsum(steps * np.sin(yaw)), yaw])
    states = refine_one(poses, vx_mps=ego_speed)
    assert np.isfinite(states).all()
    assert states[:, SPEED].min() >= 0.0
    assert np.hypot(*(reintegrated(states) - states[:, :2]).T).max() < 0.15
    assert states[:, ACCELERATION] == pytest.approx(np.gradient(states[:, SPEED], 0.1))
    rate = states[:, SPEED] * states[:, StateIndex.CURVATURE]
    assert states[:, StateIndex.HEADING_RATE] == pytest.approx(rate)
