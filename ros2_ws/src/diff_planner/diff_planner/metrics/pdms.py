"""PDMS, the score of NAVSIM v1: NC x DAC x (5 EP + 5 TTC + 2 C) / 12.

Dauner et al., NAVSIM, NeurIPS 2024, equation 1; numbers as release 1.1 gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.comfort import score_comfort
from diff_planner.metrics.drivable_area import score_drivable_area
from diff_planner.metrics.driving_direction import score_driving_direction
from diff_planner.metrics.no_collision import score_no_collision
from diff_planner.metrics.prepared import PreparedScene, prepared
from diff_planner.metrics.progress import score_progress_v1
from diff_planner.metrics.quirks import PUBLISHED, Quirks
from diff_planner.metrics.scoring import Drive, ScoreDetail, combined, drive, product
from diff_planner.metrics.subscores import SubScores, why_missing
from diff_planner.metrics.time_to_collision import LAST_STEP_V1, score_time_to_collision
from diff_planner.scene.schema import Scene

Array = NDArray[np.float64]

WEIGHTS = {"EP": 5.0, "TTC": 5.0, "C": 2.0}
"""DDC has weight 0: it is reported, and may be missing without leaving the total out."""


@dataclass(frozen=True)
class PdmsResult:
    """PDMS of K proposals with its parts."""

    no_collision: SubScores
    drivable_area: SubScores
    driving_direction: SubScores
    """Reported only."""
    progress: SubScores
    time_to_collision: SubScores
    comfort: SubScores
    total: SubScores
    detail: ScoreDetail


def score_pdms(
    scene: Scene | PreparedScene, proposals: Array, quirks: Quirks = PUBLISHED
) -> PdmsResult:
    """Score proposals [K, 8, 3] (x, y, yaw each 0.5 s, ego frame) on a scene.

    It takes a reference, a centreline, lanes, a drivable area and agents known for 4.9 s; what is
    lacking leaves the scores that need it, and the total, not evaluated.

    Raises:
        InputError: the proposals have another shape or are not finite.
    """
    driven = drive(prepared(scene), proposals, (), LAST_STEP_V1, quirks)
    ego, areas, own = driven.ego, driven.areas, driven.own
    collision = score_no_collision(ego, driven.scene.agents, driven.contacts, areas)
    ttc = score_time_to_collision(ego, driven.scene, driven.contacts, areas, LAST_STEP_V1)
    comfort = score_comfort(ego)
    multiplied = {"NC": collision.scores, "DAC": score_drivable_area(areas, len(ego))}
    weighted = {
        "EP": _progress(driven, multiplied),
        "TTC": ttc.scores.rows(own),
        "C": comfort.scores.rows(own),
    }
    multiplied = {name: part.rows(own) for name, part in multiplied.items()}
    return PdmsResult(
        no_collision=multiplied["NC"],
        drivable_area=multiplied["DAC"],
        driving_direction=score_driving_direction(ego, areas, is_intersection_free=False).rows(own),
        progress=weighted["EP"],
        time_to_collision=weighted["TTC"],
        comfort=weighted["C"],
        total=combined(multiplied, weighted, WEIGHTS),
        detail=driven.detail(collision, ttc, comfort.terms),
    )


def _progress(driven: Drive, multiplied: dict[str, SubScores]) -> SubScores:
    """Return EP [K]; it is masked by what multiplies, so it needs that too."""
    row, own = driven.reference_row, driven.own
    reason = driven.missing_progress() or why_missing(multiplied)
    if reason or row is None:
        return SubScores.missing(driven.count, reason)
    factor, metres = product(multiplied), driven.progress.values
    reference = float(metres[row] * factor[row])
    return SubScores(score_progress_v1(metres[own], factor[own], reference))
