import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.config import PlannerConfig
from diff_planner.data.planning_loop import PlanningLoop
from diff_planner.data.watchdog import Watchdog, fallback_moment
from diff_planner.types import EgoState, FaultBit

S = 1_000_000_000


class PlannerStub:
    """All that a loop without a cycle asks of its planner."""

    config = PlannerConfig()


def ego_at(stamp_ns):
    return EgoState(stamp_ns, "odom", np.eye(4), 5.0, 0.0, 0.0, 0.0, 0.0)


def test_nothing_is_due_while_cycles_come():
    dog = Watchdog(0.2, 0.1, start_ns=0)
    for k in range(1, 20):
        assert list(dog.overdue(k * S // 10)) == []
        dog.cycle(k * S // 10)


def test_the_first_fallback_is_due_after_two_periods_and_then_each_period():
    dog = Watchdog(0.2, 0.1, start_ns=0)
    assert list(dog.overdue(S // 5 - 1)) == []
    assert list(dog.overdue(S // 2)) == [S // 5, 3 * S // 10, 4 * S // 10, S // 2]
    assert list(dog.overdue(S // 2 + 1)) == []
    dog.cycle(S)
    assert list(dog.overdue(S + S // 5 - 1)) == []


def test_a_cycle_while_the_overdue_ones_are_given_puts_off_the_rest():
    dog = Watchdog(0.2, 0.1, start_ns=0)
    given_ns = []
    for moment_ns in dog.overdue(S):
        given_ns.append(moment_ns)
        if moment_ns == 4 * S // 10:
            dog.cycle(moment_ns)
    assert given_ns == [k * S // 10 for k in (2, 3, 4, 6, 7, 8, 9, 10)]
    assert list(dog.overdue(S)) == []


@given(st.integers(0, 10**18))
def test_a_gap_of_any_length_gives_a_bounded_list_and_is_then_over(now_ns):
    dog = Watchdog(0.2, 0.1, start_ns=0)
    moments = list(dog.overdue(now_ns))
    assert len(moments) <= 50
    assert all(moment <= now_ns for moment in moments)
    assert list(dog.overdue(now_ns)) == []


def test_a_fallback_is_stamped_with_young_odometry():
    moment = fallback_moment(ego_at(10 * S), 10 * S + S // 4, max_age_s=0.5)
    assert (moment.stamp_ns, moment.faults) == (10 * S, FaultBit.NONE)
    assert moment.ego is not None


def test_old_or_no_odometry_gives_an_estimated_stamp_and_an_unknown_motion():
    for ego in (None, ego_at(10 * S)):
        moment = fallback_moment(ego, 11 * S, max_age_s=0.5)
        assert moment.stamp_ns == 11 * S
        assert moment.ego is None
        assert moment.faults == FaultBit.STAMP_ESTIMATED


def test_a_gap_is_told_once_however_many_periods_it_has():
    loop = PlanningLoop(PlannerStub(), start_ns=0)
    assert not loop.is_overdue(S // 10)
    # A clock that jumps ahead, as the first /clock of a bag does.
    assert loop.is_overdue(1_700_000_000 * S)
    assert not loop.is_overdue(1_700_000_000 * S + S // 40)
    assert loop.is_overdue(1_700_000_000 * S + S // 5)
