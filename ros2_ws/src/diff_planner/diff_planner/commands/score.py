"""`diff-planner score`: proposals on scenes to PDMS or EPDMS, as JSON, results.jsonl, a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diff_planner.commands.collision_words import explain_collision
from diff_planner.commands.score_layout import Result, entry, parts_of
from diff_planner.config import VehicleConfig
from diff_planner.errors import ConfigError, SceneError
from diff_planner.files import whole_file
from diff_planner.metrics.comfort import PreviousPlan
from diff_planner.metrics.epdms import EpdmsResult, score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.value import Value
from diff_planner.policies.baselines import BASELINES, with_reference
from diff_planner.report.metric_words import Group, words_of
from diff_planner.report.provenance import commit, machine
from diff_planner.report.results import Check, Mean, Metric, ResultHeader, ResultLine, write_results
from diff_planner.scene.load import load_golden, load_scenes
from diff_planner.scene.proposals_file import load_proposals
from diff_planner.scene.schema import Scene

Array = NDArray[np.float64]
MetricName = Literal["pdms", "epdms"]
FRAME_S = 0.5
"""How far apart the candidates of golden scenes were taken to be planned."""
HUMAN_RULE = "the human's own future has no at-fault collision (NC = 1)"


@dataclass(frozen=True)
class ScoreRequest:
    """What was asked for on the command line."""

    scenes: Path
    out: Path
    """JSON to write; results.jsonl files go beside it."""
    proposals: Path | None = None
    """None: the candidates of golden scenes, or the baseline drivers on others."""
    metric: MetricName = "pdms"
    seed: int = 0
    command: str = "diff-planner score"


@dataclass(frozen=True)
class ScoreRun:
    """What came of it."""

    table: str
    means: dict[str, dict[str, Any]]
    """Per driver and metric: mean over the scenes if all have it, else that of those that have."""
    explanations: tuple[str, ...]
    """Each scene in which the human's own future collides, or could not be judged, and why."""
    files: dict[str, Path]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        files = {name: str(path) for name, path in self.files.items()}
        return {"means": self.means, "human_exceptions": self.explanations, "files": files}


@dataclass(frozen=True)
class _Work:
    """One scene and what is to be scored on it."""

    scene: Scene
    plans: Mapping[str, Array | str]
    """By driver: proposals [K, 8, 3], preferred first, or why there are none."""
    dump_full: frozenset[int] = frozenset()
    is_golden: bool = False


class _Scorer:
    """Scores scene after scene and remembers the plans of the frame before."""

    def __init__(self, metric: MetricName) -> None:
        self._metric = metric
        self._before: dict[tuple[str, str], tuple[Scene, Array]] = {}

    def score(self, work: _Work) -> dict[str, Result | str]:
        """Return the result of each driver, or why there is none."""
        ready = PreparedScene.of(work.scene)
        return {
            name: plans if isinstance(plans, str) else self._score(name, ready, plans)
            for name, plans in work.plans.items()
        }

    def _score(self, driver: str, ready: PreparedScene, plans: Array) -> Result:
        if self._metric == "pdms":
            return score_pdms(ready, plans)
        scene = ready.scene
        result = score_epdms(ready, plans, self._previous(driver, scene))
        self._before[driver, scene.log] = (scene, result.detail.states[:1])
        return result

    def _previous(self, driver: str, scene: Scene) -> PreviousPlan | None:
        """Return the driver's plan of the frame before; its first proposal is the plan."""
        if (driver, scene.log) not in self._before:
            return None
        before, states = self._before[driver, scene.log]
        if not scene.follows(before):
            return None
        return PreviousPlan(states, scene.time_s - before.time_s)


def run_score(
    request: ScoreRequest, on_progress: Callable[[float], None] | None = None
) -> ScoreRun:
    """Score every scene; files appear under their names only when all went well.

    Raises:
        DiffPlannerError: scenes or proposals cannot be used, or a file cannot be written.
    """
    inputs = [request.scenes, *([request.proposals] if request.proposals else [])]
    if any(request.out.resolve() == path.resolve() for path in inputs):
        raise ConfigError(f"{request.out} is a file to read; choose another name")
    tokens, works = _works(request)
    scorer = _Scorer(request.metric)
    rows: list[dict[str, Any]] = []
    lines: dict[str, list[ResultLine]] = {}
    for done, work in enumerate(works, start=1):
        results = scorer.score(work)
        rows.append(_row(work, results))
        for driver, result in results.items():
            line = _line(work.scene, driver, result, request.metric)
            lines.setdefault(driver, []).append(line)
        if on_progress is not None:
            on_progress(done / len(tokens))
    place = {token: index for index, token in enumerate(tokens)}
    rows.sort(key=lambda row: place[row["name"]])
    for found in lines.values():
        found.sort(key=lambda line: place[line.name])
    means = {driver: _means(found) for driver, found in lines.items()}
    table = _table(means, len(tokens), request.metric)
    files = _write(request, rows, lines)
    return ScoreRun(table, means, tuple(_exceptions(lines.get("human", []))), files)


def _exceptions(lines: list[ResultLine]) -> Iterator[str]:
    """Say in which scenes the human's own future collides or could not be judged, and why."""
    for line in lines:
        check = line.checks.get("human_nc")
        if check is not None and check.status.value != "passed":
            yield f"{line.name}: NC {check.status.value}: {check.reason}"


def _works(request: ScoreRequest) -> tuple[list[str], Iterator[_Work]]:
    """Return the scenes' tokens, and each scene with given, golden or baseline plans.

    The scenes come in the order in which they were driven, the tokens in that of the file.
    """
    if request.proposals is None:
        golden = load_golden(request.scenes)
        if golden is not None:
            return [case.scene.token for case in golden], (
                _Work(c.scene, {"candidates": c.candidates}, c.dump_full, is_golden=True)
                for c in golden
            )
    found_scenes = load_scenes(request.scenes)
    tokens = [scene.token for scene in found_scenes]
    scenes = sorted(found_scenes, key=lambda scene: (scene.log, scene.time_s))
    if request.proposals is not None:
        found = load_proposals(request.proposals, tokens)
        return tokens, (
            _Work(with_reference(scene), {"proposals": found[scene.token]}) for scene in scenes
        )
    return tokens, (
        _Work(
            with_reference(scene), {name: _alone(drive(scene)) for name, drive in BASELINES.items()}
        )
        for scene in scenes
    )


def _alone(plan: Array | str) -> Array | str:
    return plan if isinstance(plan, str) else plan[None]


def _row(work: _Work, results: Mapping[str, Result | str]) -> dict[str, Any]:
    """Return the scene's part of the JSON; other than golden scenes name the driver and notes."""
    entries: list[dict[str, Any]] = []
    row: dict[str, Any] = {"name": work.scene.token, "results": entries}
    for driver, result in results.items():
        if isinstance(result, str):
            entries.append({"driver": driver, "not_evaluated": {"all": result}})
            continue
        label = {} if work.is_golden else {"driver": driver}
        for index in range(len(result.no_collision.values)):
            values = entry(result, index, is_full=index in work.dump_full)
            entries.append({**label, **values})
        if isinstance(result, EpdmsResult):
            row["dropped_t0"] = list(result.dropped_agents)
            if work.is_golden:
                row["EC_pairs"] = list(_successive(work, result))
    if not work.is_golden:
        row["notes"] = dict(work.scene.notes)
    return row


def _successive(work: _Work, result: EpdmsResult) -> Iterator[dict[str, Any]]:
    """EC of each golden candidate with the next one in the place of the frame before."""
    plans = work.plans["candidates"]
    if isinstance(plans, str):
        raise SceneError(f"{work.scene.token}: golden scenes have candidates, got none")
    if len(plans) < 2:
        return
    previous = PreviousPlan(result.detail.states[1:], FRAME_S)
    extended = score_epdms(work.scene, plans[:-1], previous).extended_comfort
    for index, value in enumerate(extended.values):
        yield {"cur": index, "prev": index + 1, "EC": float(value)}


def _line(scene: Scene, driver: str, result: Result | str, metric: MetricName) -> ResultLine:
    """Return the scene's line of a driver; of several proposals the first is the plan."""
    if isinstance(result, str):
        totals = {"pdms": ("pdms",), "epdms": ("epdms", "epdms_filtered")}[metric]
        metrics = {name: Metric.missing(result) for name in (*totals, "nc")}
        return ResultLine(kind="scene", name=scene.token, metrics=metrics)
    metrics = {name: _metric(part.at(0)) for name, part in parts_of(result).items()}
    checks = {"human_nc": _human_check(scene, result)} if driver == "human" else {}
    return ResultLine(kind="scene", name=scene.token, metrics=metrics, checks=checks)


def _metric(value: Value) -> Metric:
    return Metric.missing(value.reason) if value.value is None else Metric.of(value.value)


def _human_check(scene: Scene, result: Result) -> Check:
    """Return whether the human drives without fault, with whom it collides if not."""
    score = result.no_collision.at(0)
    if score.value is None:
        return Check(requirement=HUMAN_RULE, reason=score.reason)
    step = int(result.detail.collision_step[0])
    reason = "" if step < 0 else explain_collision(scene, result.detail.states[0], step)
    return Check.of(HUMAN_RULE, score.value == 1.0, reason)


def _means(lines: list[ResultLine]) -> dict[str, Any]:
    """Return, per metric, the mean by `Mean`'s rule, how many scenes have one and why not all."""
    keys = dict.fromkeys(key for line in lines for key in line.metrics)
    found = {}
    for key in keys:
        mean = Mean.of([line.metrics.get(key, Metric()) for line in lines])
        found[key] = {
            "mean": mean.value,
            "partial_mean": mean.partial,
            "evaluated": mean.evaluated,
            "scenes": mean.scenes,
            "not_evaluated": dict(mean.reasons),
        }
    return found


def _table(means: Mapping[str, dict[str, Any]], scenes: int, metric: MetricName) -> str:
    """Return a table: a row per driver, a column per metric; then why things are missing."""
    keys = list(dict.fromkeys(key for found in means.values() for key in found))
    header = ["driver", *(words_of(key).short for key in keys)]
    rows = [header]
    for driver, found in means.items():
        rows.append([driver, *(_cell(found.get(key)) for key in keys)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    text = [f"{metric.upper()} over {scenes} scenes; (n): no mean of all, only of the n evaluated"]
    text += [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    reasons = dict.fromkeys(
        f"{words_of(key).short} not evaluated: {reason}"
        for found in means.values()
        for key, values in found.items()
        for reason in values["not_evaluated"]
        # A total repeats what its parts say.
        if words_of(key).group is not Group.TOTAL or not _is_said(reason, found)
    )
    return "\n".join([*text, *reasons])


def _is_said(reason: str, found: Mapping[str, dict[str, Any]]) -> bool:
    """Tell whether the reason a total is missing holds that of a sub-score."""
    parts = [values for key, values in found.items() if words_of(key).group is not Group.TOTAL]
    return any(part in reason for values in parts for part in values["not_evaluated"])


def _cell(values: Mapping[str, Any] | None) -> str:
    if values is None or not values["evaluated"]:
        return "-"
    if values["mean"] is None:
        return f"{values['partial_mean']:.4f} ({values['evaluated']})"
    return f"{values['mean']:.4f}"


def _write(
    request: ScoreRequest, rows: list[dict[str, Any]], lines: Mapping[str, list[ResultLine]]
) -> dict[str, Path]:
    header = ResultHeader(
        command=request.command,
        config={"metric": request.metric, "vehicle_default": VehicleConfig().model_dump()},
        commit=commit(),
        seed=request.seed,
        machine=machine(),
    )
    files = {"scores": request.out}
    stem = request.out.with_suffix("")
    # Around the others: nothing is written beside a name that cannot be.
    with whole_file(request.out) as partial:
        partial.write_text(json.dumps(rows, allow_nan=False) + "\n", encoding="utf-8")
        for driver, found in lines.items():
            path = stem.with_name(f"{stem.name}.{driver}.results.jsonl")
            write_results(path, header, found)
            files[driver] = path
    return files
