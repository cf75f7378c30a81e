"""The page of an evaluation in a real browser: nothing in the console, everything drawn."""

from functools import partial

import pytest

from browser_page import open_page
from diff_planner.report.evaluation_page import EvaluationPage
from diff_planner.report.scene_view import scene_view
from evaluation_runs import make_plan_view, make_road_scene, make_run

pytestmark = pytest.mark.browser


@pytest.fixture
def browse(tmp_path):
    return partial(open_page, tmp_path)


@pytest.fixture(scope="module")
def html():
    runs = [
        make_run("first", [0.5, 0.0, 1.0], nc=[1.0, 0.0, 1.0], ade_m=[0.4, 3.0, 0.2]),
        make_run("second", [0.7, None, 0.9], nc=[1.0, None, 1.0]),
    ]
    views = [
        scene_view(
            make_road_scene(f"scene {i}"),
            {
                "first": make_plan_view(5, findings=("</script><b>hits</b> the lead",)),
                "second": make_plan_view(1, scores=None),
            },
        )
        for i in range(2)
    ]
    return EvaluationPage(runs, key="pdms", title="Evaluation").render(views)


def test_the_page_draws_everything_without_a_console_message(browse, html):
    page = browse(html)
    assert page.console == []
    assert page.state["status"] == "ready", page.state
    assert page.state["views"] == "4"
    assert int(page.state["scene-colors"]) > 20
    assert page.state["histograms"] == "3"
    assert int(page.state["bars"]) >= 8
    assert "&lt;/script&gt;&lt;b&gt;hits" in page.dom
    assert "0.0 s after the moment of the plan" in page.dom


def test_the_address_opens_a_later_moment(browse, html):
    page = browse(html, "#t=2.5")
    assert page.is_clean
    assert "2.5 s after the moment of the plan" in page.dom


def test_arrow_keys_step_through_time_and_the_space_bar_plays(browse, html):
    script = """<script>
    const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
    const note = (name) => { document.body.dataset[name] = byId("position").textContent; };
    const begin = () => { press("ArrowRight"); press("ArrowRight"); note("stepped"); press(" "); };
    setTimeout(begin, 200);
    setTimeout(() => note("played"), 4900);
    </script></body>"""
    page = browse(html.replace("</body>", script))
    assert page.console == []
    assert page.state["stepped"].startswith("0.2 s")
    assert page.state["played"].startswith("4.0 s")


def test_a_page_without_pictures_says_so_and_is_complete(browse):
    page = browse(EvaluationPage([make_run("old", [0.5])], key="pdms", title="Old").render([]))
    assert page.is_clean
    assert page.state["views"] == "0"
    assert "no scene was scored in this call" in page.dom


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("connectPlayer();\n  const asked", "connectEverything();\n  const asked"),
        ("drawHistograms();\n", "fetch('http://localhost:9/'); drawHistograms();\n"),
        ('id="histograms"', 'id="nothing"'),
    ],
    ids=["missing function", "network request", "missing place"],
)
def test_the_check_fails_on_a_page_that_is_broken(browse, html, right, wrong):
    assert right in html
    page = browse(html.replace(right, wrong))
    assert not page.is_clean
    assert page.console or page.state["status"] == "failed"
