"""When a cycle is overdue, and which moment its fallback plan is for.

Time comes in from outside: log time in a replay, the steady clock in the node; so the replay
shows the very behaviour of the vehicle.
"""

from __future__ import annotations

from dataclasses import dataclass

from diff_planner.types import EgoState, FaultBit

_MAX_PERIODS = 50
"""After a gap this long a replay gives no more plans for it: nobody was driving."""


class Watchdog:
    """Due when no cycle came for `watchdog_s`, then once each `period_s` until one comes."""

    def __init__(self, watchdog_s: float, period_s: float, start_ns: int) -> None:
        """Start to wait at `start_ns` (any clock, ns)."""
        self._watchdog_ns = round(watchdog_s * 1e9)
        self._period_ns = round(period_s * 1e9)
        self._due_ns = start_ns + self._watchdog_ns

    def cycle(self, now_ns: int) -> None:
        """Note that a cycle ran."""
        self._due_ns = now_ns + self._watchdog_ns

    def overdue(self, now_ns: int) -> list[int]:
        """Return the moments (ns, oldest first) up to now at which a fallback was due."""
        if now_ns < self._due_ns:
            return []
        count = (now_ns - self._due_ns) // self._period_ns + 1
        first = self._due_ns
        self._due_ns = first + count * self._period_ns
        return [first + k * self._period_ns for k in range(min(count, _MAX_PERIODS))]


@dataclass(frozen=True)
class FallbackMoment:
    """What a fallback plan is stamped with and what is known of the ego then."""

    stamp_ns: int
    ego: EgoState | None
    faults: FaultBit


def fallback_moment(
    last_ego: EgoState | None, elapsed_stamp_ns: int, max_age_s: float
) -> FallbackMoment:
    """Choose the stamp of a fallback plan.

    The newest valid odometry's stamp while it is young enough; else the last known stamp plus the
    time elapsed, with the ego's motion unknown and the fault bit STAMP_ESTIMATED.

    Args:
        last_ego: motion from the newest valid odometry, if any.
        elapsed_stamp_ns: last known stamp + elapsed time, in the sensors' clock.
        max_age_s: odometry older than this says nothing about now.
    """
    if last_ego is not None and elapsed_stamp_ns - last_ego.stamp_ns <= max_age_s * 1e9:
        return FallbackMoment(last_ego.stamp_ns, last_ego, FaultBit.NONE)
    return FallbackMoment(elapsed_stamp_ns, None, FaultBit.STAMP_ESTIMATED)
