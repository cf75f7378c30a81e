"""DAC, drivable area compliance: is every corner of the ego on the road at every step?"""

from __future__ import annotations

import numpy as np

from diff_planner.metrics.areas import EgoAreas
from diff_planner.metrics.subscores import SubScores


def score_drivable_area(areas: EgoAreas, count: int) -> SubScores:
    """Return 1, or 0 where a corner leaves the drivable area, for each of `count` proposals."""
    if areas.is_off_road is None:
        return SubScores.missing(
            count, "the map has no road block, intersection, car park or drivable area"
        )
    return SubScores(np.where(areas.is_off_road.any(axis=1), 0.0, 1.0))
