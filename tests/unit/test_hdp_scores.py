"""HDP's scores: hand-computed cases and the published rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.errors import InputError
from diff_planner.metrics.hdp_closed_loop import (
    SUCCESS_WEIGHTS,
    ScenarioKind,
    Trials,
    closed_loop_score,
    mean_of,
    stability_score,
    success_score,
)
from diff_planner.metrics.hdp_open_loop import comfort_cost, open_loop_score
from diff_planner.metrics.value import Value

NO_HIT = np.zeros(1, dtype=bool)


def line(speed_mps, steps=8, dt_s=0.5):
    """A straight drive [1, T, 2] at constant speed."""
    x = speed_mps * dt_s * np.arange(1, steps + 1)
    return np.stack([x, np.zeros(steps)], axis=-1)[None]


def all_trials(successes, episodes):
    return {kind: Trials(successes, episodes) for kind in ScenarioKind}


def test_the_human_itself_at_constant_speed_scores_100():
    score = open_loop_score(line(6.0), line(6.0)[0], NO_HIT, 0.5)
    assert (score.s_ade, score.s_fde, score.s_comfort, score.total) == (100.0, 100.0, 100.0, 100.0)


def test_open_loop_score_of_a_case_computed_by_hand():
    # Offset by 1 m sideways at each step: ADE = FDE = 1; S_ADE 75, S_FDE 87.5.
    # Sideways path 0, 1, 1, 1 at dt 1: acceleration 1 then 0 (steps of 1, 0, 0: |-1|, 0),
    # jerk |1|; cost = 1.0 * (1 + 0) / 2 + 0.5 * 1 = 1.0; S_C = 99.5.
    human = np.stack([np.array([1.0, 2.0, 3.0]), np.zeros(3)], axis=-1)
    rollout = human + np.array([0.0, 1.0])
    score = open_loop_score(rollout[None], human, NO_HIT, 1.0)
    assert score.comfort_cost == pytest.approx(1.0)
    assert score.s_ade == pytest.approx(75.0)
    assert score.s_fde == pytest.approx(87.5)
    assert score.s_comfort == pytest.approx(99.5)
    assert score.total == pytest.approx(0.35 * 75.0 + 0.25 * 87.5 + 0.40 * 99.5)


def test_half_of_the_rollouts_colliding_halves_the_score():
    rollouts = np.concatenate([line(6.0), line(6.0)])
    free = open_loop_score(rollouts, line(6.0)[0], np.array([False, False]), 0.5)
    half = open_loop_score(rollouts, line(6.0)[0], np.array([True, False]), 0.5)
    assert half.collision_rate == 0.5
    assert half.total == pytest.approx(0.5 * free.total)


def test_the_nearest_of_the_rollouts_counts():
    rollouts = np.concatenate([line(2.0), line(6.0)])
    score = open_loop_score(rollouts, line(6.0)[0], np.zeros(2, dtype=bool), 0.5)
    assert score.min_ade_m == 0.0
    assert score.min_fde_m == 0.0


@given(
    st.integers(1, 5),
    st.floats(0.1, 1.0),
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 100.0),
)
def test_every_part_of_the_open_loop_score_stays_between_0_and_100(count, dt_s, seed, size):
    rng = np.random.default_rng(seed)
    rollouts = size * rng.normal(size=(count, 8, 2))
    hits = rng.integers(0, 2, size=count).astype(bool)
    score = open_loop_score(rollouts, size * rng.normal(size=(8, 2)), hits, dt_s)
    for part in (score.s_ade, score.s_fde, score.s_comfort, score.total):
        assert 0.0 <= part <= 100.0 + 1e-9


def test_hits_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"expected bool \[1\]"):
        open_loop_score(line(6.0), line(6.0)[0], np.zeros(2, dtype=bool), 0.5)


def test_a_cost_of_two_steps_is_refused_since_there_is_no_jerk():
    with pytest.raises(InputError, match="T >= 3"):
        comfort_cost(line(6.0, steps=2), 0.5)


@pytest.mark.parametrize(
    ("success", "stability", "published"),
    [
        (15.67, 0.0, 7.83),
        (22.84, 0.0, 11.42),
        (34.72, 9.24, 21.98),
        (61.88, 53.88, 57.88),
        (70.59, 59.00, 64.79),
        (71.24, 79.53, 75.38),
        (72.89, 79.53, 76.20),
    ],
)
def test_overall_is_the_mean_of_success_and_stability_as_published(success, stability, published):
    # The published figures are rounded to two digits each, so one unit in the last remains.
    overall = mean_of(Value.of(success), Value.of(stability))
    assert overall.value == pytest.approx(published, abs=0.0101)


def test_the_weights_of_the_six_kinds_sum_to_one():
    assert set(SUCCESS_WEIGHTS) == set(ScenarioKind)
    assert sum(SUCCESS_WEIGHTS.values()) == pytest.approx(1.0)


def test_success_weighs_each_kind():
    trials = all_trials(0, 10) | {ScenarioKind.TURN: Trials(5, 10)}
    assert success_score(trials).value == pytest.approx(100 * 0.20 * 0.5)
    assert success_score(all_trials(7, 7)).value == pytest.approx(100.0)


def test_a_kind_without_episodes_leaves_success_and_overall_unevaluated():
    trials = all_trials(1, 1) | {ScenarioKind.TURN: Trials(0, 0)}
    score = closed_loop_score(trials, centering_events=0, speed_events=0, distance_km=10.0)
    assert not score.success.is_evaluated
    assert score.success.reason == "no episode of: turn"
    assert score.overall.reason == "no episode of: turn"
    assert score.stability.value == 100.0


def test_stability_of_cases_computed_by_hand():
    assert stability_score(5, 50.0).value == pytest.approx(75.0)  # 10 per 100 km
    assert stability_score(40, 100.0).value == 0.0
    assert stability_score(400, 100.0).value == 0.0
    assert stability_score(0, 0.0).reason == "no distance was driven"


def test_overall_of_a_case_computed_by_hand():
    score = closed_loop_score(
        all_trials(3, 5), centering_events=10, speed_events=30, distance_km=100.0
    )
    assert score.s_center.value == pytest.approx(75.0)
    assert score.s_speed.value == pytest.approx(25.0)
    assert score.stability.value == pytest.approx(50.0)
    assert score.overall.value == pytest.approx((60.0 + 50.0) / 2.0)


@given(st.integers(0, 1000), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_more_distance_for_the_same_events_never_lowers_stability(events, first_km, second_km):
    short, long = sorted((first_km, second_km))
    assert stability_score(events, short).value <= stability_score(events, long).value


def test_more_successes_than_episodes_are_refused():
    with pytest.raises(InputError, match="got 3 of 2"):
        Trials(3, 2)
