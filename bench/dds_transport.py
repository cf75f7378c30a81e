"""What reaches a receive-only node of 3 raw 1600x900 cameras and a 35,000-point cloud at 10 Hz.

Publishers in a process of their own, with the transports of ROS as it comes, with Fast DDS's
LARGE_DATA mode, and with the profile that launch files set (ros/dds.py); then the profile again
with ros/memory.py, as the planner's node has it.  Prints loss, age from stamp to callback, and CPU.

    python bench/dds_transport.py [--seconds 60] [--repeats 1] [--variants NAME ...] [--json FILE]
                                  [--check]

--check exits with 1 unless the profile loses less than 1 % of every topic.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from child_process import ChildProcess, clean_environment
from diff_planner.report.provenance import commit, machine
from diff_planner.ros import dds

LOSS_LIMIT = 0.01
JUDGED = "profile, node"
_LIMIT_S = 90.0
"""Longest time a process may take beside the time that it publishes."""
TRANSPORT_VARIABLES = (
    *dds.PROFILE_VARIABLES,
    "FASTDDS_BUILTIN_TRANSPORTS",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
    "RMW_FASTRTPS_PUBLICATION_MODE",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
)
"""What would change the transport of a variant."""


@dataclass(frozen=True)
class Variant:
    """One way to set up both processes."""

    variables: dict[str, str]
    receiver: tuple[str, ...] = ()
    """Its arguments."""


def variants() -> dict[str, Variant]:
    """Return what is compared, by name."""
    ours = dds.environment(loopback_only=True)
    return {
        "default": Variant({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        # rmw ignores the mode where it is told to stay on this machine.
        "LARGE_DATA": Variant({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}),
        "profile": Variant(ours),
        JUDGED: Variant(ours, ("--keep-memory",)),
    }


@dataclass(frozen=True)
class Stream:
    """What came of one topic."""

    sent: int
    received: int
    age_p50_ms: float
    age_p99_ms: float

    @property
    def loss(self) -> float:
        """0..1."""
        return 1.0 - self.received / self.sent


@dataclass(frozen=True)
class Result:
    """One run of one variant; CPU in cores."""

    variant: str
    streams: dict[str, Stream]
    publisher_cores: float
    receiver_cores: float
    receiver_rss_mb: float

    @property
    def worst_loss(self) -> float:
        """Of the topic that lost most, 0..1."""
        return max(stream.loss for stream in self.streams.values())


def run_variant(name: str, variant: Variant, seconds: float) -> Result:
    """Run publisher and receiver in a domain of their own.

    Raises:
        RuntimeError: one of them failed; with what it printed.
    """
    domain = {"ROS_DOMAIN_ID": str(random.randint(1, 101))}
    environment = clean_environment(TRANSPORT_VARIABLES, {**domain, **variant.variables})
    with ChildProcess("rig_receiver.py", *variant.receiver, environment=environment) as receiver:
        words = ("rig_publisher.py", "--seconds", str(seconds))
        with ChildProcess(*words, environment=environment) as publisher:
            sent = publisher.result(seconds + _LIMIT_S)
        received = receiver.result(_LIMIT_S)
    streams = {
        topic: _stream(sent["sent"]["/" + topic], count, received["ages_ms"][topic])
        for topic, count in received["received"].items()
    }
    return Result(
        name,
        streams,
        sent["cpu_share"],
        received["cpu_s"] / sent["wall_s"],
        received["rss_mb"],
    )


def _stream(sent: int, received: int, ages_ms: list[float]) -> Stream:
    p50, p99 = np.percentile(ages_ms, (50, 99)).tolist() if ages_ms else (-1.0, -1.0)
    return Stream(sent, received, p50, p99)


def measure(names: list[str], seconds: float, repeats: int) -> list[Result]:
    """Run every variant in turn, `repeats` times."""
    known = variants()
    return [run_variant(name, known[name], seconds) for _ in range(repeats) for name in names]


def print_table(results: list[Result]) -> None:
    """Print one line for each topic of each run."""
    print(
        f"{'transport':<14} {'topic':<22} {'sent':>5} {'came':>5} {'lost %':>7} "
        f"{'p50 ms':>7} {'p99 ms':>7} {'cores: sender':>14} {'receiver':>9} {'RSS MB':>7}"
    )
    for result in results:
        ends = f"{result.publisher_cores:14.2f} {result.receiver_cores:9.2f} " + (
            f"{result.receiver_rss_mb:7.0f}"
        )
        for topic, stream in result.streams.items():
            short = "/".join(topic.split("/")[1:3])
            print(
                f"{result.variant:<14} {short:<22} {stream.sent:5d} {stream.received:5d} "
                f"{100 * stream.loss:7.2f} {stream.age_p50_ms:7.1f} {stream.age_p99_ms:7.1f} {ends}"
            )
            ends = ""


def to_json(results: list[Result]) -> list[dict[str, object]]:
    """Return the runs as values that JSON has."""
    return [
        {
            "variant": result.variant,
            "publisher_cores": result.publisher_cores,
            "receiver_cores": result.receiver_cores,
            "receiver_rss_mb": result.receiver_rss_mb,
            "streams": {
                topic: {**vars(stream), "loss": stream.loss}
                for topic, stream in result.streams.items()
            },
        }
        for result in results
    ]


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--variants", nargs="+", default=list(variants()), choices=list(variants()))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if problem := dds.check_shared_memory().problem:
        print(f"warning: {problem}", file=sys.stderr)
    results = measure(arguments.variants, arguments.seconds, arguments.repeats)
    load = os.getloadavg()[0]
    print(f"{arguments.seconds:.0f} s each; {machine()}; load {load:.1f}; {commit()}")
    print_table(results)
    judged = [result for result in results if result.variant == JUDGED]
    is_held = bool(judged) and all(result.worst_loss < LOSS_LIMIT for result in judged)
    if arguments.json is not None:
        found = {"machine": machine(), "commit": commit(), "load": load, "is_held": is_held}
        arguments.json.write_text(json.dumps({**found, "runs": to_json(results)}, indent=1))
    if judged:
        worst = max(result.worst_loss for result in judged)
        verdict = "held" if is_held else "MISSED"
        print(f"lost with the profile: {100 * worst:.2f} % at most, bound 1 %: {verdict}")
    return 1 if arguments.check and not is_held else 0


if __name__ == "__main__":
    sys.exit(main())
