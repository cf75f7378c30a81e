"""Small bags of a vehicle driving straight, for tests of the doctor and of the rig's proposal.

A bag is first a dict of topic -> (type, [(log_time_ns, message)]); a test spoils it and writes it.
"""

import dataclasses

import cv2
import numpy as np

from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.typestore import make_message
from diff_planner.geometry import quaternion_from_rotation

START_NS = 1_700_000_000_000_000_000
DELAY_NS = 5_000_000
HW = (48, 80)
SPEED_MPS = 8.0
YAW_DEG = {"left": 55.0, "front": 0.0, "right": -55.0}
LIDAR = "/sensing/lidar/top/pointcloud"
ODOMETRY = "/localization/kinematic_state"
ACCELERATION = "/localization/acceleration"


def image_topic(name):
    return f"/sensing/camera/{name}/image_rect/compressed"


def info_topic(name):
    return f"/sensing/camera/{name}/camera_info"


def make_rig(*, duration_s=2.0, rate_hz=10.0, yaws_deg=None, delay_ns=DELAY_NS):
    """Return a whole and healthy recording: cameras, LiDAR, odometry, acceleration, transforms."""
    yaws_deg = YAW_DEG if yaws_deg is None else yaws_deg
    sensor_ns = stamps(duration_s, rate_hz)
    motion_ns = stamps(duration_s, 50.0)
    latched_ns = START_NS - 10_000_000
    rig = {"/tf_static": ("tf2_msgs/msg/TFMessage", [(latched_ns, make_transforms(yaws_deg))])}
    for name in yaws_deg:
        rig[image_topic(name)] = ("sensor_msgs/msg/CompressedImage", [
            (t, make_picture(name, t)) for t in sensor_ns])  # fmt: skip
        rig[info_topic(name)] = ("sensor_msgs/msg/CameraInfo", [
            (t, make_info(name, t)) for t in sensor_ns])  # fmt: skip
    rig[LIDAR] = ("sensor_msgs/msg/PointCloud2", [(t, make_cloud(t)) for t in sensor_ns])
    rig[ODOMETRY] = ("nav_msgs/msg/Odometry", [(t, make_odometry(t)) for t in motion_ns])
    rig[ACCELERATION] = ("geometry_msgs/msg/AccelWithCovarianceStamped", [
        (t, make_acceleration(t)) for t in motion_ns])  # fmt: skip
    return {
        topic: (msgtype, [(stamp + delay_ns, message) for stamp, message in messages])
        for topic, (msgtype, messages) in rig.items()
    }


def write_rig(rig, path):
    """Write the recording in log-time order and return its path."""
    with BagWriter(path) as writer:
        for topic, (msgtype, _) in rig.items():
            writer.add_topic(topic, msgtype, latched=topic == "/tf_static")
        entries = [
            (log_ns, number, topic, message)
            for topic, (_, messages) in rig.items()
            for number, (log_ns, message) in enumerate(messages)
        ]
        for log_ns, _, topic, message in sorted(entries, key=lambda entry: entry[:3]):
            writer.write(topic, message, log_ns)
    return path


def change(rig, topic, changed):
    """Replace each (log_time_ns, message) of a topic by `changed(index, log_ns, message)`."""
    msgtype, messages = rig[topic]
    rig[topic] = msgtype, [changed(i, *entry) for i, entry in enumerate(messages)]


def restamped(message, stamp_ns):
    """Return a copy of a message with another stamp."""
    return dataclasses.replace(message, header=make_header(message.header.frame_id, stamp_ns))


def stamp_of(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def stamps(duration_s, rate_hz):
    return [START_NS + round(i * 1e9 / rate_hz) for i in range(round(duration_s * rate_hz))]


def make_header(frame_id, stamp_ns):
    stamp = make_message(
        "builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
    )
    return make_message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def vector(x=0.0, y=0.0, z=0.0):
    return make_message("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def quaternion(rotation):
    x, y, z, w = quaternion_from_rotation(rotation).tolist()
    return make_message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def make_transform(child, rotation, position_m, *, parent="base_link"):
    return make_message(
        "geometry_msgs/msg/TransformStamped",
        header=make_header(parent, START_NS),
        child_frame_id=child,
        transform=make_message(
            "geometry_msgs/msg/Transform",
            translation=vector(*position_m),
            rotation=quaternion(rotation),
        ),
    )


def optical_rotation(yaw_deg):
    """Return the rotation of a level camera that looks along `yaw_deg`, into base_link."""
    cos, sin = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    return np.array([[sin, 0.0, cos], [-cos, 0.0, sin], [0.0, -1.0, 0.0]])


def make_transforms(yaws_deg):
    cameras = [
        make_transform(f"{name}_optical", optical_rotation(yaw), (1.6, 0.0, 1.5))
        for name, yaw in yaws_deg.items()
    ]
    lidar = make_transform("lidar_top", np.eye(3), (0.9, 0.0, 1.8))
    return make_message("tf2_msgs/msg/TFMessage", transforms=[*cameras, lidar])


def make_picture(name, stamp_ns):
    pixels = np.zeros((*HW, 3), dtype=np.uint8)
    pixels[::2] = 200
    data = np.frombuffer(cv2.imencode(".jpg", pixels)[1].tobytes(), dtype=np.uint8)
    header = make_header(f"{name}_optical", stamp_ns)
    return make_message("sensor_msgs/msg/CompressedImage", header=header, format="jpeg", data=data)


def make_info(name, stamp_ns):
    height, width = HW
    k = np.array([60.0, 0.0, 0.5 * (width - 1), 0.0, 60.0, 0.5 * (height - 1), 0.0, 0.0, 1.0])
    return make_message(
        "sensor_msgs/msg/CameraInfo",
        header=make_header(f"{name}_optical", stamp_ns),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k,
        r=np.eye(3).ravel(),
        p=np.insert(k.reshape(3, 3), 3, 0.0, axis=1).ravel(),
        binning_x=0,
        binning_y=0,
        roi=make_message(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False,
        ),
    )  # fmt: skip


def make_cloud(stamp_ns, points=None):
    """Return flat ground as seen from a LiDAR 1.8 m up, or the points given [N, 3]."""
    if points is None:
        x, y = np.meshgrid(np.arange(-15.0, 30.0), np.arange(-15.0, 15.0))
        points = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -1.8)])
    points = np.asarray(points, dtype=np.float32)
    fields = [
        make_message("sensor_msgs/msg/PointField", name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate("xyz")
    ]
    return make_message(
        "sensor_msgs/msg/PointCloud2",
        header=make_header("lidar_top", stamp_ns),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=np.frombuffer(points.tobytes(), dtype=np.uint8),
        is_dense=True,
    )


def make_odometry(stamp_ns, *, speed_mps=SPEED_MPS):
    """Return straight driving along x at SPEED_MPS; the twist may claim another speed."""
    position = make_message(
        "geometry_msgs/msg/Point", x=SPEED_MPS * (stamp_ns - START_NS) / 1e9, y=0.0, z=0.0
    )
    pose = make_message(
        "geometry_msgs/msg/Pose", position=position, orientation=quaternion(np.eye(3))
    )
    twist = make_message("geometry_msgs/msg/Twist", linear=vector(speed_mps), angular=vector())
    covariance = np.zeros(36)
    return make_message(
        "nav_msgs/msg/Odometry",
        header=make_header("odom", stamp_ns),
        child_frame_id="base_link",
        pose=make_message("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
        twist=make_message(
            "geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=covariance
        ),
    )


def make_acceleration(stamp_ns):
    accel = make_message("geometry_msgs/msg/Accel", linear=vector(), angular=vector())
    return make_message(
        "geometry_msgs/msg/AccelWithCovarianceStamped",
        header=make_header("base_link", stamp_ns),
        accel=make_message(
            "geometry_msgs/msg/AccelWithCovariance", accel=accel, covariance=np.zeros(36)
        ),
    )
