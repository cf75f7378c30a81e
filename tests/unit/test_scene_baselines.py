"""Baseline drivers: what they do on a straight road, in a bend, behind others, at a red light."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.geometry import poses_seen_from, transform_poses
from diff_planner.policies.baselines import BASELINES, constant_velocity, logged_human
from diff_planner.policies.idm import IdmParameters, idm_driver
from diff_planner.scene.schema import Agent, AgentClass, RedLight, SceneEgo
from factories import make_scene

EMPTY = {"agents": (), "red_lights": ()}


def ego_at(pose, speed_mps):
    return SceneEgo(*(float(v) for v in pose), vx_mps=speed_mps)


def moved(scene, pose):
    """The same scene where its origin stands at `pose` of the world."""
    carry = lambda poses: transform_poses(pose, np.asarray(poses))  # noqa: E731
    at = carry([[scene.ego.x_m, scene.ego.y_m, scene.ego.yaw_rad]])[0]
    agents = []
    for agent in scene.agents:
        states = agent.states.copy()
        states[:, :3] = carry(states[:, :3])
        turn = np.array([[np.cos(pose[2]), np.sin(pose[2])], [-np.sin(pose[2]), np.cos(pose[2])]])
        states[:, 3:] = states[:, 3:] @ turn
        agents.append(
            Agent(agent.id, agent.agent_class, agent.length_m, agent.width_m, states, agent.valid)
        )
    return make_scene(
        ego=ego_at(at, scene.ego.vx_mps),
        agents=tuple(agents),
        red_lights=(),
        centerline=carry(scene.centerline),
        human=carry(scene.human),
        past=carry(scene.past),
    )


def test_constant_velocity_goes_straight_on():
    poses = constant_velocity(make_scene())
    np.testing.assert_allclose(poses[:, 0], 4.0 * np.arange(1, 9))
    assert not poses[:, 1:].any()


def test_the_human_is_resampled_to_each_half_second_in_the_ego_frame():
    scene = moved(make_scene(), (100.0, -50.0, 2.0))
    np.testing.assert_allclose(
        logged_human(scene),
        np.column_stack([4.0 * np.arange(1, 9), np.zeros((8, 2))]),
        atol=1e-9,
    )


def test_a_human_who_turns_through_half_a_circle_is_not_averaged_the_wrong_way_round():
    yaw = np.array([3.0, -3.0])
    poses = np.column_stack([np.zeros((2, 2)), yaw])
    scene = make_scene(
        ego=ego_at((0, 0, 3.0), 0.0), human=poses, human_times_s=np.array([0.1, 4.0])
    )
    headings = logged_human(scene)[:, 2]
    assert np.all(np.diff(headings) > 0.0)
    assert headings[-1] == pytest.approx(2 * np.pi - 6.0)


def test_without_a_long_enough_future_there_is_no_human_and_a_reason():
    short = make_scene(human=np.zeros((3, 3)), human_times_s=np.array([0.1, 0.2, 0.3]))
    assert "too short: future poses: expected 4.0 s of them, got 0.30 s" in logged_human(short)
    assert "no logged future" in logged_human(make_scene(human=None, human_times_s=None))


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.floats(-3.0, 3.0),
    st.sampled_from(["idm", "human"]),
)
def test_drivers_do_the_same_wherever_the_scene_lies_in_the_world(x, y, yaw, name):
    scene = make_scene(red_lights=())
    here, there = BASELINES[name](scene), BASELINES[name](moved(scene, (x, y, yaw)))
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_seen_from_undoes_transform():
    poses = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, -1.0]])
    np.testing.assert_allclose(
        poses_seen_from((7.0, 8.0, 2.5), transform_poses((7.0, 8.0, 2.5), poses)), poses
    )


def speeds(poses):
    return np.diff(np.concatenate([[0.0], poses[:, 0]])) / 0.5


def test_idm_on_a_free_road_approaches_its_target_speed_and_does_not_exceed_it():
    poses = idm_driver(make_scene(**EMPTY))
    assert np.all(np.diff(speeds(poses)) > 0.0)
    assert speeds(poses)[0] == pytest.approx(8.0 + 1.5 * 0.25, abs=0.02)
    fast = idm_driver(make_scene(**EMPTY, ego=ego_at((0, 0, 0), 20.0)))
    assert speeds(fast)[-1] < 16.0


def wall(x, y=0.0, *, vx=0.0, vy=0.0, seen=True):
    states = np.tile([x, y, 0.0, vx, vy], (51, 1))
    return Agent("wall", AgentClass.VEHICLE, 4.0, 2.0, states, np.full(51, seen))


def test_idm_stops_behind_a_standing_car_without_touching_it():
    scene = make_scene(agents=(wall(30.0),), red_lights=())
    long_run = idm_driver(scene)
    assert long_run[-1, 0] + scene.vehicle.front_m < 28.0
    assert speeds(long_run)[-1] < 2.5


def test_idm_ignores_cars_beside_behind_and_not_seen():
    free = idm_driver(make_scene(**EMPTY))
    for other in (wall(30.0, 3.5), wall(-8.0), wall(30.0, seen=False)):
        np.testing.assert_array_equal(idm_driver(make_scene(agents=(other,), red_lights=())), free)


def test_idm_brakes_for_a_car_that_will_cross_its_lane():
    free = idm_driver(make_scene(**EMPTY))
    crossing = idm_driver(make_scene(agents=(wall(35.0, -8.0, vy=4.0),), red_lights=()))
    assert crossing[-1, 0] < free[-1, 0] - 3.0


def test_idm_stops_before_a_light_that_is_red_now_and_drives_over_one_that_is_not():
    ring = np.array([[25.0, -2], [35, -2], [35, 2], [25, 2]])
    red = make_scene(agents=(), red_lights=(RedLight("r", ring, 0.0, 9.0),))
    later = make_scene(agents=(), red_lights=(RedLight("r", ring, 0.5, 9.0),))
    assert idm_driver(red)[-1, 0] + red.vehicle.front_m < 25.0
    np.testing.assert_array_equal(idm_driver(later), idm_driver(make_scene(**EMPTY)))


def bend(radius_m):
    s = np.arange(0.0, 120.0)
    arc = np.maximum(s - 30.0, 0.0) / radius_m
    x = np.minimum(s, 30.0) + radius_m * np.sin(arc)
    return np.column_stack([x, radius_m * (1.0 - np.cos(arc)), arc])


def test_idm_slows_down_for_a_bend_and_keeps_to_its_centreline():
    scene = make_scene(**EMPTY, centerline=bend(12.0), ego=ego_at((5.0, 0.0, 0.0), 10.0))
    poses = idm_driver(scene)
    step_m = np.hypot(*np.diff(poses[:, :2], axis=0).T)
    assert step_m[-1] / 0.5 == pytest.approx(np.sqrt(2.0 * 12.0), abs=0.6)
    world = transform_poses(scene.ego.pose, poses)
    on_arc = world[world[:, 0] > 31.0]
    np.testing.assert_allclose(np.hypot(on_arc[:, 0] - 30.0, on_arc[:, 1] - 12.0), 12.0, atol=0.05)


def test_idm_comes_back_to_the_centreline_from_the_side_and_begins_where_the_ego_stands():
    scene = make_scene(**EMPTY, ego=ego_at((0.0, 1.0, 0.1), 8.0))
    world = transform_poses(scene.ego.pose, idm_driver(scene))
    assert 0.5 < world[0, 1] < 1.05
    assert np.all(np.diff(world[:, 1]) <= 1e-12)
    np.testing.assert_allclose(world[-1, 1:], 0.0, atol=1e-9)


def test_idm_needs_a_centreline_and_says_why_there_is_none():
    scene = make_scene(centerline=None, notes={"centerline": "no lanes there"})
    assert idm_driver(scene) == "no lanes there"


def test_a_car_that_stands_stays_on_its_place_behind_a_near_car():
    scene = make_scene(ego=ego_at((0, 0, 0), 0.0), agents=(wall(6.5),), red_lights=())
    np.testing.assert_allclose(idm_driver(scene), 0.0, atol=1e-9)


def test_a_lower_target_speed_is_kept():
    poses = idm_driver(make_scene(**EMPTY), IdmParameters(target_speed_mps=4.0))
    assert speeds(poses)[-1] < 4.5
