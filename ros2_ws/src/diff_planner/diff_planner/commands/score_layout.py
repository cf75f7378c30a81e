"""The JSON that `diff-planner score` writes: that of the golden results, key for key.

A list of {name, results}; each result holds the sub-scores, `comfort_terms`, `progress_raw`
[reference, ego], the steps `coll_idx` and `ttc_idx` (null: no event), `areas` (steps per flag),
`sim_last`, and for some `proposal_41x3` and `sim_41x11`.  What was not evaluated is null and named
with its reason in `not_evaluated`, a key that golden results do not need and therefore lack.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.epdms import EpdmsResult
from diff_planner.metrics.pdms import PdmsResult
from diff_planner.metrics.subscores import SubScores

Result = PdmsResult | EpdmsResult
_DECIMALS = 9
"""Golden results round metres, radians and states to this."""
PARTS: dict[type, tuple[tuple[str, str, str], ...]] = {
    PdmsResult: (
        ("NC", "nc", "no_collision"),
        ("DAC", "dac", "drivable_area"),
        ("EP", "ep", "progress"),
        ("TTC", "ttc", "time_to_collision"),
        ("C", "comfort", "comfort"),
        ("DDC", "ddc", "driving_direction"),
        ("PDMS", "pdms", "total"),
    ),
    EpdmsResult: (
        ("NC", "nc", "no_collision"),
        ("DAC", "dac", "drivable_area"),
        ("DDC", "ddc", "driving_direction"),
        ("TLC", "tlc", "traffic_light"),
        ("EP", "ep", "progress"),
        ("TTC", "ttc", "time_to_collision"),
        ("LK", "lk", "lane_keeping"),
        ("HC", "hc", "history_comfort"),
        ("EPDMS_without_EC", "epdms_without_ec", "total_without_ec"),
    ),
}
"""(name in this layout, name in results.jsonl, field of the result) in the golden order."""


def parts_of(result: Result) -> dict[str, SubScores]:
    """Return the scores by their name in results.jsonl, the total first."""
    parts = {key: getattr(result, field) for _, key, field in PARTS[type(result)]}
    if isinstance(result, PdmsResult):
        return {"pdms": parts.pop("pdms"), **parts}
    del parts["epdms_without_ec"]
    totals = {"epdms": result.total, "epdms_filtered": result.human_filtered}
    return {**totals, **parts, "ec": result.extended_comfort}


def entry(result: Result, index: int, *, is_full: bool) -> dict[str, Any]:
    """Return the JSON of one proposal.

    Args:
        result: scores of K proposals.
        index: which of the K.
        is_full: with the tracked and the simulated trajectory.
    """
    detail = result.detail
    raw = [detail.reference_progress_m, float(detail.progress_m.values[index])]
    scores = {name: getattr(result, field) for name, _, field in PARTS[type(result)]}
    values: dict[str, Any] = {
        "comfort_terms": [bool(term) for term in detail.comfort_terms[index]],
        "sim_last": _rounded(detail.states[index, -1]),
        **{name: score.at(index).value for name, score in scores.items()},
        "progress_raw": _known(raw) if detail.progress_m.is_evaluated else None,
        "coll_idx": _step(detail.collision_step[index]),
        "ttc_idx": _step(detail.ttc_step[index]),
        "areas": {
            "multi_lane": _steps(detail.areas.is_multi_lane, index),
            "off_road": _steps(detail.areas.is_off_road, index),
            "oncoming": _steps(detail.areas.is_oncoming, index),
        },
    }
    missing = {name: score.reason for name, score in scores.items() if not score.is_evaluated}
    if missing:
        values["not_evaluated"] = missing
    if is_full:
        values["proposal_41x3"] = _rounded(detail.proposals[index])
        values["sim_41x11"] = _rounded(detail.states[index])
    return values


def _rounded(values: NDArray[np.float64]) -> list[Any]:
    rounded: list[Any] = np.round(values, _DECIMALS).tolist()
    return rounded


def _known(values: list[float]) -> list[float | None]:
    """Return rounded numbers; None for NaN, which JSON does not have: there is no reference."""
    return [round(value, _DECIMALS) if np.isfinite(value) else None for value in values]


def _step(step: np.int64) -> int | None:
    return int(step) if step >= 0 else None


def _steps(flags: NDArray[np.bool_] | None, index: int) -> list[int] | None:
    return None if flags is None else np.flatnonzero(flags[index]).tolist()
