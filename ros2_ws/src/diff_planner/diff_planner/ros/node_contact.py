"""The planner node as a player of bags sees it: is it there, is it active, does it listen?

Everything here waits on the steady clock with a limit and says what it waits for: a player that
begins too early loses the first messages, and a plan that differs for it is hard to explain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from diff_planner_msgs.msg import PlannerStatus
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from diff_planner.errors import BackendError, MissingInputError

NODE_NAME = "diff_planner"
_SAY_EVERY_S = 5.0
_POLL_S = 0.05
_GREETING_S = 0.3

Say = Callable[[str], None]
"""Takes a line of progress for people."""


def full_name(namespace: str, name: str) -> str:
    """Return a name under a namespace: ("", "a/b") gives "/a/b", ("/car", "a/b") "/car/a/b"."""
    return "/".join(["", *[part for part in f"{namespace}/{name}".split("/") if part]])


class NodeContact:
    """Waits for one planner node; its subscriptions are made on the player's node."""

    def __init__(
        self,
        node: Node,
        executor: Executor,
        *,
        namespace: str = "",
        prefix: str = "planning",
        timeout_s: float = 60.0,
        say: Say = lambda _: None,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen to the node's status.

        Args:
            node: the player's own.
            executor: that spins `node`, and nobody else does.
            namespace: of the planner node.
            prefix: of its outputs, "planning/shadow" for a node in shadow mode.
            timeout_s: longest wait for each thing that is waited for.
            say: takes a line now and then.
            watch: called while waiting; what it raises ends the wait (the node's process died).
        """
        self.name = full_name(namespace, NODE_NAME)
        self._node, self._executor = node, executor
        self._timeout_s, self._say, self._watch = timeout_s, say, watch
        self._status: PlannerStatus | None = None
        qos = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._subscription = node.create_subscription(
            PlannerStatus, full_name(namespace, f"{prefix}/status"), self._on_status, qos
        )
        self._client = node.create_client(GetState, f"{self.name}/get_state")

    def close(self) -> None:
        """Listen no more."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_client(self._client)

    def wait_until_active(self) -> None:
        """Wait until the lifecycle node is active.

        Raises:
            MissingInputError: it is not there or not active in time; says what it last told.
            BackendError: it cannot be configured; says its reason.
        """
        self._wait(self._client.service_is_ready, lambda: f"{self.name} to start")
        # The service may know of its client later than the client of it, and then cannot answer.
        end_s = time.monotonic() + _GREETING_S
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=_POLL_S)
        state = "no answer"

        def is_active() -> bool:
            nonlocal state
            state = self._state()
            if self._status is not None and self._status.state == PlannerStatus.STATE_FAULT:
                raise BackendError(f"{self.name} is in state FAULT: {self._status.reason}")
            return state == "active"

        self._wait(is_active, lambda: f"{self.name} to become active, it is {state}{self._told()}")

    def wait_until_matched(self, publishers: Mapping[str, Publisher]) -> None:
        """Wait until somebody listens to each topic.

        Args:
            publishers: by topic.

        Raises:
            MissingInputError: names the topics that nobody listens to.
        """

        def unheard() -> list[str]:
            return [t for t, p in publishers.items() if p.get_subscription_count() == 0]

        self._wait(
            lambda: not unheard(),
            lambda: (
                f"a subscription to {', '.join(unheard())} (is the node configured for these "
                "topics, in this namespace, with a QoS that fits?)"
            ),
        )

    def wait_until_in_lock_step(self, publishers: Mapping[str, Publisher]) -> None:
        """Wait until the node itself listens to each topic so that nothing is lost.

        Args:
            publishers: by topic; /clock among them, which rclpy subscribes to as well.

        Raises:
            MissingInputError: names the topics that it does not listen to.
        """

        def unheard() -> list[str]:
            return [t for t, p in publishers.items() if not self._is_reliable(p)]

        self._wait(
            lambda: not unheard(),
            lambda: (
                f"a reliable subscription of {self.name} to {', '.join(unheard())} (does it run "
                "with lock_step:=true and use_sim_time:=true, and is it configured for these "
                "topics?)"
            ),
        )

    def _is_reliable(self, publisher: Publisher) -> bool:
        found = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        return publisher.get_subscription_count() >= len(found) and any(
            full_name(info.node_namespace, info.node_name) == self.name
            and info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
            for info in found
        )

    def _state(self) -> str:
        """Ask for the lifecycle state; "no answer" where none comes at once."""
        future = self._client.call_async(GetState.Request())
        self._executor.spin_until_future_complete(future, timeout_sec=1.0)
        if not future.done():
            self._client.remove_pending_request(future)
            return "no answer"
        current: State = future.result().current_state
        return str(current.label)

    def _told(self) -> str:
        return f" ({self._status.reason})" if self._status and self._status.reason else ""

    def _on_status(self, status: PlannerStatus) -> None:
        self._status = status

    def _wait(self, is_there: Callable[[], bool], what: Callable[[], str]) -> None:
        begin_s = said_s = time.monotonic()
        while not is_there():
            self._watch()
            now_s = time.monotonic()
            if now_s - begin_s > self._timeout_s:
                raise MissingInputError(f"waited {self._timeout_s:g} s for {what()}")
            if now_s - said_s > _SAY_EVERY_S:
                said_s = now_s
                self._say(f"waiting for {what()}")
            self._executor.spin_once(timeout_sec=_POLL_S)
