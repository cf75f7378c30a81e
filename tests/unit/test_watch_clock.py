"""The watchdog's present: steady, or as /clock says, and in its silence steady again."""

from diff_planner.ros.clock import WatchClock

S = 1_000_000_000
SILENCE_S = 0.2


class Clocks:
    """A /clock and a steady clock that the test sets."""

    def __init__(self, told_ns=0):
        self.told_ns, self.steady_ns = told_ns, 0
        self.watch = WatchClock(lambda: self.told_ns, SILENCE_S, lambda: self.steady_ns)
        self.begin_ns = self.watch.now_ns()

    def passed_s(self, *, told_s=0.0, steady_s=0.0):
        """Let both go on; return what has passed since the beginning."""
        self.told_ns += round(told_s * S)
        self.steady_ns += round(steady_s * S)
        return (self.watch.now_ns() - self.begin_ns) / S


def test_without_sim_time_it_is_the_steady_clock():
    clock = WatchClock(None, SILENCE_S, lambda: 7 * S)
    assert clock.now_ns() == 7 * S
    assert clock.silent_s == 0.0


def test_it_goes_as_fast_as_the_clock_topic_while_that_ticks():
    clocks = Clocks(told_ns=1_700_000_000 * S)
    for k in range(1, 11):  # a bag played at half its speed
        assert abs(clocks.passed_s(told_s=0.05, steady_s=0.1) - 0.05 * k) < 1e-9


def test_the_first_word_of_the_clock_topic_is_no_leap():
    clocks = Clocks(told_ns=0)
    assert clocks.passed_s(told_s=1_700_000_000.0, steady_s=0.1) == 0.0
    assert clocks.passed_s(told_s=0.1, steady_s=0.1) == 0.1


def test_in_a_silence_steady_time_goes_on_at_once_when_it_has_lasted_too_long():
    clocks = Clocks(told_ns=5 * S)
    assert clocks.passed_s(steady_s=0.19) == 0.0
    assert clocks.passed_s(steady_s=0.02) == 0.21
    assert clocks.passed_s(steady_s=1.0) == 1.21
    assert clocks.watch.silent_s == 1.21


def test_after_a_silence_time_does_not_stand_still():
    clocks = Clocks(told_ns=5 * S)
    clocks.passed_s(steady_s=10.0)
    before_s = clocks.passed_s(told_s=0.02, steady_s=0.02)
    assert before_s == 10.0
    assert abs(clocks.passed_s(told_s=0.1, steady_s=0.1) - 10.1) < 1e-9
    assert clocks.watch.silent_s == 0.0


def test_a_clock_that_ticks_slowly_is_counted_once():
    clocks = Clocks(told_ns=5 * S)
    for k in range(1, 6):  # a tick each second, asked every quarter
        for _ in range(3):
            clocks.passed_s(steady_s=0.25)
        assert abs(clocks.passed_s(told_s=1.0, steady_s=0.25) - k) < 1e-9


def test_a_clock_that_jumps_back_lets_no_time_pass_and_goes_on_from_there():
    clocks = Clocks(told_ns=100 * S)
    assert clocks.passed_s(told_s=0.1, steady_s=0.1) == 0.1
    assert clocks.passed_s(told_s=-50.0, steady_s=0.1) == 0.1
    assert abs(clocks.passed_s(told_s=0.1, steady_s=0.1) - 0.2) < 1e-9


def test_it_never_falls():
    clocks = Clocks(told_ns=100 * S)
    last_s = 0.0
    for told_s, steady_s in [
        (0.1, 0.1),
        (0.0, 0.5),
        (-3.0, 0.1),
        (0.0, 0.3),
        (7.0, 0.1),
        (0.0, 0.1),
    ]:
        now_s = clocks.passed_s(told_s=told_s, steady_s=steady_s)
        assert now_s >= last_s
        last_s = now_s
