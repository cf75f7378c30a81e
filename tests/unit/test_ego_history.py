"""Ego motion carried to another stamp and differentiated."""

import numpy as np
import pytest

from diff_planner.data.decode import decode_odometry
from diff_planner.data.ego_history import EgoHistory, motion
from diff_planner.geometry import se3_from_yaw, yaw_of
from message_factories import STAMP_NS, make_odometry

MS = 1_000_000


def odometry(after_ms=0, **changes):
    return decode_odometry(make_odometry(STAMP_NS + round(after_ms * MS), **changes), "base_link")


def integrated(vx, vy, yaw_rate, duration_s, steps=20_000):
    """The pose reached by small steps: an answer that does not share the closed form."""
    x = y = yaw = 0.0
    dt = duration_s / steps
    for _ in range(steps):
        middle = yaw + 0.5 * yaw_rate * dt
        x += (vx * np.cos(middle) - vy * np.sin(middle)) * dt
        y += (vx * np.sin(middle) + vy * np.cos(middle)) * dt
        yaw += yaw_rate * dt
    return se3_from_yaw(x, y, yaw)


@pytest.mark.parametrize("twist", [(8.0, 0.0, 0.0), (8.0, 0.3, 0.4), (-2.0, 0.5, -1.0)])
@pytest.mark.parametrize("duration_s", [0.05, 1.0, -0.5])
def test_motion_at_constant_twist_is_that_of_small_steps(twist, duration_s):
    vx, vy, yaw_rate = twist
    moved = motion(odometry(vx=vx, vy=vy, yaw_rate=yaw_rate), round(duration_s * 1e9))
    np.testing.assert_allclose(moved, integrated(*twist, duration_s), atol=1e-6)


def test_motion_forth_and_back_ends_where_it_began():
    moving = odometry(vx=9.0, vy=-0.2, yaw_rate=0.3)
    there, back = motion(moving, 80 * MS), motion(moving, -80 * MS)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-12)


def test_the_pose_is_carried_in_the_direction_the_vehicle_looks():
    looking_left = odometry(
        position=(5.0, 1.0, 0.3), quaternion=(0, 0, np.sqrt(0.5), np.sqrt(0.5)), vx=10.0
    )
    ego = EgoHistory().ego_at(looking_left, STAMP_NS + 50 * MS)
    np.testing.assert_allclose(ego.odom_SE3_ego[:3, 3], [5.0, 1.5, 0.3], atol=1e-9)
    assert yaw_of(ego.odom_SE3_ego) == pytest.approx(np.pi / 2)
    assert ego.stamp_ns == STAMP_NS + 50 * MS


@pytest.mark.parametrize("period_ms", [10, 50, 100, 500])
def test_acceleration_is_the_slope_of_speed_at_any_rate(period_ms):
    history = EgoHistory()
    count = 2_000 // period_ms
    for k in range(count + 1):
        last = odometry(k * period_ms, vx=3.0 + 1.5 * k * period_ms / 1e3)
        history.add(last)
    assert history.acceleration(last) == pytest.approx((1.5, 0.0), abs=1e-6)


def test_turning_at_constant_speed_accelerates_towards_the_inside():
    history = EgoHistory()
    for k in range(5):
        last = odometry(k * 100, vx=10.0, yaw_rate=0.2)
        history.add(last)
    assert history.acceleration(last) == pytest.approx((0.0, 2.0))


def test_acceleration_looks_back_a_fifth_of_a_second():
    history = EgoHistory()
    speeds = [0.0] * 80 + list(np.linspace(0.0, 0.4, 21))  # standing, then 2 m/s^2 for 0.2 s
    for k, speed in enumerate(speeds):
        last = odometry(k * 10, vx=float(speed))
        history.add(last)
    assert history.acceleration(last)[0] == pytest.approx(2.0, rel=0.01)


def test_acceleration_is_unknown_without_an_earlier_odometry():
    history = EgoHistory()
    first = odometry(0, vx=5.0)
    history.add(first)
    assert history.acceleration(first) is None
    ego = history.ego_at(first, STAMP_NS)
    assert (ego.ax_mps2, ego.ay_mps2, ego.is_acceleration_derived) == (0.0, 0.0, True)
    history.add(odometry(5_000, vx=9.0))
    assert history.acceleration(odometry(5_000, vx=9.0)) is None  # 5 s before is not now


def test_a_measured_acceleration_is_taken_as_it_is():
    history = EgoHistory()
    history.add(odometry(0, vx=0.0))
    history.add(odometry(100, vx=5.0))
    ego = history.ego_at(odometry(100, vx=5.0), STAMP_NS, (0.0, 0.0))
    assert (ego.ax_mps2, ego.is_acceleration_derived) == (0.0, False)


def test_the_newest_odometry_is_that_of_the_newest_stamp():
    history = EgoHistory()
    assert history.newest is None
    history.add(odometry(100))
    history.add(odometry(50))
    history.add(odometry(100))
    assert history.newest.stamp_ns == STAMP_NS + 100 * MS
    for back_ms in (-501, -60_000):  # the clock jumped back
        history.add(odometry(back_ms))
        assert history.newest.stamp_ns == STAMP_NS + back_ms * MS
    history.clear()
    assert history.newest is None


def test_the_history_stays_short():
    history = EgoHistory()
    for k in range(2_000):
        history.add(odometry(k * 10))
    assert len(history._recent) <= 201
