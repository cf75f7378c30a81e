"""The page of an evaluation as text: what it says of means, gaps and runs."""

import json
import re

import pytest

from diff_planner.errors import ResultsError
from diff_planner.report.evaluation_page import EvaluationPage
from diff_planner.report.scene_view import scene_view
from evaluation_runs import make_plan_view, make_road_scene, make_run


def render(runs, views=(), key="pdms"):
    return EvaluationPage(runs, key=key, title="Evaluation").render(list(views))


def data_of(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])


def test_the_mean_stands_in_the_headline_with_its_interval():
    html = render([make_run("idm", [1.0, 0.5, 0.25, 0.65])])
    assert re.search(r'class="n big">60\.0</td><td class="n">\d+\.\d to \d+\.\d</td>', html)


def test_a_mean_that_not_every_scene_has_is_shown_as_not_evaluated_with_the_reason():
    html = render([make_run("idm", [1.0, None])])
    assert 'class="n big"' not in html
    assert "not evaluated</span> no map" in html
    assert "1 of 2 scenes have it, their mean 100.0" in html
    assert "Not evaluated, and why" in html


def test_metrics_missing_in_the_same_scenes_for_the_same_reason_share_a_row():
    html = render([make_run("idm", [1.0, None], nc=[1.0, None], ep=[None, None])])
    gaps = html.split("Not evaluated, and why")[1].split("</section>")[0]
    assert gaps.count("<tr>") == 3  # its head, PDMS with NC, EP
    assert "PDMS, no at-fault collision" in gaps


def test_a_run_that_did_not_measure_the_headline_is_not_taken_for_zero():
    html = render([make_run("old", [0.5], key="epdms")])
    assert "not evaluated</span> this run did not measure it" in html
    assert 'class="n big">0' not in html


def test_runs_are_compared_with_the_first():
    html = render([make_run("a", [0.5, 0.7] * 3), make_run("b", [0.6, 0.8] * 3)])
    assert "minus a" in html
    assert "+10.0" in html
    assert "6 scenes; a clear difference" in html


def test_a_difference_of_a_few_scenes_is_never_called_clear():
    html = render([make_run("a", [0.5, 0.7]), make_run("b", [0.6, 0.8])])
    assert "2 scenes; could be chance" in html


def test_scene_names_with_markup_stay_text():
    run = make_run("<b>bold</b>", [0.5])
    html = render([run])
    assert "<b>bold" not in html
    assert "&lt;b&gt;bold" in html


def test_histograms_hold_every_value_of_every_run():
    data = data_of(
        render([make_run("a", [0.5, None], ade_m=[2.0, 3.0]), make_run("b", [1.0, 0.1])])
    )
    by_title = {histogram["title"]: histogram for histogram in data["histograms"]}
    assert by_title["PDMS"]["values"] == [[50.0], [100.0, 10.0]]
    assert by_title["ADE"]["values"] == [[2.0, 3.0], []]
    assert by_title["ADE"]["high"] == 3.0


def test_pictures_carry_the_scores_of_every_run():
    view = scene_view(make_road_scene("scene 0"), {"a": make_plan_view()})
    data = data_of(render([make_run("a", [0.5], nc=[None]), make_run("b", [0.25])], [view]))
    assert data["scores"]["scene 0"]["a"] == [
        {"short": "PDMS", "value": 50.0, "reason": ""},
        {"short": "NC", "value": None, "reason": "no map"},
    ]
    assert data["scores"]["scene 0"]["b"][0]["value"] == 25.0


def test_no_runs_make_no_page():
    with pytest.raises(ResultsError, match="at least one run"):
        render([])
