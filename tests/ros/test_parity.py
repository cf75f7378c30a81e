"""Our point cloud reader and rotations against sensor_msgs_py and tf_transformations of ROS 2."""

import numpy as np
import pytest

from diff_planner import geometry
from diff_planner.data.decode import decode_points

pytestmark = pytest.mark.ros

AXES = ["x", "y", "z"]
ROUNDING = 1e-12
FIELDS = {
    "float32": [("x", 0, 7), ("y", 4, 7), ("z", 8, 7)],
    "float64": [("x", 0, 8), ("y", 8, 8), ("z", 16, 8)],
    "a driver's layout with gaps": [
        *[("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("intensity", 16, 7)],
        *[("ring", 20, 4), ("time", 24, 8)],
    ],
    "axes in another order": [("ring", 0, 2), ("z", 4, 7), ("x", 8, 7), ("y", 12, 7)],
}
STEPS = {"float32": 12, "float64": 24, "a driver's layout with gaps": 32}


@pytest.fixture
def point_cloud2():
    """sensor_msgs_py's reader, and message classes that it accepts."""
    return pytest.importorskip("sensor_msgs_py.point_cloud2")


@pytest.fixture
def transformations():
    pytest.importorskip("tf_transformations")
    import tf_transformations

    return tf_transformations


def make_cloud(fields, point_step, *, height=1, is_bigendian=False, bad=()):
    """A cloud of 24 points of random numbers; those named `bad` hold NaN or infinity."""
    from sensor_msgs.msg import PointCloud2, PointField

    order = ">" if is_bigendian else "<"
    codes = {2: "u1", 4: "u2", 7: "f4", 8: "f8"}
    layout = np.dtype(
        {
            "names": [name for name, _, _ in fields],
            "offsets": [offset for _, offset, _ in fields],
            "formats": [order + codes[kind] for _, _, kind in fields],
            "itemsize": point_step,
        }
    )
    rng = np.random.default_rng(5)
    points = np.zeros(24, dtype=layout)
    for name in layout.names:
        points[name] = rng.uniform(-80, 80, 24) if name in AXES else rng.integers(0, 200, 24)
    for index, (axis, value) in enumerate(bad):
        points[axis][3 * index] = value
    message = PointCloud2(
        height=height,
        width=24 // height,
        is_bigendian=is_bigendian,
        point_step=point_step,
        row_step=point_step * 24 // height,
        is_dense=not bad,
        fields=[PointField(name=n, offset=o, datatype=t, count=1) for n, o, t in fields],
    )
    message.data.frombytes(points.tobytes())
    return message


def read_by_sensor_msgs_py(point_cloud2, message, *, skip_nans=False):
    points = point_cloud2.read_points(message, field_names=AXES, skip_nans=skip_nans)
    return np.stack([points[axis] for axis in AXES], axis=-1).astype(np.float32)


@pytest.mark.parametrize("height", [1, 4])
@pytest.mark.parametrize("layout", FIELDS)
def test_points_are_those_that_sensor_msgs_py_reads(point_cloud2, layout, height):
    message = make_cloud(FIELDS[layout], STEPS.get(layout, 16), height=height)
    points, dropped = decode_points(message)
    assert dropped == 0
    assert len(points) == 24
    np.testing.assert_array_equal(points, read_by_sensor_msgs_py(point_cloud2, message))


def test_points_of_the_other_byte_order_are_read_alike(point_cloud2):
    message = make_cloud(FIELDS["float32"], 12, is_bigendian=True)
    points, _ = decode_points(message)
    # sensor_msgs_py swaps the bytes of the message itself, so it comes second.
    np.testing.assert_array_equal(points, read_by_sensor_msgs_py(point_cloud2, message))


def test_points_without_a_measurement_are_dropped_alike(point_cloud2):
    message = make_cloud(FIELDS["float32"], 12, bad=[("x", np.nan), ("z", np.nan)])
    points, dropped = decode_points(message)
    expected = read_by_sensor_msgs_py(point_cloud2, message, skip_nans=True)
    assert dropped == 2
    np.testing.assert_array_equal(points, expected)


def test_points_without_an_echo_are_dropped_though_sensor_msgs_py_keeps_infinity(point_cloud2):
    message = make_cloud(FIELDS["float32"], 12, bad=[("y", np.inf), ("z", np.nan)])
    points, dropped = decode_points(message)
    theirs = read_by_sensor_msgs_py(point_cloud2, message, skip_nans=True)
    assert (dropped, len(theirs)) == (2, 23)
    np.testing.assert_array_equal(points, theirs[np.isfinite(theirs).all(axis=1)])


def quaternions():
    """Unit quaternions x, y, z, w: half turns about each axis, near-identity, and random ones."""
    rng = np.random.default_rng(7)
    random = rng.normal(size=(50, 4))
    special = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1e-9, 0, 0, 1]]
    all_of_them = np.concatenate([np.array(special), random])
    return all_of_them / np.linalg.norm(all_of_them, axis=1, keepdims=True)


def test_rotation_matrices_are_those_of_tf_transformations(transformations):
    for q in quaternions():
        expected = transformations.quaternion_matrix(q)[:3, :3]
        np.testing.assert_allclose(geometry.rotation_from_quaternion(*q), expected, atol=ROUNDING)


def test_quaternions_of_rotations_are_those_of_tf_transformations(transformations):
    for q in quaternions():
        matrix = transformations.quaternion_matrix(q)
        ours = geometry.quaternion_from_rotation(matrix[:3, :3])
        theirs = np.asarray(transformations.quaternion_from_matrix(matrix))
        # q and -q are one rotation; at a half turn w is 0 and either sign may come out.
        sign = np.sign(ours @ theirs)
        np.testing.assert_allclose(ours, sign * theirs, atol=1e-7)


def test_headings_are_the_yaw_of_tf_transformations(transformations):
    for yaw in np.linspace(-3.1, 3.1, 21):
        matrix = transformations.euler_matrix(0.05, -0.1, yaw)
        _, _, expected = transformations.euler_from_matrix(matrix)
        assert geometry.yaw_of(matrix) == pytest.approx(expected, abs=ROUNDING)


def test_a_plane_pose_is_a_translation_and_a_turn_about_z(transformations):
    expected = transformations.concatenate_matrices(
        transformations.translation_matrix([3.0, -2.0, 0.5]),
        transformations.rotation_matrix(0.7, [0, 0, 1]),
    )
    ours = geometry.se3_from_yaw(3.0, -2.0, 0.7, 0.5)
    np.testing.assert_allclose(ours, expected, atol=ROUNDING)


def test_inverse_transforms_are_those_of_tf_transformations(transformations):
    for q in quaternions():
        pose = geometry.se3(geometry.rotation_from_quaternion(*q), [10.0, -4.0, 1.5])
        expected = transformations.inverse_matrix(pose)
        np.testing.assert_allclose(geometry.inverse_se3(pose), expected, atol=1e-11)
