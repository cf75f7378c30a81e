"""The doctor's check of clocks: do the sensors stamp by one clock, and is it the recorder's?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diff_planner.data.doctor_case import Case
from diff_planner.data.doctor_report import Finding, Level, seconds
from diff_planner.data.survey import TopicSurvey

OFFSET_WARNING_S, OFFSET_PROBLEM_S = 0.1, 0.3
"""Exposure, sweep and transport explain 0.1 s; 0.3 s is 3 m at 10 m/s."""
DRIFT_S = 0.05
_RECORDER_S = 1.0


def check_clocks(case: Case) -> Iterator[Finding]:
    """Check that the sensors stamp by one clock, and that it is the recorder's."""
    anchor = case.anchor.found
    if anchor is None:
        return
    offsets_s = {
        stream.name: clock_offset_s(anchor, found)
        for stream, found in case.timed
        if found is not anchor
    }
    wrong = {name: s for name, s in offsets_s.items() if abs(s) > OFFSET_WARNING_S}
    for name, offset_s in wrong.items():
        yield Finding(
            "Clocks",
            Level.PROBLEM if abs(offset_s) > OFFSET_PROBLEM_S else Level.WARNING,
            f"The clock of {name} is {abs(offset_s):.2f} s "
            f"{'ahead of' if offset_s > 0 else 'behind'} that of the anchor ({case.anchor.name}): "
            "matched stamps show different moments; synchronize the clocks (PTP or NTP) and record "
            "anew, or correct the header stamps.",
        )
    if offsets_s and not wrong:
        yield Finding("Clocks", Level.OK, _one_clock(case, anchor, offsets_s))
    yield from _check_drift(case, anchor)
    delay_s = _delay_s(anchor)
    if abs(delay_s) > _RECORDER_S:
        yield Finding(
            "Clocks",
            Level.WARNING,
            f"Header stamps of {case.anchor.name} are {abs(delay_s):.1f} s "
            f"{'before' if delay_s > 0 else 'after'} the log time: the sensors run by another "
            "clock than the recorder; replay is not affected, tools that mix both are.",
        )


def clock_offset_s(anchor: TopicSurvey, stream: TopicSurvey) -> float:
    """Return by how much a stream's clock is ahead of the anchor's; 0 where nothing shows it.

    Nearest stamps cannot tell whole periods apart.  So two other witnesses: the log time, common
    to all (its difference holds the transport delays as well), and, in a bag whose log times are
    copies of the stamps, the begin and end of the recording, both shifted the same way.
    """
    delays_s = _delay_s(anchor), _delay_s(stream)
    if any(delays_s):
        return delays_s[0] - delays_s[1]
    begin_s = float(stream.stamps_ns.min() - anchor.stamps_ns.min()) / 1e9
    end_s = float(stream.stamps_ns.max() - anchor.stamps_ns.max()) / 1e9
    # A stream that starts or ends a period early or late is not shifted.
    slack_s = 1.2 * max(np.nan_to_num(anchor.period_s), np.nan_to_num(stream.period_s))
    is_shifted = begin_s * end_s > 0 and min(abs(begin_s), abs(end_s)) > slack_s
    if not is_shifted or abs(begin_s - end_s) > slack_s:
        return 0.0
    return 0.5 * (begin_s + end_s)


def _delay_s(found: TopicSurvey) -> float:
    """Return the median time from stamp to log."""
    return float(np.median(found.logs_ns - found.stamps_ns)) / 1e9


def _one_clock(case: Case, anchor: TopicSurvey, offsets_s: dict[str, float]) -> str:
    if not _delay_s(anchor):
        return (
            "No clock offset shows: no stream is shifted as a whole.  Stamps equal log times "
            "(a converted bag), so transport delays are unknown and an offset below the period of "
            f"{seconds(anchor.period_s)} shows only as stamp distance above."
        )
    largest = max(offsets_s, key=lambda name: abs(offsets_s[name]))
    return (
        f"All sensors run by one clock: the largest offset to {case.anchor.name} is "
        f"{seconds(abs(offsets_s[largest]))} ({largest}), transport delays included."
    )


def _check_drift(case: Case, anchor: TopicSurvey) -> Iterator[Finding]:
    """Compare delays at the begin and the end, each a fifth of the bag."""
    for stream, found in case.timed:
        fifth = len(found.stamps_ns) // 5
        fifth_of_anchor = len(anchor.stamps_ns) // 5
        if found is anchor or min(fifth, fifth_of_anchor) < 5:
            continue
        begin, end = (
            np.median((found.logs_ns - found.stamps_ns)[part])
            - np.median((anchor.logs_ns - anchor.stamps_ns)[part_of_anchor])
            for part, part_of_anchor in (
                (slice(fifth), slice(fifth_of_anchor)),
                (slice(-fifth, None), slice(-fifth_of_anchor, None)),
            )
        )
        drift_s = float(end - begin) / 1e9
        if abs(drift_s) > DRIFT_S:
            text = (
                f"The clock of {stream.name} drifts by {seconds(abs(drift_s))} against "
                f"{case.anchor.name} over the bag: synchronize the clocks."
            )
            yield Finding("Clocks", Level.WARNING, text)
