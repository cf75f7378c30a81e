import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner import features
from diff_planner.config import FeatureConfig, VehicleConfig
from diff_planner.errors import NonFiniteInputError
from diff_planner.features import FeatureBuilder, build, lidar_histogram, sample_route
from diff_planner.types import CameraFrame, InputHealth, NavCommand, Route
from factories import (
    make_calibration,
    make_camera,
    make_ego,
    make_planner_input,
    make_sweep,
    make_triple,
)

PUBLISHED = FeatureConfig(camera_width_px=1024, camera_height_px=256, commands="navsim4")
NANO = FeatureConfig(camera_width_px=256, camera_height_px=64)
VEHICLE = VehicleConfig()


def _random_triple(hw, seed=0):
    rng = np.random.default_rng(seed)
    images = {n: rng.integers(0, 256, (*hw, 3), dtype=np.uint8) for n in features.TRIPLE}
    return {n: CameraFrame(n, 0, image, make_calibration(hw=hw)) for n, image in images.items()}


@pytest.mark.parametrize(("width", "height"), [(1024, 256), (256, 64), (320, 96)])
def test_the_stitch_of_published_pictures_is_bit_equal_to_crop_join_resize(width, height):
    cameras = _random_triple((1080, 1920))
    joined = np.concatenate(
        [
            cameras["left"].image[28:-28, 416:-416],
            cameras["front"].image[28:-28],
            cameras["right"].image[28:-28, 416:-416],
        ],
        axis=1,
    )
    assert joined.shape == (1024, 4096, 3)
    config = FeatureConfig(camera_width_px=width, camera_height_px=height)
    picture, mask = features.stitch(cameras, config)
    np.testing.assert_array_equal(picture, cv2.resize(joined, (width, height)))
    assert mask.tolist() == [1, 1, 1]


def test_smaller_pictures_are_cropped_in_proportion():
    small = _random_triple((270, 480))
    picture, _ = features.stitch(small, NANO)
    left = small["left"].image[7:-7, 104:-104]
    np.testing.assert_array_equal(picture[:, :68], cv2.resize(left, (68, 64)))
    front = small["front"].image[7:-7]
    np.testing.assert_array_equal(picture[:, 68:188], cv2.resize(front, (120, 64)))


def test_a_triple_with_a_camera_missing_leaves_its_part_black_and_says_so():
    health = tuple(
        InputHealth(name=n, topic=n, is_present=n != "left", age_s=0.0, max_age_s=0.1)
        for n in (*features.TRIPLE, "lidar")
    )
    cameras = make_triple()
    del cameras["left"]
    inputs = build(make_planner_input(cameras=cameras, health=health), NANO, VEHICLE)
    assert inputs.camera_mask.tolist() == [0, 1, 1]
    assert not inputs.camera[:, :, :68].any()
    assert (inputs.camera[:, :, 68:] == 128).all()


def test_two_of_the_names_alone_are_not_a_triple():
    cameras = make_triple()
    del cameras["left"]
    assert not features.is_triple(make_planner_input(cameras=cameras))
    assert features.is_triple(make_planner_input())


def test_another_rig_gives_a_panorama():
    camera = make_camera("wide", hw=(100, 300), focal_px=100.0)
    inputs = build(make_planner_input(cameras={"wide": camera}), NANO, VEHICLE)
    assert inputs.camera.shape == (3, 64, 256)
    assert inputs.camera_mask.tolist() == [1, 1, 1]
    assert (inputs.camera[:, 32, 128] == 128).all()


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(64, 400),
    height=st.integers(32, 200),
    cells=st.integers(32, 200),
    commands=st.sampled_from(["navsim4", "nav8"]),
    names=st.sets(st.sampled_from(["left", "front", "right", "rear", "tele"]), max_size=5),
    has_lidar=st.booleans(),
)
def test_shapes_and_types_follow_the_contract(width, height, cells, commands, names, has_lidar):
    config = FeatureConfig(
        camera_width_px=width, camera_height_px=height, lidar_cells=cells, commands=commands
    )
    planner_input = make_planner_input(
        cameras={n: make_camera(n, hw=(30, 41)) for n in sorted(names)},
        lidar=make_sweep() if has_lidar else None,
    )
    inputs = build(planner_input, config, VEHICLE)
    assert {name: (value.dtype.name, value.shape) for name, value in inputs.as_dict().items()} == {
        "camera": ("uint8", (3, height, width)),
        "lidar": ("uint8", (1, cells, cells)),
        "status": ("float32", (config.status_size,)),
        "route": ("float32", (20, 2)),
        "route_mask": ("float32", (20,)),
        "camera_mask": ("float32", (3,)),
        "lidar_mask": ("float32", (1,)),
    }
    assert all(value.flags.c_contiguous for value in inputs.as_dict().values())
    assert inputs.lidar_mask[0] == has_lidar


def test_the_same_input_gives_the_same_bytes():
    builder = FeatureBuilder(NANO, VEHICLE)
    one, other = builder.build(make_planner_input()), build(make_planner_input(), NANO, VEHICLE)
    for name, value in one.as_dict().items():
        assert value.tobytes() == other.as_dict()[name].tobytes(), name


def _histogram_oracle(points, config):
    reach = 0.5 * config.lidar_cells / config.lidar_px_per_m
    edges = np.linspace(-reach, reach, config.lidar_cells + 1)
    above = points[(points[:, 2] > config.lidar_split_z_m) & (points[:, 2] < config.lidar_max_z_m)]
    counts, _, _ = np.histogram2d(above[:, 0], above[:, 1], bins=(edges, edges))
    return np.minimum(counts, config.lidar_max_count)


def test_the_lidar_histogram_equals_numpys_with_points_on_every_edge():
    rng = np.random.default_rng(3)
    free = rng.uniform(-33, 33, (20_000, 3)) * [1, 1, 0.1] + [0, 0, 2]
    near = rng.normal(12, 1.5, (20_000, 3)) * [1, 1, 0.1]
    edges = np.linspace(-32, 32, 257)
    tiny = np.float32(1e-30)
    on_edges = np.array([[x, y, 1.0] for x in edges[::4] for y in (-32.0, 32.0, 5.0, -tiny)])
    extremes = [[32, 32, 1], [-32, -32, 1], [np.nextafter(32, 33, dtype=np.float32), 9, 1]]
    heights = [[9, 9, 0.2], [9, 9, 100.0], [9, 9, np.nextafter(0.2, 1, dtype=np.float32)]]
    points = np.concatenate([free, near, on_edges, extremes, heights, [[3e38, 9, 1]]])
    points = points.astype(np.float32)
    points = points[~features.on_own_vehicle(points, VEHICLE)]
    histogram = lidar_histogram(make_sweep(points), NANO, VEHICLE)
    np.testing.assert_array_equal(histogram[0], _histogram_oracle(points, NANO))
    assert histogram.max() == NANO.lidar_max_count


def test_points_on_the_own_vehicle_are_left_out_and_those_beside_it_are_not():
    front, side = VEHICLE.front_m, 0.5 * VEHICLE.width_m
    own = [[0, 0, 1], [front + 0.09, 0, 0.5], [-VEHICLE.rear_m - 0.09, side + 0.09, 1.8]]
    other = [[front + 0.11, 0, 0.5], [0, side + 0.11, 1], [1, 0, VEHICLE.height_m + 0.11]]
    assert not lidar_histogram(make_sweep(own), NANO, VEHICLE).any()
    assert lidar_histogram(make_sweep(other), NANO, VEHICLE).sum() == 3


def test_the_first_axis_of_the_histogram_is_x_and_the_second_y():
    histogram = lidar_histogram(make_sweep([[10.1, -5.1, 1.0]]), NANO, VEHICLE)
    assert np.argwhere(histogram[0]).tolist() == [[168, 107]]


@pytest.mark.parametrize(
    ("command", "index"),
    [
        (NavCommand.LEFT, 0),
        (NavCommand.CHANGE_LEFT, 0),
        (NavCommand.STRAIGHT, 1),
        (NavCommand.LANE_FOLLOW, 1),
        (NavCommand.STOP, 1),
        (NavCommand.RIGHT, 2),
        (NavCommand.CHANGE_RIGHT, 2),
        (NavCommand.UNKNOWN, 3),
    ],
)
def test_commands_fall_on_the_published_four(command, index):
    ego = make_ego(vx_mps=8.0, vy_mps=-0.5, ax_mps2=1.5, ay_mps2=-2.0)
    status = features.status_vector(command, ego, PUBLISHED)
    assert status.tolist() == [*np.eye(4)[index], 8.0, -0.5, 1.5, -2.0]
    own = features.status_vector(command, ego, NANO)
    assert own.tolist() == [*np.eye(8)[int(command)], 8.0, -0.5, 1.5, -2.0]


def test_the_route_is_sampled_along_a_curve_by_arc_length():
    radius_m = 40.0
    angle = np.linspace(-0.5, 1.4, 400)
    arc = np.column_stack([radius_m * np.sin(angle), radius_m * (1 - np.cos(angle))])
    points, mask = sample_route(Route(arc))
    wanted = 2.5 * np.arange(1, 21) / radius_m
    circle = np.column_stack([radius_m * np.sin(wanted), radius_m * (1 - np.cos(wanted))])
    np.testing.assert_allclose(points, circle, atol=5e-3)
    assert mask.all()


def test_the_route_starts_past_the_point_nearest_to_ego_and_ends_where_it_ends():
    points, mask = sample_route(Route(np.array([[-10.0, 1.0], [4.0, 1.0], [4.0, 1.0], [9.9, 1.0]])))
    assert mask.tolist() == [1, 1, 1] + [0] * 17
    np.testing.assert_allclose(points[:3], [[2.5, 1.0], [5.0, 1.0], [7.5, 1.0]])
    assert not points[3:].any()


@pytest.mark.parametrize("route", [None, Route(np.zeros((0, 2))), Route(np.array([[3.0, 1.0]]))])
def test_without_a_line_the_route_is_zeros_with_mask_zero(route):
    points, mask = sample_route(route)
    assert not points.any()
    assert not mask.any()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lidar": make_sweep([[1, 1, 1], [np.nan, 0, 0]])}, "lidar: 1 of 2 points"),
        ({"lidar": make_sweep([[np.inf, 1, 1]])}, "lidar: 1 of 1 points"),
        ({"route": Route(np.array([[0.0, 0.0], [np.nan, 1.0]]))}, "route: points"),
        ({"ego": make_ego(vx_mps=1e300)}, "status: vx"),
    ],
)
def test_what_is_not_finite_is_named(changes, sentence):
    with pytest.raises(NonFiniteInputError, match=sentence):
        build(make_planner_input(**changes), NANO, VEHICLE)
