"""What a callback raises must not end the node: a vehicle would be left without plans.

rclpy raises it out of the executor, and whoever spins ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node

logger = logging.getLogger("diff_planner")

_SPIN_S = 0.05
"""Longest time until a request to stop is seen."""


def spin_until(stop: threading.Event, executor: Executor) -> None:
    """Spin until told to stop; what callbacks raise is logged, and the next one comes.

    Args:
        stop: may be set by a signal handler or another thread.
        executor: with the nodes to spin; it returns as well when its context is shut down.
    """
    while not stop.is_set() and executor.context.ok():
        if not _spin_once(executor):
            stop.wait(_SPIN_S)  # a failure that repeats must not take a whole core


def _spin_once(executor: Executor) -> bool:
    """Run what is ready; return False if it failed."""
    try:
        executor.spin_once(timeout_sec=_SPIN_S)
    except ExternalShutdownException:
        return True
    except Exception:
        logger.exception("a callback failed")
        return False
    return True


def refuse_unknown_transitions(node: Node) -> None:
    """Answer a transition that the present state does not have with a refusal.

    rclpy's own service raises then, and whoever asked waits for ever.

    Args:
        node: a lifecycle node.
    """
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = _guarded(service.callback)


def _guarded(callback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def answer(request: Any, response: Any) -> Any:  # noqa: ANN401 - rclpy's
        try:
            return callback(request, response)
        except Exception as error:  # RCLError is of its C extension and has no public name
            asked = request.transition.label or request.transition.id
            logger.error("transition %s is refused: %s", asked, error)
            response.success = False
            return response

    return answer
