"""The figures of a replay through the graph in words: what went in, what came out, how fast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from diff_planner.types import Source

_LAST = ("total", "sensor_age", "input_to_output", "end_to_end")
"""Latencies of the whole cycle, below those of its parts."""


@dataclass(frozen=True)
class NodeSummary:
    """What a node made of a bag that was played to it."""

    bag: str
    """File name of the bag, without its folder."""
    played_s: float
    """Bag time, all loops."""
    how: str
    """At which rate and how often, or in lock-step, in words."""
    anchors: int
    """Anchor messages sent."""
    planned_anchors: int
    """Of these, how many got a plan with their stamp, whatever its source."""
    plans: int
    lost_plans: int
    """Made by the node and not received."""
    sources: Mapping[str, int]
    """By name of `Source`."""
    rate_hz: float
    """Of the plans for anchors, in their stamps' time; NaN for fewer than two."""
    anchor_rate_hz: float
    """Of the anchor messages, likewise."""
    stage_ms: Mapping[str, tuple[float, float, float]]
    """p50, p95, p99 in milliseconds, from CycleTiming."""
    player: str
    """What the player says of itself."""
    model: str
    """Name, backend and whether it is trained, as the node says; empty when it said nothing."""

    @property
    def planned_share(self) -> float | None:
        """Share of anchor messages that got a plan with their stamp, 0..1; None without any."""
        return self.planned_anchors / self.anchors if self.anchors else None


def node_table(summary: NodeSummary) -> str:
    """Return the table that the terminal shows: plain ASCII, aligned."""
    share = summary.planned_share
    planned = "not evaluated: no anchor was sent" if share is None else f"{100.0 * share:.1f} %"
    rows = [
        ("bag", f"{summary.bag}, {summary.played_s:.1f} s, {summary.how}"),
        ("plans", f"{summary.plans} received, {summary.lost_plans} lost on the way"),
        ("anchor frames", f"{summary.anchors}: {planned} got a plan"),
        ("rate", f"{_number(summary.rate_hz)} Hz, anchor {_number(summary.anchor_rate_hz)} Hz"),
        *(
            (f"source {source.name}", f"{summary.sources[source.name]} of {summary.plans}")
            for source in Source
            if source.name in summary.sources
        ),
        ("model", summary.model or "the node said nothing of it"),
        ("player", summary.player),
    ]
    width = max(len(what) for what, _ in rows)
    lines = [f"{what:<{width}}  {figure}" for what, figure in rows]
    stages = _ordered(summary.stage_ms)
    if stages:
        lines += ["", f"{'latency (ms)':<16} {'p50':>9} {'p95':>9} {'p99':>9}"]
        lines += [
            f"{name:<16} " + " ".join(f"{value:>9.2f}" for value in summary.stage_ms[name])
            for name in stages
        ]
    return "\n".join(line.rstrip().encode("ascii", "replace").decode() for line in lines)


def _ordered(stages: Mapping[str, object]) -> list[str]:
    parts = [name for name in stages if name not in _LAST]
    return [*parts, *(name for name in _LAST if name in stages)]


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
