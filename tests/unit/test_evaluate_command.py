"""`diff-planner evaluate`: policies to scores, results and a page."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from diff_planner import cli
from diff_planner.commands.evaluate import EvaluateRequest, evaluate
from diff_planner.errors import ConfigError, DiffPlannerError, ResultsError
from diff_planner.metrics.pdms import score_pdms
from diff_planner.report.results import read_results
from diff_planner.scene.io import save_scenes
from diff_planner.scene.proposals_file import save_proposals
from diff_planner.scene.schema import MapPolygon, PolygonType
from evaluation_runs import make_agent, make_proposals, make_road_scene


def road(token, lead_at_m, **changes):
    """A scene with a drivable road and a car that stands ahead."""
    scene = make_road_scene(token)
    area = MapPolygon(
        PolygonType.ROADBLOCK, "road", np.array([[-20.0, -4], [100, -4], [100, 8], [-20, 8]])
    )
    agents = (make_agent("lead", lead_at_m, 0.0),)
    return replace(
        scene,
        agents=agents,
        map_polygons=(*scene.map_polygons, area),
        red_lights=(),
        **changes,
    )


SCENES = (
    road("free", 90.0),
    road("blocked", 14.0),
    road("no human", 80.0, human=None, human_times_s=None),
)


@pytest.fixture
def request_for(tmp_path):
    save_scenes(tmp_path / "scenes.json", SCENES)

    def request_for(*policies, **changes):
        values = {"metric": "pdms", "out": tmp_path / "out", "command": "test"} | changes
        return EvaluateRequest(scenes=tmp_path / "scenes.json", policies=policies, **values)

    return request_for


def values_of(path, key):
    return {line.name: line.metrics[key].value for line in read_results(path).lines}


def test_each_scene_gets_the_score_of_its_plan_and_the_mean_is_theirs(request_for):
    found = evaluate(request_for("constant_velocity"))
    scores = values_of(found.files["constant_velocity"], "pdms")
    straight = np.stack([3.0 * np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=-1)
    expected = {s.token: score_pdms(s, straight[None]).total.values[0] for s in SCENES}
    assert scores == expected
    assert scores["blocked"] == 0.0 < scores["free"]
    mean = found.to_dict()["runs"]["constant_velocity"]["pdms"]["mean_on_page"]
    assert mean == pytest.approx(100 * math.fsum(scores.values()) / 3)


def test_a_policy_without_a_plan_is_not_evaluated_and_has_no_mean(request_for):
    found = evaluate(request_for("human"))
    line = read_results(found.files["human"]).lines[2]
    assert line.metrics["pdms"].value is None
    assert line.metrics["pdms"].reason.startswith("no plan: ")
    assert line.metrics["nc"].reason == line.metrics["pdms"].reason
    assert found.to_dict()["runs"]["human"]["pdms"]["mean_on_page"] is None
    assert "not evaluated: 2 of 3 scenes have it" in found.table()


def test_proposals_of_a_file_are_scored_as_a_set_and_the_first_is_the_choice(request_for, tmp_path):
    proposals = {scene.token: make_proposals(5) for scene in SCENES}
    save_proposals(tmp_path / "fan.npz", proposals)
    found = evaluate(request_for(str(tmp_path / "fan.npz")))
    for scene in SCENES:
        totals = score_pdms(scene, make_proposals(5)).total.values
        at = {
            key: values_of(found.files["fan"], key)[scene.token]
            for key in ("pdms", "pdms_at_1", "pdms_at_5", "pdms_mean_of_best_5")
        }
        assert at["pdms"] == totals[0]
        assert at["pdms_at_1"] == totals.max()
        assert at["pdms_at_5"] == totals.min()
        assert at["pdms_mean_of_best_5"] == pytest.approx(totals.mean())
    ten = read_results(found.files["fan"]).lines[0].metrics["pdms_at_10"]
    assert ten.reason == "rank 10 needs at least 10 proposals, got 5"


def test_the_human_against_itself_has_no_displacement_and_hdp_counts_its_collision(request_for):
    found = evaluate(request_for("human"))
    assert values_of(found.files["human"], "ade_m")["free"] == pytest.approx(0.0, abs=1e-9)
    line = read_results(found.files["human"]).lines
    assert line[0].metrics["hdp_open_loop"].value == pytest.approx(100.0)
    assert line[1].metrics["hdp_open_loop"].value == 0.0  # its plan runs into the car


def test_the_page_draws_the_worst_scenes_first(request_for):
    found = evaluate(request_for("constant_velocity", "idm", pictures=1))
    html = found.files["page"].read_text(encoding="utf-8")
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    assert [view["name"] for view in data["views"]] == ["blocked"]
    assert set(data["views"][0]["plans"]) == {"constant_velocity", "idm"}
    findings = data["views"][0]["plans"]["constant_velocity"]["findings"]
    assert findings[0].startswith("Collides by its own fault at ")


def test_earlier_results_stand_beside_new_ones(request_for, tmp_path):
    first = evaluate(request_for("constant_velocity", out=tmp_path / "old"))
    old = f"before={first.files['constant_velocity']}"
    found = evaluate(request_for("idm", compare=(old,)))
    assert [run.name for run in found.runs] == ["idm", "before"]
    assert "minus idm" in found.files["page"].read_text(encoding="utf-8")


def test_a_policy_without_any_plan_says_so_for_every_metric(request_for, tmp_path):
    scenes = [replace(scene, human=None, human_times_s=None) for scene in SCENES]
    save_scenes(tmp_path / "nobody.json", scenes)
    request = replace(request_for("idm", "human"), scenes=tmp_path / "nobody.json")
    found = evaluate(request)
    assert set(found.to_dict()["runs"]["human"]) == set(found.to_dict()["runs"]["idm"])
    line = read_results(found.files["human"]).lines[0]
    assert line.metrics["ep"].reason.startswith("no plan: ")
    (row,) = [row for row in found.table().splitlines() if "no plan" in row]
    assert row.startswith("human: 3 scenes, not evaluated: no plan: ")


def test_an_earlier_run_is_not_written_over_and_a_file_is_no_folder(request_for, tmp_path):
    first = evaluate(request_for("idm")).files["idm"]
    before = first.read_bytes()
    with pytest.raises(ConfigError, match="would be written over"):
        evaluate(request_for("idm", metric="epdms", compare=(f"old={first}",)))
    assert first.read_bytes() == before
    with pytest.raises(ConfigError, match="expected a folder"):
        evaluate(request_for("idm", out=first))


def test_scenes_without_a_log_are_no_frames_of_one(tmp_path):
    save_scenes(tmp_path / "s.json", [road(f"s{i}", 90.0, log="", time_s=0.5 * i) for i in (0, 1)])
    request = EvaluateRequest(tmp_path / "s.json", ("constant_velocity",), "epdms", tmp_path)
    found = evaluate(request).files["constant_velocity"]
    assert values_of(found, "ec") == {"s0": None, "s1": None}


def test_the_same_call_writes_the_same_bytes(request_for, tmp_path):
    files = [evaluate(request_for("idm", out=tmp_path / name)).files for name in ("one", "two")]
    for what in ("idm", "page"):
        assert files[0][what].read_bytes() == files[1][what].read_bytes()


def test_extended_comfort_compares_with_the_plan_of_the_moment_before(tmp_path):
    calm = [road(f"calm {i}", 90.0, log="calm", time_s=0.5 * i) for i in range(2)]
    save_scenes(tmp_path / "log.json", [*calm, road("later", 90.0, log="calm", time_s=3.0)])
    request = EvaluateRequest(tmp_path / "log.json", ("constant_velocity",), "epdms", tmp_path)
    lines = read_results(evaluate(request).files["constant_velocity"]).lines
    reasons = [line.metrics["ec"].reason for line in lines]
    assert lines[1].metrics["ec"].value == 1.0
    assert reasons[0] == reasons[2] == "there is no previous plan"


@pytest.mark.parametrize(
    ("policies", "changes", "error", "message"),
    [
        ((), {}, ConfigError, "at least one --policy"),
        (("magic",), {}, ConfigError, "constant_velocity, human, idm or a file"),
        (("idm", "idm"), {}, ResultsError, "a different name for each run, got idm, idm"),
        (("missing.npz",), {}, DiffPlannerError, "missing.npz"),
        (("idm",), {"compare": ("x=missing.jsonl",)}, ResultsError, "missing.jsonl"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(request_for, policies, changes, error, message):
    with pytest.raises(error, match=message):
        evaluate(request_for(*policies, **changes))


def test_a_folder_without_scenes_is_an_error_and_writes_nothing(tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    code = cli.main(["evaluate", str(empty), "--policy", "idm", "--out", str(out)])
    assert code == 2
    assert "expected .json or .npz files with scenes" in capsys.readouterr().err
    assert not out.exists()


def test_the_command_prints_the_figures_and_writes_json(request_for, tmp_path, capsys):
    request = request_for("idm")
    code = cli.main(
        f"evaluate {request.scenes} --policy idm --metric epdms --out {tmp_path / 'out'} "
        f"--json {tmp_path / 'figures.json'}".split()
    )
    assert code == 0
    assert "EPDMS" in capsys.readouterr().out
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["runs"]["idm"]["nc"]["scenes"] == 3


@pytest.mark.realdata
def test_recorded_scenes_say_what_they_cannot_tell(real_data, tmp_path):
    request = EvaluateRequest(real_data / "scenes", ("human",), "pdms", tmp_path)
    found = evaluate(request)
    figures = found.to_dict()["runs"]["human"]
    assert figures["dac"]["mean_on_page"] is None
    assert figures["pdms"]["mean_on_page"] is None
    assert figures["ade_m"]["mean_on_page"] == pytest.approx(0.0, abs=1e-9)
    assert found.files["page"].stat().st_size < 5e6
