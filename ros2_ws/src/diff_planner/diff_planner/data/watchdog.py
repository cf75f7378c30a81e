"""When a cycle is overdue, and which moment its fallback plan is for.

Time comes in from outside: log time in a replay, the steady clock in the node; so the replay
shows the very behaviour of the vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diff_planner.types import EgoState, FaultBit

_MAX_PERIODS = 50
"""After a gap this long a replay gives no more plans for it: nobody was driving."""
MAX_EGO_AGE_S = 0.5
"""Older odometry says nothing about now, as a plan this old is stale (consumer's contract)."""


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

    def overdue(self, now_ns: int) -> Iterator[int]:
        """Yield the moments (ns, oldest first) up to now at which a fallback is due.

        Each is judged when it is asked for: a cycle noted while iterating puts off the rest.
        """
        for _ in range(_MAX_PERIODS):
            if now_ns < self._due_ns:
                return
            self._due_ns += self._period_ns
            yield self._due_ns - self._period_ns
        if now_ns >= self._due_ns:
            self._due_ns += ((now_ns - self._due_ns) // self._period_ns + 1) * self._period_ns


@dataclass(frozen=True)
class FallbackMoment:
    """What a fallback plan is stamped with and what is known of the ego then."""

    stamp_ns: int
    ego: EgoState | None
    faults: FaultBit


def fallback_moment(
    last_ego: EgoState | None, elapsed_stamp_ns: int, max_age_s: float = MAX_EGO_AGE_S
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
