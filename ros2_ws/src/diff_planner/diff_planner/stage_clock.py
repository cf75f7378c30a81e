"""Wall-clock time of the stages of one planning cycle."""

from __future__ import annotations

import time


class StageClock:
    """Wall-clock milliseconds of each stage of a cycle."""

    def __init__(self) -> None:
        """Start the clock."""
        self.timing_ms: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        """End the running stage under this name."""
        now = time.perf_counter()
        self.timing_ms[stage] = (now - self._last) * 1e3
        self._last = now

    def total(self) -> dict[str, float]:
        """Return every stage and `total`."""
        return {**self.timing_ms, "total": (time.perf_counter() - self._start) * 1e3}
