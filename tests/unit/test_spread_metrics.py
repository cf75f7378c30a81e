"""Displacement, diversity, divergence and PDMS@k: hand-computed cases and bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diff_planner.errors import InputError
from diff_planner.metrics.displacement import displacement
from diff_planner.metrics.diversity import divergence_m, diversity
from diff_planner.metrics.pdms_at_k import mean_of_best, score_at_k
from diff_planner.metrics.value import Value

TRAJECTORIES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(1, 8), st.just(3)),
    elements=st.floats(-100.0, 100.0),
)
SCORES = arrays.arrays(np.float64, st.integers(1, 20), elements=st.floats(0.0, 1.0))


def test_displacement_of_a_case_computed_by_hand():
    truth = np.zeros((2, 2))
    proposals = np.array([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 2.0], [0.0, 2.0]]])
    errors = displacement(proposals, truth)
    np.testing.assert_allclose(errors.ade_m, [3.0, 2.0])
    np.testing.assert_allclose(errors.fde_m, [1.0, 2.0])
    assert (errors.min_ade_m, errors.min_fde_m) == (2.0, 1.0)


@given(TRAJECTORIES)
def test_a_trajectory_against_itself_has_no_displacement(proposals):
    errors = displacement(proposals, proposals[0])
    assert errors.min_ade_m == 0.0
    assert errors.ade_m[0] == errors.fde_m[0] == 0.0


def test_displacement_refuses_another_number_of_steps():
    with pytest.raises(InputError, match=r"expected the driven trajectory \[8, >=2\]"):
        displacement(np.zeros((1, 8, 3)), np.zeros((7, 3)))


def test_displacement_refuses_nan():
    with pytest.raises(InputError, match="finite"):
        displacement(np.full((1, 8, 3), np.nan), np.zeros((8, 3)))


def test_diversity_of_a_case_computed_by_hand():
    # Step 1: at (3, 0) and (3, 4): apart 4, reach (3 + 5) / 2 = 4, ratio 1.
    # Step 2: at (10, 1) and (10, -1): apart 2, reach sqrt(101), ratio 2 / sqrt(101).
    proposals = np.array([[[3.0, 0.0], [10.0, 1.0]], [[3.0, 4.0], [10.0, -1.0]]])
    assert diversity(proposals).value == pytest.approx((1.0 + 2.0 / np.sqrt(101.0)) / 2.0)


def test_diversity_is_the_mean_over_pairs_without_the_diagonal():
    # Three on a line at 9, 10, 11: pairs 1, 1, 2; mean 4/3; reach 10.
    proposals = np.array([[[9.0, 0.0]], [[10.0, 0.0]], [[11.0, 0.0]]])
    assert diversity(proposals).value == pytest.approx(4.0 / 30.0)


def test_diversity_is_cut_at_one_per_step():
    assert diversity(np.array([[[-5.0, 0.0]], [[5.0, 0.0]]])).value == 1.0


def test_a_set_that_stands_still_has_no_diversity():
    assert diversity(np.zeros((20, 8, 3))).value == 0.0


@given(TRAJECTORIES, st.floats(-np.pi, np.pi))
def test_diversity_is_bounded_and_does_not_change_with_heading(proposals, angle):
    value = diversity(proposals).value
    assert 0.0 <= value <= 1.0
    cos, sin = np.cos(angle), np.sin(angle)
    turned = proposals[..., :2] @ np.array([[cos, sin], [-sin, cos]])
    assert diversity(turned).value == pytest.approx(value, abs=1e-6)


def test_divergence_of_a_case_computed_by_hand():
    ends = np.array([[[1.0, 1.0], [3.0, 0.0]], [[9.0, 9.0], [-3.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert divergence_m(ends).value == pytest.approx(2.0)


def test_one_proposal_has_neither_diversity_nor_divergence():
    assert diversity(np.zeros((1, 8, 3))) == Value.missing(
        "diversity needs at least 2 proposals, got 1"
    )
    assert not divergence_m(np.zeros((1, 8, 3))).is_evaluated


@given(TRAJECTORIES, st.floats(-50.0, 50.0))
def test_divergence_does_not_change_when_all_move_together(proposals, offset):
    moved = divergence_m(proposals + offset).value
    assert moved == pytest.approx(divergence_m(proposals).value, abs=1e-9)


def test_the_kth_best_and_the_mean_of_the_k_best_differ():
    scores = np.array([0.2, 1.0, 0.6])
    assert [score_at_k(scores, k).value for k in (1, 2, 3)] == [1.0, 0.6, 0.2]
    assert [mean_of_best(scores, k).value for k in (1, 2, 3)] == pytest.approx([1.0, 0.8, 0.6])


@given(SCORES)
def test_a_later_rank_is_never_better(scores):
    ranked = [score_at_k(scores, k).value for k in range(1, len(scores) + 1)]
    assert ranked == sorted(ranked, reverse=True)
    means = [mean_of_best(scores, k).value for k in range(1, len(scores) + 1)]
    assert all(mean >= at_k - 1e-12 for mean, at_k in zip(means, ranked, strict=True))


def test_a_rank_beyond_the_proposals_is_not_evaluated():
    assert score_at_k(np.ones(4), 5).reason == "rank 5 needs at least 5 proposals, got 4"
    assert mean_of_best(np.ones(4), 5).value is None


def test_a_rank_below_one_is_refused():
    with pytest.raises(InputError, match="1 or more, got 0"):
        score_at_k(np.ones(4), 0)


def test_a_value_must_be_finite_and_a_missing_one_needs_a_reason():
    with pytest.raises(InputError, match="finite"):
        Value.of(float("nan"))
    with pytest.raises(InputError, match="reason"):
        Value.missing("")
    assert not Value().is_evaluated
