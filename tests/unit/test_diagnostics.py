"""The status as diagnostics: a level and words for each of the four entries."""

from dataclasses import replace

import pytest

from diff_planner.data.encode_status import Counters, ModelLabel, StatusReport
from diff_planner.data.typestore import make_message
from diff_planner.ros import diagnostics
from diff_planner.ros.diagnostics import ERROR, LEVEL_OF_STATE, OK, WARN, diagnostics_message
from diff_planner.types import FaultBit, InputHealth, PlannerState, Source
from factories import STAMP_NS
from plan_factories import through_cdr

HEALTHY = (
    InputHealth("lidar", "/p", True, 0.0, 0.06, received=9, rate_hz=9.9, expected_rate_hz=10.0),
    InputHealth("left", "/l", True, 0.012, 0.06, received=8, dropped=1),
)
NOMINAL = StatusReport(STAMP_NS, PlannerState.NOMINAL, Source.DIFFUSION, plan_id=7, health=HEALTHY)
TRAINED = ModelLabel("base", "ab12", "", "openvino", "f32")


def entries_of(report=NOMINAL, *, model=TRAINED, counters=None, timing=None, mismatches=None):
    message = diagnostics_message(
        make_message,
        STAMP_NS,
        report,
        model,
        counters or Counters(cycles=5),
        {"inference": 7.0, "total": 12.3} if timing is None else timing,
        mismatches or {},
    )
    read = through_cdr(message)
    assert read.header.stamp.sec * 10**9 + read.header.stamp.nanosec == STAMP_NS
    return {entry.name: entry for entry in read.status}


def entry_of(task, *arguments, **options):
    return entries_of(*arguments, **options)[f"diff_planner: {task}"]


def values_of(entry):
    return {pair.key: pair.value for pair in entry.values}


def test_a_healthy_planner_is_ok_in_all_four_entries():
    entries = entries_of()
    assert list(entries) == [
        "diff_planner: planner",
        "diff_planner: inputs",
        "diff_planner: model",
        "diff_planner: timing",
    ]
    assert {entry.level for entry in entries.values()} == {OK}


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (PlannerState.NOMINAL, OK),
        (PlannerState.DEGRADED, WARN),
        (PlannerState.WAITING_INPUT, WARN),
        (PlannerState.BUILDING_ENGINE, WARN),
        (PlannerState.WARMING_UP, WARN),
        (PlannerState.FALLBACK, ERROR),
        (PlannerState.ESTOP, ERROR),
        (PlannerState.FAULT, ERROR),
    ],
)
def test_the_planners_level_is_that_of_its_state(state, level):
    entry = entry_of("planner", replace(NOMINAL, state=state, reason="because"))
    assert entry.level == level
    assert entry.message == f"{state.name}: because"


def test_every_state_has_a_level():
    assert LEVEL_OF_STATE.keys() == set(PlannerState)


def test_the_planner_names_its_source_and_its_faults():
    report = replace(
        NOMINAL,
        state=PlannerState.FALLBACK,
        source=Source.HOLD_LAST,
        faults=FaultBit.INPUT_STALE | FaultBit.DEADLINE,
    )
    values = values_of(entry_of("planner", report, counters=Counters(cycles=5, fallbacks=2)))
    assert values["source"] == "HOLD_LAST"
    assert values["faults"] == "INPUT_STALE, DEADLINE"
    assert (values["plans"], values["plans by fallback"]) == ("5", "2")


def test_each_input_has_a_key_with_its_state_age_rate_and_counts():
    entry = entry_of("inputs")
    values = values_of(entry)
    assert entry.message == "2 inputs are well"
    assert values["lidar"].startswith("ok; 0.000 s")
    assert "9.9 of 10.0 Hz" in values["lidar"]
    assert values["left"] == "ok; 0.012 s before the plan's stamp; 8 received, 1 dropped on /l"


def test_an_input_with_a_fault_is_a_warning_with_its_sentence():
    lost = InputHealth(
        "left", "/l", False, float("nan"), 0.06, FaultBit.INPUT_STALE, "left: 0.4 s old", 8
    )
    entry = entry_of("inputs", replace(NOMINAL, health=(HEALTHY[0], lost)))
    assert (entry.level, entry.message) == (WARN, "left: 0.4 s old")
    assert values_of(entry)["left"].startswith("stale; 8 received")


def test_an_optional_input_that_never_came_is_no_warning():
    absent = InputHealth("route", "/r", False, float("nan"), 1.0)
    entry = entry_of("inputs", replace(NOMINAL, health=(*HEALTHY, absent)))
    assert entry.level == OK
    assert values_of(entry)["route"].startswith("never")


def test_a_topic_whose_qos_does_not_fit_is_an_error_by_name():
    entry = entry_of("inputs", mismatches={"/p": "the publisher is best effort"})
    assert (entry.level, entry.message) == (ERROR, "/p: the publisher is best effort")
    assert values_of(entry)["QoS of /p"] == "the publisher is best effort"


@pytest.mark.parametrize(
    ("model", "faults", "level", "words"),
    [
        (TRAINED, FaultBit.NONE, OK, "base on openvino"),
        (ModelLabel(), FaultBit.NONE, WARN, "no model is loaded"),
        (replace(TRAINED, model_note="untrained"), FaultBit.NONE, WARN, "base: untrained"),
        (TRAINED, FaultBit.MODEL, ERROR, "it raised"),
        (TRAINED, FaultBit.NONFINITE_OUT, ERROR, "it raised"),
    ],
)
def test_the_model_says_what_runs_or_what_is_wrong_with_it(model, faults, level, words):
    entry = entry_of("model", replace(NOMINAL, faults=faults, reason="it raised"), model=model)
    assert (entry.level, entry.message) == (level, words)
    assert values_of(entry)["backend"] == model.backend


def test_timing_has_every_stage_the_counts_and_the_memory_of_the_process():
    counters = Counters(cycles=5, dropped_frames=2, deadline_misses=1, drop_ratio=0.004)
    entry = entry_of("timing", counters=counters)
    values = values_of(entry)
    assert (entry.level, entry.message) == (OK, "12 ms for a cycle")
    assert (values["inference ms"], values["late cycles"]) == ("7.0", "1")
    assert values["anchor frames without a cycle"] == "2"
    assert 1 < float(values["resident memory MB"]) < 1e5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"report": replace(NOMINAL, faults=FaultBit.DEADLINE)}, "took longer than its period"),
        ({"counters": Counters(drop_ratio=0.05)}, "5% of the anchor frames get no cycle"),
    ],
)
def test_a_late_planner_is_a_warning(changes, words):
    entry = entry_of("timing", **changes)
    assert entry.level == WARN
    assert words in entry.message


def test_before_the_first_cycle_there_is_no_timing():
    entry = entry_of("timing", timing={})
    assert (entry.level, entry.message) == (OK, "no cycle yet")


def test_memory_that_the_system_does_not_tell_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(diagnostics, "_STATM", tmp_path / "statm")
    assert "resident memory MB" not in values_of(entry_of("timing"))
