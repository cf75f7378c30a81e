"""Means with confidence intervals of evaluated runs, and differences between runs, scene by scene.

Which means there are is `report.results.Mean`'s rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import numpy as np

from diff_planner.errors import ResultsError
from diff_planner.metrics.intervals import Interval, mean_interval, rate_interval
from diff_planner.report.metric_words import MetricWords
from diff_planner.report.results import Mean, Metric, ResultLine, Results

CLEAR_SCENES = 5
"""The fewest values for which the coverage of the intervals was measured (metrics.intervals)."""


@dataclass(frozen=True)
class Run:
    """The results of one policy, under the name that the page shows."""

    name: str
    results: Results

    @cached_property
    def _lines(self) -> dict[str, ResultLine]:
        return {line.name: line for line in self.results.lines}

    def metric(self, scene: str, key: str) -> Metric:
        """Return a metric of a scene; "not evaluated" where there is none."""
        line = self._lines.get(scene)
        if line is None:
            return Metric.missing("this run did not see the scene")
        return line.metrics.get(key, Metric.missing("this run did not measure it"))

    def measures(self, key: str) -> bool:
        """Tell whether any scene of the run says anything of a metric."""
        return any(key in line.metrics for line in self.results.lines)

    @property
    def scenes(self) -> tuple[str, ...]:
        """The names of its scenes, in the order of the file."""
        return tuple(self._lines)


@dataclass(frozen=True)
class Figure:
    """The mean of a metric over the scenes of a run, if every scene has it."""

    mean: float | None
    interval: Interval | None
    reason: str
    """Why there is no mean; empty where there is one."""
    evaluated: int
    scenes: int
    partial: float | None
    """Mean over the scenes that have it, where some have not; never shown without saying so."""


@dataclass(frozen=True)
class Difference:
    """A run minus another in the scenes that both evaluated."""

    mean: float
    interval: Interval | None
    scenes: int

    @property
    def is_clear(self) -> bool:
        """True when the interval does not hold 0 and is of enough scenes to be believed."""
        if self.interval is None or self.scenes < CLEAR_SCENES:
            return False
        return not self.interval.low <= 0.0 <= self.interval.high


def figure(run: Run, words: MetricWords, seed: int = 0) -> Figure:
    """Return the mean of a metric over a run's scenes, in the unit of the page."""
    found = [run.metric(name, words.key) for name in run.scenes]
    values = np.array([m.value for m in found if m.value is not None]) * words.scale
    mean = Mean.of(found)
    if mean.value is None:
        partial = None if mean.partial is None else mean.partial * words.scale
        return Figure(None, None, next(iter(mean.reasons), ""), len(values), len(found), partial)
    if words.is_rate and np.isin(values, (0.0, words.scale)).all():
        rate = rate_interval(int((values > 0.0).sum()), len(values))
        interval = rate and Interval(rate.low * words.scale, rate.high * words.scale, rate.level)
    else:
        interval = mean_interval(values, seed=seed)
    return Figure(mean.value * words.scale, interval, "", len(values), len(found), None)


def difference(run: Run, baseline: Run, words: MetricWords, seed: int = 0) -> Difference | None:
    """Return `run` minus `baseline`, paired by scene; None where they share no evaluated scene."""
    theirs = _values(baseline, words)
    ours = _values(run, words)
    gaps = np.array([value - theirs[name] for name, value in ours.items() if name in theirs])
    if not len(gaps):
        return None
    return Difference(float(gaps.mean()), mean_interval(gaps, seed=seed), len(gaps))


def worst_scenes(runs: list[Run], key: str) -> list[str]:
    """Return scenes: the worst of each run, then the second worst of each, and so on.

    Scenes in which no run falls below its own best come last; those without the metric never.
    """
    ranked, best = [], []
    for run in runs:
        found = sorted(_raw(run, key).items(), key=lambda item: (item[1], item[0]))
        highest = found[-1][1] if found else 0.0
        ranked.append([name for name, value in found if value < highest])
        best += [name for name, value in found if value == highest]
    in_turn = [name for names in zip_longest(*ranked) for name in names if name is not None]
    return list(dict.fromkeys([*in_turn, *best]))


def checked_runs(runs: list[Run]) -> list[Run]:
    """Return the runs if a page can be made of them.

    Raises:
        ResultsError: there are none, one has no scenes, or two have the same name.
    """
    if not runs:
        raise ResultsError("expected at least one run to show, got none")
    empty = [run.name for run in runs if not run.results.lines]
    if empty:
        raise ResultsError(f"runs without a single scene: {', '.join(empty)}")
    names = [run.name for run in runs]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ResultsError(f"expected each run once, these names came twice: {', '.join(doubled)}")
    return runs


def _raw(run: Run, key: str) -> dict[str, float]:
    found = {line.name: line.metrics.get(key, Metric()).value for line in run.results.lines}
    return {name: value for name, value in found.items() if value is not None}


def _values(run: Run, words: MetricWords) -> dict[str, float]:
    return {name: value * words.scale for name, value in _raw(run, words.key).items()}
