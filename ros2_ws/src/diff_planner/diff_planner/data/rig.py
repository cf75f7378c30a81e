"""From the topics of a bag to the configuration that plans on it.

Separate from the doctor, because replay uses it too: what the doctor prints is what runs.
"""

from __future__ import annotations

import math

import numpy as np

from diff_planner.config import CameraInputConfig, InputsConfig, PlannerConfig, StreamConfig
from diff_planner.data import survey as bag
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.rig_cameras import find_cameras, front_of, name_cameras
from diff_planner.data.survey import BagSurvey, TopicSurvey, nearest_index, survey_bag
from diff_planner.errors import BagError, MissingInputError

SAMPLE_S = 5.0
"""Bag time that is read to measure periods and offsets: ten sweeps at 2 Hz."""
_NICE_RATES_HZ = (1.0, 2.0, 4.0, 5.0, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
_NICE_WITHIN = 0.1
_STEP_S = 0.01
_MAX_SYNC_WAIT_S = 0.5
_TOLERANCE_S = StreamConfig(topic="any").tolerance_s


def suggest_config(reader: BagReader) -> PlannerConfig:
    """Return the configuration that fits a bag: sensors, names, anchor, period, tolerances.

    Reads the first seconds only.  On a bag with the default topics this is the default.

    Raises:
        BagError: the bag breaks off before that much is known.
        MissingInputError: neither pictures nor points, or no odometry, in the bag.
    """
    found = survey_bag(reader, first_s=SAMPLE_S)
    try:
        return PlannerConfig(inputs=suggest_inputs(found))
    except MissingInputError:
        if found.break_off:
            raise BagError(found.break_off) from None
        raise


def suggest_inputs(found: BagSurvey) -> InputsConfig:
    """Return the inputs that fit what was found.

    Raises:
        MissingInputError: neither pictures nor points, or no odometry.
    """
    odometry = _odometry(found)
    base_frame = child_frame(odometry) or InputsConfig().base_frame
    cameras = name_cameras(find_cameras(found, base_frame))
    lidar = _lidar(found)
    if not cameras and lidar is None:
        raise MissingInputError(
            "expected an image topic (sensor_msgs/msg/Image or CompressedImage) with a "
            "sensor_msgs/msg/CameraInfo topic beside it, or a sensor_msgs/msg/PointCloud2 topic; "
            f"the bag has {describe_topics(found)}"
        )
    anchor_name = "lidar" if lidar else front_of(cameras)
    anchor = lidar if lidar else cameras[anchor_name].image
    period_s = nice_period_s(anchor.period_s)
    acceleration = _best(
        [t for t in found.of_type(*bag.ACCELERATIONS) if t.frame_id.lstrip("/") == base_frame],
        InputsConfig().acceleration,
    )
    return InputsConfig(
        anchor=anchor_name,
        period_s=period_s,
        sync_wait_s=_sync_wait_s(anchor, [odometry, *(c.image for c in cameras.values())]),
        cameras={
            name: CameraInputConfig(
                image=camera.image.topic,
                info=camera.info.topic,
                tolerance_s=tolerance_s(anchor, camera.image, period_s),
            )
            for name, camera in cameras.items()
        },
        lidar=None if lidar is None else StreamConfig(topic=lidar.topic),
        odometry=_stream(odometry, tolerance_s(anchor, odometry, period_s)),
        acceleration=acceleration
        and _stream(acceleration, tolerance_s(anchor, acceleration, period_s)),
        nav_command=_renamed(found, bag.NAV_COMMAND, InputsConfig().nav_command),
        route=_renamed(found, bag.ROUTE, InputsConfig().route),
        base_frame=base_frame,
    )


def nice_period_s(period_s: float) -> float:
    """Return the period of the nearest usual rate if within 10 %, else two digits of it."""
    if not period_s > 0.0:  # one message, or NaN: nothing was measured
        return InputsConfig().period_s
    rate_hz = min(_NICE_RATES_HZ, key=lambda rate: abs(period_s * rate - 1.0))
    if abs(period_s * rate_hz - 1.0) <= _NICE_WITHIN:
        return round(1.0 / rate_hz, 4)
    return min(max(float(f"{period_s:.2g}"), 0.011), 2.0)


def tolerance_s(anchor: TopicSurvey, stream: TopicSurvey, period_s: float) -> float:
    """Return the stamp distance that 99 % of the anchors need, 0.06 s at least.

    At most half a period of the anchor: what lies beyond belongs to another cycle.
    """
    if not len(anchor.stamps_ns) or not len(stream.stamps_ns):
        return _TOLERANCE_S
    index = nearest_index(anchor.stamps_ns, stream.stamps_ns)
    distances_s = np.abs(stream.stamps_ns[index] - anchor.stamps_ns) / 1e9
    needed_s = _round_up(float(np.percentile(distances_s, 99)))
    return max(_TOLERANCE_S, min(needed_s, round(0.5 * period_s, 3)))


def describe_topics(found: BagSurvey) -> str:
    """Return the topics with type and count, for an error."""
    topics = sorted(found.topics.values(), key=lambda t: t.topic)
    return ", ".join(f"{t.topic} ({t.msgtype}, {t.count})" for t in topics) or "no topics"


def child_frame(odometry: TopicSurvey) -> str:
    """Return whose motion an odometry topic tells, empty when it does not say."""
    return "" if odometry.first is None else str(odometry.first.child_frame_id).lstrip("/")


def _lidar(found: BagSurvey) -> TopicSurvey | None:
    """Return the cloud topic with the most points in the bag."""
    clouds = found.of_type(bag.POINT_CLOUD)
    return max(clouds, key=lambda t: float(np.mean(t.rows)) * t.count, default=None)


def _odometry(found: BagSurvey) -> TopicSurvey:
    """Return the odometry whose child is the frame that the sensors hang on."""
    defaults = InputsConfig()
    topics = found.of_type(bag.ODOMETRY)
    if not topics:
        raise MissingInputError(
            "expected an odometry topic of type nav_msgs/msg/Odometry; "
            f"the bag has {describe_topics(found)}"
        )
    frames = [t.frame_id for t in found.of_type(*bag.IMAGES, bag.POINT_CLOUD)]

    def preference(topic: TopicSurvey) -> tuple[int, bool, bool, int]:
        child = child_frame(topic)
        hanging = sum(found.transform(child, frame) is not None for frame in frames)
        is_default = topic.topic == defaults.odometry.topic
        return hanging, child == defaults.base_frame, is_default, topic.count

    return max(topics, key=preference)


def _best(topics: list[TopicSurvey], default: StreamConfig | None) -> TopicSurvey | None:
    """Return the topic of the default's name if it is there, else the one with most messages."""
    name = default.topic if default else ""
    return max(topics, key=lambda t: (t.topic == name, t.count), default=None)


def _stream(topic: TopicSurvey, tolerance: float) -> StreamConfig:
    return StreamConfig(topic=topic.topic, tolerance_s=tolerance)


def _renamed(found: BagSurvey, msgtype: str, default: StreamConfig | None) -> StreamConfig | None:
    """Return the default with the bag's topic; commands are events, no distance is measured."""
    topic = _best(found.of_type(msgtype), default)
    if topic is None or default is None:
        return None
    return default.model_copy(update={"topic": topic.topic})


def _sync_wait_s(anchor: TopicSurvey, streams: list[TopicSurvey]) -> float:
    """Return how long after the anchor the messages that belong to it still arrive."""
    needed_s = InputsConfig().sync_wait_s
    for stream in streams:
        if len(anchor.stamps_ns) and len(stream.stamps_ns):
            index = nearest_index(anchor.stamps_ns, stream.stamps_ns)
            delays_s = (stream.logs_ns[index] - anchor.logs_ns) / 1e9
            needed_s = max(needed_s, _round_up(float(np.percentile(delays_s, 99))))
    return min(needed_s, _MAX_SYNC_WAIT_S)


def _round_up(value_s: float) -> float:
    # 1e-9: 0.06 measured as 0.060000001 is 0.06.
    return round(math.ceil((value_s - 1e-9) / _STEP_S) * _STEP_S, 3)
