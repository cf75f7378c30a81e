"""What the doctor says: findings in sentences, a verdict, and how they are printed."""

from __future__ import annotations

import enum
import math
import textwrap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

_WIDTH = 100
_SECTION_ORDER = (
    "Topics",
    "Rates and gaps",
    "Stamps",
    "Synchronization",
    "Clocks",
    "Calibration",
    "Frames",
    "Data",
)


class Level(str, enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Planning works, worse or less often."""
    PROBLEM = "problem"
    """Planning does not work, or on wrong data."""


@dataclass(frozen=True)
class Finding:
    """One sentence with the numbers and what to do."""

    section: str
    level: Level
    text: str


@dataclass(frozen=True)
class TopicRow:
    """A line of the table of topics."""

    topic: str
    msgtype: str
    count: int
    rate_hz: float
    """From header stamps; NaN where they were not read or are too few."""
    use: str
    """Name of the input that it feeds, or "-"."""


@dataclass(frozen=True)
class DoctorReport:
    """Whether a bag can drive the planner, and why."""

    bag: str
    duration_s: float
    messages: int
    can_drive: bool
    verdict: str
    anchors: int
    """Messages of the anchor sensor."""
    complete_anchors: int
    """Of these, the ones with every needed stream within its tolerance."""
    topics: tuple[TopicRow, ...]
    findings: tuple[Finding, ...]
    config_yaml: str
    """The configuration to use, differences to the defaults only; empty when none fits."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        values = asdict(self)
        for row in values["topics"]:
            row["rate_hz"] = None if math.isnan(row["rate_hz"]) else row["rate_hz"]
        for finding in values["findings"]:
            finding["level"] = finding["level"].value
        return values

    def of_level(self, level: Level) -> list[Finding]:
        """Return the findings of a level."""
        return [finding for finding in self.findings if finding.level is level]


def render(report: DoctorReport) -> str:
    """Return the report as text of 100 columns, the verdict first."""
    lines = [
        f"{report.bag}: {report.duration_s:.1f} s, {report.messages} messages, "
        f"{len(report.topics)} topics",
        *_wrapped(report.verdict, ""),
        "",
        *_table(report.topics),
    ]
    sections = {finding.section: None for finding in report.findings}
    for section in sorted(sections, key=_SECTION_ORDER.index):
        lines += ["", section]
        for finding in report.findings:
            if finding.section == section:
                lines += _wrapped(finding.text, f"  {finding.level.value:<8} ")
    if report.config_yaml:
        is_default = report.config_yaml.strip() == "{}"
        body = "  (the defaults fit)" if is_default else textwrap.indent(report.config_yaml, "  ")
        lines += ["", "Configuration to use (what differs from the defaults)", body.rstrip()]
    return "\n".join(lines)


def seconds(value_s: float) -> str:
    """Return a duration for a sentence: in ms below one second."""
    return f"{value_s * 1e3:.0f} ms" if abs(value_s) < 0.9995 else f"{value_s:.2f} s"


def _wrapped(text: str, lead: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(rows: Iterable[TopicRow]) -> list[str]:
    cells = [("topic", "type", "count", "rate", "used as")]
    for row in rows:
        rate = "-" if math.isnan(row.rate_hz) else f"{row.rate_hz:.1f} Hz"
        cells.append((row.topic, row.msgtype.split("/")[-1], str(row.count), rate, row.use))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return [
        f"{topic:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}  {rate:>{widths[3]}}  "
        f"{use}".rstrip()
        for topic, kind, count, rate, use in cells
    ]
