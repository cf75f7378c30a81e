"""The metrics of one policy on one scene, and what a page draws of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.commands.score_layout import Result, parts_of
from diff_planner.geometry import poses_seen_from
from diff_planner.metrics.comfort import COMFORT_TERMS, PreviousPlan
from diff_planner.metrics.displacement import displacement
from diff_planner.metrics.diversity import divergence_m, diversity
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.hdp_open_loop import open_loop_score
from diff_planner.metrics.pdms import PdmsResult, score_pdms
from diff_planner.metrics.pdms_at_k import PUBLISHED_K, mean_of_best, score_at_k
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.subscores import SubScores
from diff_planner.metrics.value import Value
from diff_planner.policies.baselines import logged_human
from diff_planner.report.results import Metric
from diff_planner.report.scene_view import PlanView
from diff_planner.types import NETWORK_DT_S, PLAN_DT_S

Array = NDArray[np.float64]
CHOSEN = 0
"""Of several proposals the first is the one that the policy would drive."""
_UNITS = {"divergence_m": "m", "ade_m": "m", "fde_m": "m", "min_ade_m": "m", "min_fde_m": "m"}


@dataclass(frozen=True)
class SceneScores:
    """One policy on one scene."""

    metrics: dict[str, Metric]
    plan: PlanView | None
    """None where the policy had no plan."""
    states: Array | None
    """[1, 41, 11] the simulated states of the chosen plan: what the next one is compared with."""


def scene_scores(
    ready: PreparedScene, proposals: Array, metric: str, previous: PreviousPlan | None = None
) -> SceneScores:
    """Score proposals [K, 8, 3] on a scene.

    Args:
        ready: the scene.
        proposals: ego frame; the first is the policy's choice.
        metric: "pdms" or "epdms".
        previous: the policy's plan of the moment before, if there was one; only EPDMS asks for it.

    Raises:
        InputError: the proposals have another shape or are not finite.
    """
    result: Result
    if metric == "pdms":
        result = score_pdms(ready, proposals)
    else:
        result = score_epdms(ready, proposals, previous)
    values = {key: scores.at(CHOSEN) for key, scores in parts_of(result).items()}
    values |= _of_the_set(proposals, result.total, metric)
    values |= _to_the_human(ready, proposals, result.no_collision)
    return SceneScores(
        {key: _metric(value, _UNITS.get(key, "")) for key, value in values.items()},
        _plan_view(ready, proposals, result),
        result.detail.states[CHOSEN : CHOSEN + 1],
    )


def without_plan(metric: str, reason: str) -> SceneScores:
    """Return the scores of a policy that has no plan for a scene: nothing is evaluated."""
    return SceneScores({metric: Metric.missing(f"no plan: {reason}")}, None, None)


def _of_the_set(proposals: Array, total: SubScores, metric: str) -> dict[str, Value]:
    """Return what several proposals are worth together; nothing for a single one."""
    if len(proposals) < 2:
        return {}
    values = {"diversity": diversity(proposals), "divergence_m": divergence_m(proposals)}
    for k in PUBLISHED_K:
        missing = Value.missing(total.reason) if total.reason else None
        values[f"{metric}_at_{k}"] = missing or score_at_k(total.values, k)
        if k > 1:
            values[f"{metric}_mean_of_best_{k}"] = missing or mean_of_best(total.values, k)
    return values


def _to_the_human(
    ready: PreparedScene, proposals: Array, no_collision: SubScores
) -> dict[str, Value]:
    human = logged_human(ready.scene)
    keys = ("ade_m", "fde_m", "min_ade_m", "min_fde_m", "hdp_open_loop")
    if isinstance(human, str):
        return dict.fromkeys(keys, Value.missing(human))
    errors = displacement(proposals, human)
    values = {
        "ade_m": Value.of(float(errors.ade_m[CHOSEN])),
        "fde_m": Value.of(float(errors.fde_m[CHOSEN])),
        "min_ade_m": Value.of(errors.min_ade_m),
        "min_fde_m": Value.of(errors.min_fde_m),
    }
    if no_collision.reason:
        values["hdp_open_loop"] = Value.missing(f"collisions: {no_collision.reason}")
        return values
    score = open_loop_score(proposals, human, no_collision.values < 1.0, NETWORK_DT_S)
    values["hdp_open_loop"] = Value.of(score.total)
    return values


def _plan_view(ready: PreparedScene, proposals: Array, result: Result) -> PlanView:
    states = result.detail.states[CHOSEN]
    return PlanView(
        proposals=np.asarray(proposals, dtype=np.float64),
        scores=result.total.values if result.total.is_evaluated else None,
        chosen=CHOSEN,
        driven=poses_seen_from(ready.scene.ego.pose, states[:, :3]),
        findings=tuple(_findings(result)),
    )


def _findings(result: Result) -> list[str]:
    """Say in sentences what the chosen plan lost points for, and when."""
    detail = result.detail
    found = []
    if detail.collision_step[CHOSEN] >= 0:
        found.append(f"Collides by its own fault at {_time(detail.collision_step[CHOSEN])}.")
    off_road = detail.areas.is_off_road
    if off_road is not None and off_road[CHOSEN].any():
        found.append(f"Leaves the drivable area at {_time(np.argmax(off_road[CHOSEN]))}.")
    if detail.ttc_step[CHOSEN] >= 0:
        found.append(f"Less than a second from a collision at {_time(detail.ttc_step[CHOSEN])}.")
    comfort = result.comfort if isinstance(result, PdmsResult) else result.history_comfort
    if comfort.is_evaluated and comfort.values[CHOSEN] < 1.0:
        terms = [
            name.replace("_", " ")
            for name, holds in zip(COMFORT_TERMS, detail.comfort_terms[CHOSEN], strict=True)
            if not holds
        ]
        found.append(f"Uncomfortable: {', '.join(terms)}.")
    if detail.progress_m.is_evaluated:
        reference = detail.reference_progress_m
        known = f", the reference makes {reference:.1f} m" if np.isfinite(reference) else ""
        found.append(f"Progress {detail.progress_m.values[CHOSEN]:.1f} m{known}.")
    return found


def _time(step: np.integer | int) -> str:
    return f"{int(step) * PLAN_DT_S:.1f} s"


def _metric(value: Value, unit: str) -> Metric:
    if value.value is None:
        return Metric.missing(value.reason, unit)
    return Metric.of(value.value, unit)
