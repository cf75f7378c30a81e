import numpy as np
import pytest

from diff_planner import safety
from diff_planner.config import SafetyConfig, VehicleConfig
from diff_planner.errors import InputError
from diff_planner.geometry import constant_twist
from diff_planner.safety import collision
from diff_planner.safety.ground import height_above_ground
from diff_planner.types import LidarSweep, RejectBit
from factories import STAMP_NS, make_ego
from lidar_scene import Box, car, cast, cone, pedestrian

VEHICLE, CONFIG = VehicleConfig(), SafetyConfig()
TIMES_S = 0.1 * np.arange(41)
AHEAD = constant_twist(6.5, 0.0, TIMES_S)

GROUNDS = {
    "level": lambda x, y: 0.0 * x,
    "uphill": lambda x, y: 0.06 * x,
    "downhill": lambda x, y: -0.06 * x,
    "vehicle pitched by 2 degrees": lambda x, y: 0.035 * x,
    "vehicle rolled by 3 degrees": lambda x, y: 0.052 * y,
    "ramp up ahead": lambda x, y: 0.08 * np.maximum(x - 12.0, 0.0),
    "ramp down ahead": lambda x, y: -0.10 * np.maximum(x - 12.0, 0.0),
    "hilltop": lambda x, y: -(x**2) / 600.0,
    "crowned road": lambda x, y: -0.03 * np.abs(y),
    "kerbs": lambda x, y: 0.15 * (np.abs(y) > 2.2),
    "speed bump": lambda x, y: 0.1 * (np.abs(x - 15.0) < 0.2),
}


def sweep(points, stamp_ns=STAMP_NS):
    return LidarSweep(stamp_ns, np.asarray(points, dtype=np.float32))


def is_blocked(poses, points, config=CONFIG):
    return collision.is_blocked(poses, sweep(points), VEHICLE, config)


@pytest.mark.parametrize("name", GROUNDS)
def test_a_free_road_is_free_and_what_stands_on_it_is_not(name):
    ground = GROUNDS[name]
    assert not is_blocked(AHEAD, cast(ground))
    for make, x_m, y_m in ((car, 25.0, 0.5), (pedestrian, 20.0, -0.8), (cone, 12.0, 0.9)):
        foot = float(ground(np.array(x_m), np.array(y_m)))
        assert is_blocked(AHEAD, cast(ground, [make(x_m, y_m, z_m=foot)])), make.__name__


def test_height_is_measured_from_the_local_ground():
    ground = GROUNDS["ramp up ahead"]
    points = cast(ground)
    points = points[(points[:, 0] < 35.0) & (np.abs(points[:, 1]) < 4.0)]
    truth = points[:, 2] - ground(points[:, 0], points[:, 1])
    assert np.abs(height_above_ground(points) - truth).max() < 0.2


@pytest.mark.parametrize("y_m", [2.0, -2.0])
def test_what_stands_beside_the_path_does_not_block_it(y_m):
    assert not is_blocked(AHEAD, cast(GROUNDS["level"], [pedestrian(12.0, y_m)]))
    assert is_blocked(AHEAD, cast(GROUNDS["level"], [pedestrian(12.0, 0.7 * y_m)]))


def test_the_whole_swept_box_counts_in_a_bend():
    bend = constant_twist(6.0, 1.2, TIMES_S)
    # Around (0, 5): the rear axle's outer edge runs at 6.15 m, the front corner at 7.4 m.
    assert is_blocked(bend, cast(GROUNDS["level"], [pedestrian(6.1, 1.5)]))
    assert not is_blocked(bend, cast(GROUNDS["level"], [pedestrian(7.1, 0.9)]))


def test_what_lies_beyond_the_plan_does_not_block_it():
    far = cast(GROUNDS["level"], [car(33.0, 0.0)])
    assert not is_blocked(AHEAD, far)
    assert is_blocked(constant_twist(8.0, 0.0, TIMES_S), far)


def test_only_the_configured_horizon_counts():
    wall = cast(GROUNDS["level"], [car(20.0, 0.0)])
    assert is_blocked(AHEAD, wall)
    assert not is_blocked(AHEAD, wall, SafetyConfig(collision_horizon_s=2.0))


def test_an_overhead_sign_does_not_block():
    gantry = Box(15.0, 0.0, 0.3, 8.0, 1.5, z_m=3.2)
    assert not is_blocked(AHEAD, cast(GROUNDS["level"], [gantry]))


def test_returns_from_the_own_vehicle_are_dropped():
    own = np.random.default_rng(0).uniform([-1.1, -1.1, 0.4], [4.0, 1.1, 1.7], (200, 3))
    assert not is_blocked(AHEAD, np.concatenate([cast(GROUNDS["level"]), own]))


def test_a_stray_return_does_not_block_but_a_few_together_do():
    road = cast(GROUNDS["level"])
    stray = np.array([[9.0, 0.0, 0.8]])
    assert not is_blocked(AHEAD, np.concatenate([road, stray]))
    together = stray + 0.1 * np.arange(4)[:, None] * [0.0, 1.0, 1.0]
    assert is_blocked(AHEAD, np.concatenate([road, together]))


def test_reflections_from_below_the_road_change_nothing():
    road = cast(GROUNDS["level"])
    below = np.random.default_rng(1).uniform([4.0, -4.0, -3.0], [30.0, 4.0, -0.5], (40, 3))
    assert not is_blocked(AHEAD, np.concatenate([road, below]))
    with_car = np.concatenate([cast(GROUNDS["level"], [car(18.0, 0.0)]), below])
    assert is_blocked(AHEAD, with_car)


@pytest.mark.parametrize("far_m", [3e3, 1e5, 1e9, 1e30])
def test_points_kilometres_away_cost_nothing_and_change_nothing(far_m):
    points = cast(GROUNDS["level"], [car(12.0, 0.0)])
    near = collision.obstacle_points(points, VEHICLE, CONFIG)
    far = np.array([[far_m, far_m, 1.0], [-far_m, -far_m, 1.0]])
    found = collision.obstacle_points(np.vstack([points, far]), VEHICLE, CONFIG)
    assert np.array_equal(found, near)


@pytest.mark.parametrize("late_ms", [-100, 50, 100])
def test_what_the_vehicle_sees_of_itself_is_not_carried_into_its_way(late_ms):
    hood = np.stack(np.meshgrid(np.arange(3.0, 4.0, 0.1), np.arange(-0.8, 0.8, 0.1), [0.95]), -1)
    seen = sweep(
        np.vstack([cast(GROUNDS["level"], []), hood.reshape(-1, 3)]), STAMP_NS + late_ms * 10**6
    )
    ego = make_ego(vx_mps=15.0, yaw_rate_radps=0.2)
    points = collision.carried(seen, ego, VEHICLE, CONFIG.collision_margin_m).points
    assert not is_blocked(constant_twist(15.0, 0.2, TIMES_S), points)


def test_an_empty_sweep_has_no_obstacles():
    empty = np.zeros((0, 3), dtype=np.float32)
    assert collision.obstacle_points(empty, VEHICLE, CONFIG).shape == (0, 3)
    assert not is_blocked(AHEAD, empty)


def test_obstacle_points_are_the_car_and_not_the_road():
    points = collision.obstacle_points(cast(GROUNDS["level"], [car(15.0, 0.0)]), VEHICLE, CONFIG)
    assert len(points) > 20
    assert np.abs(points[:, 0] - 14.85).max() < 0.15
    assert np.abs(points[:, 1]).max() < 1.0


def test_a_sweep_of_another_stamp_is_carried_to_the_plans():
    # 5 cm short of the pedestrian at the stamp, a metre farther by the sweep's own stamp.
    points = cast(GROUNDS["level"], [pedestrian(15.0, 0.0)])
    reach = 15.0 - 0.3 - VEHICLE.front_m - CONFIG.collision_margin_m
    states = np.zeros((1, 41, 7))
    states[0, :, 0] = np.linspace(0.0, reach - 0.5, 41)

    def bits(elapsed_s):
        ego = make_ego(vx_mps=10.0)
        context = safety.SafetyContext(
            VEHICLE, CONFIG, ego, sweep(points, STAMP_NS - round(elapsed_s * 1e9)), None
        )
        return int(collision.check_collision(states, context)[0])

    assert bits(0.0) == 0
    assert bits(0.1) == RejectBit.COLLISION


def test_every_plan_gets_its_own_verdict():
    points = cast(GROUNDS["level"], [car(20.0, 0.0)])
    states = np.zeros((3, 41, 7))
    states[0, :, :3] = AHEAD
    states[1, :, :3] = constant_twist(3.0, 0.0, TIMES_S)
    states[2, :, :3] = constant_twist(6.5, 0.6, TIMES_S)
    context = safety.SafetyContext(VEHICLE, CONFIG, make_ego(), sweep(points), None)
    assert collision.check_collision(states, context).tolist() == [RejectBit.COLLISION, 0, 0]


def test_poses_that_are_not_finite_are_an_error():
    poses = AHEAD.copy()
    poses[3, 0] = np.nan
    with pytest.raises(InputError, match=r"expected finite poses \[N, 3\]"):
        is_blocked(poses, cast(GROUNDS["level"]))
