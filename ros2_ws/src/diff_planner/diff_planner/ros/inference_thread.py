"""The one thread that assembles inputs and runs the network.

It owns the planning loop; the watchdog's thread borrows the loop's input side under `lock` when
this thread is late.  The lock is never held while the network runs, so a network that hangs stops
nobody but this thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from diff_planner.data.planning_loop import Cycle, PlanningLoop
from diff_planner.data.typestore import typestore
from diff_planner.ros.inbox import Arrival, Inbox
from diff_planner.types import Message

logger = logging.getLogger("diff_planner")

CLOCK = "/clock"
_PENDING_POLL_S = 0.005
"""How finely the wait for late sensors of a cycle is measured."""
_IDLE_POLL_S = 0.1
_AFTER_FAILURE_S = 0.02
"""A failure that repeats must not take a whole core."""


@dataclass(frozen=True)
class Hooks:
    """What the thread calls, on itself."""

    draw_ticket: Callable[[], int]
    """When a cycle is taken up."""
    on_cycle: Callable[[Cycle, int], None]
    """With each cycle and the ticket that was drawn for it."""
    on_failure: Callable[[Exception], None]
    """With what should not have been raised."""


class InferenceThread(threading.Thread):
    """Runs the newest cycle that is ready, again and again."""

    def __init__(self, loop: PlanningLoop, inbox: Inbox, hooks: Hooks) -> None:
        """Prepare; `start` begins.

        Args:
            loop: fed by this thread from now on.
            inbox: what has arrived.
            hooks: what is called.
        """
        super().__init__(name="diff_planner inference", daemon=True)
        self.lock = threading.Lock()
        self._loop, self._inbox, self._hooks = loop, inbox, hooks
        self._jobs: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._stopped = threading.Event()
        self._busy_since_ns: int | None = None

    @property
    def busy_s(self) -> float:
        """Seconds since the network began the cycle that it is at; 0 while it waits."""
        since_ns = self._busy_since_ns
        return 0.0 if since_ns is None else (time.monotonic_ns() - since_ns) / 1e9

    def between_cycles(self, job: Callable[[], None]) -> Future[None]:
        """Have something done while no cycle runs; the result tells when, or what it raised."""
        done: Future[None] = Future()
        self._jobs.append((job, done))
        self._inbox.wake()
        return done

    def collect(self) -> None:
        """Hand what has arrived to the loop; under `lock`."""
        for arrival in self._inbox.drain():
            self._loop.add(arrival.topic, message_of(arrival), arrival.arrival_ns)

    def run(self) -> None:
        """Plan until stopped; whatever is raised is reported, and the next cycle comes."""
        while not self._stopped.is_set():
            self._work_or_report()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End after the cycle that runs; return False when that hangs.

        What was to be done between cycles is done before it returns, unless it hangs.
        """
        self._stopped.set()
        self._inbox.wake()
        if self.is_alive():
            self.join(timeout_s)
        if self.is_alive():
            return False
        self._run_jobs()
        return True

    def _work_or_report(self) -> None:
        try:
            self._work()
        except Exception as error:
            logger.exception("a cycle failed outside of the planner")
            self._hooks.on_failure(error)
            self._stopped.wait(_AFTER_FAILURE_S)

    def _work(self) -> None:
        self._inbox.wait(_PENDING_POLL_S if self._loop.assembler.is_pending else _IDLE_POLL_S)
        self._run_jobs()
        with self.lock:
            self.collect()
            # Before the inputs are decoded: that may take too long as well.
            ticket = self._hooks.draw_ticket()
            due = self._loop.take(time.monotonic_ns(), is_newest_wanted=True)
        if due is None:
            return
        self._busy_since_ns = time.monotonic_ns()
        try:
            cycle = self._loop.plan(due)
        finally:
            self._busy_since_ns = None
        self._hooks.on_cycle(cycle, ticket)

    def _run_jobs(self) -> None:
        while self._jobs:
            job, done = self._jobs.popleft()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                job()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)


class LockStepThread(InferenceThread):
    """Takes every message in the order in which it comes, at the time that /clock said last."""

    def __init__(
        self, loop: PlanningLoop, inbox: Inbox, hooks: Hooks, on_consumed: Callable[[int], None]
    ) -> None:
        """As InferenceThread; `on_consumed` is called with the count of messages dealt with."""
        super().__init__(loop, inbox, hooks)
        self._on_consumed = on_consumed
        self._consumed = 0
        self._now_ns: int | None = None

    def _work(self) -> None:
        self._inbox.wait(_IDLE_POLL_S)
        self._run_jobs()
        for arrival in self._inbox.drain():
            try:
                with self.lock:
                    for cycle in self._cycles(arrival):
                        self._hooks.on_cycle(cycle, self._hooks.draw_ticket())
            finally:
                self._consumed += 1
                self._on_consumed(self._consumed)

    def _cycles(self, arrival: Arrival) -> Iterator[Cycle]:
        message = message_of(arrival)
        if arrival.topic == CLOCK:
            now_ns = message.clock.sec * 1_000_000_000 + message.clock.nanosec
            if self._now_ns is None or now_ns < self._now_ns:
                self._loop.reset("the time of the lock-step begins anew", now_ns)
            self._now_ns = now_ns
            return self._loop.pass_time(now_ns)
        if self._now_ns is None:  # latched, from before the first /clock
            self._loop.add(arrival.topic, message, 0)
            return iter(())
        return self._loop.feed(arrival.topic, message, self._now_ns)


def message_of(arrival: Arrival) -> Message:
    """Return the message; bytes that are none of its type become what no decoder takes."""
    try:
        return typestore().deserialize_cdr(arrival.data, arrival.msgtype)
    except Exception as error:  # any parser's own, of bytes that anybody may have sent
        # Each of them, so no more than debug: the health of the input says it to everybody.
        logger.debug("%s: not a %s: %s", arrival.topic, arrival.msgtype, error)
        return _Unreadable(str(error))


class _Unreadable:
    """Stands for bytes that could not be read, so that the input's health names them."""

    def __init__(self, why: str) -> None:
        self.why = why
