"""Whether a bag can drive the planner, in sentences; each check is a function of its own file.

doctor_streams.py   topics, rates, stamps, synchronization
doctor_clocks.py    clocks
doctor_sensors.py   calibration, frames
doctor_data.py      pictures, points, odometry
doctor_report.py    findings, verdict, text
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diff_planner.config import PlannerConfig, to_yaml
from diff_planner.data import doctor_clocks, doctor_data, doctor_sensors, doctor_streams
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.doctor_case import Case, make_case
from diff_planner.data.doctor_report import DoctorReport, Finding, Level, render
from diff_planner.data.rig import suggest_config
from diff_planner.data.survey import BagSurvey, survey_bag
from diff_planner.errors import BagError, MissingInputError

__all__ = ["DoctorReport", "Finding", "Level", "examine", "render"]

_CHECKS = (
    doctor_streams.check_topics,
    doctor_streams.check_rates,
    doctor_streams.check_stamps,
    doctor_streams.check_sync,
    doctor_clocks.check_clocks,
    doctor_sensors.check_calibration,
    doctor_sensors.check_frames,
    doctor_data.check_data,
)


def examine(
    path: Path,
    config: PlannerConfig | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> DoctorReport:
    """Examine a bag: its first seconds for a configuration, then all of it.

    Memory grows by a few numbers a message.

    Args:
        path: bag folder or file.
        config: what to judge by; None judges by what `rig.suggest_config` proposes, which is what
            replay uses.
        on_progress: called with the share that is read, 0..1.

    Raises:
        BagError: the bag cannot be opened.  One that breaks off later gives a report that says so.
    """
    with BagReader(path) as reader:
        suggested, refusal = _suggest(reader)
        tf_static = (config or suggested or PlannerConfig()).inputs.tf_static
        found = survey_bag(reader, tf_static=tf_static, on_progress=on_progress)
    judged_by = config or suggested
    suggested_yaml = to_yaml(suggested) if suggested else ""
    if judged_by is None:
        return _without_config(path, found, refusal)
    case = make_case(found, judged_by)
    findings = [*_break_off(found), *(finding for check in _CHECKS for finding in check(case))]
    complete, anchors = doctor_streams.complete_anchors(case)
    problems = [finding for finding in findings if finding.level is Level.PROBLEM]
    can_drive = not problems and complete > 0
    return DoctorReport(
        bag=path.name,
        duration_s=(found.end_ns - found.start_ns) / 1e9,
        messages=sum(topic.count for topic in found.topics.values()),
        can_drive=can_drive,
        verdict=_verdict(case, problems, complete, anchors),
        anchors=anchors,
        complete_anchors=complete,
        topics=doctor_streams.topic_rows(found, doctor_streams.uses_of(case)),
        findings=tuple(findings),
        config_yaml=suggested_yaml,
    )


def _suggest(reader: BagReader) -> tuple[PlannerConfig | None, str]:
    """Return the configuration that fits, or why none does."""
    try:
        return suggest_config(reader), ""
    except (MissingInputError, BagError) as error:
        return None, str(error)


def _break_off(found: BagSurvey) -> list[Finding]:
    if not found.break_off:
        return []
    text = f"Reading stopped: {found.break_off.rstrip('.')}; what follows is of the part before."
    return [Finding("Topics", Level.PROBLEM, text)]


def _without_config(path: Path, found: BagSurvey, refusal: str) -> DoctorReport:
    """Return the report of a bag that lacks something indispensable."""
    return DoctorReport(
        bag=path.name,
        duration_s=(found.end_ns - found.start_ns) / 1e9,
        messages=sum(topic.count for topic in found.topics.values()),
        can_drive=False,
        verdict="This bag cannot drive the planner: something indispensable is missing.",
        anchors=0,
        complete_anchors=0,
        topics=doctor_streams.topic_rows(found, {}),
        findings=(*_break_off(found), Finding("Topics", Level.PROBLEM, f"{refusal.rstrip('.')}.")),
        config_yaml="",
    )


def _verdict(case: Case, problems: list[Finding], complete: int, anchors: int) -> str:
    share = f"{complete} of {anchors} anchors ({case.anchor.name})"
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        return (
            f"This bag cannot drive the planner: {count}; {share} have every stream in time.  "
            f"First: {problems[0].text}"
        )
    verb = "can" if complete else "cannot"
    return f"This bag {verb} drive the planner: {share} are complete."
