"""Time from /clock: a bag that is played again, a player that stops."""

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.types import FaultBit, PlannerState, Source
from fault_answers import answer_to
from ros_graph import graph_of
from ros_sensors import silent

pytestmark = pytest.mark.ros

FALLBACK, NOMINAL = PlannerState.FALLBACK, PlannerState.NOMINAL
JUMP_NS = 5_000_000_000


def stamp_ns(plan):
    stamp = plan.trajectory.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec


@pytest.fixture(scope="module")
def playing(moment_bag):
    """A node whose time is what the sensors publish on /clock."""
    with graph_of(moment_bag, is_simulated=True) as made:
        yield made


@pytest.fixture
def simulated(playing):
    """The same, NOMINAL; as it was after the test."""
    playing.sensors.has_clock = True
    playing.sensors.heal()
    playing.sensors.pause(False)
    playing.until_nominal()
    yield playing
    playing.check()


def test_a_clock_that_jumps_back_is_told_and_planned_from_anew(simulated):
    before = simulated.plans[-1]
    with simulated.sensors.lock:
        simulated.sensors.offset_ns -= JUMP_NS
        jumped_ns = time.monotonic_ns()
    words = "the clock jumped back by"
    status = simulated.wait_for_status(words, since_ns=jumped_ns)
    assert FaultBit.CLOCK_JUMP in FaultBit(status.fault_bits)
    first = simulated.wait(
        lambda: [p for p in simulated.plans_since(jumped_ns) if stamp_ns(p) < stamp_ns(before)],
        "plan of the new time",
    )[0]
    # Nothing of the old time is held: the first plan there is the network's.
    assert first.source == Source.DIFFUSION, [str(p) for p in simulated.plans[-4:]]
    assert first.state == PlannerState.DEGRADED
    assert FaultBit.CLOCK_JUMP in first.faults
    assert (first.at_ns - jumped_ns) / 1e9 < 1.0
    simulated.until_nominal()
    old = [p for p in simulated.plans_since(first.at_ns) if stamp_ns(p) >= stamp_ns(before)]
    assert not old
    # What happened at one moment is said for a second and then no more.
    simulated.wait(lambda: words not in simulated.status.reason, "status without it")


def test_a_clock_that_jumps_ahead_is_planned_from(simulated):
    with simulated.sensors.lock:
        simulated.sensors.offset_ns += JUMP_NS
    simulated.until_nominal()


def test_after_a_pause_of_the_player_a_silent_lidar_is_noticed_as_soon_as_ever(simulated):
    simulated.sensors.pause()
    simulated.wait(lambda: simulated.plans[-1].source == Source.EMERGENCY_STOP, "emergency stop")
    with simulated.sensors.lock:
        simulated.sensors.offset_ns -= int(2e9)  # the bag stood still meanwhile
    simulated.sensors.pause(False)
    simulated.until_nominal()
    answer_to(
        simulated,
        lambda: simulated.sensors.break_("lidar", fault=silent),
        state=FALLBACK,
        fault=FaultBit.INPUT_MISSING,
        words="anchor 'lidar' is silent",
    )


def test_a_player_that_stops_is_answered_on_the_steady_clock(simulated):
    plan = answer_to(
        simulated,
        simulated.sensors.pause,
        state=FALLBACK,
        fault=FaultBit.INPUT_MISSING,
        words="",
        lasts=2,
    )
    assert plan.source == Source.HOLD_LAST
    words = "/clock has been silent for"
    simulated.wait(lambda: words in simulated.plans[-1].reason, f"plan with '{words}'")
    simulated.wait(lambda: simulated.plans[-1].source == Source.EMERGENCY_STOP, "emergency stop")
    assert simulated.plans[-1].speeds[-1] == 0.0


def test_sensors_that_go_on_without_a_clock_end_in_a_fallback(simulated):
    simulated.sensors.has_clock = False
    words = "s ahead of this computer's clock"
    simulated.wait(lambda: words in simulated.plans[-1].reason, f"plan with '{words}'")
    assert simulated.plans[-1].state == FALLBACK
    assert FaultBit.INPUT_STALE in simulated.plans[-1].faults
