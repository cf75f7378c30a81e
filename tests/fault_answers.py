"""What the node answers to a fault, and how soon."""

import time

from calm_machine import in_a_calm_moment
from diff_planner.types import PlannerState

PERIOD_S, WATCHDOG_S = 0.1, 0.2
BOUND_S = WATCHDOG_S + 0.1
"""From a fault to the first plan that is labelled with it."""


def is_match(plan, state, fault, words):
    return plan.state == state and fault in plan.faults and words in plan.reason


def answer_to(graph, break_it, *, state, fault, words, began_ns=None, lasts=2):
    """Break something on a graph that is well; return the first plan labelled with it.

    It has to come within one watchdog period and 100 ms, and the plans after it have to say the
    same.  What fails is made once more, as calm_machine.py has it; what is late twice is late.

    Args:
        graph: NOMINAL.
        break_it: what is done.
        state: of the plan.
        fault: bits among those of the plan.
        words: in its reason.
        began_ns: tells when the fault began, where that is later than the call of `break_it`.
        lasts: so many plans after the first have to carry state and fault too.
    """

    def attempt():
        since_ns = time.monotonic_ns()
        break_it()

        def find():
            matches = (p for p in graph.plans_since(since_ns) if is_match(p, state, fault, words))
            return next(matches, None)

        first = graph.wait(find, f"{state.name} {fault!r} '{words}'")
        took_s = (first.at_ns - (since_ns if began_ns is None else began_ns())) / 1e9
        after = graph.wait_for_plans(lasts, since_ns=first.at_ns)[:lasts]
        assert took_s <= BOUND_S, f"answered after {took_s:.3f} s, allowed {BOUND_S} s: {first}"
        assert all(is_match(p, state, fault, "") for p in after), [str(p) for p in after]
        return first

    return once_more(graph, attempt)


def once_more(graph, attempt):
    """Return what `attempt` returns on a graph that is well; tried as calm_machine.py has it."""

    def heal():
        graph.heal()
        graph.until_nominal(within_s=20.0)

    return in_a_calm_moment(attempt, heal)


def stays_nominal(graph, break_it, count=5):
    """Do something that is no fault; return the plans after it, all NOMINAL."""

    def attempt():
        break_it()
        plans = graph.wait_for_plans(count)
        assert all(p.state == PlannerState.NOMINAL for p in plans), [str(p) for p in plans]
        return plans

    return once_more(graph, attempt)
