"""Confidence intervals: known quantiles, known intervals, coverage, determinism."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.errors import InputError
from diff_planner.metrics.intervals import mean_interval, rate_interval, student_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "tabulated"),
    [
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 3, 3.182),
        (0.975, 7, 2.365),
        (0.975, 10, 2.228),
        (0.995, 5, 4.032),
        (0.95, 30, 1.697),
        (0.975, 120, 1.980),
        (0.975, 5000, 1.960),
    ],
)
def test_student_quantiles_are_those_of_the_tables(probability, freedom, tabulated):
    assert student_quantile(probability, freedom) == pytest.approx(tabulated, abs=6e-4)


def test_the_median_of_student_is_zero():
    assert student_quantile(0.5, 4) == pytest.approx(0.0, abs=1e-12)


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30))
def test_a_mean_interval_holds_the_mean_and_stays_within_the_values(values):
    data = np.array(values)
    interval = mean_interval(data, resamples=200)
    assert data.min() - 1e-12 <= interval.low <= data.mean() + 1e-12
    assert data.mean() - 1e-12 <= interval.high <= data.max() + 1e-12


def test_equal_values_have_an_interval_of_no_width():
    interval = mean_interval(np.full(9, 0.25))
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_one_value_has_no_interval():
    assert mean_interval(np.array([0.5])) is None
    assert mean_interval(np.array([])) is None


def test_the_same_seed_gives_the_same_interval():
    data = np.random.default_rng(3).uniform(size=40)
    assert mean_interval(data, seed=5) == mean_interval(data, seed=5)
    assert mean_interval(data, seed=5) != mean_interval(data, seed=6)


def test_many_values_in_blocks_get_the_width_of_the_normal_interval():
    data = np.random.default_rng(0).uniform(size=4000)
    interval = mean_interval(data)
    assert interval.half_width == pytest.approx(1.96 * data.std() / math.sqrt(4000), rel=0.06)


@pytest.mark.parametrize("count", [5, 8, 20])
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(count):
    rng = np.random.default_rng(count)
    trials = 400
    hits = 0
    for trial in range(trials):
        interval = mean_interval(rng.uniform(size=count), seed=trial, resamples=500)
        hits += interval.low <= 0.5 <= interval.high
    assert hits / trials >= 0.90  # plain percentiles: 0.84 at 5 values


def test_wilson_intervals_of_cases_computed_by_hand():
    # z = 1.959964: 8 of 10 gives (0.4902, 0.9433); 0 of 10 an upper bound z2 / (10 + z2) = 0.2775.
    interval = rate_interval(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    none = rate_interval(0, 10)
    assert none.low == 0.0
    assert none.high == pytest.approx(0.27753, abs=1e-5)
    assert rate_interval(0, 0) is None


@given(st.integers(1, 2000), st.data())
def test_a_rate_interval_holds_the_rate_and_stays_between_0_and_1(trials, data):
    successes = data.draw(st.integers(0, trials))
    interval = rate_interval(successes, trials)
    assert 0.0 <= interval.low <= successes / trials <= interval.high <= 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval(np.array([1.0, np.nan])), "finite"),
        (lambda: mean_interval(np.ones(3), level=1.0), "between 0 and 1"),
        (lambda: rate_interval(3, 2), "got 3 of 2"),
        (lambda: student_quantile(0.2, 3), "0.5, 1"),
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
