"""The node on the graph at its real rate: which anchor frames are planned, how soon, at what cost.

(a) A bag in real time, loop after loop with stamps that go on; (b) three raw 1600x900 cameras and a
35,000-point cloud at 10 Hz.  Sender, node and listener are processes of their own.

    python bench/node_speed.py [--bag BAG] [--loops 10] [--seconds 60] [--only bag|rig]
                               [--check] [--json FILE]

Without --bag it is the sample bag, made anew.  --check exits with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diff_planner.config import PlannerConfig, parse
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.cdr import stamp_ns
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.data.rig import suggest_config
from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.report.provenance import commit, machine
from diff_planner.types import Source
from node_run import NodeRun, run_node

IMAGE_TOPIC = "/sensing/camera/{}/image_rect"
_NETWORK = int(Source.DIFFUSION)
_SETTLED_S = 2.0
"""Memory at the end of a loop is the median over this time before it."""


@dataclass(frozen=True)
class Bounds:
    """What must hold; None: not judged."""

    least_share: float
    """Of anchor frames after the first NOMINAL that have a plan of the network, 0..1."""
    most_rate_error: float | None = None
    most_input_to_output_p99_ms: float | None = None
    most_growth_mb: float | None = None
    """Of resident memory a loop, after the second."""


BAG_BOUNDS = Bounds(0.99, 0.03, 60.0, 1.0)
RIG_BOUNDS = Bounds(0.95)


@dataclass(frozen=True)
class Figures:
    """What was measured of one run; percentiles are (p50, p95, p99) in ms."""

    name: str
    anchors: int
    """Frames of the anchor after the first NOMINAL."""
    before_nominal: int
    planned: int
    """Of `anchors`: with a plan of the network."""
    anchor_hz: float
    plan_hz: float
    """Of all published trajectories."""
    input_to_output_ms: tuple[float, float, float]
    end_to_end_ms: tuple[float, float, float]
    compute_ms: tuple[float, float, float]
    stages_ms: dict[str, float]
    """Median of each stage."""
    sources: dict[str, float]
    """Share of each source among the published trajectories."""
    states: dict[str, int]
    reasons: dict[str, int]
    """Most frequent ones of states other than NOMINAL."""
    rss_mb: list[float]
    """At the end of each loop."""
    node_cores: float
    lacked_cores: float
    """What the node could have used beside them, had other processes not run."""
    thread_cores: dict[str, float]
    """Busiest threads, by name and number."""
    sender_cores: float

    @property
    def share(self) -> float:
        """Of anchor frames that were planned, 0..1."""
        return self.planned / max(self.anchors, 1)

    @property
    def rate_error(self) -> float:
        """Distance of the plans' rate to the anchor's, relative."""
        return abs(self.plan_hz / self.anchor_hz - 1.0)

    @property
    def growth_mb(self) -> float | None:
        """Of resident memory a loop after the second, None with less than four loops."""
        if len(self.rss_mb) < 4:
            return None
        return (self.rss_mb[-1] - self.rss_mb[1]) / (len(self.rss_mb) - 2)

    def missed(self, bounds: Bounds) -> list[str]:
        """Return a sentence for each bound that does not hold."""
        found = []
        if self.share < bounds.least_share or not self.anchors:
            found.append(
                f"{self.planned} of {self.anchors} anchor frames planned, expected at least "
                f"{100 * bounds.least_share:.0f} %"
            )
        for what, value, most, unit in (
            ("the plans' rate differs from the anchor's by", self.rate_error,
             bounds.most_rate_error, ""),
            ("p99 from last input to plan is", self.input_to_output_ms[2],
             bounds.most_input_to_output_p99_ms, " ms"),
            ("memory grows a loop by", self.growth_mb, bounds.most_growth_mb, " MB"),
        ):  # fmt: skip
            if most is not None and value is not None and not value < most:
                found.append(f"{what} {value:.3g}{unit}, expected less than {most:g}{unit}")
        return found


def figures_of(name: str, run: NodeRun, stamps_ns: list[int], loops: int = 1) -> Figures:
    """Reduce a run to its figures.

    Args:
        name: for people.
        run: what was seen.
        stamps_ns: of all anchor frames that were sent, in order; loops of equal length.
        loops: how many.

    Raises:
        RuntimeError: the node was never NOMINAL; says what it said instead.
    """
    heard = run.listener
    first_ns = heard["first_nominal_ns"]
    if first_ns is None:
        raise RuntimeError(f"never NOMINAL: states {heard['states']}, {heard['reasons']}")
    anchors = [stamp for stamp in stamps_ns if stamp >= first_ns]
    last_ns = stamps_ns[-1]
    plans = [plan for plan in heard["plans"] if first_ns <= plan[0] <= last_ns]
    planned = {stamp for stamp, source, _ in plans if source == _NETWORK}
    timings = [values for stamp, values in heard["timings"] if stamp in planned]
    arrivals_s = [arrival_s for _, _, arrival_s in plans]
    begin_s, end_s = arrivals_s[0], arrivals_s[-1]
    cores = run.watch.cores(begin_s, end_s)
    busiest = sorted(cores, key=lambda thread: -cores[thread][0])[:6]
    sources = Counter(Source(source).name for _, source, _ in plans)
    return Figures(
        name=name,
        anchors=len(anchors),
        before_nominal=len(stamps_ns) - len(anchors),
        planned=len(planned & set(anchors)),
        anchor_hz=(len(anchors) - 1) / (anchors[-1] - anchors[0]) * 1e9,
        plan_hz=(len(plans) - 1) / (end_s - begin_s),
        input_to_output_ms=_percentiles([t["input_to_output_ms"] for t in timings]),
        end_to_end_ms=_percentiles([t["end_to_end_ms"] for t in timings]),
        compute_ms=_percentiles([t["compute_total_ms"] for t in timings]),
        stages_ms={key: float(np.median([t[key] for t in timings])) for key in timings[0]},
        sources={key: count / len(plans) for key, count in sources.items()},
        states=heard["states"],
        reasons=heard["reasons"],
        rss_mb=_rss_by_loop(run, stamps_ns, loops),
        node_cores=sum(used for used, _ in cores.values()),
        lacked_cores=sum(lacked for _, lacked in cores.values()),
        thread_cores={f"{run.watch.names[t]} {t}": cores[t][0] for t in busiest},
        sender_cores=run.sender["cpu_share"],
    )


def _percentiles(values: list[float]) -> tuple[float, float, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99)).tolist()
    return p50, p95, p99


def _rss_by_loop(run: NodeRun, stamps_ns: list[int], loops: int) -> list[float]:
    """Return the node's memory at the end of each loop in MB."""
    arrival_s = {stamp: arrival for stamp, _, arrival in run.listener["plans"]}
    length = len(stamps_ns) // loops
    found = []
    for loop in range(1, loops + 1):
        seen = [arrival_s[s] for s in stamps_ns[: loop * length] if s in arrival_s]
        end_s = seen[-1]
        near = [kb for at_s, kb in run.watch.rss_kb if end_s - _SETTLED_S <= at_s <= end_s]
        found.append(float(np.median(near)) / 1024 if near else float("nan"))
    return found


def measure_bag(bag: Path, loops: int, seconds: float | None = None) -> Figures:
    """Play a bag in real time to a node with the configuration that fits it.

    Args:
        bag: to play.
        loops: how often.
        seconds: of each loop; None for all.
    """
    with BagReader(bag) as reader:
        config = suggest_config(reader)
        inputs = config.inputs
        wanted = InputAssembler(inputs, config.vehicle).topics
        anchor = inputs.lidar.topic if inputs.anchor == "lidar" and inputs.lidar else None
        anchor = anchor or inputs.cameras[inputs.anchor].image
        schedule = PlaySchedule(
            reader,
            wanted,
            duration_s=seconds,
            loops=loops,
            continuous=True,
            loop_gap_s=inputs.period_s,
        )
        stamps_ns = [stamp_ns(message.data) for message in schedule.messages([anchor])]
        topics, load_s = schedule.topics, schedule.duration_ns * 1e-9
    sender = ["bag_sender.py", str(bag.resolve()), "--loops", str(loops)]
    sender += ["--gap", str(inputs.period_s), "--topics", *topics]
    if seconds is not None:
        sender += ["--seconds", str(seconds)]
    run = run_node(config, tuple(sender), load_s, use_sim_time=True)
    return figures_of(f"{bag.name}, {loops} loops", run, stamps_ns, loops)


def rig_config() -> PlannerConfig:
    """Return the configuration for what rig_publisher.py sends."""
    defaults = PlannerConfig().inputs
    inputs = defaults.model_dump()
    for name in defaults.cameras:
        inputs["cameras"][name]["image"] = IMAGE_TOPIC.format(name)
    inputs |= {"nav_command": None, "route": None}
    return parse(PlannerConfig, {"inputs": inputs}, "bench")


def measure_rig(seconds: float) -> Figures:
    """Send a raw rig to a node for `seconds`."""
    sender = ("rig_publisher.py", "--drive", "--seconds", str(seconds))
    run = run_node(rig_config(), sender, seconds, use_sim_time=False)
    return figures_of("raw rig", run, run.sender["stamps_ns"])


def print_figures(figures: Figures, bounds: Bounds) -> None:
    """Print a table of one run, and what of it misses its bounds."""
    rows = [
        ("anchor frames", f"{figures.anchors} (and {figures.before_nominal} before NOMINAL)"),
        ("planned by the network", f"{figures.planned}, {100 * figures.share:.2f} %"),
        ("rate", f"anchor {figures.anchor_hz:.3f} Hz, plans {figures.plan_hz:.3f} Hz"),
    ]
    for label, values in (
        ("last input to plan", figures.input_to_output_ms),
        ("end-to-end age", figures.end_to_end_ms),
        ("computing", figures.compute_ms),
    ):
        p50, p95, p99 = values
        rows.append((label, f"p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} ms"))
    stages = ", ".join(
        f"{key.removesuffix('_ms')} {value:.1f}"
        for key, value in figures.stages_ms.items()
        if value >= 0.0
    )
    rows += [
        ("stages, median ms", stages),
        ("sources", ", ".join(f"{k} {100 * v:.1f} %" for k, v in figures.sources.items())),
        ("states", ", ".join(f"{k} {v}" for k, v in figures.states.items())),
        *(("reason", f"{count} x {words}") for words, count in figures.reasons.items()),
        ("memory at ends of loops", ", ".join(f"{mb:.1f}" for mb in figures.rss_mb) + " MB"),
        (
            "cores",
            f"node {figures.node_cores:.2f} (waited for {figures.lacked_cores:.2f} more), "
            f"sender {figures.sender_cores:.2f}",
        ),
        ("threads", ", ".join(f"{k}: {v:.2f}" for k, v in figures.thread_cores.items())),
    ]
    if figures.growth_mb is not None:
        rows.append(("memory growth", f"{figures.growth_mb:.2f} MB a loop after the second"))
    print(figures.name)
    for label, text in rows:
        print(f"  {label:<24} {text}")
    for sentence in figures.missed(bounds):
        print(f"  MISSED: {sentence}")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bag", type=Path)
    parser.add_argument("--loops", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the raw rig")
    parser.add_argument("--only", choices=("bag", "rig"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: list[tuple[Figures, Bounds]] = []
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; {commit()}", flush=True)
    if arguments.only != "rig":
        with tempfile.TemporaryDirectory() as folder:
            bag = arguments.bag or Path(folder) / "sample.mcap"
            if arguments.bag is None:
                make_sample_bag(bag)
            found.append((measure_bag(bag, arguments.loops), BAG_BOUNDS))
        print_figures(*found[-1])
    if arguments.only != "bag":
        found.append((measure_rig(arguments.seconds), RIG_BOUNDS))
        print_figures(*found[-1])
    if arguments.json is not None:
        runs = [
            {**dataclasses.asdict(figures), "missed": figures.missed(bounds)}
            for figures, bounds in found
        ]
        text = json.dumps({"machine": machine(), "commit": commit(), "runs": runs}, indent=1)
        arguments.json.write_text(text)
    is_missed = any(figures.missed(bounds) for figures, bounds in found)
    return 1 if arguments.check and is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
