"""LK, lane keeping: is the ego beside its centreline for two seconds on end?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.areas import EgoAreas
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.subscores import SubScores
from diff_planner.types import PLAN_POINTS

Array = NDArray[np.float64]

_BESIDE_M = 0.5
_STEPS = 20
"""2.0 s."""


def score_lane_keeping(ego: EgoTrack, scene: PreparedScene, areas: EgoAreas) -> SubScores:
    """Return 1, or 0 where the centre is off the centreline for too long, for each proposal.

    Steps in an intersection are skipped: they neither count nor start the count anew.
    """
    if scene.centerline is None:
        return SubScores.missing(len(ego), "the scene has no centreline")
    x, y = ego.centre.reshape(2, -1)
    beside = _is_farther(scene.centerline, x, y, _BESIDE_M).reshape(ego.speed.shape)
    counted = ~areas.is_centre_in_intersection
    run = np.zeros(len(ego), dtype=np.int64)
    longest = run
    for step in range(PLAN_POINTS):
        run = np.where(counted[:, step], np.where(beside[:, step], run + 1, 0), run)
        longest = np.maximum(longest, run)
    return SubScores(np.where(longest >= _STEPS, 0.0, 1.0))


def _is_farther(line: Array, x: Array, y: Array, distance_m: float) -> NDArray[np.bool_]:
    """Say which points [N] are farther than a distance from a polyline [P, 2].

    Only points in the bounds of a segment are measured: a whole route has many segments, and few of
    them are near.
    """
    result = np.ones(x.shape, dtype=np.bool_)
    start, step = line[:-1], np.diff(line, axis=0)
    squared = (step * step).sum(axis=1)
    step_by_square = step / np.where(squared > 0.0, squared, 1.0)[:, None]
    low = np.minimum(line[:-1], line[1:]) - distance_m
    high = np.maximum(line[:-1], line[1:]) + distance_m
    is_near = (low <= [x.max(), y.max()]).all(axis=1) & (high >= [x.min(), y.min()]).all(axis=1)
    for i in np.flatnonzero(is_near):
        near = np.flatnonzero(
            (x >= low[i, 0]) & (x <= high[i, 0]) & (y >= low[i, 1]) & (y <= high[i, 1])
        )
        dx, dy = x[near] - start[i, 0], y[near] - start[i, 1]
        share = np.clip(dx * step_by_square[i, 0] + dy * step_by_square[i, 1], 0.0, 1.0)
        dx, dy = dx - share * step[i, 0], dy - share * step[i, 1]
        result[near[dx * dx + dy * dy <= distance_m**2]] = False
    return result
