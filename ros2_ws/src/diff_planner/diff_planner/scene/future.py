"""From poses logged or planned at any times to the eight poses of a proposal."""

from __future__ import annotations

import numpy as np

from diff_planner.errors import InputError
from diff_planner.geometry import Array, poses_seen_from, wrap_angle
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S

PROPOSAL_TIMES_S = np.arange(1, HORIZON_STEPS + 1) * NETWORK_DT_S
"""[8] when a proposal's poses are reached."""


def proposal_from_poses(ego_pose: Array, times_s: Array, poses: Array) -> Array:
    """Return the proposal [8, 3] in ego frame that follows poses [T, 3] given in the world.

    Args:
        ego_pose: [3] x, y, yaw of the ego in the world, at 0 s.
        times_s: [T] growing seconds above 0; must reach 4 s.
        poses: [T, 3] x, y, yaw of the rear axle in the world.

    Raises:
        InputError: the poses end before 4 s.
    """
    if times_s[-1] < PROPOSAL_TIMES_S[-1] - 1e-6:
        raise InputError(
            f"future poses: expected {PROPOSAL_TIMES_S[-1]} s of them, got {times_s[-1]:.2f} s"
        )
    local = poses_seen_from(ego_pose, poses)
    known_times = np.concatenate([[0.0], times_s])
    known = np.concatenate([np.zeros((1, 3)), local])
    known[:, 2] = np.unwrap(known[:, 2])
    columns = [np.interp(PROPOSAL_TIMES_S, known_times, known[:, i]) for i in range(3)]
    proposal = np.stack(columns, axis=-1)
    proposal[:, 2] = wrap_angle(proposal[:, 2])
    return proposal
