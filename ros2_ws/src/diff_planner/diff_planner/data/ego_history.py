"""Ego motion from odometry: carried to another stamp, and differentiated where needed."""

from __future__ import annotations

from collections import deque

import numpy as np

from diff_planner.data.decode import Odometry
from diff_planner.geometry import Array, constant_twist, se3_from_yaw
from diff_planner.types import EgoState

_WINDOW_NS = 200_000_000
"""Over which speed is differentiated: long enough to quiet the noise of 100 Hz odometry."""
_MIN_SPAN_NS = 20_000_000
_JUMP_NS = 500_000_000
"""Farther back than this a stamp is no late one: the clock jumped, as the synchronizer has it."""
_MAX_SPAN_NS = 1_000_000_000
"""Over a longer gap a difference of speeds says nothing about now."""


def motion(odometry: Odometry, elapsed_ns: int) -> Array:
    """Return before_SE3_after [4, 4] of base_link over a time at constant twist.

    Args:
        odometry: its twist is taken.
        elapsed_ns: from before to after; negative goes back in time.
    """
    elapsed_s = np.array([elapsed_ns / 1e9])
    # What unit speed along x reaches; lateral speed does the same a quarter turn to the left.
    along, across, yaw = constant_twist(1.0, odometry.yaw_rate_radps, elapsed_s)[0]
    x_m = odometry.vx_mps * along - odometry.vy_mps * across
    y_m = odometry.vx_mps * across + odometry.vy_mps * along
    return se3_from_yaw(x_m, y_m, yaw)


class EgoHistory:
    """The newest odometry and what is needed to differentiate it."""

    def __init__(self) -> None:
        """Begin without any."""
        self._recent: deque[Odometry] = deque()

    @property
    def newest(self) -> Odometry | None:
        """The odometry of the newest stamp."""
        return self._recent[-1] if self._recent else None

    def add(self, odometry: Odometry) -> None:
        """Take a message; one that is not newer than the newest is not needed here.

        A stamp that jumps far back begins a new history.
        """
        newest = self.newest
        if newest is not None and odometry.stamp_ns <= newest.stamp_ns:
            if newest.stamp_ns - odometry.stamp_ns <= _JUMP_NS:
                return
            self._recent.clear()
        self._recent.append(odometry)
        while self._recent[0].stamp_ns < odometry.stamp_ns - 2 * _MAX_SPAN_NS:
            self._recent.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()

    def acceleration(self, odometry: Odometry) -> tuple[float, float] | None:
        """Differentiate speed over the last 0.2 s, or one period of a slower odometry.

        Returns:
            Acceleration of base_link's origin along its own axes at `odometry`'s stamp, m/s^2:
            the change of the body speeds plus what turning adds (yaw rate x speed).  None when
            there is no earlier odometry to compare with.
        """
        earlier: Odometry | None = None
        for known in reversed(self._recent):
            span_ns = odometry.stamp_ns - known.stamp_ns
            if _MIN_SPAN_NS <= span_ns <= _MAX_SPAN_NS:
                if earlier is not None and span_ns > _WINDOW_NS:
                    break
                earlier = known
        if earlier is None:
            return None
        span_s = (odometry.stamp_ns - earlier.stamp_ns) / 1e9
        turning = odometry.yaw_rate_radps
        return (
            (odometry.vx_mps - earlier.vx_mps) / span_s - turning * odometry.vy_mps,
            (odometry.vy_mps - earlier.vy_mps) / span_s + turning * odometry.vx_mps,
        )

    def ego_at(
        self,
        odometry: Odometry,
        stamp_ns: int,
        acceleration_mps2: tuple[float, float] | None = None,
    ) -> EgoState:
        """Carry an odometry to another stamp at constant twist.

        Args:
            odometry: the one nearest to the stamp.
            stamp_ns: the stamp wanted.
            acceleration_mps2: measured along x and y; None derives it, as 0 when there is nothing
                to derive it from.
        """
        measured = acceleration_mps2 or self.acceleration(odometry) or (0.0, 0.0)
        return EgoState(
            stamp_ns=stamp_ns,
            frame_id=odometry.frame_id,
            odom_SE3_ego=odometry.odom_SE3_ego @ motion(odometry, stamp_ns - odometry.stamp_ns),
            vx_mps=odometry.vx_mps,
            vy_mps=odometry.vy_mps,
            yaw_rate_radps=odometry.yaw_rate_radps,
            ax_mps2=measured[0],
            ay_mps2=measured[1],
            is_acceleration_derived=acceleration_mps2 is None,
        )
