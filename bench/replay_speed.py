"""How long a replay takes: each stage in milliseconds, and core-seconds per second of bag.

Runs the bag several times in one process, one and two inference threads in turn, and prints the
least and the spread; on a shared machine only the ratios and the minima mean much.

    python bench/replay_speed.py [BAG] [--runs 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from diff_planner.config import PlannerConfig, parse
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.replay import Replay
from diff_planner.data.replay_types import ReplaySummary
from diff_planner.data.rig import suggest_config
from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.report.provenance import commit, machine
from diff_planner.resources import model_folder

THREADS = (1, 2)


def run_once(bag: Path, threads: int) -> tuple[ReplaySummary, list[dict[str, float]]]:
    """Replay a bag without page or output bag."""
    with BagReader(bag) as reader:
        values = suggest_config(reader).model_dump()
        values["model"]["threads"] = threads
        config = parse(PlannerConfig, values, "bench")
        backend = load_backend(model_folder(config.model.path), config.model.backend, threads)
        replay = Replay(Planner(config, backend))
        summary = replay.run(reader)
        backend.close()
    return summary, replay.timings


def measure(bag: Path, runs: int) -> list[dict[str, object]]:
    """Return one row for each number of threads; the runs are interleaved."""
    found: dict[int, list[tuple[ReplaySummary, list[dict[str, float]]]]] = {n: [] for n in THREADS}
    for _ in range(runs):
        for threads in THREADS:
            found[threads].append(run_once(bag, threads))
    rows: list[dict[str, object]] = []
    for threads, pairs in found.items():
        cpu = [s.cpu_s / s.bag_duration_s for s, _ in pairs if s.cpu_s is not None]
        stages = {name for _, timings in pairs for timing in timings for name in timing}
        row: dict[str, object] = {
            "threads": threads,
            "core_s_per_s_min": min(cpu),
            "core_s_per_s_max": max(cpu),
        }
        for stage in sorted(stages - {"stamp_ns"}):
            values = [t[stage] for _, timings in pairs for t in timings if stage in t]
            row[f"{stage}_ms"] = {
                "min": float(np.min(values)),
                "p50": float(np.percentile(values, 50)),
                "p99": float(np.percentile(values, 99)),
            }
        rows.append(row)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bag", type=Path, nargs="?", help="default: the sample bag, made anew")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bag = arguments.bag or Path(folder) / "sample.mcap"
        if arguments.bag is None:
            make_sample_bag(bag)
        rows = measure(bag, arguments.runs)
    load = os.getloadavg()[0]
    print(f"{bag.name}, {arguments.runs} runs; {machine()}; load {load:.1f}; {commit()}")
    for row in rows:
        print(
            f"{row['threads']} inference thread(s): {row['core_s_per_s_min']:.3f} to "
            f"{row['core_s_per_s_max']:.3f} core-seconds per second of bag"
        )
        for name, value in row.items():
            if isinstance(value, dict):
                figures = "  ".join(f"{key} {ms:7.2f}" for key, ms in value.items())
                print(f"  {name:<14} {figures}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"machine": machine(), "load": load, "rows": rows}))


if __name__ == "__main__":
    main()
