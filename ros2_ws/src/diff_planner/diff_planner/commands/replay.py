"""`diff-planner replay` and `demo`: a bag through the planner, to a bag, a page and a table."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from diff_planner.config import PlannerConfig, load_config, parse
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.replay import Replay
from diff_planner.data.replay_tally import write_timings
from diff_planner.data.replay_types import ReplaySummary
from diff_planner.data.rig import suggest_config
from diff_planner.errors import MissingInputError, OutputError
from diff_planner.files import make_folder
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.report.provenance import commit, machine
from diff_planner.report.replay_page import ReplayPage
from diff_planner.report.results import (
    Metric,
    ModelIdentity,
    ResultHeader,
    ResultLine,
    write_results,
)
from diff_planner.report.summary_table import summary_table
from diff_planner.resources import model_folder


@dataclass(frozen=True)
class ReplayRequest:
    """What was asked for on the command line."""

    bag: Path
    plans: Path
    """Bag to write."""
    page: Path | None = None
    overwrite: bool = False
    config_path: Path | None = None
    """None: the configuration that `doctor` would suggest."""
    start_s: float = 0.0
    duration_s: float | None = None
    model: str | None = None
    backend: str | None = None
    threads: int | None = None
    seed: int | None = None
    """None: that of the configuration."""
    command: str = "diff-planner replay"


@dataclass(frozen=True)
class ReplayRun:
    """What came of it."""

    summary: ReplaySummary
    table: str
    files: dict[str, Path]
    """What was written, by what it is."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        summary = self.summary
        return {
            **asdict(summary),
            "rate_hz": summary.rate_hz if math.isfinite(summary.rate_hz) else None,
            "diffusion_share": summary.diffusion_share,
            "files": {name: str(path) for name, path in self.files.items()},
        }


def run_replay(
    request: ReplayRequest, on_progress: Callable[[float], None] | None = None
) -> ReplayRun:
    """Replay a bag; each file appears whole or not at all, the page before the plans.

    Raises:
        DiffPlannerError: the bag, the configuration or the model cannot be used, no cycle ran, or
            a file cannot be written.
    """
    if os.path.exists(request.plans) and not request.overwrite:
        raise OutputError(f"{request.plans} exists; --overwrite replaces it")
    with ExitStack() as stack:
        reader = stack.enter_context(BagReader(request.bag))
        config = planner_config(request, reader)
        backend = load_backend(
            model_folder(config.model.path), config.model.backend, config.model.threads
        )
        stack.callback(backend.close)
        page = None
        if request.page is not None:
            # The anchor's messages tell how many cycles to spread the pictures over.
            page = ReplayPage(
                config,
                title=request.bag.name,
                expected_cycles=_expected_cycles(config, reader, request),
            )
        make_folder(request.plans.parent)
        with BagWriter(request.plans, overwrite=request.overwrite) as writer:
            replay = Replay(
                Planner(config, backend),
                writer=writer,
                on_cycle=None if page is None else page.add,
            )
            summary = replay.run(
                reader,
                start_s=request.start_s,
                duration_s=request.duration_s,
                on_progress=on_progress,
            )
            if not summary.cycles:
                raise MissingInputError(_no_cycle(reader))
            summary = replace(summary, command=request.command, output=request.plans.name)
            if page is not None and request.page is not None:
                # Inside: where the page fails there are no plans, and the command can be repeated.
                make_folder(request.page.parent)
                page.write(request.page, ego_path=replay.ego_path, summary=summary)
        files = _write_beside(request, config, replay, summary)
    return ReplayRun(summary, summary_table(summary), files)


def planner_config(request: ReplayRequest, reader: BagReader) -> PlannerConfig:
    """Return the configuration that was asked for: a file's or the bag's, and the command line's.

    Raises:
        DiffPlannerError: the file, the command line or the bag gives none.
    """
    config = (
        suggest_config(reader) if request.config_path is None else load_config(request.config_path)
    )
    asked = {
        "path": request.model,
        "backend": request.backend,
        "threads": request.threads,
        "seed": request.seed,
    }
    model = config.model.model_dump() | {k: v for k, v in asked.items() if v is not None}
    return parse(PlannerConfig, config.model_dump() | {"model": model}, "command line")


def _no_cycle(reader: BagReader) -> str:
    lasts_s = (reader.end_ns - reader.start_ns) / 1e9
    return f"{reader.path}: no cycle between --start and its end; the bag lasts {lasts_s:.1f} s"


def _expected_cycles(config: PlannerConfig, reader: BagReader, request: ReplayRequest) -> int:
    inputs = config.inputs
    topic = inputs.cameras[inputs.anchor].image if inputs.anchor in inputs.cameras else None
    if topic is None and inputs.lidar is not None:
        topic = inputs.lidar.topic
    count = reader.topics[topic].count if topic in reader.topics else 0
    whole_s = max((reader.end_ns - reader.start_ns) / 1e9, 1e-9)
    left_s = max(whole_s - request.start_s, 0.0)
    asked_s = left_s if request.duration_s is None else min(request.duration_s, left_s)
    return max(1, round(count * asked_s / whole_s))


def _write_beside(
    request: ReplayRequest,
    config: PlannerConfig,
    replay: Replay,
    summary: ReplaySummary,
) -> dict[str, Path]:
    """Write the wall-clock figures and the results beside the plans."""
    stem = request.plans.with_suffix("")
    timing = stem.with_name(stem.name + ".timing.jsonl")
    results = stem.with_name(stem.name + ".results.jsonl")
    write_timings(timing, replay.timings)
    header = ResultHeader(
        command=request.command,
        config=config.model_dump(mode="json"),
        commit=commit(),
        model=ModelIdentity(
            name=summary.model_name,
            sha256=summary.model_sha256,
            is_trained=summary.is_trained,
        ),
        seed=summary.seed,
        machine=machine(),
    )
    write_results(results, header, [_result_line(summary)])
    files = {"plans": request.plans, "timing": timing, "results": results}
    return files if request.page is None else {**files, "page": request.page}


def _result_line(summary: ReplaySummary) -> ResultLine:
    share = summary.diffusion_share
    metrics = {
        "cycles": Metric.of(summary.cycles),
        "complete_anchors": Metric.of(summary.complete_anchors),
        "diffusion_share": Metric.missing("no cycle ran") if share is None else Metric.of(share),
    }
    for stage, (p50, p95, p99) in summary.stage_ms.items():
        for name, value in (("p50", p50), ("p95", p95), ("p99", p99)):
            metrics[f"{stage}_{name}"] = Metric.of(value, "ms")
    return ResultLine(kind="replay", name=summary.bag, metrics=metrics)
