"""What the page draws of a scene: frames, packing, what is left out."""

import base64

import numpy as np
import pytest

from diff_planner.errors import ResultsError
from diff_planner.report.scene_view import scene_view
from diff_planner.scene.schema import Agent, AgentClass, Scene, SceneEgo
from evaluation_runs import make_agent, make_plan_view, make_proposals, make_road_scene


def unpack(text, columns):
    return np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(-1, columns)


def test_agents_are_drawn_in_the_frame_of_the_ego():
    ego = SceneEgo(10.0, 5.0, np.pi / 2, 0.0)
    scene = Scene("s", ego, agents=(make_agent("a", 10.0, 8.0),))
    agent = scene_view(scene, {})["agents"][0]
    # 3 m north of an ego that faces north: 3 m ahead, facing right.
    np.testing.assert_array_equal(unpack(agent["xy"], 2)[0], [300, 0])
    assert unpack(agent["yaw"], 1)[0, 0] == pytest.approx(-1e4 * np.pi / 2, abs=1)


def test_moments_at_which_an_agent_was_not_seen_are_left_out_of_its_line():
    agent = make_agent("a", 10.0, 0.0)
    valid = agent.valid.copy()
    valid[3] = False
    hidden = Agent("a", AgentClass.VEHICLE, 4.6, 1.9, agent.states, valid)
    view = scene_view(Scene("s", SceneEgo(0, 0, 0, 0), agents=(hidden,)), {})
    xy = unpack(view["agents"][0]["xy"], 2)
    np.testing.assert_array_equal(xy[3], [-32768, -32768])
    np.testing.assert_array_equal(xy[4], [1000, 0])


def test_agents_out_of_sight_are_not_in_the_page():
    far, never = make_agent("far", 500.0, 0.0), make_agent("never", 5.0, 0.0)
    never = Agent("never", AgentClass.VEHICLE, 4.6, 1.9, never.states, np.zeros(51, dtype=bool))
    assert scene_view(Scene("s", SceneEgo(0, 0, 0, 0), agents=(far, never)), {})["agents"] == []


def test_a_plan_carries_every_proposal_with_its_score_and_the_chosen_one():
    plan = scene_view(make_road_scene(), {"run": make_plan_view(3)})["plans"]["run"]
    assert (plan["count"], plan["chosen"], plan["scores"]) == (3, 1, [0.0, 0.5, 1.0])
    expected = np.round(100 * make_proposals(3)[2, :, :2])
    np.testing.assert_array_equal(unpack(plan["xy"], 2).reshape(3, 8, 2)[2], expected)
    assert not plan["is_simulated"]
    assert len(unpack(plan["driven_yaw"], 1)) == 41


def test_of_very_many_proposals_some_are_drawn_and_the_chosen_one_always():
    plan = scene_view(make_road_scene(), {"run": make_plan_view(801, chosen=7)})["plans"]["run"]
    drawn = unpack(plan["xy"], 2).reshape(-1, 8, 2)
    assert plan["count"] == 801
    assert len(drawn) == len(plan["scores"]) <= 61
    expected = np.round(100 * make_proposals(801)[7, :, :2])
    np.testing.assert_array_equal(drawn[plan["chosen"]], expected)


def test_the_chosen_plan_without_simulation_is_shown_by_straight_lines_between_its_poses():
    plan = scene_view(make_road_scene(), {"run": make_plan_view(1)})["plans"]["run"]
    driven = unpack(plan["driven_xy"], 2)
    np.testing.assert_array_equal(driven[[0, 5, 40], 0], [0, 300, 2400])


def test_a_plan_of_another_shape_is_refused():
    with pytest.raises(ResultsError, match=r"expected proposals \[K, 8, 3\]"):
        scene_view(make_road_scene(), {"run": make_plan_view(1, proposals=np.zeros((1, 7, 3)))})
    with pytest.raises(ResultsError, match="and 5"):
        scene_view(make_road_scene(), {"run": make_plan_view(3, chosen=5)})
