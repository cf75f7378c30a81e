"""The messages of the sample bag, from plain numbers; the frame of all coordinates is `map`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import InputsConfig
from diff_planner.data.encode import header
from diff_planner.data.sample_world import (
    ASPHALT_D_M,
    LANE_WIDTH_M,
    LIGHT_S_M,
    Array,
    Road,
    World,
    light_position,
)
from diff_planner.data.typestore import make_message
from diff_planner.geometry import quaternion_from_rotation
from diff_planner.types import CameraCalibration, Message, NavCommand

MAP_FRAME, EGO_FRAME = "map", "base_link"
OBJECTS_TOPIC = "/ground_truth/objects"
LIGHTS_TOPIC = "/ground_truth/traffic_lights"
LANE_MAP_TOPIC = "/ground_truth/lane_map"
_SPEED_LIMIT_MPS = 50.0 / 3.6
_EGO_LANE, _ONCOMING_LANE, _PARKING, _DRIVABLE, _CROSSWALK = 1, 2, 3, 4, 5
"""Identifiers in the lane map."""
_TYPE_LANE, _TYPE_CAR_PARK, _TYPE_CROSSWALK, _TYPE_DRIVABLE = 1, 5, 6, 7
_COLOR_GREEN = 3
_FLOAT32, _BYTES_PER_POINT = 7, 16


@dataclass(frozen=True)
class Motion:
    """Motion of base_link, along its own axes."""

    speed_mps: float
    yaw_rate_radps: float
    ax_mps2: float
    ay_mps2: float


def topics(inputs: InputsConfig) -> dict[str, tuple[str, bool]]:
    """Return the type of each topic of the bag, and whether it is latched."""
    named = {
        inputs.odometry.topic: ("nav_msgs/msg/Odometry", False),
        "/tf": ("tf2_msgs/msg/TFMessage", False),
        inputs.tf_static: ("tf2_msgs/msg/TFMessage", True),
        OBJECTS_TOPIC: ("diff_planner_msgs/msg/ObjectArray", False),
        LIGHTS_TOPIC: ("diff_planner_msgs/msg/TrafficLightArray", False),
        LANE_MAP_TOPIC: ("diff_planner_msgs/msg/LaneMap", True),
    }
    for camera in inputs.cameras.values():
        named[camera.image] = ("sensor_msgs/msg/CompressedImage", False)
        named[camera.info] = ("sensor_msgs/msg/CameraInfo", False)
    for stream, msgtype, is_latched in (
        (inputs.lidar, "sensor_msgs/msg/PointCloud2", False),
        (inputs.acceleration, "geometry_msgs/msg/AccelWithCovarianceStamped", False),
        (inputs.nav_command, "diff_planner_msgs/msg/NavCommand", False),
        (inputs.route, "diff_planner_msgs/msg/Route", True),
    ):
        if stream is not None:
            named[stream.topic] = (msgtype, is_latched)
    return named


def _header(stamp_ns: int, frame_id: str) -> Message:
    return header(make_message, stamp_ns, frame_id)


def _vector(x: float, y: float, z: float) -> Message:
    return make_message("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def _quaternion(rotation: Array) -> Message:
    x, y, z, w = quaternion_from_rotation(rotation).tolist()
    return make_message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _pose(map_SE3_ego: Array) -> Message:
    x, y, z = map_SE3_ego[:3, 3].tolist()
    return make_message(
        "geometry_msgs/msg/Pose",
        position=make_message("geometry_msgs/msg/Point", x=x, y=y, z=z),
        orientation=_quaternion(map_SE3_ego[:3, :3]),
    )


def _transform(stamp_ns: int, parent: str, child: str, parent_SE3_child: Array) -> Message:
    return make_message(
        "geometry_msgs/msg/TransformStamped",
        header=_header(stamp_ns, parent),
        child_frame_id=child,
        transform=make_message(
            "geometry_msgs/msg/Transform",
            translation=_vector(*parent_SE3_child[:3, 3].tolist()),
            rotation=_quaternion(parent_SE3_child[:3, :3]),
        ),
    )


def static_transforms(stamp_ns: int, ego_SE3_sensors: dict[str, Array]) -> Message:
    """Return /tf_static: where each sensor's frame stands in base_link."""
    made = [_transform(stamp_ns, EGO_FRAME, name, at) for name, at in ego_SE3_sensors.items()]
    return make_message("tf2_msgs/msg/TFMessage", transforms=made)


def moving_transform(stamp_ns: int, map_SE3_ego: Array) -> Message:
    """Return /tf: where base_link stands."""
    made = [_transform(stamp_ns, MAP_FRAME, EGO_FRAME, map_SE3_ego)]
    return make_message("tf2_msgs/msg/TFMessage", transforms=made)


def odometry(stamp_ns: int, map_SE3_ego: Array, motion: Motion) -> Message:
    """Return nav_msgs/Odometry."""
    twist = make_message(
        "geometry_msgs/msg/Twist",
        linear=_vector(motion.speed_mps, 0.0, 0.0),
        angular=_vector(0.0, 0.0, motion.yaw_rate_radps),
    )
    exact = np.zeros(36)
    return make_message(
        "nav_msgs/msg/Odometry",
        header=_header(stamp_ns, MAP_FRAME),
        child_frame_id=EGO_FRAME,
        pose=make_message(
            "geometry_msgs/msg/PoseWithCovariance", pose=_pose(map_SE3_ego), covariance=exact
        ),
        twist=make_message("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=exact),
    )


def acceleration(stamp_ns: int, motion: Motion) -> Message:
    """Return geometry_msgs/AccelWithCovarianceStamped."""
    accel = make_message(
        "geometry_msgs/msg/Accel",
        linear=_vector(motion.ax_mps2, motion.ay_mps2, 0.0),
        angular=_vector(0.0, 0.0, 0.0),
    )
    return make_message(
        "geometry_msgs/msg/AccelWithCovarianceStamped",
        header=_header(stamp_ns, EGO_FRAME),
        accel=make_message(
            "geometry_msgs/msg/AccelWithCovariance", accel=accel, covariance=np.zeros(36)
        ),
    )


def jpeg(stamp_ns: int, frame_id: str, data: NDArray[np.uint8]) -> Message:
    """Return sensor_msgs/CompressedImage."""
    return make_message(
        "sensor_msgs/msg/CompressedImage",
        header=_header(stamp_ns, frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=data,
    )


def camera_info(stamp_ns: int, calibration: CameraCalibration) -> Message:
    """Return sensor_msgs/CameraInfo."""
    return make_message(
        "sensor_msgs/msg/CameraInfo",
        header=_header(stamp_ns, calibration.frame_id),
        height=calibration.height_px,
        width=calibration.width_px,
        distortion_model=calibration.distortion_model,
        d=calibration.distortion,
        k=calibration.intrinsics.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack([calibration.intrinsics, np.zeros(3)]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=make_message(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        ),
    )


def point_cloud(
    stamp_ns: int, frame_id: str, points: NDArray[np.float32], intensity: NDArray[np.float32]
) -> Message:
    """Return sensor_msgs/PointCloud2 of points [N, 3] and intensity [N], both float32."""
    packed = np.column_stack([points, intensity]).astype("<f4")
    fields = [
        make_message(
            "sensor_msgs/msg/PointField", name=name, offset=4 * k, datatype=_FLOAT32, count=1
        )
        for k, name in enumerate(("x", "y", "z", "intensity"))
    ]
    return make_message(
        "sensor_msgs/msg/PointCloud2",
        header=_header(stamp_ns, frame_id),
        height=1,
        width=len(packed),
        fields=fields,
        is_bigendian=False,
        point_step=_BYTES_PER_POINT,
        row_step=_BYTES_PER_POINT * len(packed),
        data=packed.view(np.uint8).ravel(),
        is_dense=True,
    )


def follow_lane(stamp_ns: int) -> Message:
    """Return diff_planner_msgs/NavCommand: follow the lane."""
    return make_message(
        "diff_planner_msgs/msg/NavCommand",
        header=_header(stamp_ns, ""),
        command=int(NavCommand.LANE_FOLLOW),
        distance_m=float("nan"),
        target_speed_mps=float("nan"),
        speed_limit_mps=_SPEED_LIMIT_MPS,
        confidence=1.0,
        valid_for_s=1.0,
    )


def route(stamp_ns: int, line: Array, seed: int) -> Message:
    """Return diff_planner_msgs/Route along poses [P, 3]."""
    uuid = np.frombuffer(f"sample{seed % 10**10:010d}".encode(), dtype=np.uint8)
    x, y, yaw = line[-1].tolist()
    goal = np.eye(4)
    goal[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    goal[:2, 3] = x, y
    return make_message(
        "diff_planner_msgs/msg/Route",
        header=_header(stamp_ns, MAP_FRAME),
        uuid=make_message("unique_identifier_msgs/msg/UUID", uuid=uuid),
        x_m=line[:, 0].copy(),
        y_m=line[:, 1].copy(),
        speed_limit_mps=np.full(len(line), _SPEED_LIMIT_MPS, dtype=np.float32),
        goal=_pose(goal),
        is_loop=False,
    )


def objects(stamp_ns: int, world: World, time_s: float) -> Message:
    """Return diff_planner_msgs/ObjectArray of every road user."""
    made = []
    for user in world.users:
        x, y, yaw = user.pose(world.road, time_s).tolist()
        vx, vy, yaw_rate = user.motion(world.road, time_s)
        length, width, height = user.size_m
        made.append(
            make_message(
                "diff_planner_msgs/msg/Object",
                id=user.object_id,
                class_id=user.class_id,
                x_m=x,
                y_m=y,
                z_m=0.5 * height,
                yaw_rad=float(np.arctan2(np.sin(yaw), np.cos(yaw))),
                length_m=length,
                width_m=width,
                height_m=height,
                vx_mps=vx,
                vy_mps=vy,
                yaw_rate_radps=yaw_rate,
            )
        )
    return make_message(
        "diff_planner_msgs/msg/ObjectArray", header=_header(stamp_ns, MAP_FRAME), objects=made
    )


def traffic_lights(stamp_ns: int, road: Road) -> Message:
    """Return diff_planner_msgs/TrafficLightArray of the one light, which is green."""
    half = 0.5 * LANE_WIDTH_M
    stop = road.strip(LIGHT_S_M, LIGHT_S_M + 5.0, (-half, half))
    x, y, z = light_position(road)
    light = make_message(
        "diff_planner_msgs/msg/TrafficLight",
        id=1,
        color=_COLOR_GREEN,
        x_m=x,
        y_m=y,
        z_m=z,
        lane_id=np.array([_EGO_LANE], dtype=np.int64),
        stop_x_m=stop[:, 0].copy(),
        stop_y_m=stop[:, 1].copy(),
    )
    return make_message(
        "diff_planner_msgs/msg/TrafficLightArray",
        header=_header(stamp_ns, MAP_FRAME),
        lights=[light],
    )


def lane_map(stamp_ns: int, road: Road) -> Message:
    """Return diff_planner_msgs/LaneMap: two lanes, parking strip, carriageway, crossing."""
    half = 0.5 * LANE_WIDTH_M
    start, end = -60.0, road.length_m - 1.0
    polygons = [
        (_EGO_LANE, _TYPE_LANE, road.strip(start, end, (-half, half))),
        (_ONCOMING_LANE, _TYPE_LANE, road.strip(start, end, (half, 3 * half))),
        (_PARKING, _TYPE_CAR_PARK, road.strip(start, end, (ASPHALT_D_M[0], -half))),
        (_DRIVABLE, _TYPE_DRIVABLE, road.strip(start, end, ASPHALT_D_M)),
        (
            _CROSSWALK,
            _TYPE_CROSSWALK,
            road.strip(LIGHT_S_M + 1.5, LIGHT_S_M + 4.5, ASPHALT_D_M),
        ),
    ]
    along = np.arange(start, end, 1.0)
    lines = [
        (_EGO_LANE, road.poses(along)),
        (_ONCOMING_LANE, road.poses(along[::-1], LANE_WIDTH_M)),
    ]
    rings, centers = [ring for _, _, ring in polygons], [line for _, line in lines]
    return make_message(
        "diff_planner_msgs/msg/LaneMap",
        header=_header(stamp_ns, MAP_FRAME),
        map_id="sample road 1",
        polygon_id=np.array([p[0] for p in polygons], dtype=np.int64),
        polygon_type=np.array([p[1] for p in polygons], dtype=np.uint8),
        parent_id=np.full(len(polygons), -1, dtype=np.int64),
        ring_start=_starts(rings),
        ring_x_m=np.concatenate(rings)[:, 0].copy(),
        ring_y_m=np.concatenate(rings)[:, 1].copy(),
        lane_id=np.array([lane for lane, _ in lines], dtype=np.int64),
        speed_limit_mps=np.full(len(lines), _SPEED_LIMIT_MPS, dtype=np.float32),
        centerline_start=_starts(centers),
        centerline_x_m=np.concatenate(centers)[:, 0].copy(),
        centerline_y_m=np.concatenate(centers)[:, 1].copy(),
        successor_start=np.zeros(len(lines) + 1, dtype=np.uint32),
        successor_id=np.zeros(0, dtype=np.int64),
    )


def _starts(parts: list[Array]) -> NDArray[np.uint32]:
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.uint32)
