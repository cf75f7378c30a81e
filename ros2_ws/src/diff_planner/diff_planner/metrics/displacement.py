"""Distance of proposed trajectories to the driven one: ADE, FDE and their minima over K.

A small distance is no proof of good driving and a large one no proof of bad driving: there are
several good ways through a scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diff_planner.errors import InputError
from diff_planner.geometry import Array


@dataclass(frozen=True)
class Displacement:
    """Errors of K trajectories against one."""

    ade_m: Array
    """[K] mean distance over the T steps."""
    fde_m: Array
    """[K] distance at the last step."""

    @property
    def min_ade_m(self) -> float:
        """ADE of the trajectory with the smallest ADE."""
        return float(self.ade_m.min())

    @property
    def min_fde_m(self) -> float:
        """FDE of the one with the smallest FDE; it may be another one than that of minADE."""
        return float(self.fde_m.min())


def displacement(trajectories: Array, truth: Array) -> Displacement:
    """Measure trajectories [K, T, >=2] against the driven one [T, >=2] at the same times.

    Both in one frame, m; only x and y count.

    Raises:
        InputError: shapes do not fit, K or T is 0, or a number is not finite.
    """
    points = np.asarray(trajectories, dtype=np.float64)
    driven = np.asarray(truth, dtype=np.float64)
    if points.ndim != 3 or points.shape[2] < 2 or points.shape[0] < 1 or points.shape[1] < 1:
        raise InputError(f"displacement: expected trajectories [K, T, >=2], got {points.shape}")
    if driven.ndim != 2 or driven.shape[0] != points.shape[1] or driven.shape[1] < 2:
        raise InputError(
            f"displacement: expected the driven trajectory [{points.shape[1]}, >=2], "
            f"got {driven.shape}"
        )
    gap = points[..., :2] - driven[:, :2]  # [K, T, 2]
    if not np.isfinite(gap).all():
        raise InputError("displacement: expected finite positions, got NaN or infinity")
    distance = np.hypot(gap[..., 0], gap[..., 1])  # [K, T]
    return Displacement(distance.mean(axis=1), distance[:, -1])
