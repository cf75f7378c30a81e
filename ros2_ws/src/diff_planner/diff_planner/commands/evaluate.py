"""`diff-planner evaluate`: policies on scenes, to results and one page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.commands.scene_scores import SceneScores, scene_scores, without_plan
from diff_planner.errors import ConfigError, ResultsError
from diff_planner.metrics.comfort import PreviousPlan
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.policies.baselines import BASELINES, with_reference
from diff_planner.report.evaluation_figures import Run, checked_runs, figure
from diff_planner.report.evaluation_page import EvaluationPage
from diff_planner.report.metric_words import Group, MetricWords, in_order
from diff_planner.report.provenance import commit, machine
from diff_planner.report.results import (
    Metric,
    ResultHeader,
    ResultLine,
    Results,
    read_results,
    write_results,
)
from diff_planner.report.scene_view import scene_view
from diff_planner.scene.load import load_scenes
from diff_planner.scene.proposals_file import load_proposals
from diff_planner.scene.schema import Scene

Array = NDArray[np.float64]
RESULTS_ENDING = ".results.jsonl"


@dataclass(frozen=True)
class EvaluateRequest:
    """What was asked for on the command line."""

    scenes: Path
    policies: tuple[str, ...]
    """Names of baselines, or npz files of proposals."""
    metric: str
    """"pdms" or "epdms"."""
    out: Path
    compare: tuple[str, ...] = ()
    """Results of earlier runs: FILE or NAME=FILE."""
    pictures: int = 6
    seed: int = 0
    command: str = "diff-planner evaluate"


@dataclass(frozen=True)
class Evaluation:
    """What came of it."""

    runs: tuple[Run, ...]
    files: dict[str, Path]
    """What was written, by what it is."""
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: the mean and interval of each metric of each run."""
        return {
            "runs": {run.name: self._figures(run) for run in self.runs},
            "files": {name: str(path) for name, path in self.files.items()},
        }

    def table(self) -> str:
        """Return the table that the terminal shows."""
        lines = []
        for run in self.runs:
            words = [w for w in _measured(run) if w.group in (Group.TOTAL, Group.SUB_SCORE)]
            figures = [figure(run, w, self.seed) for w in words]
            if not any(found.evaluated for found in figures):
                reasons = "; ".join(dict.fromkeys(found.reason for found in figures))
                lines.append(f"{run.name}: {len(run.scenes)} scenes, not evaluated: {reasons}")
                continue
            lines.append(f"{run.name}: {len(run.scenes)} scenes")
            for w, found in zip(words, figures, strict=True):
                if found.mean is None:
                    had = f"{found.evaluated} of {found.scenes} scenes have it"
                    if found.partial is not None:
                        had += f", their mean {found.partial:.1f}"
                    had += f"; {found.reason}"
                    lines.append(f"  {w.short:<14} not evaluated: {had}")
                    continue
                bounds = found.interval
                text = "" if bounds is None else f"  [{bounds.low:.1f}, {bounds.high:.1f}]"
                lines.append(f"  {w.short:<14} {found.mean:6.1f}{text}")
        return "\n".join(lines)

    def _figures(self, run: Run) -> dict[str, Any]:
        found = {w.key: figure(run, w, self.seed) for w in _measured(run)}
        return {
            key: {
                "mean_on_page": f.mean,
                "interval": None if f.interval is None else [f.interval.low, f.interval.high],
                "evaluated": f.evaluated,
                "scenes": f.scenes,
                "reason": f.reason,
            }
            for key, f in found.items()
        }


@dataclass(frozen=True)
class _Policy:
    name: str
    propose: Callable[[Scene], Array | str]
    """Returns [K, 8, 3] in ego frame, or why there is no plan."""


class _Scorer:
    """Scores policies on scenes, each after the scene that came shortly before it in its log."""

    def __init__(self, scenes: tuple[Scene, ...], metric: str) -> None:
        self._metric = metric
        self._before: dict[str, Scene] = {}
        ordered = sorted(scenes, key=lambda scene: (scene.log, scene.time_s))
        for earlier, later in pairwise(ordered):
            if metric == "epdms" and later.follows(earlier):
                self._before[later.token] = earlier
        self._states: dict[str, tuple[str, Array | None]] = {}

    def score(self, policy: _Policy, scene: Scene) -> SceneScores:
        proposals = policy.propose(scene)
        if isinstance(proposals, str):
            return without_plan(self._metric, proposals)
        ready = PreparedScene.of(scene)
        scores = scene_scores(ready, proposals, self._metric, self._previous(policy, scene))
        self._states[policy.name] = (scene.token, scores.states)
        return scores

    def _previous(self, policy: _Policy, scene: Scene) -> PreviousPlan | None:
        before = self._before.get(scene.token)
        if before is None:
            return None
        token, states = self._states.get(policy.name, ("", None))
        if token != before.token:  # not the scene just scored: what comes before it plays no part
            proposals = policy.propose(before)
            if isinstance(proposals, str):
                return None
            ready = PreparedScene.of(before)
            states = scene_scores(ready, proposals, self._metric).states
        return None if states is None else PreviousPlan(states, scene.time_s - before.time_s)


def evaluate(
    request: EvaluateRequest, on_progress: Callable[[float], None] | None = None
) -> Evaluation:
    """Score policies on scenes and write OUT/NAME.results.jsonl for each and OUT/report.html.

    Raises:
        DiffPlannerError: scenes, proposals or earlier results cannot be used, there is nothing to
            show, or a file cannot be written.
    """
    if not request.policies and not request.compare:
        raise ConfigError("expected at least one --policy or --compare, got none")
    scenes = tuple(with_reference(scene) for scene in load_scenes(request.scenes))
    policies = [_policy(text, scenes) for text in request.policies]
    earlier = [_earlier(text) for text in request.compare]
    _check_names(request, [policy.name for policy in policies], [run.name for run in earlier])
    lines: dict[str, list[ResultLine]] = {policy.name: [] for policy in policies}
    scorer = _Scorer(scenes, request.metric)
    for index, scene in enumerate(scenes):
        for policy in policies:
            metrics = scorer.score(policy, scene).metrics
            line = ResultLine(kind="scene", name=scene.token, metrics=metrics)
            lines[policy.name].append(line)
        if on_progress is not None:
            on_progress((index + 1) / len(scenes))
    files: dict[str, Path] = {}
    runs = []
    measured = [line.metrics.items() for found in lines.values() for line in found]
    units = {key: metric.unit for metrics in measured for key, metric in metrics}
    for policy in policies:
        header = _header(request, policy.name)
        files[policy.name] = request.out / f"{policy.name}{RESULTS_ENDING}"
        filled = _filled(lines[policy.name], request.metric, units)
        write_results(files[policy.name], header, filled)
        runs.append(Run(policy.name, Results(header, tuple(filled))))
    runs = checked_runs([*runs, *earlier])
    files["page"] = request.out / "report.html"
    title = f"{request.metric.upper()} on {request.scenes.name}"
    page = EvaluationPage(runs, key=request.metric, title=title, seed=request.seed)
    by_token = {scene.token: scene for scene in scenes}
    worst = [by_token[token] for token in page.worst_scenes() if token in by_token]
    page.write(files["page"], [_view(s, policies, scorer) for s in worst[: request.pictures]])
    return Evaluation(tuple(runs), files, request.seed)


def _check_names(request: EvaluateRequest, policies: list[str], earlier: list[str]) -> None:
    """Refuse runs of one name, and to write where there is no folder or over an earlier run."""
    names = [*policies, *earlier]
    if len(names) != len(set(names)):
        raise ResultsError(
            f"expected a different name for each run, got {', '.join(names)}; a file of proposals "
            "counts under its own name, and --compare takes NAME=FILE"
        )
    if request.out.exists() and not request.out.is_dir():
        raise ConfigError(f"--out: expected a folder, {request.out} is a file")
    written = {(request.out / f"{name}{RESULTS_ENDING}").resolve() for name in policies}
    for text in request.compare:
        path = _named(text)[1]
        if path.resolve() in written:
            raise ConfigError(f"--compare: {path} would be written over; choose another --out")


def _filled(lines: list[ResultLine], metric: str, units: dict[str, str]) -> list[ResultLine]:
    """Give scenes without a plan what others were measured by, not evaluated for the reason."""
    filled = []
    for line in lines:
        reason = line.metrics[metric].reason
        is_planned = len(line.metrics) > 1
        absent = {
            key: Metric.missing(reason, unit)
            for key, unit in units.items()
            if key not in line.metrics and not is_planned
        }
        filled.append(line.model_copy(update={"metrics": line.metrics | absent}))
    return filled


def _view(scene: Scene, policies: list[_Policy], scorer: _Scorer) -> dict[str, Any]:
    """Draw a scene; it is scored again, so that the plans of all others need no memory."""
    scored = {policy.name: scorer.score(policy, scene) for policy in policies}
    plans = {name: scores.plan for name, scores in scored.items() if scores.plan is not None}
    return scene_view(scene, plans)


def _policy(text: str, scenes: tuple[Scene, ...]) -> _Policy:
    if text in BASELINES:
        driver = BASELINES[text]

        def propose(scene: Scene) -> Array | str:
            poses = driver(scene)
            return poses if isinstance(poses, str) else poses[None]

        return _Policy(text, propose)
    if not text.endswith(".npz"):
        known = ", ".join(BASELINES)
        raise ConfigError(f"--policy: expected {known} or a file PROPOSALS.npz, got {text!r}")
    proposals = load_proposals(Path(text), [scene.token for scene in scenes])
    return _Policy(Path(text).stem, lambda scene: proposals[scene.token])


def _earlier(text: str) -> Run:
    name, path = _named(text)
    return Run(name, read_results(path))


def _named(text: str) -> tuple[str, Path]:
    """Return the name and the file of `NAME=FILE`, or of a file that goes by its own name."""
    name, separator, file = text.partition("=")
    path = Path(file if separator else text)
    return name if separator else path.name.removesuffix(RESULTS_ENDING), path


def _header(request: EvaluateRequest, name: str) -> ResultHeader:
    return ResultHeader(
        command=request.command,
        config={
            "metric": request.metric,
            "policy": name,
            "scenes": request.scenes.name,
            "scenes_sha256": _digest(request.scenes),
        },
        commit=commit(),
        seed=request.seed,
        machine=machine(),
    )


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder in order of name."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _measured(run: Run) -> list[MetricWords]:
    return in_order({key for line in run.results.lines for key in line.metrics})
