"""The node's subscriptions: raw messages into the inbox.

Messages stay the bytes that came off the wire until a cycle needs them: most of a 30 Hz camera's
pictures are never looked at, and what is looked at is read as the replay reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from diff_planner.config import InputsConfig
from diff_planner.data.input_streams import (
    ACCELERATION,
    COMMAND,
    LIDAR,
    ODOMETRY,
    ROUTE,
    configured_streams,
    names_by_topic,
)
from diff_planner.data.typestore import typestore
from diff_planner.errors import ConfigError
from diff_planner.ros.inbox import Arrival, Inbox
from diff_planner.ros.inference_thread import CLOCK
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.qos import OnMismatch, Role, profile, subscription_options

_IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_ACCELERATION_TYPES = (
    "geometry_msgs/msg/AccelWithCovarianceStamped",
    "geometry_msgs/msg/AccelStamped",
)
_KEPT = ("route", "tf_static")
"""Roles whose messages come once: taken also while the node is inactive."""
_TOPICS = ("image", "info")
"""Of a camera."""
_LOCK_STEP_DEPTH = 1000


@dataclass(frozen=True)
class InputTopic:
    """One topic that the planner reads."""

    topic: str
    """As configured; may be relative."""
    role: Role
    types: tuple[str, ...]
    """Message types that are understood; the first is expected."""
    name: str
    """Of the input that it belongs to."""


def input_topics(inputs: InputsConfig) -> tuple[InputTopic, ...]:
    """Return every topic that a configuration asks for.

    A camera's topic that ends in "compressed" is expected to carry CompressedImage, as
    image_transport names it.
    """
    topics = []
    for name, camera in inputs.cameras.items():
        is_compressed = camera.image.rstrip("/").endswith("compressed")
        types = _IMAGE_TYPES[::-1] if is_compressed else _IMAGE_TYPES
        topics.append(InputTopic(camera.image, "sensor", types, name))
    infos = {camera.info: name for name, camera in inputs.cameras.items()}
    topics += [
        InputTopic(info, "sensor", ("sensor_msgs/msg/CameraInfo",), f"{name} calibration")
        for info, name in infos.items()
    ]
    others: tuple[tuple[str, Any, Role, tuple[str, ...]], ...] = (
        (LIDAR, inputs.lidar, "sensor", ("sensor_msgs/msg/PointCloud2",)),
        (ODOMETRY, inputs.odometry, "odometry", ("nav_msgs/msg/Odometry",)),
        (ACCELERATION, inputs.acceleration, "odometry", _ACCELERATION_TYPES),
        (COMMAND, inputs.nav_command, "command", ("diff_planner_msgs/msg/NavCommand",)),
        (ROUTE, inputs.route, "route", ("diff_planner_msgs/msg/Route",)),
    )
    topics += [InputTopic(s.topic, role, types, name) for name, s, role, types in others if s]
    tf = InputTopic(inputs.tf_static, "tf_static", ("tf2_msgs/msg/TFMessage",), "transforms")
    return (*topics, tf)


def resolved_inputs(node: Node, inputs: InputsConfig) -> InputsConfig:
    """Return the inputs with the names that their topics have on the graph.

    The node's namespace and remaps are applied, so that reasons and health name what `ros2 topic
    list` shows; and what is published there is told by that name: pictures are rectified if it
    holds "image_rect".

    Args:
        node: that will subscribe.
        inputs: as configured.

    Raises:
        ConfigError: a name is none, or one topic is configured for two inputs.
    """

    def resolve(name: str, topic: str) -> str:
        try:
            return str(node.resolve_topic_name(topic))
        except RuntimeError as error:  # RCLError: its words end with a place in rcl's source
            words = str(error).partition(", at /")[0].removeprefix("failed to resolve name: ")
            raise ConfigError(f"inputs.{name}: {words}, got '{topic}'") from None

    cameras = {
        name: camera.model_copy(
            update={key: resolve(f"cameras.{name}.{key}", getattr(camera, key)) for key in _TOPICS}
        )
        for name, camera in inputs.cameras.items()
    }
    streams = {
        name: stream.model_copy(update={"topic": resolve(name, stream.topic)})
        for name in (LIDAR, ODOMETRY, ACCELERATION, COMMAND, ROUTE)
        if (stream := getattr(inputs, name)) is not None
    }
    tf_static = resolve("tf_static", inputs.tf_static)
    found = inputs.model_copy(update={"cameras": cameras, **streams, "tf_static": tf_static})
    names_by_topic(found, configured_streams(found))
    return found


class InputSubscriptions:
    """Subscriptions of all inputs; they live from configure to cleanup."""

    def __init__(
        self,
        node: Node,
        inputs: InputsConfig,
        on_mismatch: OnMismatch,
        *,
        is_lock_step: bool,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Subscribe.

        Args:
            node: whose executor calls back.
            inputs: what to read, as configured: rcl would apply remaps once more to other names.
                Messages go into the inbox under the names of `resolved_inputs`.
            on_mismatch: told of publishers that cannot be read.
            is_lock_step: nothing may be lost, and /clock is a message like the others.
            steady_ns: gives the time of arrival.

        Raises:
            MissingInputError: a message package is not installed.
        """
        self._node, self._on_mismatch = node, on_mismatch
        self._is_lock_step, self._steady_ns = is_lock_step, steady_ns
        self.is_active = False
        """While False, only what comes once is taken."""
        self._topics = list(input_topics(inputs))
        self._names = {t.topic: node.resolve_topic_name(t.topic) for t in self._topics}
        if is_lock_step:
            self._topics.append(InputTopic(CLOCK, "clock", ("rosgraph_msgs/msg/Clock",), "clock"))
            self._names[CLOCK] = CLOCK
        depths = {self._names[t.topic]: max(8, 4 * profile(t.role).depth) for t in self._topics}
        if is_lock_step:
            depths = dict.fromkeys(depths, _LOCK_STEP_DEPTH)
        self.inbox = Inbox(depths)
        self._received = dict.fromkeys(self._names, 0)
        self._checked = dict.fromkeys(self._names, 0)
        self._subscriptions: dict[str, Any] = {}
        try:
            for topic in self._topics:
                self._subscriptions[topic.topic] = self._subscribe(topic, topic.types[0])
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def check_types(self) -> None:
        """Look at topics on which nothing came lately: is another message type published there?

        An accepted one is subscribed to instead; anything else is told as a mismatch.  To be
        called in the executor's thread.
        """
        for topic in self._topics:
            received, before = self._received[topic.topic], self._checked[topic.topic]
            self._checked[topic.topic] = received
            if received > before:
                continue
            subscription = self._subscriptions[topic.topic]
            infos = self._node.get_publishers_info_by_topic(subscription.topic_name)
            offered = {info.topic_type for info in infos}
            expected = _type_name(subscription)
            if not offered or expected in offered:
                continue
            accepted = [name for name in topic.types if name in offered]
            if accepted:
                self._node.destroy_subscription(subscription)
                self._subscriptions[topic.topic] = self._subscribe(topic, accepted[0])
            else:
                words = " or ".join(topic.types)
                self._on_mismatch(
                    subscription.topic_name, f"expected {words}, got {', '.join(sorted(offered))}"
                )

    def _subscribe(self, topic: InputTopic, msgtype: str) -> Any:  # noqa: ANN401 - rclpy's
        name = self._names[topic.topic]

        def put(data: bytes) -> None:
            self._received[topic.topic] += 1
            if self.is_active or topic.role in _KEPT:
                self.inbox.put(Arrival(name, msgtype, data, self._steady_ns()))

        # The decoder is made here, 0.15 s for all types: in the first cycle it would come too late.
        typestore().get_msgdef(msgtype)
        options = subscription_options(
            self._node, topic.role, topic.topic, self._on_mismatch, lock_step=self._is_lock_step
        )
        return self._node.create_subscription(
            message_class(msgtype), topic.topic, put, raw=True, **options
        )


def _type_name(subscription: Any) -> str:  # noqa: ANN401 - rclpy's
    module, name = subscription.msg_type.__module__, subscription.msg_type.__name__
    return f"{module.partition('.')[0]}/msg/{name}"
