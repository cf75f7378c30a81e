"""From the 8 poses of a planner to the 41 poses that are tracked.

NAVSIM joins the actual initial pose and the 8 poses by straight lines (heading unwrapped) and
samples them each 0.1 s; velocities a model may give are ignored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import InputError
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S, PLAN_DT_S, PLAN_POINTS

Array = NDArray[np.float64]

_SUBSTEPS = round(NETWORK_DT_S / PLAN_DT_S)
_FARTHEST_M = 1e7


def checked_proposals(proposals: Array) -> Array:
    """Return proposals [K, 8, 3] as float64.

    Raises:
        InputError: another shape, none at all, a number that is not finite, or a pose so far away
            that the simulation of it would overflow.
    """
    poses = np.asarray(proposals, dtype=np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (HORIZON_STEPS, 3) or len(poses) == 0:
        raise InputError(f"proposals: expected shape [K, {HORIZON_STEPS}, 3], got {poses.shape}")
    is_finite = np.isfinite(poses).all(axis=(1, 2))
    if not is_finite.all():
        wrong = np.flatnonzero(~is_finite).tolist()
        raise InputError(f"proposals: expected finite poses, not so in proposals {wrong[:10]}")
    is_near = (np.abs(poses[..., :2]) <= _FARTHEST_M).all(axis=(1, 2))
    if not is_near.all():
        wrong = np.flatnonzero(~is_near).tolist()
        raise InputError(
            f"proposals: expected poses in metres in the ego frame, none is farther than "
            f"{_FARTHEST_M:.0e} m in 4 s, not so in proposals {wrong[:10]}"
        )
    return poses


def interpolate_proposals(proposals: Array) -> Array:
    """Return poses [K, 41, 3] each 0.1 s of proposals [K, 8, 3]; ego frame, heading unwrapped."""
    knots = np.zeros((len(proposals), HORIZON_STEPS + 1, 3))
    knots[:, 1:] = proposals
    knots[..., 2] = np.unwrap(knots[..., 2], axis=1)
    share = (np.arange(_SUBSTEPS) / _SUBSTEPS)[:, None]
    poses = np.empty((len(proposals), PLAN_POINTS, 3))
    between = knots[:, :-1, None] + share * np.diff(knots, axis=1)[:, :, None]  # [K, 8, 5, 3]
    poses[:, :-1] = between.reshape(len(proposals), PLAN_POINTS - 1, 3)
    poses[:, -1] = knots[:, -1]
    return poses
