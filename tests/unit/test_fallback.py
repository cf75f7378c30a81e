import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner import fallback
from diff_planner.config import FallbackConfig, PlannerConfig
from diff_planner.fallback import LastPlan
from diff_planner.geometry import constant_twist, se3_from_yaw
from diff_planner.motion import integrate
from diff_planner.types import LidarSweep, Source, StateIndex, Trajectory
from factories import STAMP_NS, make_ego
from lidar_scene import car, cast

CONFIG = PlannerConfig()
VEHICLE, LIMITS = CONFIG.vehicle, CONFIG.fallback
TIMES_S = 0.1 * np.arange(41)
SPEED = StateIndex.SPEED


def last_plan(speed=8.0, curvature=0.0, **changes):
    way = speed * TIMES_S
    curve = np.full((1, 41), curvature)
    states = integrate(np.full((1, 41), speed), curvature * way[None], curve)[0]
    values = {
        "stamp_ns": STAMP_NS,
        "odom_SE3_ego": se3_from_yaw(100.0, 50.0, 0.7),
        "trajectory": Trajectory(STAMP_NS, Source.DIFFUSION, states),
    }
    return LastPlan(**{**values, **changes})


def on_plan(last, age_s, **changes):
    """The ego that has followed the plan for a while."""
    row = last.trajectory.states[round(age_s * 10)]
    pose = last.odom_SE3_ego @ se3_from_yaw(*row[:3])
    values = {
        "stamp_ns": STAMP_NS + round(age_s * 1e9),
        "odom_SE3_ego": pose,
        "vx_mps": float(row[SPEED]),
        "yaw_rate_radps": float(row[StateIndex.HEADING_RATE]),
    }
    return make_ego(**{**values, **changes})


def choose(age_s, *, last=None, lidar=None, fault_age_s=0.0, **ego):
    last = last_plan() if last is None else last
    state = on_plan(last, min(age_s, 4.0), **ego)
    stamp_ns = STAMP_NS + round(age_s * 1e9)
    first_fault_ns = stamp_ns - round(fault_age_s * 1e9)
    return fallback.plan(stamp_ns, state, last, lidar, CONFIG, first_fault_ns)


def blocked_at(x_m):
    points = cast(lambda x, y: 0.0 * x, [car(x_m, 0.0)])
    return LidarSweep(STAMP_NS, points.astype(np.float32))


def assert_consistent(states, slack_m=0.02):
    yaw, speed = states[:, StateIndex.YAW], states[:, SPEED]
    velocity = speed[:, None] * np.column_stack([np.cos(yaw), np.sin(yaw)])
    steps = 0.05 * (velocity[1:] + velocity[:-1])
    assert np.abs(np.diff(states[:, :2], axis=0) - steps).max() < slack_m
    assert np.abs(np.diff(yaw) - 0.05 * (states[1:, 6] + states[:-1, 6])).max() < 0.02


def test_the_plan_carried_to_its_own_stamp_is_itself():
    last = last_plan(6.0, 0.05)
    carried = fallback.carry(last, STAMP_NS, last.odom_SE3_ego)
    assert carried == pytest.approx(last.trajectory.states, abs=1e-9)


def test_a_carried_plan_starts_where_the_vehicle_that_followed_it_is():
    last = last_plan(6.0, 0.05)
    carried = fallback.carry(last, STAMP_NS + 10**9, on_plan(last, 1.0).odom_SE3_ego)
    assert carried.shape == (31, 7)
    assert carried[0, :4] == pytest.approx([0.0, 0.0, 0.0, 6.0], abs=1e-9)
    truth = constant_twist(6.0, 0.3, TIMES_S[:31])
    assert carried[:, :3] == pytest.approx(truth, abs=1e-6)


def test_between_points_the_plan_is_interpolated_linearly():
    last = last_plan(5.0)
    carried = fallback.carry(last, STAMP_NS + 250_000_000, last.odom_SE3_ego)
    assert len(carried) == 38
    assert carried[0, 0] == pytest.approx(1.25)


@pytest.mark.parametrize("age_ns", [-1, 4 * 10**9 + 1, 60 * 10**9])
def test_nothing_is_carried_from_a_spent_or_future_plan(age_ns):
    last = last_plan()
    assert fallback.carry(last, STAMP_NS + age_ns, last.odom_SE3_ego).shape == (0, 7)


def test_a_held_plan_goes_on_and_brakes_past_its_end():
    last = last_plan(8.0, 0.02)
    held = fallback.hold_last(last, STAMP_NS + 4 * 10**8, on_plan(last, 0.4), VEHICLE, LIMITS)
    assert held.source is Source.HOLD_LAST
    assert held.states.shape == (41, 7)
    assert held.states[:37, SPEED] == pytest.approx(8.0)
    assert held.states[40, SPEED] == pytest.approx(8.0 - 0.4 * 2.0)
    assert held.states[:, StateIndex.CURVATURE] == pytest.approx(0.02)
    assert_consistent(held.states)


@pytest.mark.parametrize(("age_s", "horizon_s"), [(0.0, 4.0), (0.1, 3.0), (0.1, 3.9)])
def test_a_plan_that_fills_the_horizon_is_held_without_a_tail(age_s, horizon_s):
    last = last_plan(8.0, 0.02)
    limits = FallbackConfig(horizon_s=horizon_s)
    ego = on_plan(last, age_s)
    held = fallback.hold_last(last, ego.stamp_ns, ego, VEHICLE, limits)
    assert held.states.shape == (round(horizon_s * 10) + 1, 7)
    assert held.states[:, SPEED] == pytest.approx(8.0)
    assert_consistent(held.states)


@pytest.mark.parametrize(
    "changes",
    [
        {"odom_SE3_ego": se3_from_yaw(100.0, 90.0, 0.7)},  # the localisation jumped
        {"odom_SE3_ego": se3_from_yaw(100.6, 50.5, 1.6)},
        {"vx_mps": 2.0},  # somebody braked
    ],
)
def test_a_plan_that_the_vehicle_does_not_follow_is_not_held(changes):
    assert choose(0.1, **changes).source is Source.FALLBACK_STOP


def test_a_horizon_too_short_to_stop_in_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        FallbackConfig(horizon_s=0.1)


def test_holding_a_spent_plan_is_an_error():
    last = last_plan()
    with pytest.raises(ValueError, match="is spent at"):
        fallback.hold_last(last, STAMP_NS + 5 * 10**9, make_ego(), VEHICLE, LIMITS)


def test_a_comfortable_stop_follows_the_last_path_at_comfortable_braking():
    last = last_plan(6.0, 0.08)
    ego = on_plan(last, 0.6, yaw_rate_radps=0.0)
    stop = fallback.comfortable_stop(ego.stamp_ns, ego, last, VEHICLE, LIMITS)
    assert stop.source is Source.FALLBACK_STOP
    assert stop.states[:, StateIndex.ACCELERATION].min() == pytest.approx(-2.0)
    way = np.concatenate([[0.0], np.cumsum(0.05 * (stop.states[1:, 3] + stop.states[:-1, 3]))])
    assert stop.states[:, StateIndex.YAW] == pytest.approx(0.08 * way, abs=0.01)
    assert stop.states[-1, SPEED] == 0.0
    assert way[-1] == pytest.approx(9.0, abs=0.05)


def test_a_comfortable_stop_beside_the_last_path_keeps_the_present_curvature():
    last = last_plan(6.0, 0.08)
    far = last.odom_SE3_ego @ se3_from_yaw(2.0, 3.0, 0.0)
    ego = on_plan(last, 0.6, odom_SE3_ego=far, yaw_rate_radps=-0.3)
    stop = fallback.comfortable_stop(ego.stamp_ns, ego, last, VEHICLE, LIMITS)
    assert stop.states[:, StateIndex.CURVATURE] == pytest.approx(-0.05)


@pytest.mark.parametrize("speed", [16.0, 30.0])
def test_a_fast_vehicle_brakes_harder_so_that_the_plan_ends_standing(speed):
    ego = make_ego(vx_mps=speed)
    stop = fallback.comfortable_stop(ego.stamp_ns, ego, None, VEHICLE, LIMITS)
    assert stop.states[-1, SPEED] == 0.0
    assert stop.states[:, StateIndex.ACCELERATION].min() >= -VEHICLE.max_deceleration_mps2


def test_an_emergency_stop_brakes_as_hard_as_the_vehicle_can():
    ego = make_ego(vx_mps=8.0, yaw_rate_radps=0.4)
    stop = fallback.emergency_stop(ego.stamp_ns, ego, VEHICLE, LIMITS)
    assert stop.source is Source.EMERGENCY_STOP
    assert stop.states[:11, SPEED] == pytest.approx(8.0 - 0.8 * np.arange(11))
    assert not stop.states[11:, SPEED].any()
    assert stop.states[:, StateIndex.CURVATURE] == pytest.approx(0.05)
    assert_consistent(stop.states)


def test_unknown_motion_is_a_standstill():
    stop = fallback.plan(STAMP_NS, None, last_plan(), None, CONFIG, STAMP_NS)
    assert stop.source is Source.EMERGENCY_STOP
    assert stop.states.shape == (41, 7)
    assert not stop.states.any()


@pytest.mark.parametrize("vx", [0.0, -0.4])
def test_a_vehicle_that_stands_or_rolls_back_is_held(vx):
    ego = make_ego(vx_mps=vx, yaw_rate_radps=0.3)
    for stop in (
        fallback.comfortable_stop(STAMP_NS, ego, None, VEHICLE, LIMITS),
        fallback.emergency_stop(STAMP_NS, ego, VEHICLE, LIMITS),
    ):
        assert not stop.states[:, [0, 1, 2, 3, 4, 6]].any()


def test_the_mildest_that_is_still_right_is_chosen():
    assert choose(0.1).source is Source.HOLD_LAST
    assert choose(0.5).source is Source.HOLD_LAST
    assert choose(0.6, fault_age_s=0.5).source is Source.FALLBACK_STOP
    assert choose(2.0, fault_age_s=2.0).source is Source.FALLBACK_STOP
    assert choose(2.2, fault_age_s=2.1).source is Source.EMERGENCY_STOP


def test_a_plan_from_the_future_is_not_held():
    last = last_plan()
    made = fallback.plan(STAMP_NS - 10**8, make_ego(), last, None, CONFIG, STAMP_NS - 10**8)
    assert made.source is Source.FALLBACK_STOP


def test_without_a_last_plan_the_vehicle_stops_comfortably():
    made = fallback.plan(STAMP_NS, make_ego(), None, None, CONFIG, STAMP_NS)
    assert made.source is Source.FALLBACK_STOP


def test_a_held_plan_that_runs_into_something_gives_way_to_a_stop():
    assert choose(0.1, lidar=blocked_at(40.0)).source is Source.HOLD_LAST
    assert choose(0.1, lidar=blocked_at(28.0)).source is Source.FALLBACK_STOP
    assert choose(0.1, lidar=blocked_at(12.0)).source is Source.EMERGENCY_STOP


def test_a_blind_vehicle_drives_nothing_milder_than_before():
    last = last_plan()
    ego = on_plan(last, 0.1)
    args = (ego.stamp_ns, ego, last)
    far = LidarSweep(ego.stamp_ns, blocked_at(60.0).points)
    old = LidarSweep(ego.stamp_ns - 2 * 10**9, far.points)
    for before in (Source.HOLD_LAST, Source.FALLBACK_STOP, Source.EMERGENCY_STOP):
        for blind in (None, old):
            made = fallback.plan(*args, blind, CONFIG, ego.stamp_ns, before)
            assert made.source is before
        assert fallback.plan(*args, far, CONFIG, ego.stamp_ns, before).source is Source.HOLD_LAST


def test_an_old_sweep_is_carried_to_the_stamp_before_a_held_plan_is_judged():
    # 37.5 m ahead half a second ago, with 8 m/s: now 33.5 m, and the plan reaches 36 m.
    last = last_plan()
    ego = on_plan(last, 0.1)
    points = blocked_at(37.5).points
    for age_ns, source in ((0, Source.HOLD_LAST), (5 * 10**8, Source.FALLBACK_STOP)):
        lidar = LidarSweep(ego.stamp_ns - age_ns, points)
        made = fallback.plan(ego.stamp_ns, ego, last, lidar, CONFIG, ego.stamp_ns)
        assert made.source is source


def test_plans_carry_the_stamp_asked_for():
    assert choose(0.1).stamp_ns == STAMP_NS + 10**8
    assert choose(0.8, fault_age_s=0.5).stamp_ns == STAMP_NS + 8 * 10**8


def test_a_stop_enters_a_bend_of_the_path_no_faster_than_the_lateral_limit_allows():
    # A plan that slows down for a bend of 7 m radius, 12 m ahead.
    speed = np.maximum(9.0 - 3.0 * TIMES_S, 4.5)
    way = np.concatenate([[0.0], np.cumsum(0.05 * (speed[1:] + speed[:-1]))])
    bend = np.where(way > 12.0, 1.0 / 7.0, 0.0)
    yaw = np.concatenate([[0.0], np.cumsum(np.diff(way) * 0.5 * (bend[1:] + bend[:-1]))])
    states = integrate(speed[None], yaw[None], bend[None])[0]
    last = last_plan(trajectory=Trajectory(STAMP_NS, Source.DIFFUSION, states))
    ego = on_plan(last, 0.0)
    stop = fallback.comfortable_stop(STAMP_NS, ego, last, VEHICLE, LIMITS)
    lateral = stop.states[:, SPEED] ** 2 * np.abs(stop.states[:, StateIndex.CURVATURE])
    assert lateral.max() <= CONFIG.safety.max_lateral_acceleration_mps2 + 0.05
    loose = fallback.comfortable_stop(
        STAMP_NS, ego, last, VEHICLE, LIMITS, max_lateral_acceleration_mps2=50.0
    )
    assert stop.states[-1, StateIndex.X] <= loose.states[-1, StateIndex.X]


def test_a_stop_from_high_speed_is_as_long_as_the_brakes_need():
    ego = make_ego(vx_mps=40.0)
    stop = fallback.emergency_stop(STAMP_NS, ego, VEHICLE, LIMITS)
    assert stop.states[-1, SPEED] == 0.0
    assert len(stop.states) == 52


@settings(max_examples=60, deadline=None)
@given(
    speed=st.floats(-1.0, 45.0),
    rate=st.floats(-1.5, 1.5),
    plan_speed=st.floats(0.0, 20.0),
    curvature=st.floats(-0.15, 0.15),
    offset=st.tuples(st.floats(-3, 30), st.floats(-3, 3), st.floats(-1, 1)),
    horizon=st.sampled_from([4.0, 6.0]),
)
def test_every_stop_slows_down_all_the_way_to_a_standstill(
    speed, rate, plan_speed, curvature, offset, horizon
):
    last = last_plan(plan_speed, curvature)
    pose = last.odom_SE3_ego @ se3_from_yaw(*offset)
    ego = make_ego(vx_mps=speed, yaw_rate_radps=rate, odom_SE3_ego=pose)
    limits = FallbackConfig(horizon_s=horizon)
    for stop in (
        fallback.comfortable_stop(STAMP_NS, ego, last, VEHICLE, limits),
        fallback.emergency_stop(STAMP_NS, ego, VEHICLE, limits),
    ):
        states = stop.states
        assert np.isfinite(states).all()
        assert len(states) >= round(horizon * 10) + 1
        assert np.diff(states[:, SPEED]).max() <= 0.0
        assert states[-1, SPEED] == 0.0
        assert not states[0, :3].any()
        assert states[:, StateIndex.ACCELERATION].min() >= -VEHICLE.max_deceleration_mps2 - 1e-9
        # At 45 m/s round the tightest bend the arc of a step is that much off its trapezium.
        assert_consistent(states, slack_m=0.2)
