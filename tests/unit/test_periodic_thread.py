"""The watchdog's thread: steady, and not to be killed by what it calls."""

import threading
import time

import pytest

from diff_planner.ros.periodic_thread import PeriodicThread


def run_for(seconds, period_s, work):
    thread = PeriodicThread("test", period_s, work)
    thread.start()
    time.sleep(seconds)
    thread.stop()
    assert not thread.is_alive()


def test_it_calls_at_once_and_then_each_period():
    calls = []
    run_for(0.5, 0.05, lambda: calls.append(time.monotonic()))
    assert 5 <= len(calls) <= 11
    assert calls[-1] - calls[0] >= 0.05 * (len(calls) - 1) - 0.01


def test_what_it_calls_may_fail_and_is_called_again(caplog):
    calls = []

    def work():
        calls.append(1)
        raise ValueError("once more")

    run_for(0.2, 0.02, work)
    assert len(calls) >= 3
    assert "test failed once" in caplog.text
    assert "once more" in caplog.text


def test_calls_that_would_be_late_are_left_out():
    calls = []

    def work():
        calls.append(time.monotonic())
        time.sleep(0.15 if len(calls) == 1 else 0.0)

    run_for(0.4, 0.05, work)
    # At 0, after the slow one at 0.15, then each 0.05: no burst for the two that were left out.
    assert len(calls) <= 7


def test_it_may_be_stopped_from_within_and_twice():
    stopped = threading.Event()
    threads = []

    def work():
        threads[0].stop()
        stopped.set()

    threads.append(PeriodicThread("test", 0.01, work))
    threads[0].start()
    assert stopped.wait(5.0)
    threads[0].join(5.0)
    threads[0].stop()
    assert not threads[0].is_alive()


def test_one_that_never_began_can_be_stopped():
    PeriodicThread("test", 0.01, pytest.fail).stop()
