"""Recorded traffic and golden JSON become scenes of the schema."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from diff_planner.errors import SceneError
from diff_planner.geometry import arc_lengths, project_on_polyline
from diff_planner.scene.lane_graph import LaneGraph
from diff_planner.scene.load import load_golden, load_scenes
from diff_planner.scene.recorded import fitted_motion, scenes_from_recording
from diff_planner.scene.schema import AgentClass

REAL_DATA = os.environ.get("DIFF_PLANNER_REAL_DATA")
needs_recordings = pytest.mark.skipif(not REAL_DATA, reason="DIFF_PLANNER_REAL_DATA is not set")
STEPS = 91


def make_recording(size=(4.08, 1.73), turn_radps=0.2, **changes):
    """9 s of a car at 6 m/s in a bend, one parked car that is seen for the first second."""
    t = np.arange(STEPS) * 0.1
    radius = 6.0 / turn_radps
    state = np.zeros((2, STEPS, 8), dtype=np.float32)
    state[0, :, 0] = radius * np.sin(turn_radps * t)
    state[0, :, 1] = radius * (1.0 - np.cos(turn_radps * t))
    state[0, :, 2] = turn_radps * t
    state[0, :, 5:7] = size
    state[1, :, 0], state[1, :, 5:7] = 20.0, (4.0, 2.0)
    valid = np.ones((2, STEPS), dtype=bool)
    valid[1, 26:] = False
    s = np.linspace(-20.0, 120.0, 141)
    lane = np.column_stack(
        [radius * np.sin(s / radius), radius * (1.0 - np.cos(s / radius))]
    ).astype(np.float32)
    ring = np.array([[-9, -3], [9, -3], [9, 3], [-9, 3]], dtype=np.float32)
    values = {
        "dt_s": np.array(0.1),
        "agent_state": state,
        "agent_valid": valid,
        "agent_type": np.array(["VEHICLE", "TRAFFIC_BARRIER"]),
        "agent_id": np.array(["ego", "wall"]),
        "ego_index": np.array(0),
        "map_xy": np.concatenate([lane[:71], lane[70:], ring]),
        "map_offset": np.array([0, 71, 142, 146]),
        "map_type": np.array(["LANE_SURFACE_STREET"] * 3),
        "map_kind": np.array(["polyline", "polyline", "polygon"]),
    }
    return {**values, **changes}


def test_a_recording_gives_a_scene_each_half_second_with_past_and_future():
    scenes = scenes_from_recording(Path("bend.npz"), make_recording())
    assert [round(s.time_s, 6) for s in scenes] == [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    first = scenes[0]
    assert first.token == "bend_001.5s"
    assert len(first.past) == 16
    assert len(first.human) == 50
    assert first.human_times_s[-1] == pytest.approx(5.0)
    np.testing.assert_allclose(first.past[-1], first.ego.pose, atol=1e-12)


def test_ego_motion_is_that_of_the_rear_axle_on_its_circle():
    ego = scenes_from_recording(Path("bend.npz"), make_recording())[0].ego
    assert ego.vx_mps == pytest.approx(6.0, abs=1e-3)
    assert ego.vy_mps == pytest.approx(0.0, abs=1e-3)
    assert ego.yaw_rate_radps == pytest.approx(0.2, abs=1e-4)
    assert ego.ay_mps2 == pytest.approx(6.0 * 0.2, abs=1e-2)
    assert ego.steer_rad == pytest.approx(np.arctan(2.588 * 0.2 / 6.0), abs=1e-4)


def test_a_recorded_box_centre_is_moved_back_to_the_rear_axle():
    scene = scenes_from_recording(Path("w.npz"), make_recording(size=(5.286, 2.332)))[0]
    angle = 0.2 * 1.5
    centre = 30.0 * np.array([np.sin(angle), 1.0 - np.cos(angle)])
    forward = np.array([np.cos(angle), np.sin(angle)])
    back = np.array([scene.ego.x_m, scene.ego.y_m]) - centre
    np.testing.assert_allclose(back, -1.461 * forward, atol=1e-5)
    assert scene.ego.vy_mps == pytest.approx(-1.461 * 0.2, abs=1e-2)


def test_agents_are_kept_while_seen_and_left_out_when_never_seen():
    scenes = scenes_from_recording(Path("bend.npz"), make_recording())
    assert [len(s.agents) for s in scenes] == [1, 1, 1, 0, 0, 0]
    wall = scenes[0].agents[0]
    assert wall.agent_class is AgentClass.BARRIER
    assert wall.valid.sum() == 11
    assert not wall.states[~wall.valid].any()


def test_the_centreline_follows_the_humans_lanes_and_their_joints():
    scene = scenes_from_recording(Path("bend.npz"), make_recording())[0]
    _, aside = project_on_polyline(scene.human[:, :2], scene.centerline)
    assert np.abs(aside).max() < 0.05
    steps = np.diff(arc_lengths(scene.centerline))
    assert steps.min() > 0.9
    assert steps.max() < 1.1
    assert "lanes" in scene.notes["centerline"]


def test_without_lanes_there_is_no_centreline_and_a_reason():
    recording = make_recording(map_type=np.array(["ROAD_EDGE"] * 3))
    scene = scenes_from_recording(Path("bend.npz"), recording)[0]
    assert scene.centerline is None
    assert "no lane of the map" in scene.notes["centerline"]


def straight(x0, y0, x1, y1):
    return np.linspace([x0, y0], [x1, y1], 11)


def test_at_a_fork_the_chain_that_the_path_took_is_chosen():
    graph = LaneGraph(
        [
            straight(0, 0, 20, 0),
            straight(20, 0, 40, 0),
            straight(20, 0, 38, 8),
            straight(38, 8, 56, 16),
        ]
    )
    angle = np.arctan2(8, 18)
    path = np.array([[5.0, 0, 0], [15, 0, 0], [29, 4, angle], [38, 8, angle]])
    line = graph.centerline(path, 15.0)
    np.testing.assert_allclose(line[-1, :2], [56, 16], atol=1e-9)


def test_a_path_that_stops_before_a_fork_goes_on_straight():
    graph = LaneGraph([straight(0, 0, 20, 0), straight(20, 0, 38, 8), straight(20, 0, 40, 0)])
    line = graph.centerline(np.array([[5.0, 0, 0], [8, 0, 0]]), 30.0)
    np.testing.assert_allclose(line[-1, :2], [40, 0], atol=1e-9)


def test_a_path_that_leaves_all_lanes_has_no_centreline():
    graph = LaneGraph([straight(0, 0, 40, 0)])
    path = np.array([[5.0, 0, 0], [15, 0, 0], [20, 6, 1.0]])
    assert "leaves every chain" in graph.centerline(path, 10.0)


def test_the_lane_of_the_other_direction_is_not_the_route():
    graph = LaneGraph([straight(40, 0, 0, 0)])
    assert "no lane" in graph.centerline(np.array([[5.0, 0, 0], [15, 0, 0]]), 10.0)


def test_a_standing_car_has_no_motion_and_no_steering():
    motion = fitted_motion(np.tile([3.0, 4.0, 1.0], (30, 1)), 2.6)
    np.testing.assert_allclose(motion, 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt_s": np.array(0.2)}, "dt_s: expected 0.1, got 0.2"),
        ({"agent_type": np.array(["VEHICLE", "TRAM"])}, "got 'TRAM'"),
        ({"agent_valid": np.zeros((2, STEPS), dtype=bool)}, "ego to be seen"),
        ({"agent_valid": np.ones((2, 3), dtype=bool)}, "agent_valid: expected shape"),
        ({"agent_state": np.zeros((2, STEPS, 7))}, "agent_state: expected shape"),
        ({"agent_state": np.full((2, STEPS, 8), np.nan)}, "finite numbers where valid"),
        ({"map_offset": np.array([0, 71])}, "map_offset"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused(change, message):
    with pytest.raises(SceneError, match=message):
        scenes_from_recording(Path("bad.npz"), make_recording(**change))


def test_a_car_of_unknown_size_is_refused_since_its_axle_is_not_known():
    with pytest.raises(SceneError, match=r"expected a box of one of .*zoe.* got \[4\.5"):
        scenes_from_recording(Path("bad.npz"), make_recording(size=(4.5, 1.8)))


def test_a_recording_that_is_too_short_and_one_without_an_array_are_refused():
    short = make_recording()
    short["agent_state"], short["agent_valid"] = (
        short[name][:, :60] for name in ("agent_state", "agent_valid")
    )
    with pytest.raises(SceneError, match=r"at least 6\.6 s .* got 6\.0 s"):
        scenes_from_recording(Path("short.npz"), short)
    without = make_recording()
    del without["map_xy"]
    with pytest.raises(SceneError, match=r"\['map_xy'\]"):
        scenes_from_recording(Path("bad.npz"), without)


def golden_scene(**changes):
    values = {
        "name": "golden",
        "ego": {"x": 1, "y": 2, "h": 0.5, "vx": 3.0, "ax": 0.1, "steer": 0.02},
        "map": [{"token": "l0", "type": "LANE", "polygon": [[0, 0], [9, 0], [9, 4]]}],
        "route_lane_ids": ["l0"],
        "centerline": [[0, 0, 0], [9, 0, 0]],
        "agents": [
            {
                "token": "a",
                "type": "CZONE_SIGN",
                "length": 1.0,
                "width": 0.5,
                "height": 1.0,
                "states": [[5, 5, 0, 0, 0], None],
            }
        ],
        "past": [
            {"t": -0.5, "x": 0, "y": 2, "h": 0.5, "vx": 3.0, "ax": 0.1, "yaw_rate": 0.3},
            {"t": 0.0, "x": 1, "y": 2, "h": 0.5, "vx": 3.0, "ax": 0.1},
        ],
        "red_lights": [{"token": "l0", "polygon": [[0, 0], [9, 0], [9, 4]], "t_on": 5, "t_off": 9}],
        "ref": np.zeros((8, 3)).tolist(),
        "cands": np.zeros((2, 8, 3)).tolist(),
        "dump_full": [1],
    }
    return {**values, **changes}


def write_golden(tmp_path, **changes):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps([golden_scene(**changes)]))
    return path


def test_golden_json_becomes_a_scene_with_its_candidates(tmp_path):
    (case,) = load_golden(write_golden(tmp_path))
    assert case.candidates.shape == (2, 8, 3)
    assert case.dump_full == {1}
    scene = case.scene
    assert (scene.token, scene.ego.steer_rad, scene.ego.yaw_rate_radps) == ("golden", 0.02, 0.0)
    assert scene.agents[0].agent_class is AgentClass.SIGN
    assert scene.agents[0].valid.tolist() == [True, False]
    assert (scene.red_lights[0].t_on_s, scene.red_lights[0].t_off_s) == pytest.approx((0.5, 0.9))
    assert scene.past_motion[:, 5].tolist() == [0.3, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cands": [[[0, 0, 0]]]}, "cands: expected shape"),
        ({"dump_full": [2]}, "dump_full: expected indices below 2"),
        ({"map": [{"token": "x", "type": "SEA", "polygon": []}]}, "got 'SEA'"),
        ({"ego": {"x": 0}}, "key 'y' is missing"),
    ],
)
def test_golden_json_with_a_fault_is_refused_by_scene_name(tmp_path, change, message):
    with pytest.raises(SceneError, match=message) as found:
        load_golden(write_golden(tmp_path, **change))
    assert "'golden'" in str(found.value)


@pytest.mark.realdata
@needs_recordings
def test_recordings_give_scenes_whose_rear_axle_does_not_slip_and_keeps_to_its_lane():
    scenes = load_scenes(Path(REAL_DATA) / "scenes")
    assert len(scenes) > 150
    # A rear axle moves along its heading: sideways speed is that of pose noise alone.
    assert max(abs(scene.ego.vy_mps) for scene in scenes) < 0.3
    for scene in scenes:
        assert scene.centerline is not None, (scene.token, scene.notes["centerline"])
        _, aside = project_on_polyline(scene.human[:, :2], scene.centerline)
        assert np.abs(aside).max() < 3.0, scene.token
