"""The profiles that the tracker follows, against plain least squares in other unknowns."""

import numpy as np
import pytest

from diff_planner.metrics.tracker import curvature_profile

DT = 0.1
STEPS = 40


def fitted_curvature(turn, speed):
    """The curvatures [40] of least squares in the first one and its 39 rates."""
    integral = np.concatenate([np.ones((STEPS, 1)), DT * np.tri(STEPS, STEPS - 1, -1)], axis=1)
    weight = np.diag([1e-5] + [0.1] * (STEPS - 1))  # roots of the penalties 1e-10 and 1e-2
    system = np.concatenate([DT * speed[:, None] * integral, weight])
    target = np.concatenate([turn, np.zeros(STEPS)])
    return integral @ np.linalg.lstsq(system, target, rcond=None)[0]


@pytest.mark.parametrize("speed", [0.0, 1e-9, 1e-6, 1e-5, 1e-4, 1e-2, 0.3, 20.0])
def test_curvatures_are_precise_however_slowly_a_proposal_creeps(speed):
    rng = np.random.default_rng(5)
    poses = np.zeros((6, STEPS + 1, 3))
    poses[:, 1:, 2] = np.cumsum(rng.uniform(-0.02, 0.05, (6, STEPS)), axis=1)
    speeds = speed * rng.uniform(0.2, 1.0, (6, STEPS))
    got = curvature_profile(poses, speeds)
    expected = [fitted_curvature(np.diff(p[:, 2]), v) for p, v in zip(poses, speeds, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-12)
