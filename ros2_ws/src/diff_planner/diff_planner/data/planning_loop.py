"""Messages in, labelled plans out: what the replay and the ROS node share.

Time comes in from outside: log time in a replay, /clock in a lock-step run, the steady clock on a
vehicle; so a replay shows the very behaviour of the vehicle.  Nothing here plans: it feeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from diff_planner.data.assembler import InputAssembler, MissedCycle
from diff_planner.data.synchronizer import Match
from diff_planner.data.watchdog import FallbackMoment, Watchdog, fallback_moment
from diff_planner.planner import Planner
from diff_planner.types import (
    EgoState,
    FaultBit,
    FloatArray,
    LidarSweep,
    Message,
    PlannerInput,
    PlannerOutput,
)

STALE_PLAN_S = 0.5
"""Whoever follows a plan that is older than this brakes (consumer's contract)."""


@dataclass(frozen=True)
class DueCycle:
    """What one anchor's cycle is to be planned from."""

    item: PlannerInput | MissedCycle
    arrival_ns: int
    """When the anchor arrived, on the caller's clock."""
    last_arrival_ns: int
    """When the last of its messages arrived."""
    taken_ns: int
    """When it was taken up."""
    moment: FallbackMoment
    """What a fallback would be stamped with."""
    late: str
    """Why a plan from this anchor would come too late, or ""."""
    sweep: LidarSweep | None
    """The newest one, to judge a fallback by; None where the cycle has no need of it."""
    decode_ms: float


@dataclass(frozen=True)
class Cycle:
    """One plan, with what it was made from."""

    output: PlannerOutput
    planner_input: PlannerInput | None
    """None where no input was complete: the watchdog's plans and missed anchors."""
    is_watchdog: bool
    due: DueCycle | None = None
    """None for the watchdog's."""


class PlanningLoop:
    """Assembles, plans and watches over one planner.

    `feed` and `pass_time` are all that a single-threaded caller needs.  The node calls the parts:
    `add`, `take` and `overdue` under one lock, `plan` outside of it.
    """

    def __init__(
        self,
        planner: Planner,
        start_ns: int,
        *,
        stamp_clock: Callable[[], int] | None = None,
        watch_clock: Callable[[], int] | None = None,
    ) -> None:
        """Begin to wait at `start_ns`.

        Args:
            planner: fresh or reset.
            start_ns: the present, on the clock of the watchdog.
            stamp_clock: the present on the clock that the consumer of the plans judges their
                stamps by, ns; None judges no plan's age by a clock.
            watch_clock: the present for the watchdog, where it is not the `now_ns` of the calls,
                which then say when a message arrived and nothing else.

        Raises:
            ConfigError: one topic is configured for two inputs.
        """
        self.planner = planner
        config = self._config = planner.config
        self.assembler = InputAssembler(config.inputs, config.vehicle)
        self._watchdog = Watchdog(config.watchdog_s, config.inputs.period_s, start_ns)
        self._stamp_clock, self._watch_clock = stamp_clock, watch_clock
        self._last_stamp_ns: int | None = None
        """Newest stamp of the sensors' clock, and when it was seen."""
        self._last_seen_ns = start_ns
        self._odometry_ns: int | None = None
        self._odometry_seen_ns = start_ns

    def feed(self, topic: str, message: Message, now_ns: int) -> Iterator[Cycle]:
        """Take a message that arrives now; yield the cycles that ran until it was dealt with.

        Args:
            topic: one of `assembler.topics`.
            message: of rosbags or rclpy.
            now_ns: the present.
        """
        yield from self.pass_time(now_ns)
        self.add(topic, message, now_ns)
        yield from self._run_due(now_ns)

    def pass_time(self, now_ns: int) -> Iterator[Cycle]:
        """Let the time up to now pass without a message; yield the cycles that ran in it.

        A message of this very moment is still in time for the watchdog.
        """
        for moment_ns in self._watchdog.overdue(now_ns - 1):
            has_run = False
            for cycle in self._run_due(moment_ns):
                has_run = True
                yield cycle
            if not has_run:
                yield self.overdue(moment_ns)
        yield from self._run_due(now_ns)

    def add(self, topic: str, message: Message, now_ns: int) -> None:
        """Take a message without running anything."""
        self.assembler.add(topic, message, now_ns)
        if topic == self._config.inputs.odometry.topic:
            self._note_odometry(now_ns)

    def take(self, now_ns: int, *, is_newest_wanted: bool = False) -> DueCycle | None:
        """Return the cycle that is ready, decoded, or None; the watchdog is content then.

        Args:
            now_ns: the present.
            is_newest_wanted: the newest one that is ready; the anchors before it are dropped.
        """
        begin = time.perf_counter()
        match = self.assembler.match(now_ns, is_newest_wanted=is_newest_wanted)
        if match is None:
            return None
        item = self.assembler.assemble(match)
        decode_ms = (time.perf_counter() - begin) * 1e3
        return self._due_cycle(match, item, now_ns, decode_ms)

    def _due_cycle(
        self, match: Match, item: PlannerInput | MissedCycle, now_ns: int, decode_ms: float
    ) -> DueCycle:
        watch_ns = self._watch_ns(now_ns)
        self._watchdog.cycle(watch_ns)
        ego = self.assembler.last_ego
        late = self._lateness(item.stamp_ns, ego)
        is_fallback = bool(late) or isinstance(item, MissedCycle)
        due = DueCycle(
            item=item,
            arrival_ns=match.arrival_ns,
            last_arrival_ns=match.last_arrival_ns,
            taken_ns=now_ns,
            moment=fallback_moment(ego, self._elapsed_stamp(item.stamp_ns, ego, watch_ns)),
            late=late,
            sweep=self.assembler.newest_sweep() if is_fallback else None,
            decode_ms=decode_ms,
        )
        self._last_stamp_ns, self._last_seen_ns = item.stamp_ns, watch_ns
        return due

    def plan(self, due: DueCycle) -> Cycle:
        """Plan a cycle that is due; a stale anchor gets a fallback."""
        item = due.item
        if item.faults & FaultBit.CLOCK_JUMP:
            self.planner.reset(f"clock jump at {item.stamp_ns} ns")
        if due.late or isinstance(item, MissedCycle):
            missed = item.reason if isinstance(item, MissedCycle) else ""
            reason = "; ".join(filter(None, [due.late, missed]))
            late = FaultBit.INPUT_STALE if due.late else FaultBit.NONE
            output = self._fall_back(due, reason, late)
        else:
            output = self.planner.plan(item)
        timing = {"decode": due.decode_ms, **output.timing_ms}
        timing["total"] = due.decode_ms + output.timing_ms.get("total", 0.0)
        planner_input = item if isinstance(item, PlannerInput) else None
        return Cycle(replace(output, timing_ms=timing), planner_input, is_watchdog=False, due=due)

    def overdue(
        self,
        now_ns: int,
        reason: str = "",
        faults: FaultBit = FaultBit.NONE,
        *,
        may_hold: bool = True,
    ) -> Cycle:
        """Return the plan of the watchdog for this moment.

        Args:
            now_ns: the present, on the clock of the watchdog.
            reason: why there was no cycle; empty: the anchor is silent.
            faults: that go with the reason.
            may_hold: see `Planner.fallback`.
        """
        config = self._config
        if not reason:
            reason = f"no cycle for {config.watchdog_s:g} s: anchor '{config.inputs.anchor}'"
            reason, faults = f"{reason} is silent", FaultBit.INPUT_MISSING
        moment = fallback_moment(self.assembler.last_ego, self._estimated_stamp(now_ns))
        output = self.planner.fallback(
            moment.stamp_ns,
            moment.ego,
            reason,
            faults=faults | moment.faults,
            lidar=self.assembler.newest_sweep(),
            may_hold=may_hold,
        )
        return Cycle(output, None, is_watchdog=True)

    def overdue_blind(self, now_ns: int, reason: str, faults: FaultBit) -> Cycle:
        """Return the watchdog's plan without a look at the inputs: a standstill, as hard as can be.

        Args as of `overdue`.
        """
        faults |= FaultBit.STAMP_ESTIMATED
        stamp_ns = self._estimated_stamp(now_ns)
        output = self.planner.fallback(stamp_ns, None, reason, faults=faults)
        return Cycle(output, None, is_watchdog=True)

    @property
    def has_stamp(self) -> bool:
        """Tell that a stamp of the sensors' clock is known, so that a fallback can carry one."""
        return self._last_stamp_ns is not None

    def is_overdue(self, now_ns: int) -> bool:
        """Tell, once each period, that the watchdog's plan is due at a moment of its clock."""
        # All of them: those of a gap count as one, and are not told again at the next call.
        return bool(list(self._watchdog.overdue(now_ns)))

    def reset(self, reason: str, now_ns: int, *, is_same_time: bool = False) -> None:
        """Forget all but the calibration: the clock jumped.

        Args:
            reason: for the log.
            now_ns: the present, on the watchdog's clock after the jump.
            is_same_time: nothing jumped: what the navigation said last counts on.
        """
        self.assembler.reset(is_same_time=is_same_time)
        self.planner.reset(reason)
        self._watchdog.cycle(now_ns)
        self._last_stamp_ns = self._odometry_ns = None
        self._last_seen_ns = now_ns

    def output_pose(self, output: PlannerOutput) -> tuple[str, FloatArray]:
        """Return the frame to publish a plan in and base_link's pose [4, 4] there.

        Raises:
            MissingInputError: the configured output frame is not known.
        """
        wanted = self._config.output_frame
        # Where the vehicle is, nobody knows: its own frame is all there is to publish in.
        is_lost = output.frame_id == self._config.inputs.base_frame
        if wanted is None or is_lost or wanted == output.frame_id:
            return output.frame_id, output.odom_SE3_ego
        wanted_SE3_frame = self.assembler.transforms.lookup(wanted, output.frame_id)
        return wanted, wanted_SE3_frame @ output.odom_SE3_ego

    def _estimated_stamp(self, now_ns: int) -> int:
        """Return the last known stamp of the sensors' clock plus the time since."""
        known = self._last_stamp_ns
        return now_ns if known is None else known + now_ns - self._last_seen_ns

    def _elapsed_stamp(self, stamp_ns: int, ego: EgoState | None, watch_ns: int) -> int:
        """Return an anchor's stamp, or what it can be at most by the newest odometry's.

        A sensor whose clock runs ahead does not make the odometry old.
        """
        if ego is None:
            return stamp_ns
        return min(stamp_ns, ego.stamp_ns + watch_ns - self._odometry_seen_ns)

    def _watch_ns(self, now_ns: int) -> int:
        return now_ns if self._watch_clock is None else self._watch_clock()

    def _run_due(self, now_ns: int) -> Iterator[Cycle]:
        while (due := self.take(now_ns)) is not None:
            yield self.plan(due)

    def _note_odometry(self, now_ns: int) -> None:
        """Take a new odometry's stamp for the present of the sensors' clock, anchor or not."""
        ego = self.assembler.last_ego
        if ego is not None and ego.stamp_ns != self._odometry_ns:
            self._odometry_ns, self._odometry_seen_ns = ego.stamp_ns, self._watch_ns(now_ns)
            self._last_stamp_ns, self._last_seen_ns = ego.stamp_ns, self._odometry_seen_ns

    def _lateness(self, stamp_ns: int, ego: EgoState | None) -> str:
        """Say why a plan from the anchor of this stamp would come too late, or ""."""
        inputs = self._config.inputs
        if ego is not None:
            age_s = (ego.stamp_ns - stamp_ns) / 1e9
            if age_s > inputs.max_anchor_age_s:
                return (
                    f"{inputs.anchor}: stamp of the anchor is {age_s:.3f} s older than the newest "
                    f"odometry, allowed {inputs.max_anchor_age_s:g} s"
                )
        if self._stamp_clock is not None:
            age_s = (self._stamp_clock() - stamp_ns) / 1e9
            if abs(age_s) > STALE_PLAN_S:
                side = "behind" if age_s > 0 else "ahead of"
                return (
                    f"stamps of the sensors are {abs(age_s):.3f} s {side} this computer's clock, "
                    f"allowed {STALE_PLAN_S:g} s (clocks not synchronised, or a bag played "
                    f"without use_sim_time?)"
                )
        return ""

    def _fall_back(self, due: DueCycle, reason: str, faults: FaultBit) -> PlannerOutput:
        return self.planner.fallback(
            due.moment.stamp_ns,
            due.moment.ego,
            reason,
            faults=due.item.faults | due.moment.faults | faults,
            lidar=due.sweep,
            health=due.item.health,
        )
