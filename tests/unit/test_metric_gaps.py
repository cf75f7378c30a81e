"""What a scene lacks leaves scores not evaluated, with the reason, and never passed."""

from dataclasses import replace

import numpy as np
import pytest

from diff_planner.errors import InputError
from diff_planner.metrics.comfort import PreviousPlan
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.metrics.quirks import Quirks
from diff_planner.metrics.subscores import SubScores
from diff_planner.scene.schema import SceneEgo
from metric_scenes import agent, scene, straight, two_lane_road


def gaps(result):
    """The fields that were not evaluated, with their reasons."""
    return {
        name: value.reason
        for name, value in vars(result).items()
        if isinstance(value, SubScores) and not value.is_evaluated
    }


@pytest.mark.parametrize(
    ("changes", "v1", "v2", "reason"),
    [
        ({"centerline": None}, {"progress"}, {"progress", "lane_keeping"}, "no centreline"),
        ({"reference": None}, {"progress"}, {"progress"}, "no reference"),
        (
            {"past": None, "past_times_s": None, "past_motion": None},
            set(),
            {"history_comfort"},
            "past",
        ),
        ({"past_motion": None}, set(), {"history_comfort"}, "past"),
        ({"are_red_lights_known": False}, set(), {"traffic_light", "progress"}, "lights"),
        (
            {"map_polygons": two_lane_road()[:2]},
            {"drivable_area", "progress"},
            {"drivable_area", "progress"},
            "no road block",
        ),
    ],
)
def test_a_gap_is_named_and_leaves_the_total_out(changes, v1, v2, reason):
    for result, missing in (
        (score_pdms(scene(**changes), straight()), v1),
        (score_epdms(scene(**changes), straight()), v2),
    ):
        found = gaps(result)
        found.pop("extended_comfort", None)
        totals = {"total", "total_without_ec", "human_filtered"} & vars(result).keys()
        assert found.keys() == (missing | totals if missing else set())
        for text in found.values():
            assert reason in text
        for name in found:
            assert np.isnan(getattr(result, name).values).all()
            assert not getattr(result, name).at(0).is_evaluated


def test_a_gap_in_what_has_no_weight_leaves_the_total_in():
    result = score_pdms(scene(route_lane_ids=frozenset()), straight())
    assert gaps(result).keys() == {"driving_direction"}
    assert result.total.values[0] == pytest.approx(1.0)


def test_agents_that_are_known_too_shortly_are_not_judged():
    four_s = scene(agent("ahead", 60.0, 0.0, speed=8.0, samples=41))
    assert gaps(score_pdms(four_s, straight())).keys() == {"time_to_collision", "total"}
    assert gaps(score_epdms(four_s, straight())).keys() == {"extended_comfort"}
    short = score_epdms(scene(agent("ahead", 60.0, 0.0, samples=30)), straight())
    assert {"no_collision", "time_to_collision", "progress", "total"} <= gaps(short).keys()
    assert short.no_collision.reason == "agents are known for 2.9 s, 4.0 s are needed"


def test_without_a_map_collisions_are_judged_unless_a_side_contact_decides():
    free = score_pdms(scene(map_polygons=()), straight())
    assert free.no_collision.values[0] == free.time_to_collision.values[0] == 1.0
    ahead = score_pdms(scene(agent("ahead", 20.0, 0.0), map_polygons=()), straight())
    assert ahead.no_collision.values[0] == 0.0
    # It comes from the right and touches the ego's side: whose fault, only a map would tell.
    beside = agent("beside", 12.0, -9.0, speed=5.0, yaw=np.pi / 2)
    for score in (score_pdms, score_epdms):
        result = score(scene(beside, map_polygons=()), straight())
        assert "side contacts" in result.no_collision.reason


def test_a_short_past_is_not_enough():
    whole = scene()
    short = replace(
        whole,
        past=whole.past[5:],
        past_times_s=whole.past_times_s[5:],
        past_motion=whole.past_motion[5:],
    )
    assert "1.5 s are needed" in score_epdms(short, straight()).history_comfort.reason


def test_without_a_human_the_filtered_score_is_not_evaluated():
    result = score_epdms(scene(human=None, human_times_s=None), straight())
    assert gaps(result).keys() == {"extended_comfort", "human_filtered"}
    short = scene(human=scene().human[:20], human_times_s=scene().human_times_s[:20])
    assert "2.00 s" in score_epdms(short, straight()).human_filtered.reason


@pytest.mark.parametrize("score", [score_pdms, score_epdms])
def test_proposals_that_are_not_numbers_or_of_another_shape_are_refused(score):
    broken = np.repeat(straight(), 3, axis=0)
    broken[1, 4, 2] = np.nan
    with pytest.raises(InputError, match=r"finite poses, not so in proposals \[1\]"):
        score(scene(), broken)
    with pytest.raises(InputError, match=r"expected shape \[K, 8, 3\], got \(8, 3\)"):
        score(scene(), straight()[0])
    with pytest.raises(InputError, match="expected shape"):
        score(scene(), np.empty((0, 8, 3)))


def test_previous_states_of_another_count_are_refused():
    with pytest.raises(InputError, match="previous states"):
        score_epdms(scene(), straight(), PreviousPlan(np.zeros((3, 41, 11))))


def test_each_quirk_changes_what_it_says_and_nothing_else():
    turning = scene(
        ego=SceneEgo(0.0, 0.0, 0.0, vx_mps=8.0, steer_rad=0.1, yaw_rate_radps=0.26),
        past_motion=np.tile([8.0, 0.0, 0.0, 0.0, 0.0, 1.5], (16, 1)),
    )
    uneven = straight()
    uneven[0, :, 0] += 2.0 * np.sin(np.arange(8))
    published = score_epdms(turning, uneven)
    smooth = score_epdms(turning, uneven, quirks=Quirks(is_acceleration_penalised=False))
    moved = np.abs(smooth.detail.states - published.detail.states)[0, -1, 0]
    assert 1e-4 < moved < 0.2
    for quirks in (
        Quirks(is_centre_acceleration_inverted=False),
        Quirks(is_past_yaw_rate_dropped=False),
    ):
        other = score_epdms(turning, uneven, quirks=quirks)
        assert np.array_equal(other.detail.states, published.detail.states)
    # r w^2 = 3.3 m/s2 in the past is beyond the bound.
    assert score_epdms(turning, straight()).history_comfort.values[0] == 1.0
    quirks = Quirks(is_past_yaw_rate_dropped=False)
    assert score_epdms(turning, straight(), quirks=quirks).history_comfort.values[0] == 0.0
