"""A configured planner at work: the inference thread's cycles, the watchdog's plans, the counts.

Two threads give plans, so every one goes through one gate: a plan that was begun before the
watchdog spoke comes too late and is dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import nullcontext
from dataclasses import dataclass, replace

from diff_planner.config import PlannerConfig
from diff_planner.data.encode_status import Counters, ModelLabel, StatusReport
from diff_planner.data.planning_loop import Cycle, PlanningLoop
from diff_planner.errors import BackendError, DiffPlannerError, MissingInputError
from diff_planner.inference.backend import Backend
from diff_planner.planner import Planner
from diff_planner.ros.clock import WatchClock
from diff_planner.ros.inference_thread import (
    Hooks,
    InferenceThread,
    LockStepThread,
    message_of,
)
from diff_planner.ros.inputs import InputSubscriptions
from diff_planner.ros.outputs import Outputs
from diff_planner.ros.status_board import StatusBoard
from diff_planner.types import FaultBit, FloatArray, Message, PlannerOutput, PlannerState, Source

logger = logging.getLogger("diff_planner")

_LOCK_WAIT_S = 0.05
"""Decoding takes less; whoever holds the inputs longer hangs."""
_DROP_SHARE = 0.02
"""Of a cycle in drop_ratio: a low pass over some 5 s at 10 Hz."""


@dataclass(frozen=True)
class Surroundings:
    """What the runtime works with and does not own."""

    outputs: Outputs
    board: StatusBoard
    subscriptions: InputSubscriptions
    watch_clock: WatchClock
    ros_now_ns: Callable[[], int]
    """The node's clock: the one that consumers judge stamps by."""
    is_enabled: Callable[[], bool]
    """Whether plans go out."""


class PlanningRuntime:
    """Lives from configure to cleanup; plans while it is active."""

    def __init__(
        self,
        config: PlannerConfig,
        backend: Backend,
        around: Surroundings,
        *,
        first_plan_id: int,
        on_consumed: Callable[[int], None] | None,
    ) -> None:
        """Prepare.

        Args:
            config: everything the planner is told.
            backend: loaded and warm; closed by `close`.
            around: publishers, inputs, clocks.
            first_plan_id: goes on where an earlier runtime of this process ended.
            on_consumed: for lock-step, called with the count of messages dealt with; else None.
        """
        self.config, self._around = config, around
        self.is_lock_step = on_consumed is not None
        self._on_consumed = on_consumed
        self.planner = Planner(config, backend, first_plan_id=first_plan_id)
        self._loop = PlanningLoop(
            self.planner,
            around.watch_clock.now_ns(),
            stamp_clock=None if self.is_lock_step else around.ros_now_ns,
            watch_clock=None if self.is_lock_step else around.watch_clock.now_ns,
        )
        self._gate = threading.RLock()
        self._tickets = 0
        self._thread: InferenceThread | None = None
        self._left_behind: InferenceThread | None = None
        """One whose network did not come back when it had to end."""
        self._failure = ""
        """What a cycle failed of that nobody has answered yet."""
        self._has_cycle = False
        self._dropped = 0
        self.last_plan_id = first_plan_id - 1
        around.board.model = ModelLabel.of(backend)

    @property
    def loop(self) -> PlanningLoop:
        """The loop; only for waiting on its transforms while inactive."""
        return self._loop

    def collect_latched(self) -> None:
        """Take what has arrived and is not looked at yet; not while a thread does."""
        for arrival in self._around.subscriptions.inbox.drain():
            self._loop.add(arrival.topic, message_of(arrival), arrival.arrival_ns)

    @property
    def is_active(self) -> bool:
        """Whether it plans."""
        return self._thread is not None

    def activate(self) -> None:
        """Begin to plan, with nothing known but calibration, route and command.

        Raises:
            BackendError: the network hangs since the last time.
        """
        if self._is_hung:
            raise BackendError("the network hangs in an earlier cycle: restart the process")
        self.collect_latched()
        now_ns = self._around.watch_clock.now_ns()
        self._loop.reset("activated", now_ns, is_same_time=True)
        self._has_cycle = False
        hooks = Hooks(lambda: self._tickets, self._on_cycle, self._on_failure)
        inbox = self._around.subscriptions.inbox
        if self._on_consumed is None:
            self._thread = InferenceThread(self._loop, inbox, hooks)
        else:
            self._thread = LockStepThread(self._loop, inbox, hooks, self._on_consumed)
        self._around.subscriptions.is_active = True
        self._thread.start()

    def deactivate(self, reason: str) -> None:
        """Stop planning; the last plan that goes out ends in a standstill.

        Args:
            reason: for the status.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._around.subscriptions.is_active = False
        with self._gate:
            self._tickets += 1  # a cycle that still runs says no more
        has_lock = thread.lock.acquire(timeout=_LOCK_WAIT_S)
        try:
            if self._loop.has_stamp:
                self._say_watchdog(reason, FaultBit.NONE, may_hold=False)
        finally:
            if has_lock:
                thread.lock.release()
        if not thread.stop():
            self._left_behind = thread
            logger.error("the network has not answered for %.1f s: left behind", thread.busy_s)

    def close(self) -> None:
        """Release the model, unless it hangs."""
        if not self._is_hung:
            self.planner.backend.close()

    def apply(self, config: PlannerConfig) -> None:
        """Plan by other limits from the next cycle on."""

        def change() -> None:
            self.config = self.planner.config = config

        self._between_cycles(change)

    def swap(self, backend: Backend) -> None:
        """Plan with another model from the next cycle on; the old one is released.

        Raises:
            BackendError: the present model does not come to an end; it stays in use.
        """
        old = self.planner.backend

        def change() -> None:
            self.planner.use(backend)
            self._around.board.model = ModelLabel.of(backend)

        self._between_cycles(change, timeout_s=5.0)
        old.close()  # takes tens of milliseconds: not in the time of a cycle

    def clock_jumped(self, reason: str) -> None:
        """Forget everything but the calibration: time is another one now."""
        self._around.board.note(FaultBit.CLOCK_JUMP, reason)
        if self.is_lock_step:  # its thread takes /clock itself, in its place among the messages
            return
        with self._gate:
            self._tickets += 1  # what is being planned belongs to the old time

        def change() -> None:
            with nullcontext() if self._thread is None else self._thread.lock:
                self.collect_latched()
                self._loop.reset(reason, self._around.watch_clock.now_ns())
            self._has_cycle = False  # waits for inputs of the new time

        self._between_cycles(change)

    def tick(self) -> None:
        """Give the watchdog's plan if a cycle is overdue; on the watchdog's thread."""
        thread = self._thread
        if thread is None or self.is_lock_step:
            return
        has_lock = thread.lock.acquire(timeout=_LOCK_WAIT_S)
        try:
            if has_lock and thread.busy_s:  # else it looks into the inbox itself
                thread.collect()
            is_due = self._loop.is_overdue(self._around.watch_clock.now_ns())
            if (is_due or self._failure) and self._loop.has_stamp:
                why = self._why_overdue(thread, has_lock=has_lock)
                with self._gate:
                    if self._thread is thread:  # else the plan that stops has gone out
                        self._say_watchdog(*why)
        finally:
            if has_lock:
                thread.lock.release()

    def report_without_plan(self) -> StatusReport:
        """Return what to say in a period without a plan.

        A cycle that comes a little later than a period is no news, and after two the watchdog
        speaks: until then the state stays what it was.
        """
        if self._has_cycle and self.is_active:
            return replace(self._around.board.said, source=Source.UNKNOWN)
        return self._waiting_report()

    def _waiting_report(self) -> StatusReport:
        health = self._loop.assembler.presence()
        lacks = [entry.reason for entry in health if entry.reason]
        faults = FaultBit.NONE
        for entry in health:
            faults |= entry.fault
        report = self._around.board.report
        if self.is_active:
            reason = "; ".join(["waiting for inputs", *lacks])
        else:
            reason, faults = "inactive: configured and waiting to be activated", FaultBit.NONE
        return StatusReport(
            report.stamp_ns,
            PlannerState.WAITING_INPUT,
            plan_id=self.last_plan_id,
            faults=faults,
            reason=reason,
            health=health,
            seed=self.config.model.seed,
        )

    def _between_cycles(self, change: Callable[[], None], timeout_s: float | None = None) -> None:
        thread = self._thread
        if thread is None:
            change()
            return
        done = thread.between_cycles(change)
        if timeout_s is None:
            return
        try:
            done.result(timeout_s)
        except futures.TimeoutError:
            if done.cancel():  # else it would be done whenever the network comes back
                raise BackendError(
                    f"the model in use did not come to an end of its cycle within {timeout_s:g} s"
                ) from None
            done.result()

    @property
    def _is_hung(self) -> bool:
        return self._left_behind is not None and self._left_behind.is_alive()

    def _why_overdue(self, thread: InferenceThread, *, has_lock: bool) -> tuple[str, FaultBit]:
        failure, self._failure = self._failure, ""
        if failure:
            return failure, FaultBit.MODEL
        if not has_lock:
            return "the inputs of a cycle take too long to decode", FaultBit.DEADLINE
        if busy_s := thread.busy_s:
            words = f"the network has not answered for {busy_s:.2f} s"
            return words, FaultBit.MODEL | FaultBit.DEADLINE
        if (silent_s := self._around.watch_clock.silent_s) > self.config.watchdog_s:
            return f"/clock has been silent for {silent_s:.2f} s", FaultBit.INPUT_MISSING
        lacks = [e.reason for e in self._loop.assembler.presence() if e.reason]
        anchor = self.config.inputs.anchor
        words = f"no cycle for {self.config.watchdog_s:g} s: anchor '{anchor}' is silent"
        return "; ".join([words, *lacks]), FaultBit.INPUT_MISSING

    def _say_watchdog(self, reason: str, faults: FaultBit, *, may_hold: bool = True) -> None:
        with self._gate:
            self._tickets += 1
            now_ns = self._around.watch_clock.now_ns()
            try:
                cycle = self._loop.overdue(now_ns, reason, faults, may_hold=may_hold)
                health = self._loop.assembler.presence()
            except Exception as error:  # the inputs are in the hands of a thread that hangs
                logger.exception("the watchdog could not read the inputs")
                cycle, health = self._loop.overdue_blind(now_ns, f"{reason} ({error})", faults), ()
            self._publish(replace(cycle, output=replace(cycle.output, health=health)))

    def _on_cycle(self, cycle: Cycle, ticket: int) -> None:
        with self._gate:
            # Inactive: taken up behind the back of the plan that stops.
            if ticket != self._tickets or self._thread is None:
                logger.warning(
                    "plan %d came after the watchdog's and is dropped", cycle.output.plan_id
                )
                return
            self._publish(cycle)

    def _on_failure(self, error: Exception) -> None:
        self._failure = f"unexpected {type(error).__name__} in a cycle: {error}"
        self._around.board.note(FaultBit.MODEL, self._failure)

    def _publish(self, cycle: Cycle) -> None:
        begin_ns = time.monotonic_ns()
        output = self._judged(cycle)
        output, frame_SE3_ego, message = self._message(output)
        if self._around.is_enabled():
            self._around.outputs.publish_trajectory(message)
        done_ns = time.monotonic_ns()
        is_missed = bool(output.faults & FaultBit.DEADLINE)
        self._count(cycle, output, is_missed=is_missed)
        report = StatusReport.of(output)
        if not self._around.is_enabled():
            report = replace(report, reason=f"not enabled: no plan goes out; {report.reason}")
        self._around.board.timing = self._timing(cycle, begin_ns, done_ns)
        self._around.board.say(report)
        self._around.outputs.publish_timing(
            output, self._around.board.timing, is_deadline_missed=is_missed
        )
        base_frame = self.config.inputs.base_frame
        self._around.outputs.publish_views(output, message, base_frame, frame_SE3_ego)
        self._has_cycle = True

    def _judged(self, cycle: Cycle) -> PlannerOutput:
        """Add what only the clock knows: whether the cycle was in time."""
        output = cycle.output
        total_ms = output.timing_ms.get("total", 0.0)
        if cycle.is_watchdog or total_ms <= self.config.inputs.period_s * 1e3:
            return output
        nominal = output.state == PlannerState.NOMINAL
        late = f"the cycle took {total_ms:.0f} ms, allowed {self.config.inputs.period_s * 1e3:.0f}"
        return replace(
            output,
            state=PlannerState.DEGRADED if nominal else output.state,
            faults=output.faults | FaultBit.DEADLINE,
            reason="; ".join(filter(None, [output.reason, late])),
        )

    def _message(self, output: PlannerOutput) -> tuple[PlannerOutput, FloatArray, Message]:
        """Return the plan's message; one that cannot be written gives way to a standstill."""
        wheelbase_m = self.config.vehicle.wheelbase_m
        try:
            frame_id, pose = self._loop.output_pose(output)
            message = self._around.outputs.trajectory(output, wheelbase_m, frame_id, pose)
        except DiffPlannerError as error:
            stamp_ns = output.trajectory.stamp_ns
            is_lost = isinstance(error, MissingInputError)  # the output frame
            faults = output.faults | (FaultBit.TF if is_lost else FaultBit.NONFINITE_OUT)
            output = self.planner.fallback(stamp_ns, None, str(error), faults=faults)
            frame_id, pose = self._loop.output_pose(output)
            message = self._around.outputs.trajectory(output, wheelbase_m, frame_id, pose)
        return output, pose, message

    def _count(self, cycle: Cycle, output: PlannerOutput, *, is_missed: bool) -> None:
        board, anchor = self._around.board, self._loop.assembler.dropped_anchors
        dropped = anchor - self._dropped
        self._dropped = anchor
        before = board.counters
        ratio = dropped / (dropped + 1)
        board.counters = Counters(
            cycles=before.cycles + 1,
            fallbacks=before.fallbacks + (output.state == PlannerState.FALLBACK),
            dropped_frames=before.dropped_frames + dropped,
            deadline_misses=before.deadline_misses + is_missed,
            drop_ratio=before.drop_ratio + _DROP_SHARE * (ratio - before.drop_ratio),
        )
        self.last_plan_id = output.plan_id

    def _timing(self, cycle: Cycle, begin_ns: int, done_ns: int) -> dict[str, float]:
        stamp_ns = cycle.output.trajectory.stamp_ns
        timing = dict(cycle.output.timing_ms)
        timing["publish"] = (done_ns - begin_ns) / 1e6
        timing["end_to_end"] = (self._around.ros_now_ns() - stamp_ns) / 1e6
        if cycle.due is None or self.is_lock_step:
            return timing
        due = cycle.due
        timing["sync_wait"] = (due.taken_ns - due.arrival_ns) / 1e6
        timing["sensor_age"] = timing["end_to_end"] - (done_ns - due.taken_ns) / 1e6
        timing["input_to_output"] = (done_ns - due.last_arrival_ns) / 1e6
        return timing
