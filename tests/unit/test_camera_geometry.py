from dataclasses import replace

import cv2
import numpy as np
import pytest

from diff_planner.camera_geometry import optical_axis, project, project_directions
from diff_planner.errors import InputError, NonFiniteInputError
from factories import make_calibration

MODELS = {
    "none": (),
    "plumb_bob": (-0.21, 0.05, 0.001, -0.002, 0.01),
    "rational_polynomial": (0.1, -0.05, 0.001, -0.002, 0.01, 0.2, 0.02, 0.001),
    "equidistant": (0.01, -0.02, 0.003, -0.001),
}


def _oracle(calibration, points):
    rotation, _ = cv2.Rodrigues(calibration.camera_SE3_ego[:3, :3])
    translation = calibration.camera_SE3_ego[:3, 3].copy()
    if calibration.distortion_model == "equidistant":
        uv, _ = cv2.fisheye.projectPoints(
            points[:, None], rotation, translation, calibration.intrinsics, calibration.distortion
        )
    else:
        uv, _ = cv2.projectPoints(
            points, rotation, translation, calibration.intrinsics, calibration.distortion
        )
    return uv.reshape(-1, 2)


@pytest.mark.parametrize("model", MODELS)
def test_points_ahead_fall_where_opencv_puts_them(model):
    rng = np.random.default_rng(1)
    calibration = make_calibration(20.0, model=model, distortion=MODELS[model])
    points = np.column_stack(
        [rng.uniform(4, 40, 300), rng.uniform(-4, 4, 300), rng.uniform(-1, 4, 300)]
    )
    uv, depth, _ = project(calibration, points)
    np.testing.assert_allclose(uv, _oracle(calibration, points), atol=1e-8)
    in_camera = points @ calibration.camera_SE3_ego[:3, :3].T + calibration.camera_SE3_ego[:3, 3]
    np.testing.assert_allclose(depth, in_camera[:, 2], atol=1e-12)


def test_a_fisheye_without_coefficients_still_bends():
    calibration = make_calibration(model="equidistant", position_m=(0, 0, 0))
    uv, _, _ = project(calibration, [[1.0, -1.0, 0.0]])  # 45 degrees to the right
    assert uv[0, 0] == pytest.approx(99.5 + 100.0 * np.pi / 4)


def test_what_is_behind_or_beside_the_camera_is_not_visible():
    calibration = make_calibration(hw=(120, 200), position_m=(0, 0, 0))
    points = [[10, 0, 0], [-10, 0, 0], [0.05, 0, 0], [10, 10.06, 0], [10, 9.9, 0], [10, 0, 6.1]]
    uv, _, is_visible = project(calibration, points)
    assert is_visible.tolist() == [True, False, False, False, True, False]
    assert np.isnan(uv[1:3]).all()
    assert np.isfinite(uv[[0, 3, 4, 5]]).all()


def test_a_polynomial_that_folds_back_shows_nothing_beyond_its_fold():
    # r (1 - 0.3 r^2) grows up to r = 1.054; at r = 1.7 it is back inside the picture.
    calibration = make_calibration(
        model="plumb_bob", distortion=(-0.3, 0, 0, 0), position_m=(0, 0, 0)
    )
    uv, _, is_visible = project(calibration, [[1, -0.9, 0], [1, -1.7, 0], [1, 1.7, 0]])
    assert is_visible.tolist() == [True, False, False]
    assert np.isnan(uv[1:]).all()


def test_directions_ignore_where_the_camera_stands():
    here = make_calibration(30.0, position_m=(0, 0, 0))
    there = make_calibration(30.0, position_m=(3, -2, 1))
    directions = np.array([[0.8, 0.6, 0.0], [1.0, 0.0, 0.0]])
    for one, other in zip(
        project_directions(here, directions), project_directions(there, directions), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(
        project_directions(here, directions)[0], project(here, directions * 5)[0]
    )


def test_the_optical_axis_is_the_yaw_of_the_camera():
    yaw = np.deg2rad(-55.0)
    np.testing.assert_allclose(
        optical_axis(make_calibration(-55.0)), [np.cos(yaw), np.sin(yaw), 0], atol=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"distortion_model": "omni"}, InputError, "expected a distortion model of .* got 'omni'"),
        (
            {"distortion_model": "plumb_bob", "distortion": np.zeros(3)},
            InputError,
            "coefficients for plumb_bob, got 3",
        ),
        ({"intrinsics": np.full((3, 3), np.nan)}, NonFiniteInputError, "intrinsics is not finite"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_named(changes, error, sentence):
    calibration = replace(make_calibration(), **changes)
    with pytest.raises(error, match=sentence):
        project(calibration, [[5.0, 0.0, 1.0]])
