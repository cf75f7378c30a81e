"""In which order the candidates are tried: by score, and when scores say nothing, by calm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import constant_twist
from diff_planner.types import (
    HORIZON_STEPS,
    NETWORK_DT_S,
    PLAN_DT_S,
    EgoState,
    FloatArray,
    Proposals,
)

_STRIDE = round(NETWORK_DT_S / PLAN_DT_S)


def rank(proposals: Proposals, ego: EgoState, last_states: FloatArray | None) -> NDArray[np.int64]:
    """Order the proposals, preferred first.

    Higher score first; a score that is not finite last.  Exactly equal scores (an untrained
    network) are ordered by mean distance to what the vehicle is doing: the last plan where there
    is one, else present speed and yaw rate held; then by index.

    Args:
        proposals: [M, 8, 3] poses and [M] scores.
        ego: motion at the stamp.
        last_states: [N, 7] the last plan from now on at 0.1 s, in base_link at the stamp, or
            None.  One that is spent before the first pose (0.5 s) counts as None.

    Returns:
        [M] indices.
    """
    expected = _expected(ego, last_states)  # [T', 2]
    offset = proposals.poses[:, : len(expected), :2].astype(np.float64) - expected
    is_known = np.isfinite(offset).all(axis=(1, 2))
    offset[~is_known] = 0.0
    distance = np.where(is_known, np.hypot(offset[..., 0], offset[..., 1]).mean(axis=1), np.inf)
    scores = proposals.scores.astype(np.float64)
    is_scored = np.isfinite(scores)
    descending = np.where(is_scored, -scores, np.inf)
    # The last key is the first criterion; lexsort is stable, so the index decides at the end.
    return np.lexsort((distance, descending, ~is_scored)).astype(np.int64)


def _expected(ego: EgoState, last_states: FloatArray | None) -> NDArray[np.float64]:
    """Return where the vehicle is going: positions [T', 2] at the network's times, T' <= 8."""
    if last_states is not None and len(last_states) > _STRIDE:
        return np.asarray(last_states[_STRIDE::_STRIDE, :2], dtype=np.float64)[:HORIZON_STEPS]
    times = NETWORK_DT_S * np.arange(1, HORIZON_STEPS + 1)
    return constant_twist(ego.speed_mps, ego.yaw_rate_radps, np.asarray(times))[:, :2]
