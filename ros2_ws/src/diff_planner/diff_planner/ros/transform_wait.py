"""Waits for the static transform that an output frame needs, while the node itself cannot spin."""

from __future__ import annotations

import time

from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from diff_planner.config import PlannerConfig
from diff_planner.data.calibration import StaticTransforms
from diff_planner.errors import ConfigError, InputError
from diff_planner.ros.qos import profile


def wait_for_transform(node: Node, config: PlannerConfig, timeout_s: float) -> None:
    """Return when the frames that plans may be published in are connected by static transforms.

    Before the first odometry its frame is not known: any other frame that is connected to the
    wanted one will do then.

    Args:
        node: its context and topic names are used; it is not spun.
        config: with an output frame.
        timeout_s: longest wait.

    Raises:
        ConfigError: the output frame is not among the static transforms in time.
    """
    wanted = config.output_frame
    assert wanted is not None
    transforms = StaticTransforms()
    frames: set[str] = set()
    odometry_frames: set[str] = set()

    def take(message: TFMessage) -> None:
        transforms.add(message)
        for transform in message.transforms:
            frames.update((transform.header.frame_id, transform.child_frame_id))

    helper = Node(
        f"{node.get_name()}_transform_wait",
        namespace=node.get_namespace(),
        context=node.context,
        start_parameter_services=False,
        use_global_arguments=False,
    )
    executor = SingleThreadedExecutor(context=node.context)
    try:
        helper.create_subscription(TFMessage, config.inputs.tf_static, take, profile("tf_static"))
        helper.create_subscription(
            Odometry,
            node.resolve_topic_name(config.inputs.odometry.topic),
            lambda message: odometry_frames.add(message.header.frame_id),
            profile("odometry"),
        )
        executor.add_node(helper)
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            executor.spin_once(timeout_sec=0.05)
            sources = odometry_frames or frames - {wanted}
            if any(_is_connected(transforms, wanted, frame) for frame in sources):
                return
    finally:
        executor.shutdown()
        helper.destroy_node()
    known = ", ".join(sorted(frames)) or "none"
    odometry = ", ".join(sorted(odometry_frames)) or "not known yet"
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
