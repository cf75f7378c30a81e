"""`diff-planner replay --ros` and `node-demo`: a bag through a node on the graph, and what it gave.

The only command that imports ROS, and only when it runs: all others work without.
"""

from __future__ import annotations

import importlib
import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diff_planner.commands.replay import ReplayRequest, planner_config
from diff_planner.config import PlannerConfig, to_yaml
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.node_plans import (
    PlanMark,
    anchor_stamps,
    first_loop,
    node_cycles,
    plan_marks,
    planned_anchors,
)
from diff_planner.data.replay import STATUS_TOPIC
from diff_planner.data.replay_tally import RunIdentity, Tally, stage_percentiles, write_timings
from diff_planner.errors import (
    BagError,
    ConfigError,
    MissingInputError,
    OutputError,
    RecordingError,
)
from diff_planner.files import make_folder
from diff_planner.report.node_table import NodeSummary, node_table
from diff_planner.report.provenance import commit, machine
from diff_planner.report.replay_page import ReplayPage
from diff_planner.report.results import (
    Metric,
    ModelIdentity,
    ResultHeader,
    ResultLine,
    write_results,
)
from diff_planner.types import Message, Source

if TYPE_CHECKING:
    from diff_planner.ros.graph_replay import GraphRequest, GraphRun

_NO_ROS = (
    "--ros needs rclpy and the built diff_planner_msgs ({error}): in this repository "
    "`make setup` and `source tools/ros_env.sh`; with a full ROS 2, source its setup.bash and "
    "that of the workspace"
)


@dataclass(frozen=True)
class NodeRun:
    """What came of a replay through the graph."""

    summary: NodeSummary
    table: str
    files: dict[str, Path]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        values = asdict(self.summary)
        for name in ("rate_hz", "anchor_rate_hz"):
            values[name] = values[name] if math.isfinite(values[name]) else None
        files = {name: str(path) for name, path in self.files.items()}
        return {**values, "planned_share": self.summary.planned_share, "files": files}


def use_own_domain() -> None:
    """Keep what follows apart from other ROS 2 systems: a domain that nobody is in, loopback only.

    Raises:
        ConfigError: ROS is not there.
    """
    require_ros()
    from diff_planner.ros import dds
    from diff_planner.ros.domain import free_domain_id

    os.environ["ROS_DOMAIN_ID"] = str(free_domain_id())
    os.environ.update(dds.environment(loopback_only=True))


def require_ros() -> None:
    """Check that ROS is there, before anything is done that takes time.

    Raises:
        ConfigError: it is not; says what to do.
    """
    try:
        importlib.import_module("diff_planner.ros.graph_replay")
    except ImportError as error:
        raise ConfigError(_NO_ROS.format(error=error)) from None


def run_replay_ros(
    request: ReplayRequest,
    *,
    say: Callable[[str], None],
    on_progress: Callable[[float], None] | None = None,
    **graph: Any,  # noqa: ANN401 - the fields of GraphRequest, which needs ROS to be named
) -> NodeRun:
    """Play a bag to a node and report on its plans.

    Args:
        request: as for an offline replay; model, backend, threads and seed are for an own node.
        say: takes lines for people.
        on_progress: called with the share done, 0..1.
        graph: fields of `GraphRequest` beside `start_s` and `duration_s`.

    Raises:
        ConfigError: ROS is not there.
        RecordingError: the plans could not be written.
        DiffPlannerError: the bag, the configuration or the node cannot be used.
    """
    require_ros()
    from diff_planner.ros.graph_replay import GraphRequest

    if os.path.exists(request.plans) and not request.overwrite:
        raise OutputError(f"{request.plans} exists; --overwrite replaces it")
    wanted = GraphRequest(start_s=request.start_s, duration_s=request.duration_s, **graph)
    with BagReader(request.bag) as reader:
        config = planner_config(request, reader)
        make_folder(request.plans.parent)
        run = _record(request, wanted, config, reader, say, on_progress)
        with BagReader(request.plans) as plans:
            return _report(request, wanted, config, reader, plans, run)


def _record(
    request: ReplayRequest,
    wanted: GraphRequest,
    config: PlannerConfig,
    reader: BagReader,
    say: Callable[[str], None],
    on_progress: Callable[[float], None] | None,
) -> GraphRun:
    """Play and record; the bag of the plans is whole, or not there."""
    from diff_planner.ros.graph_replay import replay_on_graph

    run = None
    try:
        with BagWriter(request.plans, overwrite=request.overwrite) as bag:
            run = replay_on_graph(reader, config, bag, wanted, say=say, on_progress=on_progress)
            if not run.plans:
                raise MissingInputError(
                    f"{request.bag}: it was played and no plan came; is the node enabled?"
                )
        return run
    except BagError as error:
        if run is None:  # while it was played: the bag that was read, or a RecordingError
            raise
        raise RecordingError(str(error)) from error


def _report(
    request: ReplayRequest,
    wanted: GraphRequest,
    config: PlannerConfig,
    reader: BagReader,
    plans: BagReader,
    run: GraphRun,
) -> NodeRun:
    """Write what belongs beside the plans, and the page."""
    marks = plan_marks(plans)
    identity = _identity(plans, config)
    summary = _summary(request, wanted, config, marks, run, identity)
    stem = request.plans.with_suffix("")
    files = {
        "plans": request.plans,
        "timing": stem.with_name(f"{stem.name}.timing.jsonl"),
        "results": stem.with_name(f"{stem.name}.results.jsonl"),
    }
    write_timings(files["timing"], run.timings)
    header = ResultHeader(
        command=request.command,
        config=config.model_dump(mode="json"),
        commit=commit(),
        model=ModelIdentity(
            name=identity.model_name,
            sha256=identity.model_sha256,
            is_trained=identity.is_trained,
        ),
        seed=identity.seed,
        machine=machine(),
    )
    write_results(files["results"], header, [_result_line(summary)])
    if request.page is not None:
        _write_page(request, config, reader, plans, run, marks, identity)
        files["page"] = request.page
    return NodeRun(summary, node_table(summary), files)


def _identity(plans: BagReader, config: PlannerConfig) -> RunIdentity:
    """Return what the node said of its model, in its last status."""
    status: Message = None
    for message in plans.messages([STATUS_TOPIC]):
        status = message.message
    if status is None:
        raise MissingInputError(f"{plans.path}: the node published plans and no status")
    return RunIdentity(
        model_name=status.model_id or "unknown",
        model_sha256=status.model_sha256,
        is_trained=not status.model_note,
        training=status.model_note or "trained; its card says on what",
        backend=status.backend,
        precision=status.precision,
        seed=int(status.seed),
        config_yaml=to_yaml(config),
    )


def _summary(
    request: ReplayRequest,
    wanted: GraphRequest,
    config: PlannerConfig,
    marks: list[PlanMark],
    run: GraphRun,
    identity: RunIdentity,
) -> NodeSummary:
    anchors = anchor_stamps(run.schedule, _anchor_topic(config))
    loops = f", {wanted.loops} loops" if wanted.loops > 1 else ""
    state = "trained" if identity.is_trained else f"UNTRAINED ({identity.training})"
    stages = [{k: v for k, v in timing.items() if k != "plan_id"} for timing in run.timings]
    return NodeSummary(
        bag=request.bag.name,
        played_s=run.schedule.duration_ns / 1e9,
        how=("in lock-step" if wanted.is_lock_step else f"at rate {wanted.rate:g}") + loops,
        anchors=anchors.total(),
        planned_anchors=planned_anchors(marks, anchors),
        plans=run.plans,
        lost_plans=run.lost,
        sources=dict(Counter(Source(mark.source).name for mark in marks)),
        rate_hz=_rate_hz([mark.stamp_ns for mark in marks if mark.stamp_ns in anchors]),
        anchor_rate_hz=_rate_hz(sorted(anchors)),
        stage_ms=stage_percentiles(stages),
        player=run.play.sentence(),
        model=f"{identity.model_name} on {identity.backend} {identity.precision}, {state}",
    )


def _anchor_topic(config: PlannerConfig) -> str:
    inputs = config.inputs
    if inputs.anchor in inputs.cameras:
        return inputs.cameras[inputs.anchor].image
    assert inputs.lidar is not None  # a validated configuration has its anchor
    return inputs.lidar.topic


def _rate_hz(stamps_ns: list[int]) -> float:
    """Return the mean rate; steps back, of a bag that began anew, are no periods."""
    steps_s = np.diff(stamps_ns) / 1e9
    steps_s = steps_s[steps_s > 0.0]
    return float(1.0 / steps_s.mean()) if len(steps_s) else math.nan


def _result_line(summary: NodeSummary) -> ResultLine:
    share = summary.planned_share
    metrics = {
        "cycles": Metric.of(summary.plans),
        "lost_plans": Metric.of(summary.lost_plans),
        "planned_share": Metric.missing("no anchor was sent")
        if share is None
        else Metric.of(share),
        "diffusion_share": Metric.of(summary.sources.get("DIFFUSION", 0) / summary.plans),
    }
    if math.isfinite(summary.rate_hz):
        metrics["rate"] = Metric.of(summary.rate_hz, "Hz")
    for stage, values in summary.stage_ms.items():
        for name, value in zip(("p50", "p95", "p99"), values, strict=True):
            metrics[f"{stage}_{name}"] = Metric.of(value, "ms")
    return ResultLine(kind="replay", name=summary.bag, metrics=metrics)


def _write_page(
    request: ReplayRequest,
    config: PlannerConfig,
    reader: BagReader,
    plans: BagReader,
    run: GraphRun,
    marks: list[PlanMark],
    identity: RunIdentity,
) -> None:
    """Write the page of an offline replay, of the first loop: pictures of more tell nothing new."""
    assert request.page is not None
    loops = run.schedule.loops
    wanted = first_loop(marks, run.schedule.loop_ns) if loops > 1 else {m.plan_id for m in marks}
    tally = Tally()
    page = ReplayPage(config, title=request.bag.name, expected_cycles=len(wanted))
    timings = {
        int(timing["plan_id"]): {
            k: v for k, v in timing.items() if k not in ("plan_id", "stamp_ns")
        }
        for timing in run.timings
    }
    for cycle, is_watchdog in node_cycles(
        plans, reader, run.schedule, config, wanted=wanted, timings=timings
    ):
        tally.add(cycle, is_watchdog=is_watchdog)
        page.add(cycle)
    notes = [f"through the graph, {run.play.sentence()}; {run.lost} plans lost on the way"]
    if loops > 1:
        notes.append(f"this page shows the first of {loops} loops")
    summary = replace(
        tally.summary_of(
            identity,
            bag=request.bag.name,
            bag_duration_s=(run.schedule.stop_ns - run.schedule.start_ns) / 1e9,
        ),
        command=request.command,
        output=request.plans.name,
        notes=tuple(notes),
    )
    make_folder(request.page.parent)
    page.write(request.page, ego_path=tally.ego_path, summary=summary)
