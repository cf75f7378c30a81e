"""EPDMS, the score of NAVSIM v2: NC x DAC x DDC x TLC x (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16.

Cao et al., Pseudo-Simulation, CoRL 2025; numbers as release 2.2 gives them for one stage with log
replay.  EC needs the plan before; where there is none its weight is left out (division by 14).

The human filter forgives what the human driver got wrong too: where the human's score is 0, the
proposal's becomes 1.  Published numbers have it on where the log has a human; both are given here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import InputError
from diff_planner.metrics.boxes import Boxes, separation
from diff_planner.metrics.comfort import (
    PreviousPlan,
    comfort_terms,
    score_extended_comfort,
    score_history_comfort,
)
from diff_planner.metrics.drivable_area import score_drivable_area
from diff_planner.metrics.driving_direction import score_driving_direction
from diff_planner.metrics.lane_keeping import score_lane_keeping
from diff_planner.metrics.no_collision import score_no_collision
from diff_planner.metrics.prepared import PreparedScene, prepared
from diff_planner.metrics.progress import score_progress_v2
from diff_planner.metrics.proposals import checked_proposals
from diff_planner.metrics.quirks import PUBLISHED, Quirks
from diff_planner.metrics.scoring import Drive, ScoreDetail, combined, drive, product
from diff_planner.metrics.subscores import SubScores, why_missing
from diff_planner.metrics.time_to_collision import LAST_STEP_V2, score_time_to_collision
from diff_planner.metrics.traffic_light import score_traffic_light
from diff_planner.scene.future import proposal_from_poses
from diff_planner.scene.schema import Scene

Array = NDArray[np.float64]
Parts = dict[str, SubScores]

MULTIPLIED = ("NC", "DAC", "DDC", "TLC")
WEIGHTS = {"EP": 5.0, "TTC": 5.0, "LK": 2.0, "HC": 2.0, "EC": 2.0}

_FIELDS = {
    "NC": "no_collision",
    "DAC": "drivable_area",
    "DDC": "driving_direction",
    "TLC": "traffic_light",
    "EP": "progress",
    "TTC": "time_to_collision",
    "LK": "lane_keeping",
    "HC": "history_comfort",
    "EC": "extended_comfort",
}
"""Short names, as tables have them, and the fields of the result."""


@dataclass(frozen=True)
class EpdmsResult:
    """EPDMS of K proposals with its parts; the parts are those before the human filter."""

    no_collision: SubScores
    drivable_area: SubScores
    driving_direction: SubScores
    traffic_light: SubScores
    progress: SubScores
    time_to_collision: SubScores
    lane_keeping: SubScores
    history_comfort: SubScores
    extended_comfort: SubScores
    total: SubScores
    """With EC where it was evaluated, without its weight otherwise."""
    total_without_ec: SubScores
    human_filtered: SubScores
    """`total` with the human filter on; not evaluated without a human."""
    human_zeros: tuple[str, ...]
    """Scores that the human filter sets to 1, by their short names."""
    dropped_agents: tuple[str, ...]
    """Ids of agents that overlap the ego at t = 0: log replay removes them."""
    detail: ScoreDetail


def score_epdms(
    scene: Scene | PreparedScene,
    proposals: Array,
    previous: PreviousPlan | None = None,
    quirks: Quirks = PUBLISHED,
) -> EpdmsResult:
    """Score proposals [K, 8, 3] (x, y, yaw each 0.5 s, ego frame) on a scene.

    It takes what PDMS takes (agents for 4 s) and 1.5 s of the ego's past with its motion; what is
    lacking leaves the scores that need it, and the totals, not evaluated.

    Args:
        scene: the moment.
        proposals: what to score.
        previous: simulated states of what was planned shortly before, for EC.
        quirks: which oddities of the published code are followed.

    Raises:
        InputError: the proposals or the previous states have another shape or are not finite.
    """
    _check_previous(previous, len(checked_proposals(proposals)))
    ready, dropped = _without_overlapping(prepared(scene))
    human, no_human = _human(ready.scene)
    driven = drive(ready, proposals, () if human is None else (human,), LAST_STEP_V2, quirks)
    collision = score_no_collision(driven.ego, ready.agents, driven.contacts, driven.areas)
    ttc = score_time_to_collision(driven.ego, ready, driven.contacts, driven.areas, LAST_STEP_V2)
    everyone: Parts = {
        "NC": collision.scores,
        "TTC": ttc.scores,
        **_map_scores(driven),
        "HC": score_history_comfort(driven.ego, ready.scene, quirks).scores,
    }
    parts = {name: part.rows(driven.own) for name, part in everyone.items()}
    parts["EP"] = _progress(driven, everyone)
    parts["EC"] = score_extended_comfort(driven.ego.rows(driven.own), previous)
    zeros = () if human is None else _human_zeros(driven, everyone)
    filtered = _total(_forgiven(parts, zeros))
    return EpdmsResult(
        **{field: parts[name] for name, field in _FIELDS.items()},
        total=_total(parts),
        total_without_ec=_total({**parts, "EC": SubScores.missing(driven.count, "left out")}),
        human_filtered=SubScores.missing(driven.count, no_human) if human is None else filtered,
        human_zeros=zeros,
        dropped_agents=dropped,
        detail=driven.detail(collision, ttc, comfort_terms(driven.ego, quirks)),
    )


def _map_scores(driven: Drive) -> Parts:
    """Return the scores that depend on the map alone."""
    ego, areas = driven.ego, driven.areas
    return {
        "DAC": score_drivable_area(areas, len(ego)),
        "DDC": score_driving_direction(ego, areas, is_intersection_free=True),
        "TLC": score_traffic_light(ego, driven.scene),
        "LK": score_lane_keeping(ego, driven.scene, areas),
    }


def _total(parts: Parts) -> SubScores:
    """Return EPDMS; where EC was not evaluated its weight is left out, as published."""
    weighted = [name for name in WEIGHTS if name != "EC" or parts["EC"].is_evaluated]
    return combined(
        {name: parts[name] for name in MULTIPLIED},
        {name: parts[name] for name in weighted},
        WEIGHTS,
    )


def _without_overlapping(ready: PreparedScene) -> tuple[PreparedScene, tuple[str, ...]]:
    """Return the scene without the agents whose box meets the ego's at t = 0, and their ids."""
    agents, vehicle = ready.agents, ready.scene.vehicle
    if not len(agents) or not agents.samples:
        return ready, ()
    centre = np.array(vehicle.rear_axle_to_center_m)
    half = np.array(0.5 * vehicle.length_m), np.array(0.5 * vehicle.width_m)
    ego = Boxes(centre, np.array(0.0), np.array(1.0), np.array(0.0), *half)
    now = replace(
        agents.boxes,
        **{name: getattr(agents.boxes, name)[:, :1] for name in ("x", "y", "cos", "sin")},
    )
    overlaps = (separation(ego, now)[:, 0] <= 0.0) & agents.is_there[:, 0]
    if not overlaps.any():
        return ready, ()
    dropped = tuple(
        agent.id for agent, is_out in zip(ready.scene.agents, overlaps, strict=True) if is_out
    )
    return replace(ready, agents=agents.where(~overlaps)), dropped


def _human(scene: Scene) -> tuple[Array | None, str]:
    """Return the human's proposal [8, 3], or None and why there is none."""
    if scene.human is None or scene.human_times_s is None:
        return None, "the scene has no human trajectory"
    try:
        return proposal_from_poses(scene.ego.pose, scene.human_times_s, scene.human), ""
    except InputError as error:
        return None, f"the human trajectory is too short: {error}"


def _check_previous(previous: PreviousPlan | None, count: int) -> None:
    if previous is None:
        return
    shape = previous.states.shape
    if shape not in ((count, 41, 11), (1, 41, 11)) or not np.isfinite(previous.states).all():
        raise InputError(
            f"previous states: expected finite numbers of shape ({count} or 1, 41, 11), got {shape}"
        )


def _progress(driven: Drive, everyone: Parts) -> SubScores:
    """Return EP [K]."""
    multiplied = {name: everyone[name] for name in MULTIPLIED}
    row, own = driven.reference_row, driven.own
    reason = driven.missing_progress() or why_missing(multiplied)
    if reason or row is None:
        return SubScores.missing(driven.count, reason)
    factor, metres = product(multiplied), driven.progress.values
    reference = float(metres[row] * factor[row])
    return SubScores(score_progress_v2(metres[own], factor[own], reference))


def _human_zeros(driven: Drive, everyone: Parts) -> tuple[str, ...]:
    """Return the scores that are 0 for the human, who was simulated last.

    As published the human is scored alone, so progress is measured against the human's own, and
    without a past, so HC is never 0.
    """
    found = {name: part.values[-1] for name, part in everyone.items() if name != "HC"}
    multiplied = {name: everyone[name] for name in MULTIPLIED}
    if not why_missing(multiplied) and driven.progress.is_evaluated:
        metres, factor = driven.progress.values[-1:], product(multiplied)[-1:]
        found["EP"] = score_progress_v2(metres, factor, 0.0)[0]
    return tuple(name for name, value in found.items() if value == 0.0)


def _forgiven(parts: Parts, zeros: tuple[str, ...]) -> Parts:
    """Return the parts with those that the human got wrong set to 1."""
    return {
        name: SubScores(np.ones_like(part.values)) if name in zeros else part
        for name, part in parts.items()
    }
