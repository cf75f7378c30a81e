"""Waits for the static transform that an output frame needs, while the node itself cannot spin."""

from __future__ import annotations

import time
from contextlib import suppress

from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from diff_planner.config import PlannerConfig
from diff_planner.data.calibration import StaticTransforms
from diff_planner.errors import ConfigError, InputError
from diff_planner.ros.qos import profile


class _Listener:
    """What /tf_static and the odometry say of frames, on a node of its own."""

    def __init__(self, node: Node, config: PlannerConfig) -> None:
        self.transforms = StaticTransforms()
        self.frames: set[str] = set()
        self.odometry_frames: set[str] = set()
        self._helper = Node(
            f"{node.get_name()}_transform_wait",
            namespace=node.get_namespace(),
            context=node.context,
            start_parameter_services=False,
            use_global_arguments=False,
        )
        self._helper.create_subscription(
            TFMessage, config.inputs.tf_static, self._take, profile("tf_static")
        )
        self._helper.create_subscription(
            Odometry,
            config.inputs.odometry.topic,
            lambda message: self.odometry_frames.add(message.header.frame_id),
            profile("odometry"),
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._helper)

    def spin(self) -> None:
        """Take what has come."""
        self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._helper.destroy_node()

    def _take(self, message: TFMessage) -> None:
        with suppress(InputError):  # the node's own subscription says what is wrong with it
            self.transforms.add(message)
        for transform in message.transforms:
            self.frames.update((transform.header.frame_id, transform.child_frame_id))


def wait_for_transform(node: Node, config: PlannerConfig, timeout_s: float) -> None:
    """Return when plans can be told in the output frame.

    Before the first odometry its frame is not known: any other frame that is connected to the
    wanted one will do then.

    Args:
        node: its context is used; it is not spun.
        config: with an output frame, and topics as they are called on the graph.
        timeout_s: longest wait.

    Raises:
        ConfigError: the output frame is not among the static transforms in time.
    """
    wanted = config.output_frame
    assert wanted is not None
    listener = _Listener(node, config)
    try:
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            listener.spin()
            sources = listener.odometry_frames or listener.frames - {wanted}
            if any(_is_connected(listener.transforms, wanted, frame) for frame in sources):
                return
    finally:
        listener.close()
    known = ", ".join(sorted(listener.frames)) or "none"
    odometry = ", ".join(sorted(listener.odometry_frames)) or "not known yet"
    raise ConfigError(
        f"output_frame: expected the odometry's frame ({odometry}) or one with a static transform "
        f"to it on {config.inputs.tf_static} (frames there: {known}), got '{wanted}'"
    )


def _is_connected(transforms: StaticTransforms, dst: str, src: str) -> bool:
    if dst == src:
        return True
    try:
        transforms.lookup(dst, src)
    except InputError:
        return False
    return True
