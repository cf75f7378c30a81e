"""The present, as the watchdog of the node sees it.

On a vehicle it is the steady clock: no wrong and no jumping system time silences a watchdog.  With
use_sim_time it is what /clock says, so that a bag may be played slowly; only when /clock itself has
been silent for long, steady time goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class WatchClock:
    """Time that never stands still, ns."""

    def __init__(
        self,
        sim_ns: Callable[[], int] | None,
        silence_s: float,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Prepare.

        Args:
            sim_ns: what /clock says; None for the steady clock.
            silence_s: how long /clock may be silent.
            steady_ns: the steady clock.
        """
        self._sim_ns, self._steady_ns = sim_ns, steady_ns
        self._silence_ns = round(silence_s * 1e9)
        self._lock = threading.Lock()
        self._told_ns = 0
        self._told_at_ns = steady_ns()
        self._bridged_ns = 0
        """Of the present silence of /clock: what has passed on the steady clock instead."""
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the present; never less than before, whatever /clock does.

        Only differences have a meaning.
        """
        if self._sim_ns is None:
            return self._steady_ns()
        with self._lock:
            told_ns, steady_ns = self._sim_ns(), self._steady_ns()
            if told_ns != self._told_ns:
                self._hear(told_ns, steady_ns)
            silent_ns = steady_ns - self._told_at_ns
            if silent_ns > self._silence_ns:
                self._now_ns += silent_ns - self._bridged_ns
                self._bridged_ns = silent_ns
            return self._now_ns

    @property
    def silent_s(self) -> float:
        """Seconds since /clock last changed; 0 without use_sim_time."""
        if self._sim_ns is None:
            return 0.0
        self.now_ns()
        with self._lock:
            return (self._steady_ns() - self._told_at_ns) / 1e9

    def _hear(self, told_ns: int, steady_ns: int) -> None:
        """Let the time pass that /clock says has passed, less what has passed in its silence."""
        if self._told_ns > 0:  # else it begins
            self._now_ns += max(0, told_ns - self._told_ns - self._bridged_ns)
        self._told_ns, self._told_at_ns, self._bridged_ns = told_ns, steady_ns, 0
