"""The open-loop score of Hyper Diffusion Planner: nearness to the human, comfort, collisions.

**A reconstruction.**  The text at hand had lost the formulas; they were put together from the two
columns of numbers of the paper's Table IV (planner_facts 4.6).  Not certain: which of 1.0 and 0.5
weighs acceleration and which jerk, whether the score is taken per scene and then averaged (done
here, as for PDMS) or of averages, and how acceleration is derived (here from the positions, the
start among them, by differences).  Compare our numbers with each other, not with the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import InputError
from diff_planner.geometry import Array
from diff_planner.metrics.displacement import displacement

ADE_ZERO_M, FDE_ZERO_M, COST_ZERO = 4.0, 8.0, 200.0
"""Where each part of the score reaches 0."""
ACCELERATION_WEIGHT, JERK_WEIGHT = 1.0, 0.5
ADE_SHARE, FDE_SHARE, COMFORT_SHARE = 0.35, 0.25, 0.40


@dataclass(frozen=True)
class OpenLoopScore:
    """HDP's open-loop score of one scene with its parts."""

    min_ade_m: float
    min_fde_m: float
    comfort_cost: float
    """1.0 mean |acceleration| (m/s2) + 0.5 mean |jerk| (m/s3), mean over the rollouts."""
    collision_rate: float
    """Share of the rollouts that collide, 0 to 1."""
    s_ade: float
    """0 to 100, like the next three."""
    s_fde: float
    s_comfort: float
    total: float


def comfort_cost(rollouts: Array, dt_s: float) -> float:
    """Return the comfort cost of rollouts [N, T, >=2] in ego frame, m; the start (0, 0) is added.

    Raises:
        InputError: T < 3, so that there is no jerk, dt is not positive, or a number is not finite.
    """
    points = np.asarray(rollouts, dtype=np.float64)
    if points.ndim != 3 or points.shape[0] < 1 or points.shape[1] < 3 or points.shape[2] < 2:
        raise InputError(f"comfort cost: expected rollouts [N, T >= 3, >=2], got {points.shape}")
    if not dt_s > 0.0 or not np.isfinite(points[..., :2]).all():
        raise InputError(f"comfort cost: expected dt > 0 and finite positions, got dt {dt_s}")
    start = np.zeros((len(points), 1, 2))
    path = np.concatenate([start, points[..., :2]], axis=1)  # [N, T + 1, 2]
    acceleration = np.diff(path, n=2, axis=1) / dt_s**2
    jerk = np.diff(path, n=3, axis=1) / dt_s**3
    mean_acceleration = np.hypot(acceleration[..., 0], acceleration[..., 1]).mean()
    mean_jerk = np.hypot(jerk[..., 0], jerk[..., 1]).mean()
    return float(ACCELERATION_WEIGHT * mean_acceleration + JERK_WEIGHT * mean_jerk)


def open_loop_score(
    rollouts: Array, human: Array, collides: NDArray[np.bool_], dt_s: float
) -> OpenLoopScore:
    """Score N rollouts of one scene.

    Args:
        rollouts: [N, T, >=2], ego frame, m.
        human: [T, >=2], what was driven, same frame and times.
        collides: [N], which rollouts collide.
        dt_s: spacing of the T steps.

    Raises:
        InputError: shapes do not fit or a number is not finite.
    """
    hits = np.asarray(collides)
    if hits.shape != (len(rollouts),) or hits.dtype != np.bool_:
        raise InputError(
            f"collides: expected bool [{len(rollouts)}], got {hits.dtype} {hits.shape}"
        )
    errors = displacement(rollouts, human)
    cost = comfort_cost(rollouts, dt_s)
    rate = float(hits.mean())
    s_ade = _falling(errors.min_ade_m, ADE_ZERO_M)
    s_fde = _falling(errors.min_fde_m, FDE_ZERO_M)
    s_comfort = _falling(cost, COST_ZERO)
    total = (1.0 - rate) * (ADE_SHARE * s_ade + FDE_SHARE * s_fde + COMFORT_SHARE * s_comfort)
    return OpenLoopScore(
        errors.min_ade_m, errors.min_fde_m, cost, rate, s_ade, s_fde, s_comfort, total
    )


def _falling(value: float, zero_at: float) -> float:
    """Return 100 at 0, falling in a straight line to 0 at `zero_at`."""
    return 100.0 * min(max(1.0 - value / zero_at, 0.0), 1.0)
