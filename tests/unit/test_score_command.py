"""`diff-planner score`: files in, the goldens' layout out, and a sentence for what is wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from diff_planner.cli import main
from diff_planner.commands.score import HUMAN_RULE, ScoreRequest, run_score
from diff_planner.metrics.pdms import score_pdms
from diff_planner.report.results import CheckStatus, read_results
from diff_planner.scene.io import save_scenes
from diff_planner.scene.proposals_file import load_proposals, save_proposals
from diff_planner.scene.schema import Agent, AgentClass
from factories import make_scene

REAL_DATA = os.environ.get("DIFF_PLANNER_REAL_DATA")
STRAIGHT = np.column_stack([4.0 * np.arange(1, 9), np.zeros((8, 2))])
GOLDEN_KEYS_V1 = [
    *("comfort_terms", "sim_last", "NC", "DAC", "EP", "TTC", "C", "DDC", "PDMS"),
    *("progress_raw", "coll_idx", "ttc_idx", "areas"),
]
GOLDEN_KEYS_V2 = [
    *("comfort_terms", "sim_last", "NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC"),
    *("EPDMS_without_EC", "progress_raw", "coll_idx", "ttc_idx", "areas"),
]


def standing_car(x, name="parked"):
    states = np.tile([x, 0.0, 0.0, 0.0, 0.0], (51, 1))
    return Agent(name, AgentClass.VEHICLE, 4.0, 2.0, states, np.ones(51, dtype=np.bool_))


def drive_of(count, **changes):
    """Successive frames of one straight drive, 0.5 s apart."""
    return [make_scene(token=f"t{i}", time_s=0.5 * i, **changes) for i in range(count)]


def save(tmp_path, scenes):
    path = tmp_path / "scenes.json"
    save_scenes(path, scenes)
    return path


def golden_document(candidates, dump_full=(0,)):
    lane = [[-40, -2], [160, -2], [160, 2], [-40, 2]]
    past = [{"t": t, "x": 8 * t, "y": 0, "h": 0, "vx": 8, "ax": 0} for t in (-1.5, -0.5, 0)]
    return [
        {
            "name": "road",
            "ego": {"x": 0, "y": 0, "h": 0, "vx": 8.0, "ax": 0.0, "steer": 0.0},
            "map": [
                {"token": "l0", "type": "LANE", "polygon": lane},
                {"token": "r0", "type": "ROADBLOCK", "polygon": lane},
            ],
            "route_lane_ids": ["l0"],
            "centerline": [[-30, 0, 0], [150, 0, 0]],
            "agents": [],
            "past": past,
            "red_lights": [],
            "ref": STRAIGHT.tolist(),
            "cands": np.asarray(candidates).tolist(),
            "dump_full": list(dump_full),
        }
    ]


def score_golden(tmp_path, metric, candidates):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden_document(candidates)))
    out = tmp_path / "out.json"
    assert main(["score", str(path), "--metric", metric, "--out", str(out)]) == 0
    return json.loads(out.read_text())


def test_golden_scenes_give_the_golden_layout_key_for_key(tmp_path):
    (row,) = score_golden(tmp_path, "pdms", [STRAIGHT, 0.5 * STRAIGHT])
    assert list(row) == ["name", "results"]
    full, brief = row["results"]
    assert list(brief) == GOLDEN_KEYS_V1
    assert list(full) == [*GOLDEN_KEYS_V1, "proposal_41x3", "sim_41x11"]
    assert np.shape(full["sim_41x11"]) == (41, 11)
    assert np.shape(full["proposal_41x3"]) == (41, 3)
    assert full["sim_last"] == full["sim_41x11"][-1]
    assert (full["coll_idx"], full["ttc_idx"]) == (None, None)
    assert full["areas"] == {"multi_lane": [], "off_road": [], "oncoming": []}
    assert full["progress_raw"] == pytest.approx([32.0, 32.0], abs=1e-6)
    assert full["PDMS"] == pytest.approx(1.0)
    assert brief["EP"] == pytest.approx(brief["progress_raw"][1] / brief["progress_raw"][0])


def test_golden_scenes_of_v2_carry_ec_of_successive_candidates(tmp_path):
    (row,) = score_golden(tmp_path, "epdms", [STRAIGHT, STRAIGHT, 0.2 * STRAIGHT])
    assert list(row) == ["name", "results", "dropped_t0", "EC_pairs"]
    assert list(row["results"][1]) == GOLDEN_KEYS_V2
    assert row["EC_pairs"] == [
        {"cur": 0, "prev": 1, "EC": 1.0},
        {"cur": 1, "prev": 2, "EC": 0.0},
    ]


def test_given_proposals_are_scored_with_the_numbers_of_the_metric(tmp_path):
    scene = make_scene()
    plans = np.stack([STRAIGHT, 0.7 * STRAIGHT, 1.2 * STRAIGHT])
    save_proposals(tmp_path / "plans.npz", {"straight": plans})
    out = tmp_path / "scores.json"
    run = run_score(ScoreRequest(save(tmp_path, [scene]), out, proposals=tmp_path / "plans.npz"))
    wanted = score_pdms(scene, plans).total.values
    (row,) = json.loads(out.read_text())
    assert [result["PDMS"] for result in row["results"]] == pytest.approx(wanted, abs=1e-12)
    assert [result["driver"] for result in row["results"]] == ["proposals"] * 3
    line = read_results(run.files["proposals"]).lines[0]
    assert line.metrics["pdms"].value == pytest.approx(wanted[0])


def test_without_proposals_the_three_baselines_are_scored_and_tabled(tmp_path, capsys):
    out = tmp_path / "scores.json"
    scenes = save(tmp_path, drive_of(2))
    figures = tmp_path / "figures.json"
    assert main(["score", str(scenes), "--out", str(out), "--json", str(figures)]) == 0
    table = capsys.readouterr().out
    for driver in ("constant_velocity", "human", "idm"):
        assert driver in table
        lines = read_results(tmp_path / f"scores.{driver}.results.jsonl").lines
        assert [line.name for line in lines] == ["t0", "t1"]
    means = json.loads(figures.read_text())["means"]
    assert means["human"]["pdms"]["evaluated"] == 2
    assert means["human"]["nc"]["mean"] == 1.0


def test_a_mean_is_that_of_the_scenes_own_scores(tmp_path):
    blocked = make_scene(token="blocked", agents=(standing_car(20.0),))
    run = run_score(
        ScoreRequest(save(tmp_path, [make_scene(token="free"), blocked]), tmp_path / "s.json")
    )
    lines = read_results(run.files["constant_velocity"]).lines
    scores = [line.metrics["pdms"].value for line in lines]
    assert scores[0] > 0.5
    assert scores[1] == 0.0
    assert run.means["constant_velocity"]["pdms"]["mean"] == pytest.approx(np.mean(scores))


def test_a_mean_that_leaves_scenes_out_is_called_partial_and_counted(tmp_path):
    blind = make_scene(token="blind", map_polygons=(), route_lane_ids=frozenset())
    run = run_score(
        ScoreRequest(save(tmp_path, [make_scene(token="free"), blind]), tmp_path / "s.json")
    )
    found = run.means["constant_velocity"]["dac"]
    assert (found["mean"], found["partial_mean"]) == (None, 1.0)
    assert (found["evaluated"], found["scenes"]) == (1, 2)
    assert "1.0000 (1)" in run.table


def test_the_table_says_why_a_total_is_missing_once(tmp_path, capsys):
    score_golden(tmp_path, "epdms", [STRAIGHT])
    table = capsys.readouterr().out
    assert "EPDMS filtered not evaluated: the scene has no human trajectory" in table
    blind = make_scene(map_polygons=(), route_lane_ids=frozenset())
    run = run_score(ScoreRequest(save(tmp_path, [blind]), tmp_path / "s.json"))
    assert "DAC not evaluated: " in run.table
    assert "PDMS not evaluated: " not in run.table


def test_golden_scenes_of_one_name_are_refused_before_anything_is_scored(tmp_path, capsys):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden_document([STRAIGHT]) * 2))
    assert main(["score", str(path), "--out", str(tmp_path / "o.json")]) == 2
    assert "golden.json: scene 'road' came twice" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["golden.json"]


def test_a_proposal_beyond_all_roads_is_refused_and_does_not_overflow(tmp_path, capsys):
    path = tmp_path / "golden.json"
    path.write_text(json.dumps(golden_document([STRAIGHT, 1e300 * STRAIGHT])))
    assert main(["score", str(path), "--out", str(tmp_path / "o.json")]) == 2
    assert "farther than" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["golden.json"]


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_a_golden_scene_without_a_reference_has_no_progress_score_and_no_nan(tmp_path, metric):
    (document,) = golden_document([STRAIGHT])
    path, out = tmp_path / "golden.json", tmp_path / "o.json"
    path.write_text(json.dumps([document | {"ref": None}]))
    assert main(["score", str(path), "--metric", metric, "--out", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    (result,) = row["results"]
    assert result["EP"] is None
    assert result["progress_raw"] == [None, pytest.approx(32.0, abs=1e-6)]


@pytest.mark.parametrize("change", [{"vx": 1e300}, {"x": -1e300}])
def test_a_scene_with_absurd_numbers_is_refused_and_does_not_overflow(tmp_path, capsys, change):
    (document,) = golden_document([STRAIGHT])
    document["ego"] |= change
    path = tmp_path / "golden.json"
    path.write_text(json.dumps([document]))
    assert main(["score", str(path), "--out", str(tmp_path / "o.json")]) == 2
    assert "1e+300" in capsys.readouterr().err


def test_a_human_who_collides_is_explained_by_agent_and_time(tmp_path):
    scene = make_scene(agents=(standing_car(20.0, name="lorry 7"),))
    run = run_score(ScoreRequest(save(tmp_path, [scene]), tmp_path / "s.json"))
    (text,) = run.explanations
    assert "lorry 7" in text
    # Its rear at 18 m, our front at 4.05 m, 8 m/s.
    assert "at 1.8 s" in text
    assert "the recorded boxes overlap" in text
    check = read_results(run.files["human"]).lines[0].checks["human_nc"]
    assert check.status is CheckStatus.FAILED
    assert check.requirement == HUMAN_RULE


def test_what_a_scene_lacks_is_not_evaluated_with_its_reason_and_never_a_number(tmp_path, capsys):
    scene = make_scene(
        map_polygons=make_scene().map_polygons[:1],
        route_lane_ids=frozenset(),
        are_red_lights_known=False,
        red_lights=(),
        human=None,
        human_times_s=None,
    )
    out = tmp_path / "s.json"
    assert (
        main(["score", str(save(tmp_path, [scene])), "--metric", "epdms", "--out", str(out)]) == 0
    )
    (row,) = json.loads(out.read_text())
    by_driver = {result["driver"]: result for result in row["results"]}
    ours = by_driver["constant_velocity"]
    assert (ours["DAC"], ours["TLC"], ours["EPDMS_without_EC"]) == (None, None, None)
    assert "not known" in ours["not_evaluated"]["TLC"]
    assert "no logged future" in by_driver["human"]["not_evaluated"]["all"]
    table = capsys.readouterr().out
    assert "DAC not evaluated: " in table
    assert "TLC not evaluated: the scene's traffic lights are not known" in table


def test_a_scene_without_a_reference_gets_the_idm_drivers_and_says_so(tmp_path):
    scene = make_scene(reference=None, agents=())
    run_score(ScoreRequest(save(tmp_path, [scene]), tmp_path / "s.json"))
    (row,) = json.loads((tmp_path / "s.json").read_text())
    assert "IDM" in row["notes"]["reference"]
    idm = next(result for result in row["results"] if result["driver"] == "idm")
    assert idm["progress_raw"][0] == idm["progress_raw"][1]
    assert idm["EP"] == 1.0


def test_extended_comfort_needs_the_frame_half_a_second_before(tmp_path):
    scenes = drive_of(2, agents=())
    scenes.append(make_scene(token="later", time_s=3.0, agents=()))
    scenes.append(make_scene(token="other", time_s=3.5, log="another drive", agents=()))
    run = run_score(ScoreRequest(save(tmp_path, scenes), tmp_path / "s.json", metric="epdms"))
    values = [line.metrics["ec"].value for line in read_results(run.files["human"]).lines]
    assert values == [None, 1.0, None, None]


def test_the_order_of_scenes_in_the_file_changes_nothing_but_the_order_of_results(tmp_path):
    scenes = drive_of(3, agents=())
    files = []
    for name, order in (("forth", scenes), ("back", scenes[::-1])):
        save_scenes(tmp_path / f"{name}.json", order)
        request = ScoreRequest(tmp_path / f"{name}.json", tmp_path / f"{name}.out", metric="epdms")
        files.append(run_score(request).files)
    forth, back = (read_results(found["human"]).lines for found in files)
    assert [line.name for line in back] == ["t2", "t1", "t0"]
    assert back[::-1] == forth
    assert forth[1].metrics["ec"].value == 1.0
    rows = [json.loads(found["scores"].read_text()) for found in files]
    assert rows[1][::-1] == rows[0]


def test_an_out_that_is_a_folder_leaves_nothing_beside_it(tmp_path, capsys):
    scenes = save(tmp_path, [make_scene()])
    (tmp_path / "folder").mkdir()
    assert main(["score", str(scenes), "--out", str(tmp_path / "folder")]) == 2
    assert "expected a file" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "scenes.json"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"proposals": STRAIGHT[None, None], "tokens": np.array(["who"])}, "tokens 'who'"),
        ({"proposals": STRAIGHT[None], "tokens": np.array(["straight"])}, "[S, K, 8, 3]"),
        ({"proposals": STRAIGHT[None, None, :7], "tokens": np.array(["straight"])}, "(1, 1, 7, 3)"),
        (
            {"proposals": np.full((1, 1, 8, 3), np.nan), "tokens": np.array(["straight"])},
            "finite numbers, not so in proposal 0 of scene 0",
        ),
        ({"proposals": np.zeros((0, 1, 8, 3)), "tokens": np.array([], dtype=str)}, "at least one"),
        ({"proposals": np.zeros((1, 0, 8, 3)), "tokens": np.array(["straight"])}, "at least one"),
        ({"proposals": np.zeros((1, 1, 8, 3)), "tokens": np.array([3])}, "expected 1 names"),
        ({"proposals": np.zeros((1, 1, 8, 3), dtype=bool), "tokens": np.array(["a"])}, "numbers"),
        ({"proposals": np.zeros((2, 1, 8, 3)), "tokens": np.array(["straight"] * 2)}, "twice"),
        ({"poses": np.zeros(3)}, "expected arrays proposals and tokens"),
    ],
)
def test_proposals_that_cannot_be_used_end_in_a_sentence(tmp_path, capsys, arrays, message):
    np.savez(tmp_path / "plans.npz", **arrays)
    out = tmp_path / "scores.json"
    scenes, plans = save(tmp_path, [make_scene()]), tmp_path / "plans.npz"
    code = main(["score", str(scenes), "--proposals", str(plans), "--out", str(out)])
    text = capsys.readouterr().err
    assert code == 2
    assert message in text
    assert "Traceback" not in text
    assert not list(tmp_path.glob("scores*"))


def test_a_scene_without_proposals_is_an_error_and_not_left_out(tmp_path):
    save_proposals(tmp_path / "plans.npz", {"t0": STRAIGHT[None]})
    with pytest.raises(Exception, match="no proposals for the scenes 't1'"):
        load_proposals(tmp_path / "plans.npz", ["t0", "t1"])


@pytest.mark.parametrize("content", [None, b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_missing_or_broken_proposals_file_ends_in_a_sentence(tmp_path, capsys, content):
    plans = tmp_path / "plans.npz"
    if content is not None:
        plans.write_bytes(content)
    scenes, out = save(tmp_path, [make_scene()]), tmp_path / "o.json"
    code = main(["score", str(scenes), "--proposals", str(plans), "--out", str(out)])
    assert code == 2
    assert str(plans) in capsys.readouterr().err


def test_missing_scenes_and_an_output_over_the_input_are_refused(tmp_path, capsys):
    out = tmp_path / "o.json"
    assert main(["score", str(tmp_path / "none.json"), "--out", str(out)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    scenes = save(tmp_path, [make_scene()])
    before = scenes.read_bytes()
    assert main(["score", str(scenes), "--out", str(scenes)]) == 2
    assert scenes.read_bytes() == before


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.skipif(not REAL_DATA, reason="DIFF_PLANNER_REAL_DATA is not set")
def test_recorded_humans_drive_without_fault_and_each_exception_is_explained(tmp_path):
    run = run_score(ScoreRequest(Path(REAL_DATA) / "scenes", tmp_path / "s.json"))
    lines = read_results(run.files["human"]).lines
    judged = [line for line in lines if line.metrics["nc"].value is not None]
    assert len(judged) >= 165
    exceptions = [line for line in judged if line.metrics["nc"].value < 1.0]
    for line in exceptions:
        assert " s and " in line.checks["human_nc"].reason, line.name
        assert "touches" in line.checks["human_nc"].reason, line.name
    # Today there is none; a few may come with other recordings, not many.
    assert len(exceptions) <= 3, run.explanations
    unjudged = {line.name for line in lines} - {line.name for line in judged}
    assert len(run.explanations) == len(exceptions) + len(unjudged)
