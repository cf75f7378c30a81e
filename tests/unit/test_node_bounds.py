"""How bench/node_speed.py judges a run."""

import dataclasses

import pytest

from node_speed import BAG_BOUNDS, RIG_BOUNDS, Figures


def make_figures(**changes):
    figures = Figures(
        name="made up",
        anchors=1000,
        before_nominal=3,
        planned=995,
        anchor_hz=10.0,
        plan_hz=10.1,
        input_to_output_ms=(20.0, 30.0, 59.0),
        end_to_end_ms=(30.0, 40.0, 70.0),
        compute_ms=(20.0, 30.0, 50.0),
        stages_ms={},
        sources={"DIFFUSION": 1.0},
        states={},
        reasons={},
        rss_mb=[300.0, 310.0, 310.5, 311.0, 311.5],
        node_cores=0.3,
        lacked_cores=0.0,
        thread_cores={},
        sender_cores=0.1,
    )
    return dataclasses.replace(figures, **changes)


def test_a_run_within_the_bounds_misses_none():
    assert make_figures().missed(BAG_BOUNDS) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"planned": 989}, "989 of 1000 anchor frames planned, expected at least 99 %"),
        ({"anchors": 0, "planned": 0}, "0 of 0 anchor frames planned"),
        ({"plan_hz": 9.6}, "the plans' rate differs from the anchor's by 0.04"),
        ({"plan_hz": 10.5}, "the plans' rate differs from the anchor's by 0.05"),
        ({"input_to_output_ms": (20.0, 30.0, 61.0)}, "p99 from last input to plan is 61 ms"),
        ({"input_to_output_ms": (20.0, 30.0, float("nan"))}, "p99 from last input to plan is nan"),
        ({"rss_mb": [300.0, 310.0, 311.5, 313.0, 314.5]}, "memory grows a loop by 1.5 MB"),
    ],
)
def test_a_bound_that_is_missed_is_told(changes, sentence):
    (missed,) = make_figures(**changes).missed(BAG_BOUNDS)
    assert missed.startswith(sentence)


def test_memory_of_the_first_two_loops_is_not_judged():
    figures = make_figures(rss_mb=[100.0, 300.0, 300.0, 300.0])
    assert figures.growth_mb == 0.0
    assert make_figures(rss_mb=[100.0, 300.0, 500.0]).missed(RIG_BOUNDS) == []
