"""Lock-step: one message at a time, the next one when the node is done with it.

The node counts what it is done with on ~/consumed (messages and /clock alike); the player waits
until the count has reached what it sent.  So nothing depends on how fast either of them is.
"""

from __future__ import annotations

import time

from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import UInt64

from diff_planner.errors import MissingInputError

ANSWER_WITHIN_S = 10.0
_POLL_S = 0.1
_BEGIN_S = 0.5
"""The latched counts of before arrive well within this."""
_END_S = 0.3
"""So long the counts of messages that this player did not send are waited for."""


class LockStep:
    """Follows the count of one node."""

    def __init__(
        self, node: Node, executor: Executor, target: str, *, answer_s: float = ANSWER_WITHIN_S
    ) -> None:
        """Subscribe to the count.

        Args:
            node: the player's own.
            executor: that spins `node`, and nobody else does.
            target: full name of the planner node.
            answer_s: longest wait for an answer.
        """
        self._node, self._executor, self._target = node, executor, target
        self._answer_s = answer_s
        self._sent = 0
        self._consumed: int | None = None
        self._before: int | None = None
        """The node's count before this player's first message: it may have had another player."""
        # Transient local, so that the first answer is not lost while the two find each other.
        qos = QoSProfile(
            depth=10,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self._subscription = node.create_subscription(
            UInt64, f"{target}/consumed", self._on_count, qos
        )

    def close(self) -> None:
        """Listen no more."""
        self._node.destroy_subscription(self._subscription)

    def begin(self) -> None:
        """Learn what the node has counted until now; a node that never counted says nothing."""
        deadline_s = time.monotonic() + _BEGIN_S
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def wait(self, topic: str) -> None:
        """Wait until the node is done with the message that was just sent.

        Args:
            topic: where to, for the error.

        Raises:
            MissingInputError: no answer in time, or the node counts something else as well.
        """
        self._sent += 1
        deadline_s = time.monotonic() + self._answer_s
        while not self._is_done(topic):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                raise MissingInputError(self._silence(topic))
            self._executor.spin_once(timeout_sec=min(left_s, _POLL_S))

    def end(self) -> None:
        """Check, after the last message, that nobody else sent any.

        Raises:
            MissingInputError: the node counted more than was sent.
        """
        deadline_s = time.monotonic() + _END_S
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)
            self._is_done("the last topic")

    def _is_done(self, topic: str) -> bool:
        if self._before is None or self._consumed is None:
            return False
        done = self._consumed - self._before
        if done > self._sent:
            raise MissingInputError(
                f"lock-step: {self._target} is done with {done} messages, this player sent "
                f"{self._sent}, the last on {topic}; does somebody else publish its inputs or "
                "/clock (another player, `ros2 bag play`)? Set another ROS_DOMAIN_ID"
            )
        return done == self._sent

    def _on_count(self, message: UInt64) -> None:
        count: int = message.data
        if not self._sent:
            self._before = count
        elif self._before is None or (self._sent == 1 and count < self._before):
            # The answer to the first message: the node never counted, or began anew since.
            self._before = count - 1
        self._consumed = count

    def _silence(self, topic: str) -> str:
        done = "nothing" if self._consumed is None else str(self._consumed - (self._before or 0))
        return (
            f"lock-step: {self._target} did not answer within {self._answer_s:g} s to message "
            f"{self._sent} of this player, on {topic}; it is done with {done} of them. Check that "
            "it runs with lock_step:=true and use_sim_time:=true, that it is active "
            f"(`ros2 lifecycle get {self._target}`) and that it is configured for this topic"
        )
