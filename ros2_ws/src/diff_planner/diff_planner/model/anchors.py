"""The trajectories that diffusion starts from: a grid of speed x curvature.

Published planners cluster recorded futures (DiffusionDrive, arXiv:2411.15139, section 3.3: k-means
with 20 centres).  A grid needs no recordings, is the same for everyone and symmetric.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import constant_twist
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S

GRID: tuple[tuple[float, tuple[float, ...]], ...] = (
    (2.0, (0.0, 0.15)),
    (5.0, (0.0, 0.04, 0.11)),
    (8.5, (0.0, 0.012, 0.035)),
    (12.0, (0.0, 0.008)),
    (16.0, (0.0, 0.004)),
)
"""Speeds in m/s with the curvatures in 1/m that are driven to both sides: at most 2.8 m/s2 of
lateral acceleration, so that each anchor alone is a plan that the safety rules accept, and
less of a turn than a passenger car can steer (0.19 1/m)."""


def anchor_poses() -> NDArray[np.float64]:
    """Return the anchors [20, T, 3] (x m, y m, yaw rad in base_link, first at 0.5 s).

    The first is standing still; then by speed, and within it straight, left, right, ...
    """
    times_s = NETWORK_DT_S * np.arange(1, HORIZON_STEPS + 1, dtype=np.float64)
    twists = [(0.0, 0.0)]
    for speed_mps, curvatures in GRID:
        twists.append((speed_mps, 0.0))
        twists += [(speed_mps, side * c) for c in curvatures if c for side in (1.0, -1.0)]
    return np.stack([constant_twist(speed, speed * c, times_s) for speed, c in twists])
