"""~/load_model: another model, loaded beside the one that plans, and put to work between cycles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from diff_planner_msgs.srv import LoadModel
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from diff_planner.errors import DiffPlannerError
from diff_planner.inference import load_backend
from diff_planner.inference.backend import Backend
from diff_planner.resources import model_folder
from diff_planner.ros.parameter_specs import Settings

LoadBackend = Callable[[Settings], Backend]


def backend_of(settings: Settings) -> Backend:
    """Load the configured model into the configured backend, warm.

    Raises:
        DiffPlannerError: it cannot be loaded; says why.
    """
    model = settings.planner.model
    return load_backend(model_folder(model.path), model.backend, model.threads)


class LoadAndSwap(Protocol):
    """Loads a model and, if it is wanted, plans with it."""

    def __call__(self, path: str, expected_sha256: str, *, is_wanted: bool) -> str:
        """Return the name of the model in use then; raises DiffPlannerError."""


class ModelService:
    """Answers only when the model is loaded, or not; the executor goes on meanwhile."""

    def __init__(self, node: Node, load: LoadAndSwap) -> None:
        """Offer the service."""
        self._node, self._load = node, load
        self._one_at_a_time = threading.Lock()
        # In the node's own group nothing else would be called back while an answer is awaited: no
        # sensor either.
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(LoadModel, "~/load_model", self._answer, callback_group=group)

    async def _answer(self, request: Any, response: Any) -> Any:  # noqa: ANN401 - rclpy's
        done = Future(executor=self._node.executor)
        threading.Thread(
            target=self._work, args=(request, response, done), name="load_model", daemon=True
        ).start()
        await done
        return response

    def _work(self, request: Any, response: Any, done: Any) -> None:  # noqa: ANN401 - rclpy's
        try:
            with self._one_at_a_time:
                response.model_id = self._load(
                    request.path, request.expected_sha256, is_wanted=request.activate
                )
            response.success = True
            verb = "plans with" if request.activate else "can be loaded; still plans with"
            response.message = f"{request.path}: {verb} {response.model_id}"
        except DiffPlannerError as error:
            response.success = False
            response.message = str(error)
        except Exception as error:
            response.success = False
            response.message = f"unexpected {type(error).__name__}: {error}"
        finally:
            self._node.get_logger().info(f"load_model: {response.message}")
            done.set_result(None)
