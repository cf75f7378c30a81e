import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.errors import InputError
from diff_planner.geometry import (
    arc_lengths,
    box_corners,
    constant_twist,
    inverse_se3,
    project_on_polyline,
    quaternion_from_rotation,
    rotation_from_quaternion,
    se2_between,
    se3,
    se3_from_yaw,
    transform_points,
    transform_poses,
    wrap_angle,
    yaw_of,
)

component = st.floats(-1.0, 1.0)
angle = st.floats(-10.0, 10.0)


def _is_long_enough(q):
    return np.linalg.norm(q) > 0.1


quaternions = st.tuples(component, component, component, component).filter(_is_long_enough)


@given(angle)
def test_a_wrapped_angle_points_the_same_way_and_lies_in_one_turn(rad):
    wrapped = float(wrap_angle(rad))
    assert -np.pi <= wrapped < np.pi
    assert np.isclose(np.sin(wrapped), np.sin(rad), atol=1e-12)
    assert np.isclose(np.cos(wrapped), np.cos(rad), atol=1e-12)


@given(quaternions)
def test_quaternion_to_rotation_and_back_gives_the_same_unit_quaternion(q):
    rotation = rotation_from_quaternion(*q)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.isclose(np.linalg.det(rotation), 1.0)
    unit = np.array(q) / np.linalg.norm(q)
    back = quaternion_from_rotation(rotation)
    # q and -q are the same rotation.
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-9
    assert back[3] >= 0


@pytest.mark.parametrize("q", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_an_unset_or_non_finite_quaternion_is_refused_with_its_numbers(q):
    with pytest.raises(InputError, match="expected a unit quaternion, got"):
        rotation_from_quaternion(*q)


def test_a_quarter_turn_about_z_takes_x_to_y():
    rotation = rotation_from_quaternion(0, 0, np.sin(np.pi / 4), np.cos(np.pi / 4))
    assert np.allclose(rotation @ [1, 0, 0], [0, 1, 0])


@given(quaternions, st.tuples(angle, angle, angle))
def test_a_transform_and_its_inverse_leave_points_where_they_were(q, translation):
    a_SE3_b = se3(rotation_from_quaternion(*q), translation)
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 0.0]])
    there_and_back = transform_points(inverse_se3(a_SE3_b), transform_points(a_SE3_b, points))
    assert np.allclose(there_and_back, points, atol=1e-9)


def test_the_pose_between_two_frames_is_seen_from_the_first():
    odom_SE3_a = se3_from_yaw(10.0, 5.0, np.pi / 2)
    odom_SE3_b = se3_from_yaw(10.0, 8.0, np.pi)
    assert np.allclose(se2_between(odom_SE3_a, odom_SE3_b), (3.0, 0.0, np.pi / 2))


def test_poses_are_carried_like_transforms():
    poses = np.array([[3.0, 1.0, 0.2], [0.0, 0.0, 0.0]])
    carried = transform_poses((10.0, 5.0, 1.0), poses)
    for pose, expected in zip(poses, carried, strict=True):
        world = se3_from_yaw(10.0, 5.0, 1.0) @ se3_from_yaw(*pose)
        assert np.allclose([world[0, 3], world[1, 3], yaw_of(world)], expected)


@given(st.floats(0, 30), st.floats(-0.8, 0.8))
def test_constant_twist_agrees_with_integrating_it(speed, yaw_rate):
    times = np.linspace(0, 4, 4001)
    poses = constant_twist(speed, yaw_rate, times)
    middle = 0.5 * (poses[1:, 2] + poses[:-1, 2])
    x = np.cumsum(speed * np.cos(middle)) * 0.001
    y = np.cumsum(speed * np.sin(middle)) * 0.001
    assert np.allclose(poses[1:, 0], x, atol=1e-4)
    assert np.allclose(poses[1:, 1], y, atol=1e-4)


def test_arc_lengths_add_up_the_steps():
    assert np.allclose(arc_lengths(np.array([[0, 0], [3, 4], [3, 6]])), [0, 5, 7])


def test_box_corners_are_named_in_order():
    corners = box_corners(1.0, 2.0, np.pi / 2, length_m=4.0, width_m=2.0)
    # Heading along +y: front-left is at smaller x and larger y.
    assert np.allclose(corners, [[0, 4], [0, 0], [2, 0], [2, 4]])


@given(st.floats(-10.0, 50.0), st.floats(-20.0, 20.0))
def test_the_nearest_point_on_a_polyline_is_that_of_a_dense_sampling(x, y):
    line = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.0], [20.0, 10.0], [40.0, 10.0]])
    s, aside = project_on_polyline(np.array([[x, y]]), line)
    along = np.linspace(0.0, arc_lengths(line)[-1], 20001)
    dense = np.stack([np.interp(along, arc_lengths(line), line[:, k]) for k in (0, 1)])
    distance = np.hypot(dense[0] - x, dense[1] - y)
    assert abs(aside[0]) == pytest.approx(distance.min(), abs=2e-3)
    # The arc length found is that of a point that is as near.
    found = np.array([np.interp(s[0], along, dense[k]) for k in (0, 1)])
    assert np.hypot(*(found - [x, y])) == pytest.approx(abs(aside[0]), abs=2e-3)


def test_points_left_of_a_polyline_have_a_positive_distance():
    line = np.array([[0.0, 0.0], [10.0, 0.0]])
    s, aside = project_on_polyline(np.array([[4.0, 2.0], [4.0, -2.0], [-3.0, 0.0]]), line)
    np.testing.assert_allclose(s, [4.0, 4.0, 0.0])
    np.testing.assert_allclose(aside, [2.0, -2.0, 3.0])
