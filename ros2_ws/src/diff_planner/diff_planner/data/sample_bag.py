"""Makes the sample bag: 5 s of a drive along a bend, with every topic that the planner reads.

The world is made up (sample_world.py) and seen by three cameras and a LiDAR (sample_sensors.py);
ground truth comes with it.  Equal seeds give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from diff_planner.config import InputsConfig
from diff_planner.data import sample_messages as messages
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.sample_ground import Ground
from diff_planner.data.sample_sensors import Camera, Lidar
from diff_planner.data.sample_world import Array, Road, World, build_world
from diff_planner.errors import InputError
from diff_planner.geometry import inverse_se3, se3, se3_from_yaw
from diff_planner.types import CameraCalibration

START_NS = 1_700_000_000_000_000_000
"""Stamp of the first sweep; fixed, so that nothing depends on when the bag was made."""
_PERIOD_S = 0.1
_ODOMETRY_PERIOD_S = 0.02
_LEAD_S = 0.1
"""Odometry begins this long before the first sweep: less than the watchdog's patience."""
_SPEED_MPS, _SPEED_SWING_MPS, _SWING_RADPS = 8.2, 0.3, 0.2 * np.pi
_AHEAD_M = 110.0
"""Road past the end of the drive."""
CAMERAS = {
    "left": (55.0, (1.5, 0.5, 1.55), -0.008),
    "front": (0.0, (1.7, 0.0, 1.55), 0.004),
    "right": (-55.0, (1.5, -0.5, 1.55), 0.012),
}
"""Yaw in degrees, place in base_link (m), stamp after the sweep's (s); near NAVSIM's rig."""
_PICTURE_HW = (225, 400)
_FOCAL_PX = 400 * 1545.0 / 1920.0
"""NAVSIM's field of view."""
_JPEG_QUALITY = 80
EGO_SE3_LIDAR = se3(np.eye(3), [0.95, 0.0, 1.85])
_LATENCY_S = {"camera": 0.03, "lidar": 0.025, "odometry": 0.003}
"""From stamp to log time."""


class Drive:
    """How the ego vehicle moves: along the centre line, at a speed that swings a little."""

    def __init__(self, duration_s: float) -> None:
        """Lay a road that is long enough."""
        self.road = Road(self.distance_m(duration_s) + _AHEAD_M)

    def distance_m(self, time_s: float) -> float:
        """Return s, the integral of the speed."""
        swing = _SPEED_SWING_MPS / _SWING_RADPS * np.sin(_SWING_RADPS * time_s)
        return float(_SPEED_MPS * time_s + swing)

    def map_SE3_ego(self, time_s: float) -> Array:
        """Return the pose [4, 4] of base_link."""
        x, y, yaw = self.road.poses(self.distance_m(time_s)).tolist()
        return se3_from_yaw(x, y, yaw)

    def motion(self, time_s: float) -> messages.Motion:
        """Return speed, yaw rate and acceleration in base_link; the rear axle does not slip."""
        speed = _SPEED_MPS + _SPEED_SWING_MPS * float(np.cos(_SWING_RADPS * time_s))
        slope = -_SPEED_SWING_MPS * _SWING_RADPS * float(np.sin(_SWING_RADPS * time_s))
        curvature = float(self.road.curvature(self.distance_m(time_s)))
        return messages.Motion(
            speed_mps=speed,
            yaw_rate_radps=speed * curvature,
            ax_mps2=slope,
            ay_mps2=speed * speed * curvature,
        )


def make_sample_bag(path: str | Path, seed: int = 0, duration_s: float = 5.0) -> None:
    """Write the sample bag: 10 sweeps and 30 pictures a second.

    Args:
        path: of the bag; a name with .mcap gives one file.
        seed: of colours, gaps, textures and sensor noise.
        duration_s: length of the drive, at most 12 s: then the road is straight again.

    Raises:
        InputError: the duration is not between 0.1 s and 12 s, or the seed is negative.
        BagError: the path is taken or cannot be written.
    """
    if not _PERIOD_S <= duration_s <= 12.0:
        raise InputError(f"sample bag: expected a duration of 0.1 to 12 s, got {duration_s}")
    if seed < 0:
        raise InputError(f"sample bag: expected a seed of 0 or more, got {seed}")
    drive = Drive(duration_s)
    rng = np.random.default_rng(seed)
    world = build_world(rng, drive.road)
    topics = InputsConfig()
    with BagWriter(path, compress=True) as writer:
        for topic, (msgtype, is_latched) in messages.topics(topics).items():
            writer.add_topic(topic, msgtype, latched=is_latched)
        recorded = [
            *_odometry(drive, duration_s, topics),
            *_navigation(drive, duration_s, topics, seed),
            *_ground_truth(drive, world, duration_s),
            *_sensors(drive, world, duration_s, rng, topics),
        ]
        for log_time_s, topic, message in sorted(recorded, key=lambda entry: entry[:2]):
            writer.write(topic, message, stamp_ns(log_time_s))


_Recorded = Iterator[tuple[float, str, Any]]
"""Log time (s after the first sweep), topic, message."""


def stamp_ns(time_s: float) -> int:
    """Return the stamp of a time of the drive."""
    return START_NS + round(time_s * 1e9)


def ego_SE3_camera(name: str) -> Array:
    """Return where the optical frame (z forward, x right) of one of `CAMERAS` stands."""
    yaw_deg, position_m, _ = CAMERAS[name]
    yaw = np.deg2rad(yaw_deg)
    forward = [np.cos(yaw), np.sin(yaw), 0.0]
    right = [np.sin(yaw), -np.cos(yaw), 0.0]
    return se3(np.column_stack([right, [0.0, 0.0, -1.0], forward]), position_m)


def calibration(name: str) -> CameraCalibration:
    """Return what is true of one of `CAMERAS`; its pictures have no distortion."""
    height, width = _PICTURE_HW
    return CameraCalibration(
        frame_id=f"camera_{name}_optical",
        width_px=width,
        height_px=height,
        intrinsics=np.array(
            [
                [_FOCAL_PX, 0.0, 0.5 * (width - 1)],
                [0.0, _FOCAL_PX, 0.5 * (height - 1)],
                [0.0, 0.0, 1.0],
            ]
        ),
        distortion_model="plumb_bob",
        distortion=np.zeros(5),
        camera_SE3_ego=inverse_se3(ego_SE3_camera(name)),
    )


def _odometry(drive: Drive, duration_s: float, topics: InputsConfig) -> _Recorded:
    """Yield odometry, acceleration and /tf at 50 Hz, and /tf_static once."""
    sensors = {calibration(name).frame_id: ego_SE3_camera(name) for name in CAMERAS}
    sensors["lidar_top"] = EGO_SE3_LIDAR
    mounted = messages.static_transforms(stamp_ns(-_LEAD_S), sensors)
    yield -_LEAD_S, topics.tf_static, mounted
    count = round((duration_s + _LEAD_S) / _ODOMETRY_PERIOD_S)
    for k in range(count):
        time_s = -_LEAD_S + k * _ODOMETRY_PERIOD_S
        log_s, stamp = time_s + _LATENCY_S["odometry"], stamp_ns(time_s)
        pose, motion = drive.map_SE3_ego(time_s), drive.motion(time_s)
        yield log_s, topics.odometry.topic, messages.odometry(stamp, pose, motion)
        if topics.acceleration is not None:
            yield log_s, topics.acceleration.topic, messages.acceleration(stamp, motion)
        yield log_s, "/tf", messages.moving_transform(stamp, pose)


def _navigation(drive: Drive, duration_s: float, topics: InputsConfig, seed: int) -> _Recorded:
    """Yield command and route twice a second, from before the first sweep on."""
    line = drive.road.poses(np.arange(-20.0, drive.road.length_m - 5.0, 1.0))
    for k in range(int(2 * duration_s) + 1):
        time_s = 0.5 * k - 0.1
        if topics.nav_command is not None:
            yield time_s, topics.nav_command.topic, messages.follow_lane(stamp_ns(time_s))
        if topics.route is not None:
            yield time_s, topics.route.topic, messages.route(stamp_ns(time_s), line, seed)


def _ground_truth(drive: Drive, world: World, duration_s: float) -> _Recorded:
    yield -_LEAD_S, messages.LANE_MAP_TOPIC, messages.lane_map(stamp_ns(-_LEAD_S), drive.road)
    for k in range(round(duration_s / _PERIOD_S)):
        time_s = k * _PERIOD_S
        stamp = stamp_ns(time_s)
        yield time_s, messages.OBJECTS_TOPIC, messages.objects(stamp, world, time_s)
        yield time_s, messages.LIGHTS_TOPIC, messages.traffic_lights(stamp, drive.road)


def _sensors(
    drive: Drive, world: World, duration_s: float, rng: np.random.Generator, topics: InputsConfig
) -> _Recorded:
    """Yield sweeps and pictures at 10 Hz, each of the world at its own stamp."""
    ground = Ground(world, rng)
    standing = world.standing_parts()
    lidar = Lidar(EGO_SE3_LIDAR)
    cameras = {name: Camera(calibration(name)) for name in CAMERAS}
    for k in range(round(duration_s / _PERIOD_S)):
        time_s = k * _PERIOD_S
        solids = [*standing, *world.moving_parts(time_s)]
        points, intensity, _ = lidar.scan(drive.map_SE3_ego(time_s), solids, ground, rng)
        if topics.lidar is not None:
            sweep = messages.point_cloud(stamp_ns(time_s), "lidar_top", points, intensity)
            yield time_s + _LATENCY_S["lidar"], topics.lidar.topic, sweep
        for name, camera in cameras.items():
            seen_s = time_s + CAMERAS[name][2]
            picture = camera.render(
                drive.map_SE3_ego(seen_s), standing, world.moving_parts(seen_s), ground
            )
            _, jpeg = cv2.imencode(
                ".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            )
            log_s, stamp = seen_s + _LATENCY_S["camera"], stamp_ns(seen_s)
            frame_id = calibration(name).frame_id
            image = messages.jpeg(stamp, frame_id, jpeg.ravel())
            yield log_s, topics.cameras[name].image, image
            yield log_s, topics.cameras[name].info, messages.camera_info(stamp, calibration(name))
