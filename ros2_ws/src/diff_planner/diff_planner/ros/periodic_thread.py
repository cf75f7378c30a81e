"""A thread that calls something at a steady rate, and cannot die quietly."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("diff_planner")


class PeriodicThread(threading.Thread):
    """Calls a function every period of the steady clock until it is stopped."""

    def __init__(self, name: str, period_s: float, work: Callable[[], None]) -> None:
        """Prepare; `start` begins.

        Args:
            name: of the thread.
            period_s: between two calls; calls that would be late are left out.
            work: what is called.  An exception is logged, the next call comes all the same.
        """
        super().__init__(name=name, daemon=True)
        self._period_s, self._work = period_s, work
        self._stopped = threading.Event()

    def run(self) -> None:
        """Call until stopped."""
        due_s = time.monotonic()
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            try:
                self._work()
            except Exception:
                logger.exception("%s failed once", self.name)
            due_s = max(due_s + self._period_s, time.monotonic())

    def stop(self) -> None:
        """End the calls; waits for one that runs, but no longer than 2 s."""
        self._stopped.set()
        if self is not threading.current_thread() and self.is_alive():
            self.join(2.0)
