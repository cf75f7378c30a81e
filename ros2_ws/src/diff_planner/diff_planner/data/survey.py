"""What a bag holds, measured as it is read: stamps, log times, frames, a first and a last message.

Apart from rig.py and doctor.py because both read the same measurements: one to propose a
configuration, the other to judge the bag.  Memory: a few numbers a message, two messages a topic.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.data.bag_reader import BagMessage, BagReader
from diff_planner.data.calibration import StaticTransforms
from diff_planner.errors import BagError, InputError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
ODOMETRY = "nav_msgs/msg/Odometry"
ACCELERATIONS = (
    "geometry_msgs/msg/AccelWithCovarianceStamped",
    "geometry_msgs/msg/AccelStamped",
)
NAV_COMMAND = "diff_planner_msgs/msg/NavCommand"
ROUTE = "diff_planner_msgs/msg/Route"
IMAGES = (IMAGE, COMPRESSED_IMAGE)
MEASURED = (*IMAGES, CAMERA_INFO, POINT_CLOUD, ODOMETRY, *ACCELERATIONS, NAV_COMMAND, ROUTE)
"""Types whose messages are read; of others only the count is known."""
_MAX_FRAMES = 8
"""Distinct frame_ids kept per topic: one is right, more are worth a sentence, not a list."""

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class TopicSurvey:
    """One topic as it was found."""

    topic: str
    msgtype: str
    count: int
    """Messages in the whole bag."""
    stamps_ns: Stamps
    """[N] header stamps in log order, of the messages that were read."""
    logs_ns: Stamps
    """[N] log times."""
    rows: NDArray[np.float64]
    """[N, K] numbers by type: Odometry x_m, y_m, yaw_rad, vx_mps, vy_mps; PointCloud2 points."""
    frame_ids: tuple[str, ...]
    """Distinct header.frame_id, in order of appearance."""
    first: Any = None
    last: Any = None

    @property
    def frame_id(self) -> str:
        """The first message's frame, empty when there was none."""
        return self.frame_ids[0] if self.frame_ids else ""

    @property
    def period_s(self) -> float:
        """Median distance of sorted stamps; NaN with fewer than two stamps."""
        if len(self.stamps_ns) < 2:
            return math.nan
        return float(np.median(np.diff(np.sort(self.stamps_ns)))) / 1e9

    @property
    def rate_hz(self) -> float:
        """One over the period; NaN where that is not known or zero."""
        return 1.0 / self.period_s if self.period_s > 0 else math.nan


@dataclass(frozen=True)
class BagSurvey:
    """A bag as it was found."""

    topics: Mapping[str, TopicSurvey]
    transforms: StaticTransforms
    start_ns: int
    """Log time of the first message."""
    end_ns: int
    transforms_ns: int | None = None
    """Log time of the first static transforms, None without any."""
    transform_faults: tuple[str, ...] = ()
    """Messages of the static transforms that could not be used, in words."""
    break_off: str = ""
    """Why reading stopped before the end; empty when it did not."""

    def of_type(self, *msgtypes: str) -> list[TopicSurvey]:
        """Return the topics of these types of which messages were read, by name."""
        return [
            self.topics[name]
            for name in sorted(self.topics)
            if self.topics[name].msgtype in msgtypes and len(self.topics[name].stamps_ns)
        ]

    def transform(self, dst: str, src: str) -> NDArray[np.float64] | None:
        """Return dst_SE3_src [4, 4] by the static transforms, None where they do not join."""
        try:
            dst_SE3_src: NDArray[np.float64] = self.transforms.lookup(dst, src)
        except InputError:
            return None
        return dst_SE3_src


def nearest_index(anchor_ns: Stamps, stamps_ns: Stamps) -> Stamps:
    """Return for each anchor [A] the index of its nearest stamp; equal distance: the older one.

    `stamps_ns` [N] may be out of order but not empty.
    """
    order = np.argsort(stamps_ns, kind="stable")
    ordered = stamps_ns[order]
    right = np.searchsorted(ordered, anchor_ns).clip(0, len(ordered) - 1)
    left = (right - 1).clip(0)
    is_left = np.abs(ordered[left] - anchor_ns) <= np.abs(ordered[right] - anchor_ns)
    index: Stamps = order[np.where(is_left, left, right)]
    return index


@dataclass
class _Growing:
    """A topic while it is read."""

    stamps_ns: array[int] = field(default_factory=lambda: array("q"))
    logs_ns: array[int] = field(default_factory=lambda: array("q"))
    rows: array[float] = field(default_factory=lambda: array("d"))
    frame_ids: list[str] = field(default_factory=list)
    first: Any = None
    last: Any = None

    def add(self, message: BagMessage) -> None:
        header = message.message.header
        self.stamps_ns.append(header.stamp.sec * 10**9 + header.stamp.nanosec)
        self.logs_ns.append(message.log_time_ns)
        self.rows.extend(_numbers(message))
        if header.frame_id not in self.frame_ids and len(self.frame_ids) < _MAX_FRAMES:
            self.frame_ids.append(header.frame_id)
        if self.first is None:
            self.first = message.message
        self.last = message.message

    def done(self, topic: str, msgtype: str, count: int) -> TopicSurvey:
        n = len(self.stamps_ns)
        rows = np.array(self.rows, dtype=np.float64).reshape(n, -1) if n else np.zeros((0, 0))
        return TopicSurvey(
            topic=topic,
            msgtype=msgtype,
            count=count,
            stamps_ns=np.array(self.stamps_ns, dtype=np.int64),
            logs_ns=np.array(self.logs_ns, dtype=np.int64),
            rows=rows,
            frame_ids=tuple(self.frame_ids),
            first=self.first,
            last=self.last,
        )


def survey_bag(
    reader: BagReader,
    *,
    tf_static: str = "/tf_static",
    first_s: float | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> BagSurvey:
    """Measure a bag.

    Args:
        reader: an open bag.
        tf_static: topic of the static transforms; it is read whole in any case.
        first_s: read only this long from the start, and at least one message of each topic;
            None reads all of it.
        on_progress: called with the share of the bag's time that is read, 0..1.
    """
    wanted = [t for t, info in reader.topics.items() if info.msgtype in MEASURED]
    stop_ns = None if first_s is None else reader.start_ns + round(first_s * 1e9)
    growing = {topic: _Growing() for topic in wanted}
    transforms, break_off = StaticTransforms(), ""
    transforms_ns: int | None = None
    faults: list[str] = []
    span_ns = max((stop_ns or reader.end_ns) - reader.start_ns, 1)
    try:
        if tf_static in reader.topics:
            for message in reader.messages([tf_static]):
                transforms_ns = message.log_time_ns if transforms_ns is None else transforms_ns
                faults += _faults_of(transforms, message)
        if wanted:
            for message in reader.messages(wanted, stop_ns=stop_ns):
                growing[message.topic].add(message)
                if on_progress is not None:
                    on_progress((message.log_time_ns - reader.start_ns) / span_ns)
        for topic in wanted:
            if growing[topic].first is None and reader.topics[topic].count:
                growing[topic].add(next(iter(reader.messages([topic]))))
    except BagError as error:
        break_off = str(error)
    return BagSurvey(
        topics={
            topic: growing.get(topic, _Growing()).done(topic, info.msgtype, info.count)
            for topic, info in reader.topics.items()
        },
        transforms=transforms,
        start_ns=reader.start_ns,
        end_ns=reader.end_ns,
        transforms_ns=transforms_ns,
        transform_faults=tuple(faults),
        break_off=break_off,
    )


def _faults_of(transforms: StaticTransforms, message: BagMessage) -> list[str]:
    """Add the transforms of a message; return why some could not be used."""
    try:
        transforms.add(message.message)
    except InputError as error:
        return [str(error)]
    return []


def _numbers(message: BagMessage) -> list[float]:
    """Return the row of a message; NaN stays NaN for the doctor to find."""
    content: Any = message.message
    if message.msgtype == POINT_CLOUD:
        return [float(content.width) * content.height]
    if message.msgtype != ODOMETRY:
        return []
    position, q = content.pose.pose.position, content.pose.pose.orientation
    linear = content.twist.twist.linear
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    return [position.x, position.y, yaw, linear.x, linear.y]
