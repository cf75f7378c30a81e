"""Sensors of the size of a real rig, published from a process of their own.

Every message is built once; a cycle only sets the stamps and publishes, so that the process is as
light as a driver.  Prints one JSON line when it is done: what was sent, and the time it took.

    python bench/rig_publisher.py [--seconds 60] [--drive]

With --drive the vehicle's own topics come too (odometry, acceleration, camera_info, transforms), so
that a planner has all it needs.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import resource
import time

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import AccelWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from tf2_msgs.msg import TFMessage

CAMERAS = {"left": 55.0, "front": 0.0, "right": -55.0}
"""Cameras and the direction they look in, in degrees."""
WIDTH_PX, HEIGHT_PX = 1600, 900
POINTS = 35_000
RATE_HZ, ODOMETRY_PER_CYCLE = 10.0, 5
SPEED_MPS = 5.0
LIDAR_FRAME = "lidar_top"
IMAGE_TOPIC = "sensing/camera/{}/image_rect"
INFO_TOPIC = "sensing/camera/{}/camera_info"
LIDAR_TOPIC = "sensing/lidar/top/pointcloud"
SENSOR_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
START_LIMIT_S = 60.0
"""Longest wait for subscribers."""


def make_image(name: str, rng: np.random.Generator) -> Image:
    """Return a bgr8 image of noise: 4.3 MB that no transport can make smaller."""
    message = Image(height=HEIGHT_PX, width=WIDTH_PX, encoding="bgr8", step=3 * WIDTH_PX)
    message.header.frame_id = f"camera_{name}"
    message.data = array.array("B", rng.bytes(3 * WIDTH_PX * HEIGHT_PX))
    return message


def make_cloud(rng: np.random.Generator) -> PointCloud2:
    """Return a ring of points far off the road: 35,000 x (x, y, z, intensity), 0.56 MB."""
    azimuth = rng.uniform(-math.pi, math.pi, POINTS)
    points = np.stack(
        [40 * np.cos(azimuth), 40 * np.sin(azimuth), rng.uniform(-1.5, 2, POINTS), azimuth], axis=-1
    ).astype(np.float32)
    message = PointCloud2(height=1, width=POINTS, point_step=16, row_step=16 * POINTS)
    message.header.frame_id = LIDAR_FRAME
    message.is_dense = True
    message.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(("x", "y", "z", "intensity"))
    ]
    message.data = array.array("B", points.tobytes())
    return message


def make_info(name: str) -> CameraInfo:
    """Return the calibration of a rectified camera with 64 degrees across."""
    focal_px = WIDTH_PX / 2 / math.tan(math.radians(32))
    k = [focal_px, 0.0, WIDTH_PX / 2, 0.0, focal_px, HEIGHT_PX / 2, 0.0, 0.0, 1.0]
    message = CameraInfo(height=HEIGHT_PX, width=WIDTH_PX, distortion_model="plumb_bob")
    message.header.frame_id = f"camera_{name}"
    message.d, message.k = [0.0] * 5, k
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]
    return message


def make_transforms() -> TFMessage:
    """Return where the sensors sit in base_link; cameras look along their z axis."""
    found = []
    for name, yaw_deg in [*CAMERAS.items(), (None, 0.0)]:
        transform = TransformStamped()
        transform.header.frame_id = "base_link"
        transform.child_frame_id = LIDAR_FRAME if name is None else f"camera_{name}"
        transform.transform.translation.x = 1.5
        transform.transform.translation.z = 1.6
        half = math.radians(yaw_deg) / 2
        # Turned about z, then from the vehicle's axes to the camera's (x right, y down, z ahead).
        w, z = math.cos(half), math.sin(half)
        qx, qy, qz, qw = (0.0, 0.0, z, w)
        if name is not None:
            qx, qy, qz, qw = (0.5 * (-w - z), 0.5 * (w - z), 0.5 * (z - w), 0.5 * (w + z))
        rotation = transform.transform.rotation
        rotation.x, rotation.y, rotation.z, rotation.w = qx, qy, qz, qw
        found.append(transform)
    return TFMessage(transforms=found)


class RigPublisher(Node):
    """Publishes one cycle of the whole rig at a time."""

    def __init__(self, drive: bool) -> None:
        super().__init__("rig_publisher")
        rng = np.random.default_rng(0)
        self.sent: dict[str, int] = {}
        self.stamps_ns: list[int] = []
        self._stamped: list[tuple[Publisher, Image | PointCloud2 | CameraInfo]] = []
        for name in CAMERAS:
            self._add(Image, IMAGE_TOPIC.format(name), make_image(name, rng))
        self._add(PointCloud2, LIDAR_TOPIC, make_cloud(rng))
        self.sensors = [publisher for publisher, _ in self._stamped]
        self._motion: tuple[Publisher, Publisher] | None = None
        if drive:
            for name in CAMERAS:
                self._add(CameraInfo, INFO_TOPIC.format(name), make_info(name))
            reliable = QoSProfile(depth=20)
            self._motion = (
                self.create_publisher(Odometry, "localization/kinematic_state", reliable),
                self.create_publisher(
                    AccelWithCovarianceStamped, "localization/acceleration", reliable
                ),
            )
            self._transforms = self.create_publisher(TFMessage, "/tf_static", LATCHED_QOS)
            self._transforms.publish(make_transforms())

    def _add(self, kind: type, topic: str, message: Image | PointCloud2 | CameraInfo) -> None:
        publisher = self.create_publisher(kind, topic, SENSOR_QOS)
        self._stamped.append((publisher, message))

    def wait_for_subscribers(self) -> None:
        """Return when every sensor has a subscriber.

        Raises:
            TimeoutError: there is none after a minute.
        """
        limit = time.monotonic() + START_LIMIT_S
        while not all(publisher.get_subscription_count() for publisher in self.sensors):
            if time.monotonic() > limit:
                missing = [p.topic_name for p in self.sensors if not p.get_subscription_count()]
                raise TimeoutError(f"no subscriber after {START_LIMIT_S:.0f} s: {missing}")
            time.sleep(0.05)

    def publish_sensors(self) -> None:
        """Publish every camera and the LiDAR, all with the stamp of now."""
        stamp_ns = time.time_ns()
        self.stamps_ns.append(stamp_ns)
        stamp = to_time(stamp_ns)
        for publisher, message in self._stamped:
            message.header.stamp = stamp
            publisher.publish(message)
            self.sent[publisher.topic_name] = self.sent.get(publisher.topic_name, 0) + 1

    def publish_motion(self, start_ns: int) -> None:
        """Publish odometry and acceleration of a straight drive, where they were asked for."""
        if self._motion is None:
            return
        now_ns = time.time_ns()
        odometry = Odometry(child_frame_id="base_link")
        odometry.header.frame_id = "odom"
        odometry.header.stamp = to_time(now_ns)
        odometry.pose.pose.position.x = SPEED_MPS * (now_ns - start_ns) * 1e-9
        odometry.pose.pose.orientation.w = 1.0
        odometry.twist.twist.linear.x = SPEED_MPS
        acceleration = AccelWithCovarianceStamped()
        acceleration.header.frame_id = "base_link"
        acceleration.header.stamp = odometry.header.stamp
        self._motion[0].publish(odometry)
        self._motion[1].publish(acceleration)


def to_time(stamp_ns: int) -> Time:
    """Return nanoseconds as a message."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def publish(node: RigPublisher, seconds: float) -> dict[str, object]:
    """Publish for `seconds` on an even grid and return what was sent and how long it took."""
    steps = ODOMETRY_PER_CYCLE
    begin, begin_ns = time.monotonic(), time.time_ns()
    used = resource.getrusage(resource.RUSAGE_SELF)
    durations_s = []
    for step in range(round(seconds * RATE_HZ) * steps):
        time.sleep(max(0.0, begin + step / (RATE_HZ * steps) - time.monotonic()))
        node.publish_motion(begin_ns)
        if step % steps == 0:
            cycle_begin = time.monotonic()
            node.publish_sensors()
            durations_s.append(time.monotonic() - cycle_begin)
    wall_s = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {
        "sent": node.sent,
        "stamps_ns": node.stamps_ns,
        "wall_s": wall_s,
        "cpu_share": cpu_s / wall_s,
        "publish_ms_p50": 1e3 * float(np.percentile(durations_s, 50)),
        "publish_ms_p99": 1e3 * float(np.percentile(durations_s, 99)),
    }


def main() -> None:
    """Publish and print what was sent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--drive", action="store_true", help="with odometry and calibrations")
    arguments = parser.parse_args()
    rclpy.init()
    node = RigPublisher(arguments.drive)
    node.wait_for_subscribers()
    time.sleep(1.0)  # the other side has to know of us too
    print(json.dumps(publish(node, arguments.seconds)), flush=True)
    time.sleep(1.0)  # best effort: what was sent last is still under way
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
