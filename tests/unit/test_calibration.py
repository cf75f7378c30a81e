"""Static transforms and CameraInfo: trees, scaling, models, and what is not calibrated."""

import cv2
import numpy as np
import pytest

from diff_planner.camera_geometry import project
from diff_planner.data.calibration import StaticTransforms, camera_calibration
from diff_planner.errors import InputError, MissingInputError, NonFiniteInputError
from diff_planner.geometry import inverse_se3, rotation_from_quaternion, se3, transform_points
from message_factories import make_info, make_transforms

UNIT = (0.0, 0.0, 0.0, 1.0)
QUARTER_LEFT = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Turns x forward, y left, z up into z forward, x right, y down."""
EGO_SE3_CAMERA = se3(rotation_from_quaternion(*OPTICAL), [1.5, 0.0, 1.6])


def tree(*messages):
    transforms = StaticTransforms()
    for message in messages:
        transforms.add(message)
    return transforms


def test_transforms_join_along_the_tree_in_both_directions():
    transforms = tree(
        make_transforms(("base_link", "mast", (1.0, 0.0, 2.0), QUARTER_LEFT)),
        make_transforms(
            ("mast", "lidar", (0.5, 0.0, 0.0), UNIT), ("base_link", "camera", (0.0, 3.0, 0.0), UNIT)
        ),
    )
    point = np.array([1.0, 0.0, 0.0])
    in_base = transform_points(transforms.lookup("base_link", "lidar"), point)
    np.testing.assert_allclose(in_base, [1.0, 1.5, 2.0], atol=1e-12)
    in_camera = transform_points(transforms.lookup("camera", "lidar"), point)
    np.testing.assert_allclose(in_camera, [1.0, -1.5, 2.0], atol=1e-12)
    np.testing.assert_allclose(
        transforms.lookup("lidar", "camera"), inverse_se3(transforms.lookup("camera", "lidar"))
    )
    np.testing.assert_array_equal(transforms.lookup("mast", "mast"), np.eye(4))
    assert transforms.frames == ("base_link", "camera", "lidar", "mast")


def test_a_leading_slash_does_not_make_another_frame():
    transforms = tree(make_transforms(("/base_link", "/lidar", (1.0, 0.0, 0.0), UNIT)))
    assert transforms.lookup("base_link", "lidar")[0, 3] == 1.0


def test_a_transform_sent_again_changes_nothing_and_a_changed_one_is_told():
    message = make_transforms(("base_link", "lidar", (1.0, 0.0, 0.0), UNIT))
    transforms = tree(message)
    version = transforms.version
    assert transforms.add(message) == ()
    assert transforms.version == version
    assert transforms.lookup("base_link", "lidar")[0, 3] == 1.0
    moved = make_transforms(("base_link", "lidar", (2.0, 0.0, 0.0), UNIT))
    assert transforms.add(moved) == ("lidar",)
    assert transforms.version > version
    assert transforms.lookup("base_link", "lidar")[0, 3] == 2.0


def test_a_missing_transform_is_an_error_that_names_all_frames_never_identity():
    transforms = tree(
        make_transforms(("base_link", "lidar", (0, 0, 0), UNIT), ("map", "town", (0, 0, 0), UNIT))
    )
    with pytest.raises(
        MissingInputError,
        match=r"joins 'base_link' and 'camera'; known frames: base_link, lidar, map, town",
    ):
        transforms.lookup("base_link", "camera")
    with pytest.raises(MissingInputError, match="joins 'lidar' and 'town'"):
        transforms.lookup("lidar", "town")
    with pytest.raises(MissingInputError, match="known frames: none"):
        StaticTransforms().lookup("base_link", "camera")


def test_a_ring_of_transforms_is_an_error():
    ring = [("a", "b"), ("b", "c"), ("c", "a")]
    transforms = tree(make_transforms(*[(p, c, (0, 0, 0), UNIT) for p, c in ring]))
    with pytest.raises(InputError, match="form a ring: b -> a -> c -> b"):
        transforms.lookup("base_link", "b")


@pytest.mark.parametrize(
    ("position", "quaternion", "error", "sentence"),
    [
        ((np.nan, 0, 0), UNIT, NonFiniteInputError, "static transform of 'bad' is not finite"),
        ((0, 0, 0), (0, 0, 0, np.inf), NonFiniteInputError, "'bad' is not finite"),
        ((0, 0, 0), (0, 0, 0, 0), InputError, "'bad': rotation: expected a unit quaternion"),
    ],
)
def test_a_broken_transform_is_an_error_and_the_others_are_kept(
    position, quaternion, error, sentence
):
    transforms = StaticTransforms()
    with pytest.raises(error, match=sentence):
        transforms.add(
            make_transforms(
                ("base_link", "bad", position, quaternion), ("base_link", "good", (1, 0, 0), UNIT)
            )
        )
    assert transforms.lookup("base_link", "good")[0, 3] == 1.0
    with pytest.raises(MissingInputError):
        transforms.lookup("base_link", "bad")


def test_a_frame_that_is_its_own_parent_is_an_error():
    with pytest.raises(InputError, match="static transform of 'a': its parent is itself"):
        StaticTransforms().add(make_transforms(("a", "a", (0, 0, 0), UNIT)))


def test_what_was_looked_up_cannot_be_changed_by_the_caller():
    transforms = tree(make_transforms(("base_link", "lidar", (1.0, 0.0, 0.0), UNIT)))
    with pytest.raises(ValueError, match="read-only"):
        transforms.lookup("base_link", "lidar")[0, 3] = 5.0


def test_a_point_ahead_falls_on_the_principal_point():
    calibration = camera_calibration(make_info(), (120, 200), EGO_SE3_CAMERA)
    uv, depth_m, is_visible = project(calibration, [[11.5, 0.0, 1.6], [-5.0, 0.0, 1.6]])
    np.testing.assert_allclose(uv[0], [99.5, 59.5])
    np.testing.assert_allclose(depth_m, [10.0, -6.5])
    assert is_visible.tolist() == [True, False]
    assert calibration.distortion_model == "none"
    assert calibration.frame_id == "camera"


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_pictures_of_another_size_scale_the_intrinsics_as_a_resize_moves_pixels(scale):
    hw = (int(120 * scale), int(200 * scale))
    small = camera_calibration(make_info(), hw, EGO_SE3_CAMERA)
    full = camera_calibration(make_info(), (120, 200), EGO_SE3_CAMERA)
    points = [[11.5, 2.0, 3.0], [20.0, -4.0, 0.0]]
    # A bright spot, resized as OpenCV does it, lies where the scaled intrinsics say.
    uv_full, uv_small = project(full, points)[0], project(small, points)[0]
    np.testing.assert_allclose(uv_small, (uv_full + 0.5) * scale - 0.5)
    spot = np.zeros((120, 200), np.float32)
    u, v = np.round(uv_full[0]).astype(int)
    spot[v, u] = 1.0
    resized = cv2.resize(spot, hw[::-1], interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[: hw[0], : hw[1]]
    centre = [(resized * x).sum() / resized.sum(), (resized * y).sum() / resized.sum()]
    np.testing.assert_allclose(centre, uv_small[0], atol=0.6 * max(scale, 1.0))


def test_a_resize_to_whole_pixels_is_accepted_and_another_shape_is_not():
    info = make_info(hw=(375, 1242), k=(721, 0, 609, 0, 721, 172, 0, 0, 1))
    calibration = camera_calibration(info, (120, 397), EGO_SE3_CAMERA)
    np.testing.assert_allclose(calibration.intrinsics[0, 0], 721 * 397 / 1242)
    with pytest.raises(InputError, match="is for 1242 x 375 px, got a picture of another shape"):
        camera_calibration(info, (120, 300), EGO_SE3_CAMERA)


def test_cropped_and_binned_pictures_are_fitted():
    info = make_info(roi=(20, 10, 160, 100), binning=(2, 2))
    calibration = camera_calibration(info, (50, 80), EGO_SE3_CAMERA)
    # Pixel (100, 60) of the sensor: in the crop (80, 50), its centre in the binned one:
    np.testing.assert_allclose(calibration.intrinsics[0, 0], 50.0)
    np.testing.assert_allclose(
        calibration.intrinsics[:2, 2], [(79.5 + 0.5) / 2 - 0.5, (49.5 + 0.5) / 2 - 0.5]
    )


BARREL = [-0.3, 0.1, 0.001, -0.002]


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("plumb_bob", [*BARREL, 0.01], ("plumb_bob", [*BARREL, 0.01])),
        ("plumb_bob", BARREL, ("plumb_bob", [*BARREL, 0.0])),
        ("plumb_bob", [*BARREL, 0.01, 0, 0, 0], ("plumb_bob", [*BARREL, 0.01])),
        (
            "rational_polynomial",
            [*BARREL, 0.01, 0.1, 0.2, 0.3],
            ("rational_polynomial", [*BARREL, 0.01, 0.1, 0.2, 0.3]),
        ),
        ("plumb_bob", [0, 0, 0, 0, 0], ("none", [])),
        ("plumb_bob", [], ("none", [])),
        ("", [], ("none", [])),
        ("equidistant", [0.01, 0.02, 0, 0], ("equidistant", [0.01, 0.02, 0, 0])),
        ("fisheye", [0, 0, 0, 0], ("equidistant", [0, 0, 0, 0])),
        ("equidistant", [], ("equidistant", [0, 0, 0, 0])),
    ],
)
def test_distortion_models_and_their_coefficients(model, given, expected):
    calibration = camera_calibration(make_info(model=model, d=given), (120, 200), EGO_SE3_CAMERA)
    assert calibration.distortion_model == expected[0]
    np.testing.assert_array_equal(calibration.distortion, expected[1])


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("plumb_bob", [*BARREL, 0.02]),
        ("rational_polynomial", [-0.2, 0.05, 0.001, 0.002, 0.01, 0.1, 0.02, 0.001]),
        ("equidistant", [0.02, -0.01, 0.002, 0.001]),
    ],
)
def test_projection_through_each_model_equals_opencv(model, coefficients):
    info = make_info(model=model, d=coefficients)
    calibration = camera_calibration(info, (120, 200), EGO_SE3_CAMERA)
    rng = np.random.default_rng(0)
    points = np.column_stack(
        [rng.uniform(5, 30, 50), rng.uniform(-3, 3, 50), rng.uniform(0, 3, 50)]
    )
    in_camera = transform_points(calibration.camera_SE3_ego, points)
    k, d, zero = np.array(info.k).reshape(3, 3), np.array(coefficients), np.zeros(3)
    if model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(in_camera[:, None], zero, zero, k, d)
    else:
        expected, _ = cv2.projectPoints(in_camera, zero, zero, k, d)
    np.testing.assert_allclose(project(calibration, points)[0], expected[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"model": "omnidirectional"}, InputError, "expected a distortion model of"),
        ({"d": [0.1, 0.2]}, InputError, "expected 4 or 5 coefficients for 'plumb_bob', got 2"),
        ({"d": [0.1] * 8}, InputError, "4 or 5 coefficients for 'plumb_bob', got 8"),
        ({"model": "fisheye", "d": [0.1] * 5}, InputError, "4 coefficients for 'fisheye', got 5"),
        ({"k": [0.0] * 9}, MissingInputError, "camera 'camera': not calibrated"),
        ({"hw": (0, 0)}, MissingInputError, "not calibrated"),
        ({"k": [np.nan] * 9}, NonFiniteInputError, "'k' of CameraInfo is not finite"),
        ({"d": [np.inf] * 5}, NonFiniteInputError, "'d' of CameraInfo is not finite"),
        ({"k": [-1, 0, 0, 0, 1, 0, 0, 0, 1]}, InputError, "expected focal lengths > 0, got -1, 1"),
    ],
)
def test_camera_info_that_cannot_be_used_is_an_error(change, error, sentence):
    with pytest.raises(error, match=sentence):
        camera_calibration(make_info(**change), (120, 200), EGO_SE3_CAMERA)


P = (90.0, 0.0, 95.0, 0.0, 0.0, 90.0, 58.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_a_rectified_picture_has_the_intrinsics_of_p_and_no_distortion():
    info = make_info(d=[*BARREL, 0.0], p=P)
    calibration = camera_calibration(info, (120, 200), EGO_SE3_CAMERA, is_rectified=True)
    np.testing.assert_allclose(calibration.intrinsics[0], [90.0, 0.0, 95.0])
    assert calibration.distortion_model == "none"
    without_p = camera_calibration(
        make_info(d=[*BARREL, 0.0]), (120, 200), EGO_SE3_CAMERA, is_rectified=True
    )
    np.testing.assert_allclose(without_p.intrinsics[0], [100.0, 0.0, 99.5])


def test_the_rotation_of_a_rectified_picture_is_applied():
    turned = rotation_from_quaternion(0.0, np.sin(0.05), 0.0, np.cos(0.05))
    info = make_info(p=P, r=turned.reshape(-1))
    calibration = camera_calibration(info, (120, 200), EGO_SE3_CAMERA, is_rectified=True)
    expected = turned @ inverse_se3(EGO_SE3_CAMERA)[:3, :3]
    np.testing.assert_allclose(calibration.camera_SE3_ego[:3, :3], expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"p": (90, 0, 95, -40, 0, 90, 58, 0, 0, 0, 1, 0)}, "second camera of a stereo pair"),
        ({"p": P, "r": [2, 0, 0, 0, 1, 0, 0, 0, 1]}, "expected R of CameraInfo to be a rotation"),
    ],
)
def test_a_rectification_that_cannot_be_used_is_an_error(change, sentence):
    with pytest.raises(InputError, match=sentence):
        camera_calibration(make_info(**change), (120, 200), EGO_SE3_CAMERA, is_rectified=True)
