"""Replay: a bag through `Planner.plan` in lock-step, as fast as it goes.

Messages are fed in log-time order; a cycle runs when the synchronizer has matched its inputs.  The
watchdog runs in bag time.  Nothing here plans: it feeds, counts and writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from diff_planner.config import PlannerConfig
from diff_planner.data import encode, encode_status
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagMessage, BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.planning_loop import Cycle, PlanningLoop
from diff_planner.data.replay_tally import Tally
from diff_planner.data.replay_types import ReplayCycle, ReplaySummary
from diff_planner.data.typestore import make_message
from diff_planner.errors import MissingInputError
from diff_planner.planner import Planner
from diff_planner.types import FloatArray, PlannerOutput

TRAJECTORY_TOPIC = "/planning/trajectory"
CANDIDATES_TOPIC = "/planning/candidates"
STATUS_TOPIC = "/planning/status"

OnCycle = Callable[[ReplayCycle], None]


class PlanWriter:
    """Writes each plan, its candidates and status into a bag, logged at the stamp."""

    def __init__(self, bag: BagWriter, planner: Planner) -> None:
        """Declare the topics in `bag`, which is open for writing."""
        self._bag = bag
        self._planner = planner
        bag.add_topic(TRAJECTORY_TOPIC, encode.TRAJECTORY)
        bag.add_topic(CANDIDATES_TOPIC, encode.CANDIDATES)
        bag.add_topic(STATUS_TOPIC, encode_status.STATUS, latched=True)

    def write(
        self,
        output: PlannerOutput,
        counters: encode_status.Counters,
        frame_id: str,
        frame_SE3_ego: FloatArray,
    ) -> None:
        """Write one cycle."""
        config, backend = self._planner.config, self._planner.backend
        messages = {
            TRAJECTORY_TOPIC: encode.trajectory_message(
                make_message,
                output,
                wheelbase_m=config.vehicle.wheelbase_m,
                frame_id=frame_id,
                frame_SE3_ego=frame_SE3_ego,
            ),
            CANDIDATES_TOPIC: encode.candidates_message(
                make_message, output, config.inputs.base_frame
            ),
            STATUS_TOPIC: encode_status.status_message(
                make_message,
                encode_status.StatusReport.of(output),
                model=encode_status.ModelLabel.of(backend),
                counters=counters,
                is_shadow=False,
            ),
        }
        for topic, message in messages.items():
            self._bag.write(topic, message, output.trajectory.stamp_ns)


class Replay:
    """One run of a bag through a planner."""

    def __init__(
        self,
        planner: Planner,
        *,
        writer: BagWriter | None = None,
        on_cycle: OnCycle | None = None,
    ) -> None:
        """Prepare.

        Args:
            planner: fresh or reset.
            writer: an open bag for the plans, if they are wanted.
            on_cycle: called with each cycle, in order.
        """
        self._planner = planner
        self._config: PlannerConfig = planner.config
        self._plans = None if writer is None else PlanWriter(writer, planner)
        self._on_cycle = on_cycle
        self._tally = Tally()

    def run(
        self,
        reader: BagReader,
        *,
        start_s: float = 0.0,
        duration_s: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> ReplaySummary:
        """Feed the bag.

        Args:
            reader: an open bag.
            start_s: seconds after the bag's start to begin at; latched topics before are read.
            duration_s: seconds to replay; None for all.
            on_progress: called with the share done, 0..1.

        Raises:
            BagError: the bag breaks off; what was planned until then is lost on purpose.
            MissingInputError: the bag has none of the topics, or the output frame is unknown.
        """
        topics = self._topics(reader)
        start_ns = reader.start_ns + round(start_s * 1e9)
        stop_ns = reader.end_ns + 1 if duration_s is None else start_ns + round(duration_s * 1e9)
        stop_ns = min(stop_ns, reader.end_ns + 1)
        loop = PlanningLoop(self._planner, start_ns)
        clocks = time.perf_counter(), time.process_time()
        for message in self._messages(reader, topics, start_ns, stop_ns):
            now_ns = message.log_time_ns
            for cycle in loop.feed(message.topic, message.message, now_ns):
                self._finish(loop, cycle)
            if on_progress is not None:
                on_progress((now_ns - start_ns) / max(stop_ns - start_ns, 1))
        # The last cycles may still wait for later stamps.
        for cycle in loop.pass_time(stop_ns + round(self._config.inputs.sync_wait_s * 1e9)):
            self._finish(loop, cycle)
        wall_s, cpu_s = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
        return self._tally.summary(
            self._planner,
            bag=reader.path.name,
            bag_duration_s=(stop_ns - start_ns) / 1e9,
            wall_s=wall_s,
            cpu_s=cpu_s,
        )

    @property
    def timings(self) -> list[dict[str, float]]:
        """Milliseconds of each stage of each cycle, with the stamp."""
        return self._tally.timings

    @property
    def ego_path(self) -> list[tuple[int, FloatArray]]:
        """(stamp_ns, odom_SE3_ego) of each cycle whose ego motion was known."""
        return self._tally.ego_path

    def _topics(self, reader: BagReader) -> list[str]:
        wanted = InputAssembler(self._config.inputs, self._config.vehicle).topics
        found = [topic for topic in wanted if topic in reader.topics]
        if not found:
            raise MissingInputError(
                f"the bag has none of the configured topics {sorted(wanted)}; "
                f"it has {sorted(reader.topics)}. `diff-planner doctor` prints a fitting config"
            )
        inputs = self._config.inputs
        cameras = [camera.image for camera in inputs.cameras.values()]
        needed = {"odometry": [inputs.odometry.topic], "camera": cameras}
        needed["lidar"] = [] if inputs.lidar is None else [inputs.lidar.topic]
        for name, topics in needed.items():
            if not set(topics) & set(found):
                raise MissingInputError(
                    f"the bag has no {name} topic: expected {topics or 'one to be configured'}, "
                    f"it has {sorted(reader.topics)}. `diff-planner doctor` prints a fitting config"
                )
        return found

    def _messages(
        self, reader: BagReader, topics: list[str], start_ns: int, stop_ns: int
    ) -> Iterator[BagMessage]:
        """Yield what a late starter would have: latched transforms first, then the bag."""
        latched = [t for t in (self._config.inputs.tf_static,) if t in topics]
        if latched and start_ns > reader.start_ns:
            for message in reader.messages(latched, stop_ns=start_ns):
                yield replace(message, log_time_ns=start_ns)
        yield from reader.messages(topics, start_ns=start_ns, stop_ns=stop_ns)

    def _finish(self, loop: PlanningLoop, cycle: Cycle) -> None:
        output = cycle.output
        replayed = ReplayCycle(
            index=self._tally.cycles,
            stamp_ns=output.trajectory.stamp_ns,
            planner_input=cycle.planner_input,
            output=output,
        )
        self._tally.add(replayed, is_watchdog=cycle.is_watchdog)
        if self._plans is not None:
            frame_id, frame_SE3_ego = loop.output_pose(output)
            self._plans.write(output, self._tally.counters, frame_id, frame_SE3_ego)
        if self._on_cycle is not None:
            self._on_cycle(replayed)
