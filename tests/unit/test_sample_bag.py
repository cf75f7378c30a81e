import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from diff_planner.camera_geometry import project
from diff_planner.config import FeatureConfig, InputsConfig, PlannerConfig
from diff_planner.data import sample_bag
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.sample_bag import EGO_SE3_LIDAR, Drive, calibration, make_sample_bag
from diff_planner.data.sample_ground import Ground, shadow_ring
from diff_planner.data.sample_sensors import GROUND, SKY, Camera, Lidar, cast
from diff_planner.data.sample_world import Road, Solid, build_world
from diff_planner.errors import BagError, InputError
from diff_planner.features import build
from diff_planner.geometry import box_corners, inverse_se3, se3_from_yaw, transform_points, yaw_of
from diff_planner.types import PlannerInput

SHORT_S = 0.3


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "sample.mcap"
    make_sample_bag(path, seed=3, duration_s=SHORT_S)
    return path


@pytest.fixture(scope="module")
def scene():
    """Drive, world, ground and every solid at 1.5 s, when a car comes towards ego."""
    drive, rng = Drive(5.0), np.random.default_rng(0)
    world = build_world(rng, drive.road)
    solids = [*world.standing_parts(), *world.moving_parts(1.5)]
    return drive, world, Ground(world, rng), solids


def _messages(path, *topics):
    with BagReader(path) as reader:
        return list(reader.messages(topics or None))


def _stamp_s(message):
    stamp = message.header.stamp
    return (stamp.sec * 10**9 + stamp.nanosec - sample_bag.START_NS) * 1e-9


def test_the_bag_holds_every_topic_that_the_default_configuration_reads(bag):
    inputs = InputsConfig()
    with BagReader(bag) as reader:
        counts = {name: topic.count for name, topic in reader.topics.items()}
    cycles = round(SHORT_S * 10)
    for camera in inputs.cameras.values():
        assert counts[camera.image] == counts[camera.info] == cycles
    assert counts[inputs.lidar.topic] == cycles
    assert counts[inputs.odometry.topic] == counts[inputs.acceleration.topic] == counts["/tf"]
    assert counts[inputs.odometry.topic] >= 50 * SHORT_S
    assert counts[inputs.nav_command.topic] == counts[inputs.route.topic] == 1
    assert counts[inputs.tf_static] == counts["/ground_truth/lane_map"] == 1
    assert counts["/ground_truth/objects"] == counts["/ground_truth/traffic_lights"] == cycles


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(bag, tmp_path):
    make_sample_bag(tmp_path / "again.mcap", seed=3, duration_s=SHORT_S)
    assert (tmp_path / "again.mcap").read_bytes() == bag.read_bytes()
    make_sample_bag(tmp_path / "other.mcap", seed=4, duration_s=0.1)
    one = _messages(bag, InputsConfig().cameras["front"].image)[0].message
    other = _messages(tmp_path / "other.mcap", InputsConfig().cameras["front"].image)[0].message
    assert one.data.tobytes() != other.data.tobytes()


def test_messages_are_logged_in_order_and_never_before_their_stamp(bag):
    recorded = _messages(bag)
    times = [entry.log_time_ns for entry in recorded]
    assert times == sorted(times)
    for entry in recorded:
        if hasattr(entry.message, "header"):
            late_s = (entry.log_time_ns - sample_bag.START_NS) * 1e-9 - _stamp_s(entry.message)
            assert -1e-9 <= late_s <= 0.05, entry.topic


def test_pictures_are_in_colour_and_of_the_size_that_camera_info_says(bag):
    for name, camera in InputsConfig().cameras.items():
        (first, *_), (info, *_) = _messages(bag, camera.image), _messages(bag, camera.info)
        picture = cv2.imdecode(first.message.data, cv2.IMREAD_COLOR)
        assert picture.shape == (info.message.height, info.message.width, 3)
        assert info.message.header.frame_id == calibration(name).frame_id
        assert picture.reshape(-1, 3).std(axis=0).min() > 20


def test_odometry_is_the_derivative_of_its_own_poses():
    drive, step = Drive(5.0), 1e-3
    for time_s in np.linspace(0.0, 5.0, 21):
        before, after = drive.map_SE3_ego(time_s - step), drive.map_SE3_ego(time_s + step)
        here, motion = drive.map_SE3_ego(time_s), drive.motion(time_s)
        velocity = here[:3, :3].T @ (after - before)[:3, 3] / (2 * step)
        np.testing.assert_allclose(velocity, [motion.speed_mps, 0, 0], atol=2e-3)
        turned = yaw_of(inverse_se3(before) @ after) / (2 * step)
        assert turned == pytest.approx(motion.yaw_rate_radps, abs=1e-5)
        fall = drive.motion(time_s + step).speed_mps - drive.motion(time_s - step).speed_mps
        assert fall / (2 * step) == pytest.approx(motion.ax_mps2, abs=1e-6)
        assert motion.ay_mps2 == pytest.approx(motion.speed_mps * motion.yaw_rate_radps)


def test_the_drive_bends_left_by_sixty_metres_radius():
    road = Road(150.0)
    assert road.curvature([0.0, 50.0, 120.0]).tolist() == [0.0, pytest.approx(1 / 60), 0.0]
    assert np.abs(np.diff(road.curvature(np.arange(0.0, 150.0, 0.1)), 2)).max() < 2e-5
    points = road.poses(np.arange(36.0, 90.0, 1.0))
    steps = np.hypot(*np.diff(points[:, :2], axis=0).T)
    np.testing.assert_allclose(np.diff(points[:, 2]) / steps, 1 / 60, rtol=1e-3)


def test_ground_truth_velocities_are_the_derivatives_of_the_boxes(scene):
    drive, world, _, _ = scene
    step = 1e-3
    for user in world.users:
        pose = [user.pose(drive.road, time_s) for time_s in (1.5 - step, 1.5 + step)]
        vx, vy, yaw_rate = user.motion(drive.road, 1.5)
        np.testing.assert_allclose((pose[1] - pose[0])[:2] / (2 * step), [vx, vy], atol=2e-3)
        assert (pose[1] - pose[0])[2] / (2 * step) == pytest.approx(yaw_rate, abs=1e-5)
        if user.speed_mps:
            heading = np.array([np.cos(pose[1][2]), np.sin(pose[1][2])])
            assert heading @ [vx, vy] > 0.9 * abs(user.speed_mps)


def test_the_parts_of_a_road_user_lie_in_its_ground_truth_box(scene):
    drive, world, _, solids = scene
    for user in world.users:
        pose = user.pose(drive.road, 1.5)
        corners = np.concatenate([s.corners() for s in solids if s.object_id == user.object_id])
        local = transform_points(inverse_se3(se3_from_yaw(*pose)), corners)
        assert (np.abs(local[:, :2]).max(axis=0) <= 0.5 * np.array(user.size_m[:2]) + 0.06).all()
        assert local[:, 2].min() >= -1e-9
        assert local[:, 2].max() == pytest.approx(user.size_m[2], abs=0.03)


def test_the_way_that_ego_drives_stays_free():
    drive = Drive(5.0)
    for seed in range(5):
        world = build_world(np.random.default_rng(seed), drive.road)
        for time_s in np.arange(0.0, 5.0, 0.5):
            others = [s.corners() for s in (*world.standing_parts(), *world.moving_parts(time_s))]
            low = np.concatenate([c[:, :2] for c in others if c[:, 2].min() < 2.5])
            ahead = np.arange(drive.distance_m(time_s) - 4, drive.distance_m(time_s) + 38, 0.5)
            line = drive.road.poses(ahead)[:, :2]
            assert np.hypot(*(low[:, None] - line).T).min() > 1.5, (seed, time_s)


def test_lidar_points_of_a_car_fall_on_the_pixels_of_that_car(scene):
    drive, _, ground, solids = scene
    map_SE3_ego = drive.map_SE3_ego(1.5)
    points, _, owner = Lidar(EGO_SE3_LIDAR).scan(
        map_SE3_ego, solids, ground, np.random.default_rng(0)
    )
    in_ego = transform_points(EGO_SE3_LIDAR, points.astype(np.float64))
    seen, _, _ = Camera(calibration("front")).hits(map_SE3_ego, solids)
    ids = np.array([solid.object_id for solid in solids])
    picture = np.where(seen.solid >= 0, ids[np.maximum(seen.solid, 0)], 0)
    uv, _, is_visible = project(calibration("front"), in_ego)
    of_object = np.where(owner >= 0, ids[np.maximum(owner, 0)], 0)
    hit = is_visible & (of_object > 0)
    column, row = np.rint((uv[hit] + 0.5) * 2 - 0.5).astype(int).T
    column, row = np.minimum(column, 799), np.minimum(row, 449)
    same = picture[row, column] == of_object[hit]
    assert hit.sum() > 60
    assert len(set(of_object[hit])) >= 3
    # The two sensors stand apart, so a few points near an outline are hidden from the camera.
    assert same.mean() > 0.85


def test_lidar_points_lie_on_what_they_hit(scene):
    drive, _, ground, solids = scene
    pose = drive.map_SE3_ego(1.5)
    points, intensity, owner = Lidar(EGO_SE3_LIDAR).scan(
        pose, solids, ground, np.random.default_rng(0)
    )
    in_map = transform_points(pose @ EGO_SE3_LIDAR, points.astype(np.float64))
    on_ground = in_map[owner == GROUND]
    assert len(on_ground) > 2000
    assert np.abs(on_ground[:, 2]).max() < 0.06
    for index in np.unique(owner[owner >= 0]):
        solid, hits = solids[index], in_map[owner == index]
        local = transform_points(
            inverse_se3(se3_from_yaw(*solid.center_m[:2], solid.yaw_rad, solid.center_m[2])), hits
        )
        assert (np.abs(local) <= np.array(solid.half_m) + 0.12).all()
    assert 0 <= intensity.min() <= intensity.max() <= 255
    ranges = np.linalg.norm(points, axis=1)
    assert ranges.max() < Lidar.max_range_m + 0.2


def test_rays_meet_the_nearest_of_box_ball_ground_and_sky():
    box = Solid((10, 0, 1), (1, 2, 1), (0, 0, 0), yaw_rad=np.pi / 2)
    ball = Solid((20, 0, 1), (1, 1, 1), (0, 0, 0), shape="ball")
    rays = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1], [-1, 0, 0]]], dtype=np.float32)
    whole = (slice(None), slice(None))
    hits = cast(np.array([0.0, 0.0, 1.0]), rays, [ball, box], lambda _: whole)
    assert hits.solid.tolist() == [[1, SKY, GROUND, SKY, SKY]]
    np.testing.assert_allclose(hits.range_m[0, [0, 2]], [8.0, 1.0], rtol=1e-5)
    hits = cast(np.array([0.0, 0.0, 1.0]), rays, [ball], lambda _: whole)
    assert hits.solid[0, 0] == 0
    assert hits.range_m[0, 0] == pytest.approx(19.0)
    assert (cast(np.array([0.0, 0.0, 1.0]), rays, [ball], lambda _: None).solid < 0).all()


def test_windows_leave_out_no_ray_that_meets_a_solid(scene, monkeypatch):
    drive, _, ground, solids = scene
    pose = drive.map_SE3_ego(1.5)
    camera, lidar = Camera(calibration("right")), Lidar(EGO_SE3_LIDAR)
    cut = camera.hits(pose, solids)[0]
    swept = lidar.scan(pose, solids, ground, np.random.default_rng(0))
    whole = (slice(None), slice(None))
    monkeypatch.setattr(Camera, "_window", lambda *_: whole)
    monkeypatch.setattr(Lidar, "_window", lambda *_: whole)
    np.testing.assert_array_equal(cut.solid, camera.hits(pose, solids)[0].solid)
    again = lidar.scan(pose, solids, ground, np.random.default_rng(0))
    for one, other in zip(swept, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_shadow_falls_away_from_the_sun():
    ring = shadow_ring(Solid((0, 0, 1), (0.5, 0.5, 1), (0, 0, 0)))
    assert ring[:, 0].max() > 1.5
    assert ring[:, 1].min() < -1.5
    area = np.cross(
        np.column_stack([ring, np.zeros(len(ring))]),
        np.column_stack([np.roll(ring, -1, axis=0), np.zeros(len(ring))]),
    )[:, 2].sum()
    assert area > 0  # counter-clockwise, as the test for points inside needs


def test_the_lane_map_holds_closed_counter_clockwise_rings_around_the_drive(bag):
    lanes = _messages(bag, "/ground_truth/lane_map")[0].message
    assert lanes.ring_start[0] == 0
    assert lanes.ring_start[-1] == len(lanes.ring_x_m) == len(lanes.ring_y_m)
    for first, last in zip(lanes.ring_start[:-1], lanes.ring_start[1:], strict=True):
        x, y = lanes.ring_x_m[first:last], lanes.ring_y_m[first:last]
        assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0
    first, last = lanes.ring_start[:2]
    ring = np.column_stack([lanes.ring_x_m, lanes.ring_y_m])[first:last].astype(np.float32)
    for entry in _messages(bag, InputsConfig().odometry.topic):
        at = entry.message.pose.pose.position
        assert cv2.pointPolygonTest(ring, (at.x, at.y), True) > 1.5


def test_ground_truth_boxes_hold_the_lidar_points_of_the_cars(bag):
    (sweep, *_), (objects, *_) = (
        _messages(bag, InputsConfig().lidar.topic),
        _messages(bag, "/ground_truth/objects"),
    )
    points = sweep.message.data.view("<f4").reshape(-1, 4)[:, :3].astype(np.float64)
    in_map = transform_points(Drive(SHORT_S).map_SE3_ego(0.0) @ EGO_SE3_LIDAR, points)
    counts = []
    for box in objects.message.objects:
        corners = box_corners(box.x_m, box.y_m, box.yaw_rad, box.length_m, box.width_m)
        inside = [
            cv2.pointPolygonTest(corners.astype(np.float32), (x, y), False) >= 0
            for x, y, z in in_map[(in_map[:, 2] > 0.2) & (in_map[:, 2] < 2.0)]
        ]
        counts.append(sum(inside))
    assert sum(count >= 5 for count in counts) >= 4


def test_the_default_configuration_finds_complete_inputs_for_every_sweep(bag):
    config = PlannerConfig()
    assembler, found = InputAssembler(config.inputs, config.vehicle), []
    with BagReader(bag) as reader:
        for entry in reader.messages():
            assembler.add(entry.topic, entry.message, entry.log_time_ns)
            found += assembler.take(entry.log_time_ns)
        found += assembler.take(reader.end_ns + 10**9)
    assert len(found) == round(SHORT_S * 10)
    for planner_input in found:
        assert isinstance(planner_input, PlannerInput)
        assert planner_input.faults == 0
        inputs = build(planner_input, FeatureConfig(), config.vehicle)
        assert inputs.camera_mask.all()
        assert inputs.route_mask.all()
        assert inputs.lidar.sum() > 1000
        assert inputs.camera.std() > 20


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a seed of 0 or more, got -1"):
        make_sample_bag(tmp_path / "x.mcap", seed=-1)


@pytest.mark.parametrize("duration_s", [0.0, 60.0])
def test_a_duration_that_the_road_is_not_made_for_is_refused(tmp_path, duration_s):
    with pytest.raises(InputError, match=r"expected a duration of 0\.1 to 12 s"):
        make_sample_bag(tmp_path / "x.mcap", duration_s=duration_s)


def test_a_bag_that_exists_is_not_overwritten(bag):
    with pytest.raises(BagError, match="exists already"):
        make_sample_bag(bag, duration_s=0.1)


def test_the_script_says_in_a_sentence_why_it_cannot_write(bag, capsys, monkeypatch):
    path = Path(__file__).parents[2] / "bags" / "make_sample_bag.py"
    spec = importlib.util.spec_from_file_location("make_sample_bag_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr("sys.argv", ["make_sample_bag.py", str(bag)])
    assert script.main() == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_five_seconds_fit_into_five_megabytes(tmp_path):
    make_sample_bag(tmp_path / "sample.mcap")
    assert (tmp_path / "sample.mcap").stat().st_size < 5e6
    with BagReader(tmp_path / "sample.mcap") as reader:
        assert reader.topics[InputsConfig().lidar.topic].count == 50
