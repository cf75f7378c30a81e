import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner import safety
from diff_planner.config import SafetyConfig, VehicleConfig
from diff_planner.errors import InputError, MissingInputError
from diff_planner.motion import covered_m, integrate
from diff_planner.types import RejectBit, StateIndex
from factories import STAMP_NS, make_ego, make_sweep

VEHICLE, CONFIG = VehicleConfig(), SafetyConfig()
TIMES_S = 0.1 * np.arange(41)


def drive(speed, curvature=0.0):
    """States [41, 7] at a speed and a curvature that may change over time."""
    speed = np.broadcast_to(np.asarray(speed, dtype=np.float64), (1, 41))
    curvature = np.broadcast_to(np.asarray(curvature, dtype=np.float64), (1, 41))
    steps = np.diff(covered_m(speed)) * 0.5 * (curvature[:, 1:] + curvature[:, :-1])
    yaw = np.concatenate([np.zeros((1, 1)), np.cumsum(steps, axis=1)], axis=1)
    return integrate(speed, yaw, curvature)[0]


def judge(states, *, last_plan=None, lidar=None, **ego):
    states = np.asarray(states)
    states = states[None] if states.ndim == 2 else states
    context = safety.SafetyContext(
        VEHICLE, CONFIG, make_ego(**ego), make_sweep() if lidar is None else lidar, last_plan
    )
    return [RejectBit(int(bits)) for bits in safety.check(states, context)]


def test_a_calm_plan_passes():
    assert judge(drive(8.0)) == [RejectBit(0)]


def test_a_plan_that_stands_passes():
    assert judge(drive(0.0), vx_mps=0.0) == [RejectBit(0)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e300])
@pytest.mark.parametrize("column", list(StateIndex))
def test_one_number_without_meaning_is_refused_and_nothing_else_is_said(value, column):
    states = np.stack([drive(8.0), drive(8.0)])
    states[0, 20, column] = value
    with np.errstate(all="raise"):
        assert judge(states) == [RejectBit.NONFINITE, RejectBit(0)]


@pytest.mark.parametrize(
    ("states", "speed", "bit"),
    [
        (drive(2.0, 0.3), 2.0, RejectBit.CURVATURE),
        (drive(12.0, 0.05), 12.0, RejectBit.LAT_ACC),
        (drive(5.0 + 5.0 * TIMES_S), 5.0, RejectBit.LON_ACC),
        (drive(np.maximum(16.0 - 9.0 * TIMES_S, 0.0)), 16.0, RejectBit.LON_ACC),
        (drive(8.0 + 0.3 * np.sin(12.0 * TIMES_S)), 8.0, RejectBit.JERK),
        (drive(6.0, 0.1 * np.sign(np.sin(3.0 * TIMES_S))), 6.0, RejectBit.STEER_RATE),
        (drive(1.0 - TIMES_S), 1.0, RejectBit.REVERSE),
    ],
)
def test_what_the_vehicle_cannot_do_is_refused_by_name(states, speed, bit):
    assert bit in judge(states, vx_mps=speed)[0]


@pytest.mark.parametrize(
    ("states", "speed"),
    [
        (drive(3.0, 0.2), 3.0),
        (drive(10.0, 0.045), 10.0),
        (drive(5.0 + 3.9 * TIMES_S), 5.0),
        (drive(np.maximum(6.0 - 2.0 * TIMES_S, 0.0)), 6.0),
        (drive(0.4, 0.22), 0.4),
    ],
)
def test_what_it_can_just_do_passes(states, speed):
    assert judge(states, vx_mps=speed) == [RejectBit(0)]


def test_curvature_is_judged_by_the_poses_not_by_what_the_plan_says_of_itself():
    states = drive(2.0, 0.3)
    states[:, [StateIndex.CURVATURE, StateIndex.HEADING_RATE]] = 0.0
    assert RejectBit.CURVATURE in judge(states, vx_mps=2.0)[0]


@pytest.mark.parametrize(
    ("column", "offset"), [(StateIndex.X, 0.6), (StateIndex.Y, -0.6), (StateIndex.YAW, 0.4)]
)
def test_a_plan_that_starts_beside_the_vehicle_is_refused(column, offset):
    states = drive(8.0)
    states[:, column] += offset
    assert RejectBit.DISCONTINUITY in judge(states)[0]


def test_a_plan_that_starts_at_another_speed_is_refused():
    assert judge(drive(8.0), vx_mps=6.9) == [RejectBit.DISCONTINUITY]
    assert judge(drive(8.0), vx_mps=7.1) == [RejectBit(0)]


@pytest.mark.parametrize(
    ("column", "offset"), [(StateIndex.X, 0.5), (StateIndex.Y, 0.5), (StateIndex.SPEED, 2.5)]
)
def test_a_plan_that_jumps_within_itself_is_refused(column, offset):
    states = drive(8.0)
    states[25:, column] += offset
    assert RejectBit.DISCONTINUITY in judge(states)[0]


def test_a_plan_far_from_the_last_one_is_refused():
    sideways = drive(8.0, 0.06 * np.minimum(TIMES_S, 1.0))
    assert judge(drive(8.0), last_plan=drive(8.0)) == [RejectBit(0)]
    later = drive(8.0)
    later[:, StateIndex.Y] -= 0.45
    assert RejectBit.DISCONTINUITY in judge(drive(8.0, 0.06), last_plan=later, vx_mps=8.0)[0]
    assert RejectBit.DISCONTINUITY not in judge(sideways, last_plan=drive(8.0)[:2])[0]


def test_a_last_plan_that_the_vehicle_has_left_does_not_bind():
    left = drive(8.0)
    left[:, StateIndex.X] += 3.0
    assert judge(drive(8.0), last_plan=left) == [RejectBit(0)]
    assert judge(drive(8.0), last_plan=np.empty((0, 7))) == [RejectBit(0)]


def test_a_plan_too_short_to_stop_on_is_refused():
    assert judge(drive(16.0)[:11], vx_mps=16.0) == [RejectBit.TOO_SHORT]
    assert judge(drive(16.0)[:21], vx_mps=16.0) == [RejectBit(0)]


def test_a_short_plan_that_ends_standing_is_a_stop():
    stop = drive(np.maximum(2.0 - 2.0 * TIMES_S, 0.0))
    assert judge(stop[:12], vx_mps=2.0) == [RejectBit(0)]


@pytest.mark.parametrize("points", [0, 1, 2, 5])
def test_too_few_points_are_never_accepted(points):
    assert RejectBit.TOO_SHORT in judge(drive(0.0)[:points], vx_mps=0.0)[0]


def test_no_candidates_give_no_bits():
    assert judge(np.empty((0, 41, 7))) == []


def test_without_a_sweep_nothing_is_judged():
    context = safety.SafetyContext(VEHICLE, CONFIG, make_ego(), None, None)
    with pytest.raises(MissingInputError, match="expected a LiDAR sweep, got none"):
        safety.check(drive(8.0)[None], context)


def test_states_of_another_shape_are_an_error():
    context = safety.SafetyContext(VEHICLE, CONFIG, make_ego(), make_sweep(), None)
    with pytest.raises(InputError, match=r"expected states \[M, N, 7\], got \(41, 7\)"):
        safety.check(drive(8.0), context)


def test_each_candidate_is_judged_alone():
    states = np.stack([drive(8.0), drive(8.0, 0.09), drive(8.0)])
    assert judge(states) == [RejectBit(0), RejectBit.LAT_ACC, RejectBit(0)]


@settings(max_examples=50, deadline=None)
@given(
    bad=st.sampled_from([np.nan, np.inf, -np.inf]),
    place=st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 6)),
    stamp_offset_ns=st.integers(-(10**8), 10**8),
)
def test_a_plan_with_a_nonfinite_number_is_never_accepted(bad, place, stamp_offset_ns):
    states = np.stack([drive(8.0)] * 3)
    states[place] = bad
    verdict = judge(states, stamp_ns=STAMP_NS + stamp_offset_ns)
    assert verdict[place[0]] == RejectBit.NONFINITE
    assert verdict.count(RejectBit(0)) == 2
