"""DDC, driving direction compliance: how far does the ego go outside the lanes of its route?"""

from __future__ import annotations

import numpy as np

from diff_planner.metrics.areas import EgoAreas
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.subscores import SubScores

_WINDOW_STEPS = 10
"""1.0 s: the way of a step and of the ten before it is summed."""
_COMPLIANT_M = 2.0
_VIOLATION_M = 6.0


def score_driving_direction(
    ego: EgoTrack, areas: EgoAreas, is_intersection_free: bool
) -> SubScores:
    """Return 1, 0.5 or 0 by the longest way against the direction within a second.

    Args:
        ego: K simulated proposals.
        areas: where they are.
        is_intersection_free: EPDMS does not count steps in an intersection; PDMS does.
    """
    if areas.is_oncoming is None:
        return SubScores.missing(len(ego), "the map has no lane of the route")
    counted = areas.is_oncoming
    if is_intersection_free:
        counted = counted & ~areas.is_centre_in_intersection
    way = np.zeros(counted.shape)
    way[:, 1:] = np.hypot(*np.diff(ego.centre, axis=2))
    total = np.cumsum(np.where(counted, way, 0.0), axis=1)
    total[:, _WINDOW_STEPS + 1 :] -= total[:, : -_WINDOW_STEPS - 1].copy()
    longest = total.max(axis=1)
    return SubScores(
        np.where(longest < _COMPLIANT_M, 1.0, np.where(longest < _VIOLATION_M, 0.5, 0.0))
    )
