"""Replay: a bag through `Planner.plan` in lock-step, as fast as it goes.

Messages are fed in log-time order; a cycle runs when the synchronizer has matched its inputs.  The
watchdog runs in bag time.  Nothing here plans: it feeds, counts and writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from diff_planner.config import PlannerConfig
from diff_planner.data import encode
from diff_planner.data.assembler import InputAssembler, MissedCycle
from diff_planner.data.bag_reader import BagMessage, BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.replay_tally import Tally
from diff_planner.data.replay_types import ReplayCycle, ReplaySummary
from diff_planner.data.typestore import make_message
from diff_planner.data.watchdog import FallbackMoment, Watchdog, fallback_moment
from diff_planner.errors import MissingInputError
from diff_planner.planner import Planner
from diff_planner.types import FaultBit, FloatArray, PlannerInput, PlannerOutput

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
        bag.add_topic(STATUS_TOPIC, encode.STATUS, latched=True)

    def write(
        self,
        output: PlannerOutput,
        counters: encode.Counters,
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
            STATUS_TOPIC: encode.status_message(
                make_message,
                output,
                card=backend.card,
                backend=backend.name,
                precision=backend.precision,
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
        self._assembler = InputAssembler(self._config.inputs, self._config.vehicle)
        self._plans = None if writer is None else PlanWriter(writer, planner)
        self._on_cycle = on_cycle
        self._tally = Tally()
        self._last_stamp_ns: int | None = None
        """Newest stamp of the sensors' clock, and the log time at which it was seen."""
        self._last_seen_ns = 0
        self._odometry_ns: int | None = None

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
        watchdog = Watchdog(self._config.watchdog_s, self._config.inputs.period_s, start_ns)
        clocks = time.perf_counter(), time.process_time()
        for message in self._messages(reader, topics, start_ns, stop_ns):
            now_ns = message.log_time_ns
            self._feed(message, watchdog)
            if on_progress is not None:
                on_progress((now_ns - start_ns) / max(stop_ns - start_ns, 1))
        self._drain(stop_ns, watchdog)
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
        wanted = self._assembler.topics
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

    def _feed(self, message: BagMessage, watchdog: Watchdog) -> None:
        now_ns = message.log_time_ns
        self._watch(now_ns - 1, watchdog)
        self._assembler.add(message.topic, message.message, now_ns)
        if message.topic == self._config.inputs.odometry.topic:
            self._note_odometry(now_ns)
        self._take(now_ns, watchdog)

    def _watch(self, now_ns: int, watchdog: Watchdog) -> None:
        """Let the time up to now pass without a message."""
        for moment_ns in watchdog.overdue(now_ns):
            if not self._take(moment_ns, watchdog):
                self._overdue(moment_ns)

    def _drain(self, stop_ns: int, watchdog: Watchdog) -> None:
        """Run what is still due, and the cycles that still wait for later stamps at the end."""
        self._watch(stop_ns - 1, watchdog)
        self._take(stop_ns + round(self._config.inputs.sync_wait_s * 1e9), watchdog)

    def _take(self, now_ns: int, watchdog: Watchdog) -> bool:
        """Run the cycles that are ready; return whether there were any."""
        has_run = False
        while True:
            begin = time.perf_counter()
            item = self._assembler.take_one(now_ns)
            decode_ms = (time.perf_counter() - begin) * 1e3
            if item is None:
                return has_run
            has_run = True
            watchdog.cycle(now_ns)
            self._cycle(item, decode_ms)
            self._last_stamp_ns, self._last_seen_ns = item.stamp_ns, now_ns

    def _note_odometry(self, now_ns: int) -> None:
        """Take a new odometry's stamp for the present of the sensors' clock, anchor or not."""
        ego = self._assembler.last_ego
        if ego is not None and ego.stamp_ns != self._odometry_ns:
            self._odometry_ns = ego.stamp_ns
            self._last_stamp_ns, self._last_seen_ns = ego.stamp_ns, now_ns

    def _cycle(self, item: PlannerInput | MissedCycle, decode_ms: float) -> None:
        if item.faults & FaultBit.CLOCK_JUMP:
            self._planner.reset(f"clock jump at {item.stamp_ns} ns")
            self._last_stamp_ns = None
        if isinstance(item, PlannerInput):
            output = self._planner.plan(item)
            planner_input: PlannerInput | None = item
        else:
            moment = self._moment(item.stamp_ns)
            output = self._planner.fallback(
                moment.stamp_ns,
                moment.ego,
                item.reason,
                faults=item.faults | moment.faults,
                lidar=self._assembler.newest_sweep(),
                health=item.health,
            )
            planner_input = None
        timing = {"decode": decode_ms, **output.timing_ms}
        timing["total"] = decode_ms + output.timing_ms.get("total", 0.0)
        self._finish(replace(output, timing_ms=timing), planner_input, is_watchdog=False)

    def _overdue(self, moment_ns: int) -> None:
        """Give the plan that the vehicle's watchdog would give at this log time."""
        elapsed_ns = moment_ns - self._last_seen_ns
        known = self._last_stamp_ns
        moment = self._moment(moment_ns if known is None else known + elapsed_ns)
        output = self._planner.fallback(
            moment.stamp_ns,
            moment.ego,
            f"no cycle for {self._config.watchdog_s:g} s: anchor "
            f"'{self._config.inputs.anchor}' is silent",
            faults=FaultBit.INPUT_MISSING | moment.faults,
            lidar=self._assembler.newest_sweep(),
        )
        self._finish(output, None, is_watchdog=True)

    def _moment(self, elapsed_stamp_ns: int) -> FallbackMoment:
        return fallback_moment(self._assembler.last_ego, elapsed_stamp_ns)

    def _finish(
        self,
        output: PlannerOutput,
        planner_input: PlannerInput | None,
        *,
        is_watchdog: bool,
    ) -> None:
        cycle = ReplayCycle(
            index=self._tally.cycles,
            stamp_ns=output.trajectory.stamp_ns,
            planner_input=planner_input,
            output=output,
        )
        self._tally.add(cycle, is_watchdog=is_watchdog)
        if self._plans is not None:
            frame_id, frame_SE3_ego = self._output_frame(output)
            self._plans.write(output, self._tally.counters, frame_id, frame_SE3_ego)
        if self._on_cycle is not None:
            self._on_cycle(cycle)

    def _output_frame(self, output: PlannerOutput) -> tuple[str, FloatArray]:
        """Return the frame to publish in and base_link's pose there."""
        wanted = self._config.output_frame
        # Where the vehicle is, nobody knows: its own frame is all there is to publish in.
        is_lost = output.frame_id == self._config.inputs.base_frame
        if wanted is None or is_lost or wanted == output.frame_id:
            return output.frame_id, output.odom_SE3_ego
        wanted_SE3_frame = self._assembler.transforms.lookup(wanted, output.frame_id)
        return wanted, wanted_SE3_frame @ output.odom_SE3_ego
