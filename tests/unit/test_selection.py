import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.geometry import constant_twist
from diff_planner.selection import rank
from diff_planner.types import Proposals
from factories import make_ego

NETWORK_S = 0.5 * np.arange(1, 9)
SPEEDS = (2.0, 5.0, 8.5, 12.0)


def make_proposals(scores, speeds=SPEEDS):
    poses = np.stack([constant_twist(speed, 0.0, NETWORK_S) for speed in speeds])
    return Proposals(poses.astype(np.float32), np.array(scores, dtype=np.float32))


def test_the_higher_score_comes_first():
    assert rank(make_proposals([0.1, 3.0, -2.0, 1.0]), make_ego(), None).tolist() == [1, 3, 0, 2]


def test_equal_scores_are_ordered_by_distance_to_the_present_motion():
    assert rank(make_proposals([0, 0, 0, 0]), make_ego(vx_mps=8.0), None).tolist() == [2, 1, 3, 0]


def test_equal_scores_are_ordered_by_distance_to_the_last_plan_where_there_is_one():
    last = np.zeros((36, 7))
    last[:, 0] = 2.2 * 0.1 * np.arange(36)
    assert rank(make_proposals([0, 0, 0, 0]), make_ego(vx_mps=8.0), last)[0] == 0


def test_a_spent_last_plan_counts_as_none():
    last = np.zeros((3, 7))
    ego = make_ego(vx_mps=8.0)
    assert rank(make_proposals([0, 0, 0, 0]), ego, last).tolist() == [2, 1, 3, 0]
    assert rank(make_proposals([0, 0, 0, 0]), ego, last[:0]).tolist() == [2, 1, 3, 0]


def test_a_score_that_is_not_finite_comes_last():
    order = rank(make_proposals([np.nan, np.inf, 1, 0]), make_ego(), None)
    assert order.tolist()[:2] == [2, 3]


def test_equal_in_everything_keeps_the_index_order():
    order = rank(make_proposals([1, 1, 1], speeds=(5.0, 5.0, 5.0)), make_ego(), None)
    assert order.tolist() == [0, 1, 2]
    assert order.dtype == np.int64


def test_nan_poses_lose_a_tie_without_a_warning():
    proposals = make_proposals([0, 0, 0, 0])
    proposals.poses[2, 4] = np.nan
    assert rank(proposals, make_ego(vx_mps=8.0), None).tolist() == [1, 3, 0, 2]


@given(st.lists(st.floats(width=32), max_size=20))
def test_every_proposal_is_in_the_order_once(scores):
    proposals = (
        make_proposals(scores, speeds=(6.0,) * len(scores))
        if scores
        else Proposals(np.zeros((0, 8, 3), np.float32), np.zeros(0, np.float32))
    )
    assert sorted(rank(proposals, make_ego(), None).tolist()) == list(range(len(scores)))
