"""The page of an evaluation: runs side by side, worst scenes from above, distributions, words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diff_planner.metrics.intervals import Interval
from diff_planner.report.evaluation_figures import (
    Figure,
    Run,
    checked_runs,
    difference,
    figure,
    worst_scenes,
)
from diff_planner.report.metric_words import Group, MetricWords, in_order, words_of
from diff_planner.report.page import render_page, write_page

_SCRIPTS = ["plots.js", "scene_view.js", "histograms.js", "evaluation.js"]
_TABLE_LIMIT = 1000
_TABLES = {
    Group.SUB_SCORE: "Sub-scores",
    Group.PROPOSALS: "The set of proposals",
    Group.HUMAN: "Distance to the human driver",
}
Cell = dict[str, Any]


class EvaluationPage:
    """Writes the page of runs that were scored."""

    def __init__(self, runs: list[Run], *, key: str, title: str, seed: int = 0) -> None:
        """Prepare.

        Args:
            runs: the first is what the others are compared with.
            key: the metric of the headline: "pdms" or "epdms".
            title: of the page.
            seed: of the intervals.

        Raises:
            ResultsError: no runs, a run without scenes, or two runs of one name.
        """
        self._runs = checked_runs(runs)
        self._key = key
        self.ranking_key = key if worst_scenes(runs, key) else "nc"
        """What tells the worst scenes: the headline, or NC where no scene has it."""
        self._title = title
        self._seed = seed
        self._catalogue = in_order(
            {m for run in runs for line in run.results.lines for m in line.metrics} | {key}
        )
        # Each scene once, in the order of the runs.
        self._scenes = list(dict.fromkeys(name for run in runs for name in run.scenes))

    def worst_scenes(self) -> list[str]:
        """Return the scenes to draw, the worst first."""
        return worst_scenes(self._runs, self.ranking_key)

    def write(self, path: Path, views: list[dict[str, Any]]) -> None:
        """Write the page; it appears only when complete.

        Args:
            path: the HTML file.
            views: of `scene_view.scene_view`, the scenes to draw.

        Raises:
            ResultsError: a number of the views is not finite.
            OutputError: the folder or the disk refuses.
        """
        write_page(path, self.render(views))

    def render(self, views: list[dict[str, Any]]) -> str:
        """Return the page as text; see `write`."""
        return render_page(
            "evaluation.html",
            title=self._title,
            scripts=_SCRIPTS,
            data={
                "runs": [run.name for run in self._runs],
                "views": views,
                "scores": {view["name"]: self._scores(view["name"]) for view in views},
                "histograms": [h for w in self._catalogue if (h := self._histogram(w))],
            },
            context=self._context(len(views)),
        )

    def _context(self, view_count: int) -> dict[str, Any]:
        headline = words_of(self._key)
        tables = [
            {
                "name": name,
                "group": group.name.lower(),
                "rows": [
                    {"words": w, "cells": [self._table_cell(run, w) for run in self._runs]}
                    for w in self._catalogue
                    if w.group is group
                ],
            }
            for group, name in _TABLES.items()
        ]
        return {
            "headline": headline,
            "ranking": words_of(self.ranking_key),
            "runs": [self._run_row(run) for run in self._runs],
            "baseline": self._runs[0].name,
            "totals": [self._total_row(w) for w in self._catalogue if w.group is Group.TOTAL],
            "tables": [table for table in tables if table["rows"]],
            "catalogue": self._catalogue,
            "scene_count": len(self._scenes),
            "view_count": view_count,
            "scene_rows": [self._scene_row(name) for name in self._scenes[:_TABLE_LIMIT]],
            "left_out": max(0, len(self._scenes) - _TABLE_LIMIT),
            "gaps": self._gaps(),
            "mismatch": self._mismatch(),
        }

    def _table_cell(self, run: Run, words: MetricWords) -> Cell:
        if not run.measures(words.key):
            return {"text": "-", "interval": "", "reason": "", "note": ""}
        return _cell(figure(run, words, self._seed))

    def _total_row(self, words: MetricWords) -> dict[str, Any]:
        rows = []
        for run in self._runs:
            found = figure(run, words, self._seed)
            rows.append({"run": run.name, "cell": _cell(found), "whisker": _whisker(found)})
            if run is not self._runs[0]:
                rows[-1]["difference"] = self._difference(run, words)
        return {"words": words, "rows": rows}

    def _difference(self, run: Run, words: MetricWords) -> Cell | None:
        found = difference(run, self._runs[0], words, self._seed)
        if found is None:
            return None
        return {
            "text": f"{found.mean:+.1f}",
            "interval": _bounds(found.interval, sign=True),
            "scenes": found.scenes,
            "is_clear": found.is_clear,
        }

    def _run_row(self, run: Run) -> dict[str, Any]:
        header = run.results.header
        return {
            "name": run.name,
            "scenes": len(run.results.lines),
            "command": header.command,
            "commit": header.commit,
            "machine": header.machine,
            "seed": header.seed,
            "model": header.model,
            "config": json.dumps(header.config, indent=2, sort_keys=True),
        }

    def _scene_row(self, name: str) -> dict[str, Any]:
        cells = []
        for run in self._runs:
            metric = run.metric(name, self._key)
            scale = words_of(self._key).scale
            text = "-" if metric.value is None else f"{metric.value * scale:.1f}"
            cells.append({"text": text, "reason": metric.reason})
        return {"name": name, "cells": cells}

    def _scores(self, scene: str) -> dict[str, list[Cell]]:
        """Return the total and the sub-scores of each run in a scene, for the pictures."""
        shown = [w for w in self._catalogue if w.key == self._key or w.group is Group.SUB_SCORE]
        return {
            run.name: [
                {
                    "short": w.short,
                    "value": None if m.value is None else round(m.value * w.scale, 2),
                    "reason": m.reason,
                }
                for w in shown
                for m in [run.metric(scene, w.key)]
            ]
            for run in self._runs
        }

    def _histogram(self, words: MetricWords) -> dict[str, Any] | None:
        values = [
            [
                round(m.value * words.scale, 4)
                for line in run.results.lines
                if (m := line.metrics.get(words.key)) is not None and m.value is not None
            ]
            for run in self._runs
        ]
        if not any(values):
            return None
        is_bounded = not words.unit
        return {
            "title": f"{words.short}: {words.title}" if words.short != words.title else words.title,
            "unit": words.unit,
            "low": 0.0,
            "high": 100.0 if is_bounded else max(max(v, default=0.0) for v in values) or 1.0,
            "values": values,
        }

    def _mismatch(self) -> str:
        """Return why the runs may not be comparable, or an empty string."""
        if len({frozenset(run.scenes) for run in self._runs}) > 1:
            counts = ", ".join(f"{run.name} {len(run.scenes)}" for run in self._runs)
            return f"The runs were not scored on the same scenes ({counts} scenes)."
        files = {run.results.header.config.get("scenes_sha256") for run in self._runs}
        if len(files) > 1:
            return "The runs read different files of scenes, though the names are the same."
        return ""

    def _gaps(self) -> list[dict[str, Any]]:
        """Return what no page may hide: metrics that some scenes did not evaluate, and why."""
        found: dict[tuple[str, str], list[str]] = {}
        for words in self._catalogue:
            for run in self._runs:
                if words.key != self._key and not run.measures(words.key):
                    continue
                for name in run.scenes:
                    metric = run.metric(name, words.key)
                    if metric.value is None:
                        found.setdefault((words.title, metric.reason), []).append(
                            f"{run.name}: {name}"
                        )
        # What is missing in the same places for the same reason is one row.
        rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for (title, reason), names in found.items():
            rows.setdefault((reason, tuple(names)), []).append(title)
        return [
            {"metrics": metrics, "reason": reason, "count": len(names), "first": names[0]}
            for (reason, names), metrics in rows.items()
        ]


def _cell(found: Figure) -> Cell:
    """Return a table cell: a mean with its interval, or why there is none."""
    if found.mean is not None:
        return {
            "text": f"{found.mean:.1f}" if abs(found.mean) >= 10 else f"{found.mean:.2f}",
            "interval": _bounds(found.interval),
            "reason": "",
            "note": "",
        }
    note = ""
    if found.partial is not None:
        note = f"{found.evaluated} of {found.scenes} scenes have it, their mean {found.partial:.1f}"
    return {"text": "not evaluated", "interval": "", "reason": found.reason, "note": note}


def _bounds(interval: Interval | None, *, sign: bool = False) -> str:
    if interval is None:
        return "no interval: one scene"
    form = "+.1f" if sign else ".1f" if interval.high >= 10 else ".2f"
    if interval.high - interval.low < 1e-9:
        return "all alike"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def _whisker(found: Figure) -> dict[str, float] | None:
    """Return mean and bounds, 0 to 100, for the small picture beside the figure."""
    if found.mean is None:
        return None
    low = found.mean if found.interval is None else found.interval.low
    high = found.mean if found.interval is None else found.interval.high
    return {"mean": found.mean, "low": low, "high": high}
