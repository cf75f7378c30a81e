"""The doctor's checks of topics, rates, stamps and synchronization: numbers, no content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from diff_planner.data import survey as bag
from diff_planner.data.doctor_case import Case, Stream, match
from diff_planner.data.doctor_report import Finding, Level, TopicRow, seconds
from diff_planner.data.rig import nice_period_s
from diff_planner.data.rig_cameras import info_names, info_topic, pictures
from diff_planner.data.survey import BagSurvey, TopicSurvey

GAP_PERIODS = 2.2
"""A gap of two periods is one lost message; the rest of it is jitter."""
COMPLETE_OK, COMPLETE_LEAST = 0.95, 0.5
"""Share of complete anchors below which it is worth a warning, and a problem."""
_JUMP_S = 1.0
_PERIOD_OFF = 0.2
_SLOW_ODOMETRY_S = 0.2


def uses_of(case: Case) -> dict[str, str]:
    """Return what each used topic feeds."""
    uses = {stream.topic: stream.name for stream in case.streams if stream.found is not None}
    for name, camera in case.inputs.cameras.items():
        uses[camera.info] = f"{name} (calibration)"
    uses[case.inputs.tf_static] = "transforms"
    return uses


def topic_rows(found: BagSurvey, uses: Mapping[str, str]) -> tuple[TopicRow, ...]:
    """Return the table of all topics of the bag, the used ones first."""
    order = [*uses, *sorted(topic for topic in found.topics if topic not in uses)]
    topics = [found.topics[topic] for topic in order if topic in found.topics]
    return tuple(
        TopicRow(t.topic, t.msgtype, t.count, t.rate_hz, uses.get(t.topic, "-")) for t in topics
    )


def check_topics(case: Case) -> Iterator[Finding]:
    """Check that what is configured is there, with the right type; name what is not used."""
    absent = [stream for stream in case.streams if stream.found is None]
    if not absent:
        names = ", ".join(stream.name for stream in case.streams)
        yield Finding("Topics", Level.OK, f"Every configured input is there: {names}.")
    for stream in absent:
        level = Level.PROBLEM if stream.is_needed else Level.WARNING
        yield Finding("Topics", level, _absent(case, stream))
    # Planner.plan refuses such a cycle, however complete it is.
    if case.inputs.lidar is None:
        text = "No LiDAR: the collision rule has nothing to judge by, so every cycle falls back."
        yield Finding("Topics", Level.PROBLEM, text)
    if not case.inputs.cameras:
        text = "No camera: the network is blind, so every cycle falls back."
        yield Finding("Topics", Level.PROBLEM, text)
    if case.inputs.acceleration is None:
        yield Finding("Topics", Level.OK, _no_acceleration(case))
    if case.inputs.nav_command is None and case.inputs.route is None:
        text = "No navigation command or route in the bag: the planner is told UNKNOWN."
        yield Finding("Topics", Level.OK, text)
    used = {camera.image for camera in case.inputs.cameras.values()}
    bare = [
        p for p in pictures(case.bag) if p.topic not in used and not info_topic(p.topic, case.bag)
    ]
    for picture in bare:
        # With no camera at all the planner is blind for lights and lanes: more than a remark.
        level = Level.WARNING if used else Level.PROBLEM
        yield Finding(
            "Topics",
            level,
            f"Camera {picture.topic} has no CameraInfo and is not used: expected "
            f"{' or '.join(info_names(picture.topic))}; record it, or name it in inputs.cameras.",
        )


def check_rates(case: Case) -> Iterator[Finding]:
    """Check median periods and gaps of the timed streams, the anchor first."""
    anchor = case.anchor
    if anchor.found is not None and len(anchor.found.stamps_ns) > 1:
        yield from _check_period(case, anchor.found)
    for stream, found in sorted(case.timed, key=lambda pair: pair[0] is not anchor):
        if len(found.stamps_ns) < 2:
            text = f"{stream.name}: {len(found.stamps_ns)} message, no rate can be measured."
            yield Finding("Rates and gaps", Level.WARNING, text)
            continue
        order = np.argsort(found.stamps_ns, kind="stable")
        steps_s = np.diff(found.stamps_ns[order]) / 1e9
        worst = int(steps_s.argmax())
        gaps = int((steps_s > GAP_PERIODS * found.period_s).sum())
        text = (
            f"{stream.name}: {1.0 / found.period_s:.2f} Hz (median period "
            f"{seconds(found.period_s)}), longest step {seconds(steps_s[worst])} at "
            f"{case.at_s(found.logs_ns[order][worst]):.1f} s"
            if found.period_s > 0
            else f"{stream.name}: most stamps are equal, no rate can be measured"
        )
        if gaps:
            text += f"; {gaps} gaps of more than two periods: messages were lost there"
        is_slow = stream.name == "odometry" and found.period_s > _SLOW_ODOMETRY_S
        if is_slow:
            text += f"; expected at least {1 / _SLOW_ODOMETRY_S:.0f} Hz of odometry"
        level = Level.WARNING if gaps or is_slow or found.period_s <= 0 else Level.OK
        yield Finding("Rates and gaps", level, text + ".")


def check_stamps(case: Case) -> Iterator[Finding]:
    """Check header stamps: unset, doubled, out of order, jumping back."""
    is_clean = True
    for stream, found in case.timed:
        stamps_ns = found.stamps_ns
        steps_s = np.diff(stamps_ns) / 1e9
        zero = int((stamps_ns <= 0).sum())
        doubled = len(stamps_ns) - len(np.unique(stamps_ns)) - max(zero - 1, 0)
        jumps = np.flatnonzero(steps_s < -_JUMP_S)
        backward = int((steps_s < 0).sum()) - len(jumps)
        total = len(stamps_ns)
        if zero:
            text = (
                f"{stream.name}: {zero} of {total} messages have no stamp (zero): they cannot be "
                "matched; set header.stamp in the driver."
            )
            level = Level.PROBLEM if stream.is_needed and zero == total else Level.WARNING
            yield Finding("Stamps", level, text)
        if doubled:
            text = (
                f"{stream.name}: {doubled} of {total} stamps are doubled; the copies are dropped."
            )
            yield Finding("Stamps", Level.WARNING, text)
        if backward:
            text = (
                f"{stream.name}: {backward} of {total} messages are out of order by stamp; late "
                "ones are used only where their cycle has not run."
            )
            yield Finding("Stamps", Level.WARNING, text)
        for jump in jumps[:3]:
            text = (
                f"{stream.name}: stamps jump back by {-steps_s[jump]:.2f} s at "
                f"{case.at_s(found.logs_ns[jump + 1]):.1f} s: the planner starts anew there; "
                "split the bag at this time."
            )
            yield Finding("Stamps", Level.WARNING, text)
        is_clean &= not (zero or doubled or backward or len(jumps))
    if is_clean and case.timed:
        text = "All stamps are set, distinct and in order."
        yield Finding("Stamps", Level.OK, text)


def complete_anchors(case: Case) -> tuple[int, int]:
    """Return how many anchors have every needed stream within its tolerance, and of how many."""
    anchor = case.anchor.found
    if anchor is None:
        return 0, 0
    if any(stream.found is None for stream in case.streams if stream.is_needed):
        return 0, len(np.unique(anchor.stamps_ns))
    _, first = np.unique(anchor.stamps_ns, return_index=True)  # a doubled anchor runs no cycle
    is_complete = (anchor.stamps_ns > 0) & ~is_early(case, anchor)
    for stream, found in case.timed:
        if stream.is_needed and found is not anchor:
            matches = match(anchor, found, case.inputs.sync_wait_s)
            is_complete &= np.abs(matches.distance_s) <= stream.tolerance_s
    return int(is_complete[first].sum()), len(first)


def is_early(case: Case, anchor: TopicSurvey) -> NDArray[np.bool_]:
    """Return which anchors [A] run their cycle before transforms and calibrations are known."""
    cycle_ns = anchor.logs_ns
    for stream, found in case.timed:
        if stream.is_needed and found is not anchor:
            arrival_ns = match(anchor, found, case.inputs.sync_wait_s).arrival_ns
            cycle_ns = np.maximum(cycle_ns, arrival_ns)
    early: NDArray[np.bool_] = cycle_ns < case.ready_ns
    return early


def check_sync(case: Case) -> Iterator[Finding]:
    """Check the stamp distance of each stream to the anchor."""
    anchor = case.anchor.found
    if anchor is None:
        return
    for stream, found in case.timed:
        if found is not anchor:
            yield _sync_of(case, anchor, stream, found)
    early = int(is_early(case, anchor).sum())
    if early:
        yield Finding(
            "Synchronization",
            Level.WARNING,
            f"{early} of {len(anchor.logs_ns)} anchors come before {case.inputs.tf_static} and "
            f"every CameraInfo are known ({case.at_s(case.ready_ns):.1f} s): they stay incomplete.",
        )


def _absent(case: Case, stream: Stream) -> str:
    wanted = " or ".join(stream.msgtypes)
    found = case.bag.topics.get(stream.topic)
    others = [t.topic for t in case.bag.of_type(*stream.msgtypes)]
    hint = f"of that type the bag has {', '.join(others) or 'nothing'}; set {stream.key}"
    if found is None:
        return f"{stream.name}: no topic {stream.topic} ({wanted}) in the bag; {hint}."
    if found.msgtype not in stream.msgtypes:
        return (
            f"{stream.name}: topic {stream.topic} is of type {found.msgtype}, expected {wanted}; "
            f"{hint}."
        )
    return f"{stream.name}: topic {stream.topic} has no readable message; {hint}."


def _no_acceleration(case: Case) -> str:
    others = case.bag.of_type(*bag.ACCELERATIONS)
    if others:
        return (
            f"Acceleration {others[0].topic} is given in frame '{others[0].frame_id}', not in "
            f"'{case.inputs.base_frame}': it is derived from odometry instead, and flagged."
        )
    return "No acceleration topic: it is derived from odometry, and flagged."


def _check_period(case: Case, anchor: TopicSurvey) -> Iterator[Finding]:
    configured_s, measured_s = case.inputs.period_s, anchor.period_s
    if not measured_s > 0 or abs(measured_s / configured_s - 1.0) <= _PERIOD_OFF:
        return
    fires = " and the watchdog fires between cycles" if measured_s > 2 * configured_s else ""
    yield Finding(
        "Rates and gaps",
        Level.PROBLEM if fires else Level.WARNING,
        f"Anchor {case.anchor.name} comes every {seconds(measured_s)}, but inputs.period_s is "
        f"{configured_s:g}{fires}; set inputs.period_s to {nice_period_s(measured_s):g}.",
    )


def _sync_of(case: Case, anchor: TopicSurvey, stream: Stream, found: TopicSurvey) -> Finding:
    distance_s, _, is_late = match(anchor, found, case.inputs.sync_wait_s)
    size_s = np.abs(distance_s)
    share = float((size_s <= stream.tolerance_s).mean())
    usable = size_s[np.isfinite(size_s)]
    if not len(usable):
        text = f"{stream.name}: no message comes in time for any anchor"
    else:
        median, p95 = np.percentile(usable, [50, 95])
        text = (
            f"{stream.name}: {seconds(median)} from the anchor (median; 95 %: {seconds(p95)}; "
            f"largest {seconds(usable.max())}), {share:.0%} within {seconds(stream.tolerance_s)}"
        )
    if is_late.any():
        text += (
            f"; {is_late.mean():.0%} arrive more than inputs.sync_wait_s = "
            f"{seconds(case.inputs.sync_wait_s)} after it"
        )
    level = Level.OK
    if share < COMPLETE_OK:
        is_bad = share < COMPLETE_LEAST and stream.is_needed
        level = Level.PROBLEM if is_bad else Level.WARNING
        key = stream.key.rpartition(".")[0] + ".tolerance_s"
        text += f"; a larger {key} takes older data, better is to mend the recording"
    return Finding("Synchronization", level, text + ".")
