import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from diff_planner.errors import ResultsError
from diff_planner.report import provenance
from diff_planner.report.results import (
    Check,
    CheckStatus,
    Mean,
    Metric,
    MetricStatus,
    ModelIdentity,
    ResultHeader,
    ResultLine,
    Results,
    read_results,
    write_results,
)


def make_header(**changes):
    values = {
        "command": "diff-planner replay drive.mcap",
        "config": {"model": {"seed": 3}},
        "commit": "abc",
        "model": ModelIdentity(name="nano", sha256="0f" * 32, is_trained=False),
        "seed": 3,
        "machine": "a machine",
    }
    return ResultHeader(**{**values, **changes})


def make_line(name="drive", **changes):
    values = {"kind": "replay", "name": name, "metrics": {"share": Metric.of(0.5)}}
    return ResultLine(**{**values, **changes})


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "results.jsonl"
    lines = [
        make_line("a", checks={"share": Check.of("at least 0.95", False, "0.5")}),
        make_line("b", metrics={"share": Metric.missing("the bag has no lanes", "m")}),
    ]
    write_results(path, make_header(), iter(lines))
    assert read_results(path) == Results(make_header(), tuple(lines))


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_results(tmp_path / name, make_header(), [make_line()])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_metric_survives_json_exactly(value):
    metric = Metric.of(value, "m")
    assert Metric.model_validate(json.loads(metric.model_dump_json())) == metric


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_refused(value):
    with pytest.raises(ResultsError, match="expected a finite value"):
        Metric.of(value)


def test_metrics_and_checks_begin_as_not_evaluated_with_a_reason():
    assert Metric().status is MetricStatus.NOT_EVALUATED
    assert Metric().reason
    assert Check(requirement="at least 0.95").status is CheckStatus.NOT_EVALUATED


def test_a_metric_cannot_be_evaluated_without_a_value_or_the_reverse():
    with pytest.raises(ValidationError, match="that is evaluated has value None"):
        Metric(status=MetricStatus.EVALUATED)
    with pytest.raises(ValidationError, match="that is not evaluated has value 1"):
        Metric(value=1.0)
    with pytest.raises(ValidationError, match="needs a reason"):
        Metric.missing("")


def test_a_check_that_was_not_made_never_counts_as_passed():
    passed, open_check = Check.of("x", True), Check(requirement="y")
    assert Results(make_header(), (make_line(checks={"x": passed}),)).is_passed
    assert not Results(make_header(), (make_line(checks={"x": passed, "y": open_check}),)).is_passed
    assert not Results(make_header(), (make_line(),)).is_passed


def test_a_mean_is_taken_only_when_every_line_has_the_metric():
    full = Results(make_header(), (make_line("a"), make_line("b", metrics={"share": Metric.of(1)})))
    assert full.mean("share") == Mean(pytest.approx(0.75), None, 2, 2, {})
    part = Results(make_header(), (make_line("a"), make_line("b", metrics={"other": Metric.of(1)})))
    assert part.mean("share") == Mean(None, 0.5, 1, 2, {Metric().reason: 1})


def test_what_no_line_has_has_no_mean_at_all():
    none = Mean.of([Metric.missing("no map"), Metric.missing("no map")])
    assert none == Mean(None, None, 0, 2, {"no map": 2})


def test_no_results_are_an_error_and_leave_no_file(tmp_path):
    with pytest.raises(ResultsError, match="expected at least one result, got none"):
        write_results(tmp_path / "r.jsonl", make_header(), [])
    assert not list(tmp_path.iterdir())


def test_a_failing_measurement_leaves_the_older_file_as_it_was(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("older")

    def lines():
        yield make_line()
        raise RuntimeError("the simulator broke")

    with pytest.raises(RuntimeError, match="simulator broke"):
        write_results(path, make_header(), lines())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_scene_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="replay 'drive' came twice"):
        write_results(tmp_path / "r.jsonl", make_header(), [make_line(), make_line()])


def test_a_newer_version_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "r.jsonl"
    write_results(path, make_header(), [make_line()])
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ResultsError, match=r"reads version 1 .* the file has 2; use the program"):
        read_results(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a header line, got an empty file"),
        ("[1, 2]\n", "expected schema diff_planner.results, got 'list'"),
        ('{"schema_name": "other"}\n', "got 'other'"),
        ("not json\n", "line 1: not JSON"),
    ],
)
def test_a_file_that_holds_no_results_is_refused(tmp_path, text, sentence):
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(ResultsError, match=sentence):
        read_results(path)


def test_a_broken_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "r.jsonl"
    write_results(path, make_header(), [make_line()])
    whole = path.read_text()
    path.write_text(whole + '{"kind": "dream", "name": "x", "metrics": {}}\n')
    with pytest.raises(ResultsError, match="line 3: kind"):
        read_results(path)
    path.write_text(whole.splitlines()[0] + "\n")
    with pytest.raises(ResultsError, match="at least one result after the header"):
        read_results(path)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(ResultsError, match="cannot be read"):
        read_results(tmp_path / "absent.jsonl")


def test_machine_and_commit_are_one_line_each():
    assert "cores" in provenance.machine()
    for text in (provenance.machine(), provenance.commit()):
        assert text
        assert "\n" not in text
