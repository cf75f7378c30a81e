"""The node: lifecycle, parameters, services.  What it does in between is PlanningRuntime's.

configure loads and warms the model and subscribes; activate plans and publishes; deactivate ends
with a plan that stops.  In every state a status goes out each period.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import UInt64
from std_srvs.srv import SetBool

from diff_planner.config import PlannerConfig
from diff_planner.data.encode_status import StatusReport
from diff_planner.errors import ConfigError, DiffPlannerError
from diff_planner.inference.backend import Backend
from diff_planner.ros.callback_guard import refuse_unknown_transitions, spin_until
from diff_planner.ros.clock import WatchClock
from diff_planner.ros.inputs import InputSubscriptions, input_topics, resolved_inputs
from diff_planner.ros.log_forwarding import forward_logs
from diff_planner.ros.memory import keep_large_blocks, settle_heap
from diff_planner.ros.model_service import LoadBackend, ModelService, backend_of
from diff_planner.ros.outputs import Outputs, output_topic
from diff_planner.ros.parameter_specs import Settings
from diff_planner.ros.parameters import (
    NODE_OPTIONS,
    GivenParameters,
    changed_settings,
    declare_parameters,
    read_settings,
)
from diff_planner.ros.periodic_thread import PeriodicThread
from diff_planner.ros.qos import is_mismatched, publisher_options, unused_overrides
from diff_planner.ros.runtime import PlanningRuntime, Surroundings
from diff_planner.ros.status_board import StatusBoard
from diff_planner.ros.transform_wait import wait_for_transform
from diff_planner.types import FaultBit, PlannerState

logger = logging.getLogger("diff_planner")

NODE_NAME = "diff_planner"
_DEFAULT_PERIOD_S = 0.1
"""Of the status before a configuration says another."""
_TICKS_A_PERIOD = 4
_CHECK_PERIOD_S = 1.0
_TRANSFORM_WAIT_S = 3.0


class PlannerNode(GivenParameters, LifecycleNode):
    """The planner on the graph."""

    def __init__(
        self,
        *,
        load: LoadBackend = backend_of,
        settle: Callable[[], None] = lambda: None,
        **node_options: Any,  # noqa: ANN401
    ) -> None:
        """Declare parameters, advertise, and begin to say that nothing is configured.

        Args:
            load: gives the model of some settings.
            settle: called when it is configured; what a process does once before it plans.
            node_options: of rclpy's Node, such as context and parameter_overrides.
        """
        super().__init__(NODE_NAME, **{**NODE_OPTIONS, **node_options})
        self._forwarding = forward_logs(self.get_logger())
        self._load, self._settle = load, settle
        self._faults = declare_parameters(self)
        self._settings: Settings | None = None
        self._runtime: PlanningRuntime | None = None
        self._inputs: InputSubscriptions | None = None
        self._plan_ids = 0
        self._idle = StatusReport(0, PlannerState.UNCONFIGURED, reason="not configured")
        self._refusal: StatusReport | None = None
        self._is_enabled = bool(self.get_parameter("enabled").value)
        self._healed: set[str] = set()
        is_shadow = bool(self.get_parameter("shadow").value)
        self._vital = {self.resolve_topic_name(output_topic("trajectory", is_shadow=is_shadow))}
        self._outputs = Outputs(self, self._on_mismatch, is_shadow=is_shadow)
        self.board = StatusBoard(self._outputs)
        self._consumed = self.create_publisher(
            UInt64,
            "~/consumed",
            **publisher_options(self, "consumed", "~/consumed", self._on_mismatch),
        )
        self.create_service(SetBool, "~/enable", self._on_enable)
        self._models = ModelService(self, self._load_and_swap)
        refuse_unknown_transitions(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._on_clock_jump,
        )
        self._checks = self.create_timer(
            _CHECK_PERIOD_S, self._check_inputs, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._watchdog: PeriodicThread | None = None
        self._start_watchdog(_DEFAULT_PERIOD_S)

    @property
    def is_configured(self) -> bool:
        """Whether a model is loaded."""
        return self._runtime is not None

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load and warm the model, subscribe."""
        self._refusal = None
        try:
            self._configure()
        except Exception as error:
            return self._refused(error)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to plan and publish."""
        assert self._runtime is not None
        self._refusal = None
        try:
            self._runtime.activate()
        except Exception as error:
            return self._refused(error)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publish a plan that stops, and no more."""
        self._rest("deactivated: this plan ends in a standstill and none follows")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model and unsubscribe."""
        self._refusal = None
        self._release()
        self._idle = StatusReport(0, PlannerState.UNCONFIGURED, reason="not configured")
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Publish a plan that stops, and release everything."""
        self._rest("shutting down: this plan ends in a standstill and none follows")
        self._refusal = None
        self._release()
        self._idle = StatusReport(0, PlannerState.UNCONFIGURED, reason="shut down")
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything after a transition that raised: the node is unconfigured then."""
        self._rest("a transition failed: this plan ends in a standstill and none follows")
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """End the threads, with a plan that stops if it was active."""
        self._rest("shutting down: this plan ends in a standstill and none follows")
        if self._watchdog is not None:
            self._watchdog.stop()
        self._release()
        self.board.say(StatusReport(0, PlannerState.UNCONFIGURED, reason="shut down"))
        self._jump.unregister()
        self._forwarding.close()
        super().destroy_node()

    def _configure(self) -> None:
        if self._faults:
            raise ConfigError("; ".join(self._faults))
        settings = read_settings(self)
        self._idle = StatusReport(0, PlannerState.BUILDING_ENGINE, reason="loading the model")
        self.board.say(self._idle)
        backend = self._load(settings)
        self._idle = StatusReport(0, PlannerState.WARMING_UP, reason="warming up the model")
        self.board.say(self._idle)
        try:
            self._connect(settings, backend)
        except Exception:
            backend.close()
            raise
        self._settings = settings
        self._start_watchdog(settings.planner.inputs.period_s)
        self._settle()

    def _connect(self, settings: Settings, backend: Backend) -> None:
        """Subscribe and put the model to work; all or nothing."""
        config, is_lock_step = self._on_graph(settings), settings.node.lock_step
        backend.warm_up()
        is_sim = bool(self.get_parameter("use_sim_time").value)
        if is_lock_step and not is_sim:
            raise ConfigError("lock_step: expected use_sim_time to be true, got false")
        if config.output_frame is not None:
            wait_for_transform(self, config, _TRANSFORM_WAIT_S)
        subscriptions = InputSubscriptions(
            self, settings.planner.inputs, self._on_mismatch, is_lock_step=is_lock_step
        )
        try:
            for sentence in unused_overrides(self):
                self.get_logger().warning(sentence)
            self._vital |= {topic.topic for topic in input_topics(config.inputs)}
            self._runtime = PlanningRuntime(
                config,
                backend,
                Surroundings(
                    self._outputs,
                    self.board,
                    subscriptions,
                    WatchClock(self._now_ns if is_sim else None, config.watchdog_s),
                    self._now_ns,
                    lambda: self._is_enabled,
                ),
                first_plan_id=self._plan_ids + 1,
                on_consumed=self._on_consumed if is_lock_step else None,
            )
        except Exception:
            subscriptions.close()
            raise
        self._inputs = subscriptions

    def _on_graph(self, settings: Settings) -> PlannerConfig:
        """Return what the planner is told: topics by the names that they have on the graph."""
        inputs = resolved_inputs(self, settings.planner.inputs)
        return settings.planner.model_copy(update={"inputs": inputs})

    def _release(self) -> None:
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            self._plan_ids = runtime.last_plan_id
            runtime.close()
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None
        self._settings = None

    def _rest(self, reason: str) -> None:
        if self._runtime is not None:
            self._runtime.deactivate(reason)

    def _refused(self, error: Exception) -> TransitionCallbackReturn:
        """Say why a transition failed, in every status until somebody acts."""
        if not isinstance(error, DiffPlannerError):
            logger.exception("unexpected failure")
        fault = FaultBit.NONE if isinstance(error, ConfigError) else FaultBit.MODEL
        words = str(error) or type(error).__name__
        self._refusal = StatusReport(0, PlannerState.FAULT, faults=fault, reason=words)
        self.get_logger().error(f"cannot start: {words}")
        self.board.say(self._refusal)
        return TransitionCallbackReturn.FAILURE

    def _start_watchdog(self, period_s: float) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        self._period_s = period_s
        self._watchdog = PeriodicThread(
            "diff_planner watchdog", period_s / _TICKS_A_PERIOD, self._tick
        )
        self._watchdog.start()

    def _tick(self) -> None:
        """On the watchdog's thread: plans that are overdue, and a status in every period."""
        runtime = self._runtime
        try:
            if runtime is not None:
                runtime.tick()
        except Exception as error:  # what it could not do, the status has to say
            logger.exception("the watchdog failed")
            self.board.note(FaultBit.DEADLINE, f"the watchdog failed: {error}")
        if self.board.is_silent_for(self._period_s):
            idle = self._idle if runtime is None else runtime.report_without_plan()
            self.board.say(self._refusal or idle)
        self.board.diagnose(self._now_ns())

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_consumed(self, count: int) -> None:
        self._consumed.publish(UInt64(data=count))

    def _on_mismatch(self, topic: str, words: str) -> None:
        self.get_logger().error(f"{topic}: {words}")
        self.board.note_mismatch(topic, words, is_vital=topic in self._vital)

    def _check_inputs(self) -> None:
        runtime = self._runtime
        if runtime is not None and not runtime.is_active:
            runtime.collect_latched()
        if self._inputs is not None:
            self._inputs.check_types()
        healed = {topic for topic in self.board.mismatched if not is_mismatched(self, topic)}
        # Twice in a row: what the graph knows may lag behind the event that told of it.
        self.board.forget_mismatches(healed & self._healed)
        self._healed = healed

    def _on_clock_jump(self, jump: Any) -> None:  # noqa: ANN401 - rclpy's TimeJump
        if self._runtime is None:
            return
        back_s = -jump.delta.nanoseconds / 1e9
        self._runtime.clock_jumped(f"the clock jumped back by {back_s:.3f} s")

    def _on_enable(self, request: Any, response: Any) -> Any:  # noqa: ANN401 - rclpy's
        self._is_enabled = bool(request.data)
        response.success = True
        response.message = "plans go out" if request.data else "no plan goes out any more"
        self.get_logger().info(response.message)
        return response

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        if self._settings is None or self._runtime is None:
            return SetParametersResult(successful=True)  # read, and judged, by configure
        if any(p.name == "use_sim_time" for p in parameters):
            reason = "use_sim_time: expected to be set before the node is configured"
            return SetParametersResult(successful=False, reason=reason)
        try:
            changed = changed_settings(self._settings, parameters)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = changed
        self._runtime.apply(self._on_graph(changed))
        return SetParametersResult(successful=True)

    def _load_and_swap(self, path: str, expected_sha256: str, *, is_wanted: bool) -> str:
        """Load another model; returns the name of the one in use then.  Raises DiffPlannerError."""
        runtime, settings = self._runtime, self._settings
        if runtime is None or settings is None:
            raise ConfigError("load_model: expected a configured node, got an unconfigured one")
        model = settings.planner.model.model_copy(update={"path": path})
        planner = settings.planner.model_copy(update={"model": model})
        backend = self._load(Settings(settings.node, planner))
        try:
            found = backend.card.model_sha256
            if expected_sha256 and found != expected_sha256:
                raise ConfigError(f"load_model: expected sha256 {expected_sha256}, got {found}")
            if runtime is not self._runtime:
                raise ConfigError("load_model: expected the node to stay configured meanwhile")
            if is_wanted:
                runtime.swap(backend)
        except Exception:
            backend.close()
            raise
        if not is_wanted:
            backend.close()
        return runtime.planner.backend.card.name


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status.

    Args:
        args: of the command line; None takes the process's own.
    """
    keep_large_blocks()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        # rclpy's own handlers would take the context away before the last plan is out.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of its C library: a parameter file that is no YAML, for example
        print(f"{NODE_NAME}: cannot start: {error}", file=sys.stderr)
        return 2
    node, executor = None, SingleThreadedExecutor()
    try:
        node = PlannerNode(settle=settle_heap)
        executor.add_node(node)
        if node.get_parameter("autostart").value:
            node.trigger_configure()
            if node.is_configured:
                node.trigger_activate()
        spin_until(stop, executor)
        return 0
    finally:
        if node is not None:
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
