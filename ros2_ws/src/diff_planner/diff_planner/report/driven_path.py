"""The path that was really driven, seen from one moment of it."""

from __future__ import annotations

import numpy as np

from diff_planner.geometry import Array, inverse_se3, transform_points
from diff_planner.types import FloatArray

PAST_S = 2.0
FUTURE_S = 4.0
MAX_GAP_S = 2.5
"""Between poses further apart than this nothing is drawn; above the longest period of a rig."""


class DrivenPath:
    """Rear-axle positions over the whole drive, asked for in base_link at a stamp."""

    def __init__(self, path: list[tuple[int, FloatArray]]) -> None:
        """Take (stamp_ns, odom_SE3_ego) in any order; of equal stamps the last counts."""
        by_stamp = dict(path)
        self._stamps_ns = np.array(sorted(by_stamp), dtype=np.int64)
        self._positions = np.array(
            [by_stamp[int(stamp)][:3, 3] for stamp in self._stamps_ns], dtype=np.float64
        ).reshape(-1, 3)

    def around(self, stamp_ns: int, odom_SE3_ego: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return times [N] (s after the stamp, every 0.1 s) and positions [N, 3] in base_link.

        From 2 s before to 4 s after the stamp, as far as it was recorded; NaN inside of gaps.
        Empty when fewer than two poses are known.
        """
        if len(self._stamps_ns) < 2:
            return np.zeros(0), np.zeros((0, 3))
        known_s = (self._stamps_ns - stamp_ns) / 1e9
        times = np.arange(-PAST_S, FUTURE_S + 0.05, 0.1)
        times = times[(times >= known_s[0] - 1e-6) & (times <= known_s[-1] + 1e-6)]
        in_odom = _smooth(times, known_s, self._positions)
        ego_SE3_odom = inverse_se3(np.asarray(odom_SE3_ego, dtype=np.float64))
        return times, transform_points(ego_SE3_odom, in_odom)


def _smooth(times: Array, known_s: Array, positions: Array) -> Array:
    """Interpolate positions [K, 3] known at increasing times; NaN inside of gaps.

    Cubic Hermite with central differences as velocities: poses at 2 Hz in a bend are metres apart
    and straight lines between them would leave the road.
    """
    velocity = np.gradient(positions, known_s, axis=0)
    after = np.clip(np.searchsorted(known_s, times, side="right"), 1, len(known_s) - 1)
    before = after - 1
    span = (known_s[after] - known_s[before])[:, None]
    u = np.clip((times - known_s[before])[:, None] / span, 0.0, 1.0)
    u2, u3 = u * u, u * u * u
    smooth = (
        (2 * u3 - 3 * u2 + 1) * positions[before]
        + (u3 - 2 * u2 + u) * span * velocity[before]
        + (3 * u2 - 2 * u3) * positions[after]
        + (u3 - u2) * span * velocity[after]
    )
    return np.asarray(np.where(span > MAX_GAP_S, np.nan, smooth))
