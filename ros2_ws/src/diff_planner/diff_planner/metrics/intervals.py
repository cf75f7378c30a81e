"""Confidence intervals of means and rates: what another draw of scenes would plausibly have given.

They say nothing of scenes of another kind than those measured.  Seeded and deterministic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from diff_planner.errors import InputError
from diff_planner.geometry import Array

LEVEL = 0.95
RESAMPLES = 2000
_BLOCK = 2_000_000  # numbers drawn at once: bounds the memory of many scenes


@dataclass(frozen=True)
class Interval:
    """Bounds that hold the true value with the given confidence."""

    low: float
    high: float
    level: float = LEVEL

    @property
    def half_width(self) -> float:
        """Half the distance of the bounds."""
        return 0.5 * (self.high - self.low)


def mean_interval(
    values: Array, *, level: float = LEVEL, seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the bootstrap interval of the mean of values [S]; None for fewer than two.

    Percentiles of resampled means, taken further out for few values so that a symmetric
    distribution gets about Student's width (expanded percentiles: Hesterberg 2015, "What Teachers
    Should Know about the Bootstrap").  Unlike Student's it stays within the range of the values
    and follows their skewness, as scores of 0 to 1 need.  Measured coverage at 95 %, evenly spread
    values: 0.92 for 5 values, 0.93 for 8, 0.95 for 20 (plain percentiles: 0.84, 0.88, 0.93).

    Raises:
        InputError: values are not [S] finite numbers, or `level` is not between 0 and 1.
    """
    data = _checked(values, level)
    count = len(data)
    if count < 2:
        return None
    spread = math.sqrt(count / (count - 1)) * student_quantile(0.5 + 0.5 * level, count - 1)
    tail = NormalDist().cdf(-spread)
    rng = np.random.Generator(np.random.Philox(seed))
    per_block = max(1, _BLOCK // count)
    means = [
        data[rng.integers(0, count, size=(min(per_block, resamples - done), count))].mean(axis=1)
        for done in range(0, resamples, per_block)
    ]
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return Interval(float(low), float(high), level)


def rate_interval(successes: int, trials: int, *, level: float = LEVEL) -> Interval | None:
    """Return Wilson's score interval of a rate; None without trials.

    Unlike the textbook one it does not shrink to nothing at 0 of n or n of n.

    Raises:
        InputError: successes are negative or more than the trials, or `level` not in (0, 1).
    """
    _check_level(level)
    if not 0 <= successes <= trials:
        raise InputError(f"rate: expected 0 <= successes <= trials, got {successes} of {trials}")
    if trials == 0:
        return None
    z2 = NormalDist().inv_cdf(0.5 + 0.5 * level) ** 2
    rate = successes / trials
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    inner = rate * (1 - rate) / trials + z2 / (4 * trials * trials)
    half = math.sqrt(z2 * inner) / (1 + z2 / trials)
    # The bounds hold the rate itself; rounding could put them a last digit beside it.
    return Interval(min(max(middle - half, 0.0), rate), max(min(middle + half, 1.0), rate), level)


def student_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t for a probability of 0.5 or more.

    Bisection of the finite series of its distribution (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    Raises:
        InputError: `probability` is not in [0.5, 1) or `freedom` below 1.
    """
    if not 0.5 <= probability < 1.0 or freedom < 1:
        raise InputError(
            f"student: expected a probability in [0.5, 1) and 1 degree of freedom or more, got "
            f"{probability} and {freedom}"
        )
    if freedom > 1000:  # differs from the normal by less than 0.15 % of the width
        return NormalDist().inv_cdf(probability)
    share = 2.0 * probability - 1.0
    low, high = 0.0, math.pi / 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _student_share(middle, freedom) < share:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _student_share(angle: float, freedom: int) -> float:
    """Return P(|t| < sqrt(freedom) tan(angle))."""
    sin, cos2 = math.sin(angle), math.cos(angle) ** 2
    is_odd = freedom % 2 == 1
    if freedom == 1:
        return 2.0 * angle / math.pi
    term = math.cos(angle) if is_odd else 1.0
    total = term
    for k in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cos2 * (k - 1) / k
        total += term
    return 2.0 / math.pi * (angle + sin * total) if is_odd else sin * total


def _checked(values: Array, level: float) -> Array:
    _check_level(level)
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or not np.isfinite(data).all():
        raise InputError(f"interval: expected finite numbers [S], got shape {data.shape}")
    return data


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputError(f"level: expected between 0 and 1, got {level}")
