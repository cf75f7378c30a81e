"""Means, intervals and differences of evaluated runs."""

import numpy as np
import pytest

from diff_planner.errors import ResultsError
from diff_planner.report.evaluation_figures import (
    checked_runs,
    difference,
    figure,
    worst_scenes,
)
from diff_planner.report.metric_words import CATALOGUE, in_order, words_of
from evaluation_runs import make_run

PDMS = words_of("pdms")


def test_the_mean_is_that_of_the_scenes_scores_and_not_of_mean_sub_scores():
    # Per scene NC x EP: 1 x 0 and 0 x 1, mean 0; of mean sub-scores: 0.5 x 0.5.
    run = make_run("a", [0.0, 0.0], nc=[1.0, 0.0], ep=[0.0, 1.0])
    assert figure(run, PDMS).mean == 0.0
    assert figure(run, words_of("nc")).mean == 50.0


def test_a_scene_without_a_value_leaves_the_mean_unevaluated():
    found = figure(make_run("a", [1.0, None, 0.5]), PDMS)
    assert found.mean is None
    assert found.interval is None
    assert found.reason == "no map"
    assert (found.evaluated, found.scenes, found.partial) == (2, 3, 75.0)


def test_a_rate_of_all_ones_keeps_an_interval_and_a_score_does_not_leave_its_range():
    run = make_run("a", [0.2, 0.9, 1.0, 0.0], nc=[1.0, 1.0, 1.0, 1.0])
    rate = figure(run, words_of("nc")).interval
    assert rate.high == 100.0
    assert rate.low == pytest.approx(100 / (1 + 1.959964**2 / 4), abs=1e-3)
    score = figure(run, PDMS)
    assert 0.0 <= score.interval.low < score.mean < score.interval.high <= 100.0


def test_a_difference_is_taken_scene_by_scene():
    # The scenes differ by far more than the runs: unpaired, the gain would drown.
    easy_and_hard = np.linspace(0.0, 0.9, 20)
    ours = make_run("ours", list(easy_and_hard + 0.05))
    theirs = make_run("theirs", list(easy_and_hard))
    found = difference(ours, theirs, PDMS)
    assert found.mean == pytest.approx(5.0)
    assert found.scenes == 20
    assert found.is_clear


def test_a_difference_counts_only_scenes_that_both_evaluated():
    found = difference(make_run("a", [1.0, None, 0.5]), make_run("b", [0.5, 0.5, None]), PDMS)
    assert (found.mean, found.scenes, found.interval) == (50.0, 1, None)
    assert not found.is_clear
    assert difference(make_run("a", [None]), make_run("b", [0.5]), PDMS) is None


def test_the_worst_scenes_are_those_of_each_run_in_turn():
    first = make_run("a", [0.9, 0.1, 0.5, None])
    second = make_run("b", [0.0, 0.8, 0.7, None])
    assert worst_scenes([first, second], "pdms") == ["scene 1", "scene 0", "scene 2"]


def test_a_run_without_a_bad_scene_does_not_push_good_scenes_to_the_front():
    human = make_run("human", [1.0, 1.0, 1.0, 1.0])
    driver = make_run("driver", [1.0, 0.5, 1.0, 0.0])
    worst = worst_scenes([human, driver], "pdms")
    assert worst == ["scene 3", "scene 1", "scene 0", "scene 2"]


def test_runs_that_make_no_page_are_refused():
    with pytest.raises(ResultsError, match="at least one run"):
        checked_runs([])
    with pytest.raises(ResultsError, match="without a single scene: a"):
        checked_runs([make_run("a", [])])
    with pytest.raises(ResultsError, match="came twice: a"):
        checked_runs([make_run("a", [1.0]), make_run("a", [1.0])])


def test_a_run_says_why_a_metric_or_scene_is_not_there():
    run = make_run("a", [1.0])
    assert run.metric("scene 0", "epdms").reason == "this run did not measure it"
    assert run.metric("scene 7", "pdms").reason == "this run did not see the scene"


def test_every_metric_has_words_and_its_own_key():
    keys = [words.key for words in CATALOGUE]
    assert len(keys) == len(set(keys))
    assert all(len(words.words) > 10 for words in CATALOGUE)


def test_unknown_metrics_come_last_under_their_own_names():
    ordered = in_order({"zeta", "ep", "pdms"})
    assert [words.key for words in ordered] == ["pdms", "ep", "zeta"]
    assert ordered[2].title == "zeta"
