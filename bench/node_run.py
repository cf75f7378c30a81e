"""One planner node under load: starts node, listener and sender, each in a process of its own.

Separate from node_speed.py, which says what the figures must be: here they are only taken.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from child_process import ChildProcess, clean_environment
from dds_transport import TRANSPORT_VARIABLES
from diff_planner.config import PlannerConfig
from diff_planner.ros import dds
from diff_planner.ros.parameter_file import write_parameter_file

_SAMPLE_S = 0.5
_START_S, _END_S = 60.0, 30.0
"""Longest time to start and to end, beside the time of the load."""


class ProcessWatch:
    """Memory and CPU of a process as the kernel counts them, sampled by a thread."""

    def __init__(self, pid: int) -> None:
        """Begin to sample."""
        self._root = Path("/proc") / str(pid)
        self._stopped = threading.Event()
        self.rss_kb: list[tuple[float, int]] = []
        """(steady seconds, resident memory)."""
        self.used: list[tuple[float, dict[int, tuple[float, float]]]] = []
        """(steady seconds, by thread: seconds that it ran, and that it waited for a core)."""
        self.names: dict[int, str] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stopped.set()
        self._thread.join()

    def cores(self, begin_s: float, end_s: float) -> dict[int, tuple[float, float]]:
        """Return by thread how many cores it used in that time, and how many it lacked.

        The second is the share of time in which it could have run and others did.
        """
        inside = [sample for sample in self.used if begin_s <= sample[0] <= end_s]
        if len(inside) < 2:
            return {}
        (first_s, before), (last_s, after) = inside[0], inside[-1]
        found = {}
        for thread, (ran_s, waited_s) in after.items():
            ran_before_s, waited_before_s = before.get(thread, (0.0, 0.0))
            span_s = last_s - first_s
            found[thread] = ((ran_s - ran_before_s) / span_s, (waited_s - waited_before_s) / span_s)
        return found

    def _run(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            # The process, or one of its threads, may end while it is looked at.
            with suppress(OSError):
                now_s, pages = time.monotonic(), (self._root / "statm").read_text().split()[1]
                self.rss_kb.append((now_s, int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024))
                self.used.append((now_s, self._threads()))

    def _threads(self) -> dict[int, tuple[float, float]]:
        found = {}
        for task in (self._root / "task").iterdir():
            ran_ns, waited_ns, _ = map(int, (task / "schedstat").read_text().split())
            self.names[int(task.name)] = (task / "comm").read_text().strip()
            found[int(task.name)] = (ran_ns * 1e-9, waited_ns * 1e-9)
        return found


@dataclass(frozen=True)
class NodeRun:
    """What was seen of a node under one load."""

    sender: dict[str, Any]
    """What the sender printed."""
    listener: dict[str, Any]
    """What the listener printed: see plan_listener.py."""
    watch: ProcessWatch
    """Of the node's process."""


def run_node(
    config: PlannerConfig,
    sender: tuple[str, ...],
    load_s: float,
    *,
    use_sim_time: bool,
    variables: Mapping[str, str] | None = None,
    while_running: Callable[[int], None] = lambda pid: None,
) -> NodeRun:
    """Run a node while a sender sends.

    Args:
        config: of the planner.
        sender: script of this folder and its arguments; it waits for the node itself.
        load_s: how long it sends.
        use_sim_time: whether the sender sends /clock.
        variables: beside those of the sensors' transport on loopback.
        while_running: called with the node's process id when it was started.

    Raises:
        RuntimeError: a process failed; with what it printed.
    """
    domain = {"ROS_DOMAIN_ID": str(random.randint(1, 101))}
    settings = {**dds.environment(loopback_only=True), **domain, **(variables or {})}
    environment = clean_environment(TRANSPORT_VARIABLES, settings)
    with tempfile.TemporaryDirectory() as folder:
        parameters = Path(folder) / "parameters.yaml"
        write_parameter_file(parameters, config, use_sim_time=use_sim_time)
        module = ("-m", "diff_planner.ros.planner_node")
        words = (*module, "--ros-args", "--params-file", str(parameters))
        with (
            ChildProcess("plan_listener.py", environment=environment) as listener,
            ChildProcess(*words, environment=environment) as node,
        ):
            watch = ProcessWatch(node.process.pid)
            while_running(node.process.pid)
            with ChildProcess(*sender, environment=environment) as sending:
                sent = sending.result(load_s + _START_S)
            watch.stop()
            if node.process.poll() is not None:
                raise RuntimeError(f"the node has ended:\n{node.printed()[-4000:]}")
            heard = listener.result(_END_S)
    return NodeRun(sent, heard, watch)
