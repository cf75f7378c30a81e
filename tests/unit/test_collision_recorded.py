"""The collision rule on recorded sweeps: the driven path is free, a box put into it is seen.

The driven path is the odometry after the sweep, up to 4 s of it; the boxes are cast with the
sensor's own beams, and hide what is behind them.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from diff_planner.config import SafetyConfig, VehicleConfig
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.calibration import StaticTransforms
from diff_planner.data.decode import decode_odometry, decode_points, stamp_ns
from diff_planner.geometry import arc_lengths, inverse_se3, transform_points
from diff_planner.safety import collision
from diff_planner.types import LidarSweep
from lidar_scene import car, cone, pedestrian, rays, with_box

pytestmark = [pytest.mark.realdata, pytest.mark.slow]

VEHICLE, CONFIG = VehicleConfig(), SafetyConfig()
LIDAR, ODOMETRY = "/sensing/lidar/top/pointcloud", "/localization/kinematic_state"
# Beams of the two sensors; every fourth point of KITTI's is in the bag.
HDL_32 = rays(np.linspace(-30.67, 10.67, 32), np.arange(-180.0, 180.0, 0.332))
HDL_64_UPPER, HDL_64_LOWER = np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.33, 32)
HDL_64 = rays(np.concatenate([HDL_64_UPPER, HDL_64_LOWER]), np.arange(-180.0, 180.0, 0.7))
BAGS = {"nuscenes_scene_0006": (HDL_32, 3), "kitti_drive_0001": (HDL_64, 10)}


@dataclass(frozen=True)
class Frame:
    sweep: LidarSweep
    path: np.ndarray
    sensor_m: np.ndarray


def read_frames(path):
    transforms, sweeps, odometry, frame_id = StaticTransforms(), [], [], ""
    with BagReader(path) as bag:
        for item in bag.messages(["/tf_static", LIDAR, ODOMETRY]):
            if item.topic == "/tf_static":
                transforms.add(item.message)
            elif item.topic == LIDAR:
                frame_id = item.message.header.frame_id
                sweeps.append((stamp_ns(item.message), decode_points(item.message)[0]))
            else:
                odometry.append(decode_odometry(item.message, "base_link"))
    ego_SE3_lidar = transforms.lookup("base_link", frame_id)
    frames = []
    for stamp, points in sweeps:
        driven = driven_path(odometry, stamp)
        if len(driven) > 1:
            in_ego = transform_points(ego_SE3_lidar, points.astype(np.float64))
            sweep = LidarSweep(stamp, in_ego.astype(np.float32))
            frames.append(Frame(sweep, driven, ego_SE3_lidar[:3, 3]))
    return frames


def driven_path(odometry, stamp):
    """Poses [N, 3] at 0.1 s in base_link at the stamp, as far as the bag goes, 4 s at most."""
    stamps = np.array([item.stamp_ns for item in odometry])
    start = odometry[int(np.argmin(np.abs(stamps - stamp)))].odom_SE3_ego
    moved = np.stack([inverse_se3(start) @ item.odom_SE3_ego for item in odometry])
    yaw = np.unwrap(np.arctan2(moved[:, 1, 0], moved[:, 0, 0]))
    wanted = stamp + np.arange(41) * 100_000_000
    wanted = wanted[wanted <= stamps[-1]]
    columns = (moved[:, 0, 3], moved[:, 1, 3], yaw)
    return np.stack([np.interp(wanted, stamps, column) for column in columns], axis=-1)


@pytest.fixture(scope="module", params=BAGS)
def bag(request, real_data):
    beams, stride = BAGS[request.param]
    return read_frames(real_data / "bags" / request.param), beams, stride


def test_the_path_that_was_driven_is_called_blocked_in_at_most_one_percent(bag):
    frames, _, _ = bag
    blocked = [
        index
        for index, frame in enumerate(frames)
        if collision.is_blocked(frame.path, frame.sweep, VEHICLE, CONFIG)
    ]
    assert len(blocked) <= 0.01 * len(frames), f"blocked in frames {blocked} of {len(frames)}"


@pytest.mark.parametrize(
    ("make", "distances_m"),
    [
        (car, (6.0, 10.0, 15.0, 20.0, 25.0, 30.0)),
        (pedestrian, (6.0, 10.0, 15.0, 20.0, 25.0, 30.0)),
        # Farther than 20 m a cone of 0.7 m may fall between two beams of 32.
        (cone, (6.0, 10.0, 15.0, 20.0)),
    ],
    ids=["car", "pedestrian", "cone"],
)
def test_a_box_put_into_the_driven_path_is_caught_every_time(bag, make, distances_m):
    frames, beams, stride = bag
    missed, tried = [], 0
    for index in range(0, len(frames), stride):
        frame = frames[index]
        for distance_m in distances_m:
            if distance_m > arc_lengths(frame.path)[-1] + VEHICLE.front_m - 0.5:
                continue  # the vehicle's front does not come there within the plan
            for side_m in (0.0, 0.9, -0.9):
                tried += 1
                if not is_caught(frame, make, distance_m, side_m, beams, seed=index):
                    missed.append((index, distance_m, side_m))
    assert tried >= 20
    assert not missed, (
        f"{len(missed)} of {tried} missed: frame, metres ahead, metres aside {missed}"
    )


def is_caught(frame, make, distance_m, side_m, beams, seed):
    x_m, y_m, yaw = place_along(frame.path, distance_m)
    x_m, y_m = x_m - side_m * np.sin(yaw), y_m + side_m * np.cos(yaw)
    points = frame.sweep.points.astype(np.float64)
    near = points[np.hypot(points[:, 0] - x_m, points[:, 1] - y_m) < 3.0, 2]
    foot_m = float(np.quantile(near, 0.1)) if len(near) > 3 else 0.0
    box = make(x_m, y_m, yaw_rad=yaw, z_m=foot_m if abs(foot_m) < 0.6 else 0.0)
    changed = with_box(points, box, frame.sensor_m, beams, seed=seed)
    sweep = LidarSweep(frame.sweep.stamp_ns, changed.astype(np.float32))
    return collision.is_blocked(frame.path, sweep, VEHICLE, CONFIG)


def place_along(path, distance_m):
    """Pose at a way along the path; past its end straight on."""
    way = arc_lengths(path)
    x_m, y_m, yaw = (float(np.interp(distance_m, way, column)) for column in path.T)
    beyond = max(distance_m - way[-1], 0.0)
    return x_m + beyond * np.cos(yaw), y_m + beyond * np.sin(yaw), yaw
