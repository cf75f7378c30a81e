"""What holds for all scores, whatever the scene and the proposals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diff_planner.geometry import transform_poses
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.metrics.progress import score_progress_v1, score_progress_v2
from diff_planner.metrics.subscores import SubScores
from metric_scenes import golden_cases, scene, straight, wild

CASES = golden_cases()
SCORES = (score_pdms, score_epdms)
# A scene takes milliseconds to score, more on a busy machine.
RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def subscores(result):
    return {name: v for name, v in vars(result).items() if isinstance(v, SubScores)}


def moved(some_scene, pose):
    """The same scene at another place in the world."""

    def carry(poses):
        return transform_poses(pose, poses)

    def points(ring):
        return carry(np.column_stack([ring, np.zeros(len(ring))]))[:, :2]

    def states(old):
        new = old.copy()
        new[:, :3] = carry(old[:, :3])
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        new[:, 3:] = old[:, 3:] @ np.array([[cos, sin], [-sin, cos]])
        return new

    ego = carry(some_scene.ego.pose)
    return replace(
        some_scene,
        ego=replace(some_scene.ego, x_m=ego[0], y_m=ego[1], yaw_rad=ego[2]),
        agents=tuple(replace(a, states=states(a.states)) for a in some_scene.agents),
        map_polygons=tuple(replace(p, ring=points(p.ring)) for p in some_scene.map_polygons),
        red_lights=tuple(replace(r, ring=points(r.ring)) for r in some_scene.red_lights),
        centerline=carry(some_scene.centerline),
        past=carry(some_scene.past),
        human=None if some_scene.human is None else carry(some_scene.human),
    )


@pytest.mark.parametrize("score", SCORES)
@given(token=st.sampled_from(sorted(CASES)), seed=st.integers(0, 2**32 - 1))
@RELAXED
def test_every_score_lies_between_0_and_1(score, token, seed):
    result = score(CASES[token].scene, wild(CASES[token], seed))
    for name, part in subscores(result).items():
        if part.is_evaluated:
            assert ((part.values >= 0.0) & (part.values <= 1.0)).all(), name
    assert result.total.is_evaluated


@pytest.mark.parametrize("score", SCORES)
@given(
    token=st.sampled_from(sorted(CASES)),
    seed=st.integers(0, 2**32 - 1),
    x=st.floats(-1e5, 1e5),
    y=st.floats(-1e5, 1e5),
    yaw=st.floats(-np.pi, np.pi),
)
@RELAXED
def test_scores_do_not_depend_on_where_in_the_world_a_scene_lies(score, token, seed, x, y, yaw):
    case = CASES[token]
    proposals = wild(case, seed)
    here = score(case.scene, proposals)
    # Around the ego first: a turn about a far origin would only measure the rounding of sin.
    at_origin = moved(case.scene, [-case.scene.ego.x_m, -case.scene.ego.y_m, 0.0])
    there = score(moved(at_origin, [x, y, yaw]), proposals)
    for name, part in subscores(here).items():
        np.testing.assert_allclose(
            subscores(there)[name].values, part.values, rtol=0, atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("token", sorted(CASES))
def test_a_score_does_not_depend_on_what_else_is_scored(score, token):
    proposals = wild(CASES[token], 3)
    together = subscores(score(CASES[token].scene, proposals))
    for k in (0, 7):
        alone = subscores(score(CASES[token].scene, proposals[[k]]))
        for name, part in alone.items():
            np.testing.assert_allclose(part.values[0], together[name].values[k], atol=1e-9)


@pytest.mark.parametrize("score", SCORES)
@given(slow=st.floats(0.0, 14.0), more=st.floats(0.0, 6.0), speed=st.floats(0.0, 14.0))
@RELAXED
def test_more_progress_along_the_centreline_never_lowers_ep(score, slow, more, speed):
    both = np.concatenate([straight(slow), straight(slow + more)])
    result = score(scene(speed=speed), both)
    metres, progress = result.detail.progress_m.values, result.progress.values
    assert metres[1] >= metres[0] - 1e-9
    assert progress[1] >= progress[0] - 1e-9


@given(
    progress=st.floats(0.0, 100.0),
    more=st.floats(0.0, 50.0),
    reference=st.floats(0.0, 100.0),
    multiplier=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_more_metres_never_lower_ep_whatever_multiplies(progress, more, reference, multiplier):
    metres = np.array([progress, progress + more])
    factor = np.full(2, multiplier)
    for rule in (score_progress_v1, score_progress_v2):
        less, greater = rule(metres, factor, reference)
        assert 0.0 <= less <= greater + 1e-12
        assert greater <= 1.0
