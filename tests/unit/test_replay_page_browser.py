"""The page in a real browser: nothing in the console, everything drawn, keys work."""

from functools import partial

import pytest

from browser_page import open_page
from diff_planner.config import PlannerConfig
from diff_planner.report.replay_page import ReplayPage
from diff_planner.types import Source
from replay_cycles import make_cycle, make_ego_path, make_summary, make_watchdog_cycle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def html():
    cycles = [make_cycle(i) for i in range(4)]
    cycles.append(make_cycle(4, source=Source.HOLD_LAST, cameras=("front",)))
    cycles.append(make_watchdog_cycle(5))
    page = ReplayPage(PlannerConfig(), title="synthetic", expected_cycles=6)
    for cycle in cycles:
        page.add(cycle)
    return page.render(ego_path=make_ego_path(6), summary=make_summary())


@pytest.fixture
def browse(tmp_path):
    return partial(open_page, tmp_path)


def test_the_page_draws_everything_without_a_console_message(browse, html):
    page = browse(html)
    assert page.console == []
    assert page.state["status"] == "ready", page.state
    assert page.state["frames"] == "6"
    assert page.state["pictures"] == "3"
    assert int(page.state["bev-colors"]) > 20
    assert int(page.state["plot-paths"]) >= 8
    assert "8 of 12 pass every safety rule" in page.dom


def test_the_page_opens_at_the_first_cycle_with_pictures(browse):
    page = ReplayPage(PlannerConfig(), title="late start", expected_cycles=3)
    for cycle in (make_watchdog_cycle(0), make_watchdog_cycle(1), make_cycle(2)):
        page.add(cycle)
    opened = browse(page.render(ego_path=make_ego_path(3), summary=make_summary()))
    assert opened.is_clean
    assert opened.state["pictures"] == "3"
    assert "cycle 2, 0.20 s (3 of 3)" in opened.dom


def test_a_cycle_without_inputs_is_shown_as_such(browse, html):
    page = browse(html, "#frame=5")
    assert page.is_clean
    assert page.state["pictures"] == "0"
    assert page.dom.count("no picture in this cycle") >= 3
    assert "none: the network was not asked or failed" in page.dom


def test_a_reason_with_markup_is_shown_as_text(browse, html):
    page = browse(html, "#frame=4")
    assert page.is_clean
    assert "&lt;/script&gt;&lt;b&gt;12 of 12" in page.dom


def test_arrow_keys_step_and_the_space_bar_plays(browse, html):
    script = """<script>
    const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
    const note = (name) => { document.body.dataset[name] = byId("position").textContent; };
    const begin = () => { press("ArrowRight"); press("ArrowRight"); note("stepped"); press(" "); };
    setTimeout(begin, 500);
    setTimeout(() => note("played"), 3500);
    </script></body>"""
    page = browse(html.replace("</body>", script))
    assert page.console == []
    assert page.state["stepped"].startswith("cycle 2,")
    assert page.state["played"].startswith("cycle 5,")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("connect();\nshowFrame", "connectEverything();\nshowFrame"),
        ("data:image/jpeg;base64,", "data:image/jpeg;base64,AAAA"),
        ("connect();\nshowFrame", "fetch('http://localhost:9/'); connect();\nshowFrame"),
    ],
    ids=["missing function", "broken picture", "network request"],
)
def test_the_check_fails_on_a_page_that_is_broken(browse, html, right, wrong):
    assert right in html
    page = browse(html.replace(right, wrong))
    assert not page.is_clean
    assert page.console or page.state["status"] == "failed"


@pytest.mark.realdata
def test_the_page_of_a_recorded_drive_is_clean_and_small(browse, real_data, tmp_path):
    from diff_planner.commands.replay import ReplayRequest, run_replay

    run = run_replay(
        ReplayRequest(
            bag=real_data / "bags" / "nuscenes_scene_0006",
            plans=tmp_path / "plans.mcap",
            page=tmp_path / "report.html",
        )
    )
    html = run.files["page"].read_text(encoding="utf-8")
    assert len(html) < 15e6
    page = browse(html, "#frame=20")
    assert page.console == []
    assert page.state["status"] == "ready", page.state
    assert page.state["frames"] == "40"
    assert int(page.state["pictures"]) >= 3
    assert int(page.state["bev-colors"]) > 200
