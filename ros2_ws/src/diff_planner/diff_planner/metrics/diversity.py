"""How far K proposals lie apart: DiffusionDriveV2's diversity and HDP's divergence.

Diversity says how much a set of proposals spreads, not whether the spread is of any use: read it
beside PDMS@k.
"""

from __future__ import annotations

import numpy as np

from diff_planner.errors import InputError
from diff_planner.geometry import Array
from diff_planner.metrics.value import Value

_EPSILON_M = 1e-6  # of the published definition: keeps a standing set from dividing by zero


def diversity(trajectories: Array) -> Value:
    """Return the diversity of trajectories [K, T, >=2] in ego frame: 0 all alike, 1 at most.

    Per step: the mean distance between two different trajectories over the mean distance from the
    ego, cut at 1; then the mean over the steps (planner_facts 1.6).  The mean is over the
    K (K - 1) / 2 pairs; a mean over all K^2 entries of the distance table, whose diagonal is zero,
    would be smaller by (K - 1) / K.

    Raises:
        InputError: the shape is another one, or a number is not finite.
    """
    points = _checked(trajectories)
    count = len(points)
    if count < 2:
        return Value.missing(f"diversity needs at least 2 proposals, got {count}")
    first, second = np.triu_indices(count, k=1)
    gap = points[first] - points[second]  # [pairs, T, 2]
    apart_m = np.hypot(gap[..., 0], gap[..., 1]).mean(axis=0)  # [T]
    reach_m = np.hypot(points[..., 0], points[..., 1]).mean(axis=0)  # [T]
    return Value.of(float(np.minimum(apart_m / (reach_m + _EPSILON_M), 1.0).mean()))


def divergence_m(trajectories: Array) -> Value:
    """Return the mean distance, m, of the end points of [N, T, >=2] to their mean.

    HDP's divergence over N rollouts of a scene (planner_facts 4.6).

    Raises:
        InputError: the shape is another one, or a number is not finite.
    """
    ends = _checked(trajectories)[:, -1]  # [N, 2]
    if len(ends) < 2:
        return Value.missing(f"divergence needs at least 2 rollouts, got {len(ends)}")
    gap = ends - ends.mean(axis=0)
    return Value.of(float(np.hypot(gap[:, 0], gap[:, 1]).mean()))


def _checked(trajectories: Array) -> Array:
    points = np.asarray(trajectories, dtype=np.float64)
    if points.ndim != 3 or points.shape[2] < 2 or points.shape[0] < 1 or points.shape[1] < 1:
        raise InputError(f"diversity: expected trajectories [K, T, >=2], got {points.shape}")
    if not np.isfinite(points[..., :2]).all():
        raise InputError("diversity: expected finite positions, got NaN or infinity")
    return points[..., :2]
