"""The state that everybody may read: published with each plan, and in each period without one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from diff_planner.data.encode_status import Counters, ModelLabel, StatusReport
from diff_planner.ros.outputs import Outputs
from diff_planner.types import FaultBit, PlannerState

logger = logging.getLogger("diff_planner")

_DIAGNOSTICS_PERIOD_S = 1.0
_LOG_PERIOD_S = 1.0
_LEVELS = {
    PlannerState.DEGRADED: logging.WARNING,
    PlannerState.FALLBACK: logging.ERROR,
    PlannerState.FAULT: logging.ERROR,
}
_NOTICE_S = 1.0
"""How long something that happened at one moment stays in the status."""


class StatusBoard:
    """What is said, and that it is said often enough; may be used from any thread."""

    def __init__(self, outputs: Outputs) -> None:
        """Begin with nothing said."""
        self._outputs = outputs
        self._lock = threading.RLock()
        self._said_s = self._diagnosed_s = self._logged_s = -1e9
        self._logged = PlannerState.UNKNOWN
        self._said = self._report = StatusReport(0, PlannerState.UNCONFIGURED)
        self._notices: dict[str, tuple[FaultBit, float]] = {}
        self._mismatches: dict[str, tuple[str, bool]] = {}
        self.model = ModelLabel()
        self.counters = Counters()
        self.timing: Mapping[str, float] = {}
        """Milliseconds by stage of the newest cycle."""

    @property
    def report(self) -> StatusReport:
        """What was published last."""
        return self._report

    @property
    def said(self) -> StatusReport:
        """The same without what was noted beside it."""
        return self._said

    def note(self, fault: FaultBit, sentence: str) -> None:
        """Have the statuses of the next second carry a fault beside their own."""
        with self._lock:
            self._notices[sentence] = (fault, time.monotonic() + _NOTICE_S)

    def note_mismatch(self, topic: str, words: str, *, is_vital: bool) -> None:
        """Keep that a topic is not connected; a vital one is a fault of every status from now."""
        with self._lock:
            self._mismatches[topic] = (words, is_vital)

    @property
    def mismatched(self) -> set[str]:
        """Topics of which `note_mismatch` told."""
        return set(self._mismatches)

    def forget_mismatches(self, topics: Iterable[str]) -> None:
        """These are connected again, or nobody is there any more."""
        with self._lock:
            for topic in topics:
                self._mismatches.pop(topic, None)

    def say(self, report: StatusReport) -> None:
        """Publish a status, with what was noted beside it."""
        with self._lock:
            self._said = report
            self._report = self._completed(report)
            self._outputs.publish_status(self._report, self.model, self.counters)
            self._said_s = time.monotonic()
            self._log_change()

    def is_silent_for(self, period_s: float) -> bool:
        """Tell that nothing was said for a period."""
        # Asked a few times in a period: a tenth early is nearer to it than a quarter late.
        return time.monotonic() - self._said_s >= 0.9 * period_s

    def diagnose(self, stamp_ns: int) -> None:
        """Publish diagnostics if the last ones are a second old."""
        with self._lock:
            if time.monotonic() - self._diagnosed_s < _DIAGNOSTICS_PERIOD_S:
                return
            self._diagnosed_s = time.monotonic()
            words = {topic: words for topic, (words, _) in self._mismatches.items()}
            self._outputs.publish_diagnostics(
                stamp_ns, self._report, self.model, self.counters, self.timing, words
            )

    def _log_change(self) -> None:
        """Log a state that differs from the last one logged; a flickering one no more than 1 Hz."""
        report, now_s = self._report, time.monotonic()
        if report.state == self._logged or now_s - self._logged_s < _LOG_PERIOD_S:
            return
        level = _LEVELS.get(report.state, logging.INFO)
        logger.log(level, "%s: %s", report.state.name, report.reason or "all inputs healthy")
        self._logged, self._logged_s = report.state, now_s

    def _completed(self, report: StatusReport) -> StatusReport:
        now_s = time.monotonic()
        self._notices = {k: v for k, v in self._notices.items() if v[1] > now_s}
        faults, reasons = report.faults, [report.reason]
        # First who is not connected: it explains what is missing, and a long reason is cut off.
        for topic, (words, is_vital) in self._mismatches.items():
            if is_vital:
                faults |= FaultBit.QOS
                reasons.insert(0, f"{topic}: {words}")
        for sentence, (fault, _) in self._notices.items():
            faults |= fault
            reasons.append(sentence)
        state = report.state
        if state == PlannerState.NOMINAL and faults != report.faults:
            state = PlannerState.DEGRADED
        return replace(report, state=state, faults=faults, reason="; ".join(filter(None, reasons)))
