"""The thread that plans: survives what it calls, does what is asked in between, ends in time."""

import threading
import time

import pytest

from diff_planner.data.typestore import typestore
from diff_planner.errors import InputError
from diff_planner.ros.inbox import Arrival, Inbox
from diff_planner.ros.inference_thread import Hooks, InferenceThread, message_of
from message_factories import make_odometry

TOPIC, TYPE = "odometry", "nav_msgs/msg/Odometry"
DATA = bytes(typestore().serialize_cdr(make_odometry(vx=3.0), TYPE))


class LoopStub:
    """Every message is a cycle."""

    def __init__(self):
        self.added, self.plans = [], []
        self.blocked = threading.Event()
        self.blocked.set()
        self.error = None
        self.assembler = self
        self.is_pending = False

    def add(self, topic, message, now_ns):
        self.added.append((topic, message, now_ns))

    def take(self, now_ns, *, is_newest_wanted):
        assert is_newest_wanted
        due, self.added = self.added, []
        return due or None

    def plan(self, due):
        if self.error is not None:
            raise self.error
        assert self.blocked.wait(10.0)
        self.plans.append(due)
        return due


class Planning:
    """A thread at work on a stub."""

    def __init__(self):
        self.loop, self.inbox = LoopStub(), Inbox({TOPIC: 8})
        self.cycles, self.failures, self.tickets = [], [], 0
        hooks = Hooks(
            lambda: self.tickets,
            lambda cycle, ticket: self.cycles.append((cycle, ticket)),
            self.failures.append,
        )
        self.thread = InferenceThread(self.loop, self.inbox, hooks)

    def put(self, number=0):
        self.inbox.put(Arrival(TOPIC, TYPE, DATA, number))

    def wait(self, condition, within_s=5.0):
        end_s = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end_s
            time.sleep(0.005)


@pytest.fixture
def planning():
    made = Planning()
    made.thread.start()
    yield made
    made.loop.blocked.set()
    assert made.thread.stop(5.0)


def test_a_message_is_decoded_planned_and_given_with_the_ticket_of_its_beginning(planning):
    planning.loop.blocked.clear()
    planning.put(5)
    planning.wait(lambda: planning.thread.busy_s > 0.0)
    planning.tickets = 9  # the watchdog spoke meanwhile
    planning.loop.blocked.set()
    planning.wait(lambda: planning.cycles)
    (((topic, message, arrival_ns),), ticket) = planning.cycles[0]
    assert (topic, arrival_ns, ticket) == (TOPIC, 5, 0)
    assert message.twist.twist.linear.x == 3.0
    planning.wait(lambda: planning.thread.busy_s == 0.0)


def test_the_lock_is_free_while_the_network_runs(planning):
    planning.loop.blocked.clear()
    planning.put()
    planning.wait(lambda: planning.thread.busy_s > 0.05)
    assert planning.thread.lock.acquire(timeout=1.0)
    planning.thread.lock.release()


def test_whatever_is_raised_is_reported_and_the_next_cycle_comes(planning):
    planning.loop.error = InputError("no such thing")
    planning.put()
    planning.wait(lambda: planning.failures)
    planning.loop.error = None
    planning.put()
    planning.wait(lambda: planning.cycles)
    assert str(planning.failures[0]) == "no such thing"
    assert planning.thread.busy_s == 0.0


def test_a_job_is_done_between_cycles_and_its_error_is_told(planning):
    planning.loop.blocked.clear()
    planning.put()
    planning.wait(lambda: planning.thread.busy_s > 0.0)
    order = []
    first = planning.thread.between_cycles(lambda: order.append(len(planning.loop.plans)))
    second = planning.thread.between_cycles(lambda: 1 // 0)
    assert not first.done()
    planning.loop.blocked.set()
    first.result(5.0)
    assert order == [1]
    with pytest.raises(ZeroDivisionError):
        second.result(5.0)


def test_a_job_that_was_called_off_is_not_done_later(planning):
    planning.loop.blocked.clear()
    planning.put()
    planning.wait(lambda: planning.thread.busy_s > 0.0)
    done = []
    off = planning.thread.between_cycles(lambda: done.append("off"))
    on = planning.thread.between_cycles(lambda: done.append("on"))
    assert off.cancel()
    planning.loop.blocked.set()
    on.result(5.0)
    assert done == ["on"]


def test_it_does_not_end_without_what_was_asked_of_it():
    planning = Planning()
    done = []
    planning.thread.between_cycles(lambda: done.append(1))
    assert planning.thread.stop()  # never started
    assert done == [1]


def test_a_network_that_hangs_is_not_waited_for_longer_than_told(planning):
    planning.loop.blocked.clear()
    planning.put()
    planning.wait(lambda: planning.thread.busy_s > 0.0)
    begin_s = time.monotonic()
    assert not planning.thread.stop(0.1)
    assert time.monotonic() - begin_s < 1.0
    assert planning.thread.is_alive()


def test_bytes_that_are_no_message_become_what_no_decoder_takes(caplog):
    caplog.set_level("DEBUG")
    message = message_of(Arrival(TOPIC, TYPE, DATA[:40], 0))
    assert not hasattr(message, "header")
    assert f"{TOPIC}: not a {TYPE}" in caplog.text
