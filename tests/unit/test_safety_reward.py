"""HDP's safety reward: a collision costs all, one from behind a part."""

import numpy as np
import pytest

from diff_planner.metrics.pdms import score_pdms
from diff_planner.metrics.safety_reward import score_safety_reward
from metric_scenes import agent, scene, straight


def test_a_free_drive_has_the_whole_reward():
    assert score_safety_reward(scene(), straight()).values.tolist() == [1.0]


def test_running_into_something_costs_all_of_it():
    reward = score_safety_reward(scene(agent("ahead", 20.0, 0.0)), straight())
    assert reward.values.tolist() == [0.0]


def test_being_run_into_from_behind_costs_a_part():
    slow = agent("slow", -9.0, 0.0, speed=9.5)
    assert score_safety_reward(scene(slow), straight(8.0)).values[0] == pytest.approx(0.7)


def test_the_worst_of_several_contacts_counts():
    both = scene(agent("behind", -9.0, 0.0, speed=9.5), agent("ahead", 20.0, 0.0))
    assert score_safety_reward(both, straight(8.0)).values[0] == 0.0


def test_proposals_are_judged_each_for_itself():
    proposals = np.concatenate([straight(8.0), straight(2.0)])
    reward = score_safety_reward(scene(agent("ahead", 25.0, 0.0)), proposals)
    assert reward.values.tolist() == [0.0, 1.0]


def test_agents_known_too_shortly_leave_it_not_evaluated():
    reward = score_safety_reward(scene(agent("a", 60.0, 0.0, samples=20)), straight())
    assert not reward.is_evaluated
    assert "are needed" in reward.reason


def test_whoever_is_not_touched_in_pdms_has_the_whole_reward():
    moment = scene(agent("aside", 20.0, 5.0))
    assert score_pdms(moment, straight()).no_collision.values[0] == 1.0
    assert score_safety_reward(moment, straight()).values[0] == 1.0
