"""The figures of a replay in words: rows for the page and a plain table for the terminal."""

from __future__ import annotations

import math

from diff_planner.data.replay_types import ReplaySummary
from diff_planner.types import RejectBit, Source

UNTRAINED = (
    "This model is untrained: its plans show that the line from sensors to plan works, "
    "not that it drives well."
)
_STAGE_ORDER = ["decode", "features", "inference", "select", "refine", "safety"]
Rows = list[tuple[str, str]]


def summary_rows(summary: ReplaySummary) -> Rows:
    """Return (what, figure) pairs, the most asked-for first."""
    rows = [
        ("bag", f"{summary.bag}, {summary.bag_duration_s:.1f} s"),
        ("cycles", f"{summary.cycles} plans, {_number(summary.rate_hz, '.2f')} Hz in bag time"),
        (
            "anchor frames",
            f"{summary.anchors}: {summary.complete_anchors} with every input, "
            f"{summary.missed} without odometry",
        ),
        ("watchdog plans", f"{summary.watchdog} (no anchor came in time)"),
        *((f"source {name}", _share(summary, name)) for name in _sources(summary)),
        ("model", f"{summary.model_name}, {_trained(summary)}"),
        ("backend", f"{summary.backend} {summary.precision}, seed {summary.seed}"),
    ]
    if summary.wall_s is not None and summary.wall_s > 0:
        speed = summary.bag_duration_s / summary.wall_s
        rows.append(("time taken", f"{summary.wall_s:.1f} s, {speed:.1f} x real time"))
    if summary.cpu_s is not None and summary.bag_duration_s > 0:
        load = summary.cpu_s / summary.bag_duration_s
        rows.append(("processor", f"{load:.2f} core-seconds per second of bag"))
    return rows


def stage_rows(summary: ReplaySummary) -> list[tuple[str, str, str, str]]:
    """Return (stage, p50, p95, p99) in milliseconds, in the order of work, the total last."""
    known = [name for name in _STAGE_ORDER if name in summary.stage_ms]
    others = [name for name in summary.stage_ms if name not in (*_STAGE_ORDER, "total")]
    total = ["total"] if "total" in summary.stage_ms else []
    return [
        (name, *(_number(value, ".2f") for value in summary.stage_ms[name]))  # type: ignore[misc]
        for name in [*known, *others, *total]
    ]


def reject_rows(summary: ReplaySummary) -> list[tuple[RejectBit, int, int]]:
    """Return (bit, candidates of all cycles, candidates of cycles without DIFFUSION), not zero."""
    rows = [
        (
            bit,
            summary.rejected.get(str(bit.name), 0),
            summary.rejected_without_diffusion.get(str(bit.name), 0),
        )
        for bit in RejectBit
    ]
    return sorted((row for row in rows if row[1] or row[2]), key=lambda row: (-row[2], -row[1]))


def summary_table(summary: ReplaySummary) -> str:
    """Return the table that the terminal shows after a replay: plain ASCII, aligned."""
    lines = _aligned(summary_rows(summary))
    stages = stage_rows(summary)
    if stages:
        lines += ["", f"{'stage (ms)':<16} {'p50':>9} {'p95':>9} {'p99':>9}"]
        lines += [f"{s:<16} {p50:>9} {p95:>9} {p99:>9}" for s, p50, p95, p99 in stages]
    rejects = reject_rows(summary)
    if rejects:
        total, without = summary.candidates, summary.candidates_without_diffusion
        lines += ["", f"{'candidates refused for':<22} {'all cycles':>14} {'fallback cycles':>16}"]
        lines += [
            f"{bit.name or '':<22} {f'{every}/{total}':>14} {f'{fell}/{without}':>16}"
            for bit, every, fell in rejects
        ]
    if summary.reasons:
        lines += ["", "why a plan was not the network's, or suffered (#: a number that differs)"]
        lines += [f"{count:>6} x {reason}" for reason, count in _most(summary)]
    lines += [f"note: {note}" for note in summary.notes]
    if not summary.is_trained:
        lines += ["", UNTRAINED]
    return "\n".join(_ascii(line).rstrip() for line in lines)


def _aligned(rows: Rows) -> list[str]:
    width = max(len(what) for what, _ in rows)
    return [f"{what:<{width}}  {figure}" for what, figure in rows]


def _sources(summary: ReplaySummary) -> list[str]:
    """Return the sources that occur and DIFFUSION, the mildest first."""
    return [s.name for s in Source if s.name in summary.sources or s is Source.DIFFUSION]


def _share(summary: ReplaySummary, source: str) -> str:
    count = summary.sources.get(source, 0)
    if not summary.cycles:
        return "not evaluated: no cycle was run"
    return f"{100.0 * count / summary.cycles:.1f} % ({count} of {summary.cycles})"


def _trained(summary: ReplaySummary) -> str:
    return summary.training if summary.is_trained else f"UNTRAINED ({summary.training})"


def _most(summary: ReplaySummary, limit: int = 8) -> list[tuple[str, int]]:
    """Return the commonest reasons; what is left out is counted in a last row."""
    ordered = sorted(summary.reasons.items(), key=lambda item: (-item[1], item[0]))
    left = sum(count for _, count in ordered[limit:])
    rest = [(f"({len(ordered) - limit} other reasons)", left)] if left else []
    return [*ordered[:limit], *rest]


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
