"""Quality of service by role, overridable by parameters; what does not fit is reported.

Subscriber and publisher that ask for different things are silently not connected by DDS: the
engineer sees an input that never arrives.  So every mismatch is told with its topic.

Overrides are the usual parameters, with the resolved name of the topic:
`qos_overrides./sensing/lidar/top/pointcloud.subscription.reliability: reliable`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from diff_planner.ros.parameter_specs import QOS_OVERRIDES, checked_value, qos_override_spec

Role = Literal[
    "sensor",
    "odometry",
    "command",
    "route",
    "tf_static",
    "clock",
    "trajectory",
    "candidates",
    "status",
    "timing",
    "path",
    "markers",
    "diagnostics",
    "consumed",
]
OnMismatch = Callable[[str, str], None]
"""Takes the topic's resolved name and what does not fit; called in the executor's thread."""


class _Wish(NamedTuple):
    is_reliable: bool
    is_latched: bool
    depth: int


_WISHES: dict[Role, _Wish] = {
    # Best effort also matches reliable publishers; a late picture is worth nothing.
    "sensor": _Wish(is_reliable=False, is_latched=False, depth=2),
    # History is made of it: 20 are 0.2 s at 100 Hz, the time a busy executor may need.
    "odometry": _Wish(is_reliable=False, is_latched=False, depth=20),
    "command": _Wish(is_reliable=True, is_latched=False, depth=1),
    "route": _Wish(is_reliable=True, is_latched=True, depth=1),
    # Every static publisher latches its own message.
    "tf_static": _Wish(is_reliable=True, is_latched=True, depth=100),
    "clock": _Wish(is_reliable=False, is_latched=False, depth=1),
    "trajectory": _Wish(is_reliable=True, is_latched=False, depth=1),
    "candidates": _Wish(is_reliable=True, is_latched=False, depth=1),
    # Who looks later sees the state too.
    "status": _Wish(is_reliable=True, is_latched=True, depth=1),
    "timing": _Wish(is_reliable=True, is_latched=False, depth=10),
    "path": _Wish(is_reliable=True, is_latched=False, depth=1),
    "markers": _Wish(is_reliable=True, is_latched=False, depth=1),
    "diagnostics": _Wish(is_reliable=True, is_latched=False, depth=10),
    # Latched: the player learns where the count stands before it sends its first message.
    "consumed": _Wish(is_reliable=True, is_latched=True, depth=10),
}
_LOCK_STEP_DEPTH = 10
_POLICIES = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)
_PREFIX = QOS_OVERRIDES.removesuffix(".")
_MADE_BY_RCLPY = "/clock."


def profile(role: Role, *, lock_step: bool = False) -> QoSProfile:
    """Return the profile of a role.

    Args:
        role: what the topic is for.
        lock_step: an input of a node in lock-step, which may lose nothing.
    """
    wish = _WISHES[role]
    is_reliable = wish.is_reliable or lock_step
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=max(wish.depth, _LOCK_STEP_DEPTH) if lock_step else wish.depth,
        reliability=ReliabilityPolicy.RELIABLE if is_reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if wish.is_latched else DurabilityPolicy.VOLATILE
        ),
    )


def subscription_options(
    node: Node, role: Role, topic: str, on_mismatch: OnMismatch, *, lock_step: bool = False
) -> dict[str, Any]:
    """Return keyword arguments of create_subscription for a role.

    Args:
        node: on which it will be created; its parameters may override the profile.
        role: what the topic is for.
        topic: as it is given to create_subscription.
        on_mismatch: told of every publisher whose messages cannot arrive.
        lock_step: see profile.
    """
    name = node.resolve_topic_name(topic)
    wanted = profile(role, lock_step=lock_step)
    _free_overrides(node, role, wanted, f"{name}.subscription")

    def report_policy(event: Any) -> None:  # noqa: ANN401 - a class of rclpy's C extension
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        on_mismatch(name, f"nothing arrives from a publisher that offers another {policy}")

    return {
        "qos_profile": wanted,
        "qos_overriding_options": QoSOverridingOptions(_overridable(role)),
        "event_callbacks": SubscriptionEventCallbacks(
            incompatible_qos=report_policy,
            incompatible_type=lambda _: on_mismatch(name, "a publisher has another message type"),
        ),
    }


def publisher_options(
    node: Node, role: Role, topic: str, on_mismatch: OnMismatch
) -> dict[str, Any]:
    """Return keyword arguments of create_publisher and create_lifecycle_publisher for a role.

    Args:
        node: on which it will be created; its parameters may override the profile.
        role: what the topic is for.
        topic: as it is given to create_publisher.
        on_mismatch: told of every subscriber that cannot get the messages.
    """
    name = node.resolve_topic_name(topic)
    wanted = profile(role)
    _free_overrides(node, role, wanted, f"{name}.publisher")

    def report_policy(event: Any) -> None:  # noqa: ANN401 - a class of rclpy's C extension
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        on_mismatch(name, f"nothing reaches a subscriber that asks for another {policy}")

    return {
        "qos_profile": wanted,
        "qos_overriding_options": QoSOverridingOptions(_overridable(role)),
        "event_callbacks": PublisherEventCallbacks(
            incompatible_qos=report_policy,
            incompatible_type=lambda _: on_mismatch(name, "a subscriber has another message type"),
        ),
    }


def is_mismatched(node: Node, topic: str) -> bool:
    """Tell whether a topic has a publisher and a subscriber that do not fit, one of them ours.

    Args:
        node: whose endpoint it is.
        topic: resolved name.
    """
    own = (node.get_name(), node.get_namespace())
    for publisher in node.get_publishers_info_by_topic(topic):
        for subscriber in node.get_subscriptions_info_by_topic(topic):
            if own not in [(e.node_name, e.node_namespace) for e in (publisher, subscriber)]:
                continue
            fit, _ = qos_check_compatible(publisher.qos_profile, subscriber.qos_profile)
            if fit == QoSCompatibility.ERROR or publisher.topic_type != subscriber.topic_type:
                return True
    return False


def unused_overrides(node: Node) -> list[str]:
    """Return a sentence for every override of a topic or policy that the node does not have.

    To be asked once all subscriptions and publishers are made.
    """
    given = node.get_parameters_by_prefix(_PREFIX)
    used = [name for name in given if node.describe_parameter(f"{_PREFIX}.{name}").read_only]
    faults = []
    for name in given.keys() - set(used):
        if name.startswith(_MADE_BY_RCLPY):
            continue
        near = difflib.get_close_matches(name, used, n=1, cutoff=0.4)
        hint = f": did you mean {_PREFIX}.{near[0]}?" if near else ""
        faults.append(f"nothing is overridden by {_PREFIX}.{name}{hint}")
    return sorted(faults)


def _overridable(role: Role) -> tuple[QoSPolicyKind, ...]:
    if role == "clock":
        # rclpy's own subscription has taken these parameters: ours would get its values by them.
        return ()
    return (*_POLICIES, QoSPolicyKind.DURABILITY) if _WISHES[role].is_latched else _POLICIES


def _free_overrides(node: Node, role: Role, wanted: QoSProfile, entity: str) -> None:
    """Undeclare overrides that only NODE_OPTIONS declared.

    rclpy then declares them itself, with its descriptor and read-only, from the same overrides.
    One that is no such policy would end that with an exception: `declare_parameters` has told it,
    and the profile's own value takes its place.
    """
    for policy in _overridable(role):
        word = policy.name.lower()
        name = f"{_PREFIX}.{entity}.{word}"
        if not node.has_parameter(name) or node.describe_parameter(name).read_only:
            continue
        spec = qos_override_spec(name)
        value = node.get_parameter_or(name).value
        node.undeclare_parameter(name)
        if spec is not None and checked_value(spec, value)[1]:
            own = getattr(wanted, word)
            default = own if policy == QoSPolicyKind.DEPTH else own.name.lower()
            described = ParameterDescriptor(description=f"{word} of {entity}", read_only=True)
            node.declare_parameter(name, default, described, ignore_override=True)
