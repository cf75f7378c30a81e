"""Our scores against what the official scorers returned, candidate by candidate."""

import json
from pathlib import Path

import numpy as np
import pytest

from diff_planner.geometry import wrap_angle
from diff_planner.metrics.comfort import PreviousPlan
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.scene.load import load_golden

FOLDER = Path(__file__).parent / "pdm"
TOLERANCE = 1e-6
Q3 = ("lead_braking", 2)
"""Its TTC is decided by rounding in the official scorer."""
V1 = {
    "NC": "no_collision",
    "DAC": "drivable_area",
    "DDC": "driving_direction",
    "TTC": "time_to_collision",
    "C": "comfort",
    "EP": "progress",
    "PDMS": "total",
}
V2 = {
    "NC": "no_collision",
    "DAC": "drivable_area",
    "DDC": "driving_direction",
    "TLC": "traffic_light",
    "TTC": "time_to_collision",
    "LK": "lane_keeping",
    "HC": "history_comfort",
    "EP": "progress",
    "EPDMS_without_EC": "total_without_ec",
}
CONTINUOUS = {"EP", "PDMS", "EPDMS_without_EC"}
FLAGS = {"multi_lane": "is_multi_lane", "off_road": "is_off_road", "oncoming": "is_oncoming"}


def cases(version):
    """One parameter for each scene: what was scored, and what the official scorer said."""
    found = []
    for name in ("basic", "rich"):
        golden = json.loads((FOLDER / name / f"golden_{version}.json").read_text())
        inputs = load_golden(FOLDER / name / "scenes.json")
        for case, expected in zip(inputs, golden, strict=True):
            assert case.scene.token == expected["name"]
            found.append(pytest.param(case, expected, id=f"{name}-{case.scene.token}"))
    return found


def check_scores(result, expected, fields, scene):
    for short, field in fields.items():
        scores = getattr(result, field)
        assert scores.is_evaluated, (short, scores.reason)
        want = np.array([row[short] for row in expected])
        wrong = np.abs(scores.values - want) > (TOLERANCE if short in CONTINUOUS else 0.0)
        if short == "TTC" and scene == Q3[0]:
            wrong[Q3[1]] = False
        assert not wrong.any(), (short, np.flatnonzero(wrong), scores.values[wrong], want[wrong])


def check_detail(detail, expected, scene):
    for k, row in enumerate(expected):
        progress = [detail.reference_progress_m, detail.progress_m.values[k]]
        np.testing.assert_allclose(progress, row["progress_raw"], rtol=0, atol=TOLERANCE)
        assert detail.collision_step[k] == step(row["coll_idx"]), k
        if (scene, k) != Q3:
            assert detail.ttc_step[k] == step(row["ttc_idx"]), k
        for short, field in FLAGS.items():
            flags = np.flatnonzero(getattr(detail.areas, field)[k]).tolist()
            assert flags == row["areas"][short], (short, k)
        assert detail.comfort_terms[k].tolist() == row["comfort_terms"], k


def check_states(detail, expected):
    for k, row in enumerate(expected):
        check_poses(detail.states[k, -1], row["sim_last"])
        if "sim_41x11" in row:
            check_poses(detail.states[k], row["sim_41x11"])
            check_poses(detail.proposals[k], row["proposal_41x3"])


def check_poses(got, want):
    difference = got - np.asarray(want)
    difference[..., 2] = wrap_angle(difference[..., 2])
    assert np.abs(difference).max() <= TOLERANCE


def step(index):
    return -1 if index is None else index


@pytest.mark.parametrize(("case", "expected"), cases("v1"))
def test_pdms_is_what_the_official_scorer_returns(case, expected):
    result = score_pdms(case.scene, case.candidates)
    check_states(result.detail, expected["results"])
    check_detail(result.detail, expected["results"], case.scene.token)
    check_scores(result, expected["results"], V1, case.scene.token)


@pytest.mark.parametrize(("case", "expected"), cases("v2"))
def test_epdms_is_what_the_official_scorer_returns(case, expected):
    result = score_epdms(case.scene, case.candidates)
    check_states(result.detail, expected["results"])
    check_detail(result.detail, expected["results"], case.scene.token)
    check_scores(result, expected["results"], V2, case.scene.token)
    assert sorted(result.dropped_agents) == sorted(expected.get("dropped_t0", []))


@pytest.mark.parametrize(("case", "expected"), cases("v2"))
def test_extended_comfort_is_what_the_official_scorer_returns(case, expected):
    pairs = expected["EC_pairs"]
    states = score_epdms(case.scene, case.candidates).detail.states
    before = PreviousPlan(states[[pair["prev"] for pair in pairs]])
    now = case.candidates[[pair["cur"] for pair in pairs]]
    result = score_epdms(case.scene, now, before)
    assert result.extended_comfort.values.tolist() == [pair["EC"] for pair in pairs]
    # EC brings its own weight of 2 to the 14 of the others.
    multiplied = np.prod(
        [getattr(result, V2[name]).values for name in ("NC", "DAC", "DDC", "TLC")], axis=0
    )
    with_ec = (
        14 * result.total_without_ec.values + 2 * multiplied * result.extended_comfort.values
    ) / 16
    np.testing.assert_allclose(result.total.values, with_ec, rtol=0, atol=1e-12)


def test_the_goldens_show_every_value_of_every_sub_score():
    seen = {name: set() for name in {**V1, **V2} if name not in CONTINUOUS}
    for version in ("v1", "v2"):
        for parameter in cases(version):
            for row in parameter.values[1]["results"]:
                for name in seen.keys() & row.keys():
                    seen[name].add(row[name])
    three = {0.0, 0.5, 1.0}
    assert all(seen[name] == (three if name in ("NC", "DDC") else {0.0, 1.0}) for name in seen)
