"""The table of a replay through the graph says what was measured, and what was not."""

import math

from diff_planner.report.node_table import NodeSummary, node_table


def make_summary(**changes):
    values = {
        "bag": "drive.mcap",
        "played_s": 11.2,
        "how": "at rate 1",
        "anchors": 108,
        "planned_anchors": 107,
        "plans": 110,
        "lost_plans": 2,
        "sources": {"DIFFUSION": 105, "HOLD_LAST": 5},
        "rate_hz": 9.68,
        "anchor_rate_hz": 9.67,
        "stage_ms": {"end_to_end": (50.0, 60.0, 70.5), "total": (18.0, 19.0, 20.0),
                     "decode": (2.0, 2.5, 3.0)},
        "player": "sent 757 messages in 11.1 s",
        "model": "nano on openvino f32, trained",
    }  # fmt: skip
    return NodeSummary(**{**values, **changes})


def lines_of(**changes):
    return node_table(make_summary(**changes)).splitlines()


def line_of(word, lines):
    (line,) = (line for line in lines if line.startswith(word))
    return line


def test_the_table_tells_what_was_planned_lost_and_from_which_source():
    lines = lines_of()
    assert "drive.mcap, 11.2 s, at rate 1" in line_of("bag", lines)
    assert "110 received, 2 lost on the way" in line_of("plans", lines)
    assert "108: 99.1 % got a plan" in line_of("anchor frames", lines)
    assert "9.68 Hz, anchor 9.67 Hz" in line_of("rate", lines)
    assert "105 of 110" in line_of("source DIFFUSION", lines)
    assert "5 of 110" in line_of("source HOLD_LAST", lines)
    assert not any("EMERGENCY" in line for line in lines)


def test_latencies_stand_in_columns_those_of_the_whole_cycle_last():
    lines = lines_of()
    names = [line.split()[0] for line in lines[lines.index("") + 2 :]]
    assert names == ["decode", "total", "end_to_end"]
    assert line_of("end_to_end", lines).split()[1:] == ["50.00", "60.00", "70.50"]


def test_what_nobody_measured_is_not_shown_as_a_number():
    lines = lines_of(anchors=0, planned_anchors=0, rate_hz=math.nan, stage_ms={}, model="")
    assert "not evaluated: no anchor was sent" in line_of("anchor frames", lines)
    assert "- Hz" in line_of("rate", lines)
    assert "the node said nothing of it" in line_of("model", lines)
    assert not any(line.startswith("latency") for line in lines)


def test_names_beyond_ascii_do_not_break_a_plain_terminal():
    assert all(line.isascii() for line in lines_of(bag="Straße.mcap"))
