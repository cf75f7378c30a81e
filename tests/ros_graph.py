"""The planner node on a graph of its own, with sensors that can be broken and an ear on all.

Node, sensors and listener have contexts of their own and meet over DDS in a random domain.  Every
message that the node publishes is received, and none may hold a number that is not finite.
"""

import itertools
import os
import threading
import time
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from diff_planner.data.typestore import typestore
from diff_planner.ros.callback_guard import spin_until
from diff_planner.ros.domain import free_domain_id
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.planner_node import PlannerNode
from diff_planner.types import FaultBit, PlannerState, Source
from faulty_backend import Loader
from ros_sensors import Sensors, load_sensors, silent

OUTPUTS = {
    "trajectory": "diff_planner_msgs/msg/Trajectory",
    "candidates": "diff_planner_msgs/msg/CandidateSet",
    "status": "diff_planner_msgs/msg/PlannerStatus",
    "timing": "diff_planner_msgs/msg/CycleTiming",
    "path": "nav_msgs/msg/Path",
    "markers": "visualization_msgs/msg/MarkerArray",
}
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_DEEP = QoSProfile(depth=1000)
_POLL_S = 0.01


class Heard(NamedTuple):
    """A message and when it was received, on the steady clock."""

    at_ns: int
    message: object


class Plan(NamedTuple):
    """A trajectory with the status of its cycle."""

    at_ns: int
    trajectory: object
    status: object

    @property
    def state(self):
        return PlannerState(self.status.state)

    @property
    def faults(self):
        return FaultBit(self.status.fault_bits)

    @property
    def source(self):
        return Source(self.trajectory.source)

    @property
    def reason(self):
        return self.status.reason

    @property
    def speeds(self):
        return np.array([point.longitudinal_velocity_mps for point in self.trajectory.points])

    def __str__(self):
        said = f"{self.state.name} {self.faults!r} {self.source.name}"
        return f"plan {self.trajectory.plan_id}: {said}: {self.reason}"


class Spinner(threading.Thread):
    """Spins one node, as the planner's own process does, until it is closed."""

    def __init__(self, context, node):
        super().__init__(name=f"spin {node.get_name()}", daemon=True)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._is_closed = threading.Event()

    def run(self):
        spin_until(self._is_closed, self._executor)

    def close(self):
        self._is_closed.set()
        self.join()
        self._executor.shutdown()


class Ear:
    """Receives everything that the planner says."""

    def __init__(self, context, prefix="/planning"):
        self.node = rclpy.create_node("ear", context=context)
        self.heard, self._raw = {}, {}
        self.wrong = []
        """Sentences on numbers that are not finite."""
        self.count = 0
        for name, msgtype in OUTPUTS.items():
            self.listen(name, msgtype, f"{prefix}/{name}")
        self.listen("diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "/diagnostics")
        self._spinner = Spinner(context, self.node)
        self._spinner.start()

    def listen(self, name, msgtype, topic, qos=_DEEP):
        """Receive a topic as `heard[name]`; return the subscription."""
        self.heard[name], self._raw[name] = [], []

        def take(data):
            self._raw[name].append((msgtype, data, time.monotonic_ns()))

        return self.node.create_subscription(message_class(msgtype), topic, take, qos, raw=True)

    def take(self, *names):
        """Decode and check what has come since the last time on some outputs, or on all.

        All of them only while nothing is timed: it takes the interpreter from the node.
        """
        for name in names or self.heard:
            raw, self._raw[name] = self._raw[name], []
            for msgtype, data, at_ns in raw:
                message = typestore().deserialize_cdr(data, msgtype)
                self.heard[name].append(Heard(at_ns, message))
                self.count += 1
                self.wrong += [f"{name}.{where}" for where in not_finite(message)]

    def close(self):
        self._spinner.close()
        self.node.destroy_node()


def not_finite(value):
    """Names of all numbers in a message that are not finite."""
    if isinstance(value, float):
        return [] if np.isfinite(value) else [f" is {value}"]
    if isinstance(value, np.ndarray):
        return [] if value.dtype.kind != "f" or np.isfinite(value).all() else [" has such numbers"]
    if isinstance(value, list):
        return [f"[{k}]{where}" for k, entry in enumerate(value) for where in not_finite(entry)]
    fields = getattr(value, "__dataclass_fields__", {})
    return [
        f"{name}{where}"
        for name in fields
        if name != "__msgtype__"
        for where in not_finite(getattr(value, name))
    ]


class Graph:
    """A planner node, unless it is told to be without one, its sensors, and an ear."""

    def __init__(
        self,
        bag,
        *,
        parameters=None,
        is_simulated=False,
        has_node=True,
        is_started=True,
        without=(),
        broken=(),
        prefix="/planning",
    ):
        """Start all.

        Args:
            bag: of the sensors.
            parameters: of the node, by name.
            is_simulated: everything goes by /clock, which the sensors publish.
            has_node: False for one that the test starts itself.
            is_started: configured and activated.
            without: sensors that are not there.
            broken: sensors that are silent at first.
            prefix: where plans are listened for.
        """
        self.domain = free_domain_id()
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self._contexts = [self.make_context() for _ in range(2 if has_node else 1)]
        self.loader = Loader()
        self.ear = Ear(self._contexts[0], prefix)
        sensors = {k: v for k, v in load_sensors(bag).items() if k not in without}
        self.sensors = Sensors(self._contexts[0], sensors, is_simulated=is_simulated)
        self.sensors.break_(*broken, fault=silent)
        self._clients = {}
        self._plans, self._by_id, self._joined = [], {}, 0
        self.node = self.spinner = None
        if has_node:
            self._start_node({"use_sim_time": is_simulated, **(parameters or {})}, is_started)
        self.sensors.start()

    def make_context(self):
        """A participant of this graph."""
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=self.domain)
        return context

    def _start_node(self, parameters, is_started):
        given = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = PlannerNode(
            load=self.loader, context=self._contexts[1], parameter_overrides=given
        )
        if is_started:
            self.node.trigger_configure()
            if self.node.is_configured:
                self.node.trigger_activate()
        self.spinner = Spinner(self._contexts[1], self.node)
        self.spinner.start()

    @property
    def backend(self):
        """The one that plans."""
        return self.node._runtime.planner.backend

    @property
    def plans(self):
        """All plans whose status has come too, as they came."""
        self.ear.take("trajectory", "status")
        new = self.ear.heard["status"][self._joined :]
        self._joined += len(new)
        self._by_id.update((status.plan_id, status) for _, status in new if status.source)
        trajectories = self.ear.heard["trajectory"]
        while len(self._plans) < len(trajectories):
            at_ns, trajectory = trajectories[len(self._plans)]
            if trajectory.plan_id not in self._by_id:
                break
            self._plans.append(Plan(at_ns, trajectory, self._by_id[trajectory.plan_id]))
        return self._plans

    @property
    def statuses(self):
        """All statuses, as Heard."""
        self.ear.take("status")
        return self.ear.heard["status"]

    @property
    def status(self):
        """The newest one."""
        return self.statuses[-1].message

    def wait(self, find, what, within_s=5.0):
        """Return the first true value of `find`."""
        end_s = time.monotonic() + within_s
        while not (found := find()):
            assert time.monotonic() < end_s, f"no {what} within {within_s} s; {self._said()}"
            time.sleep(_POLL_S)
        return found

    def _said(self):
        state = self.statuses and PlannerState(self.status.state).name
        return f"{[str(plan) for plan in self.plans[-3:]]}; {state}: {state and self.status.reason}"

    def wait_for_status(self, words, within_s=5.0, *, state=None, since_ns=None):
        """Return the first status from now on, or since then, that says something."""
        since_ns = time.monotonic_ns() if since_ns is None else since_ns

        def find():
            for at_ns, status in self.statuses:
                if at_ns > since_ns and words in status.reason and state in (None, status.state):
                    return status
            return None

        return self.wait(find, f"status with '{words}'", within_s)

    def plans_since(self, since_ns):
        newest_first = itertools.takewhile(lambda p: p.at_ns > since_ns, reversed(self.plans))
        return list(newest_first)[::-1]

    def wait_for_plans(self, count, within_s=5.0, since_ns=None):
        """Return the next plans."""
        since_ns = time.monotonic_ns() if since_ns is None else since_ns
        self.wait(lambda: len(self.plans_since(since_ns)) >= count, f"{count} plans", within_s)
        return self.plans_since(since_ns)

    def until_nominal(self, within_s=10.0):
        """Wait until three plans in a row are NOMINAL."""
        since_ns = time.monotonic_ns()

        def is_well():
            last = self.plans_since(since_ns)[-3:]
            return len(last) == 3 and all(plan.state == PlannerState.NOMINAL for plan in last)

        self.wait(is_well, "NOMINAL", within_s)

    def heal(self):
        """Repair everything."""
        self.sensors.heal()
        for backend in self.loader.backends:
            backend.heal()

    def call(self, kind, name, within_s=15.0, **fields):
        """Call a service of the node."""
        if name not in self._clients:
            self._clients[name] = self.ear.node.create_client(kind, name)
        client = self._clients[name]
        assert client.wait_for_service(timeout_sec=10.0), name
        done = threading.Event()
        future = client.call_async(kind.Request(**fields))
        future.add_done_callback(lambda _: done.set())
        assert done.wait(within_s), f"{name} did not answer within {within_s} s"
        return future.result()

    def transition(self, name, within_s=15.0):
        """Ask for a transition; tell whether it succeeded."""
        asked = Transition(id=TRANSITIONS[name])
        answer = self.call(
            ChangeState, "/diff_planner/change_state", within_s=within_s, transition=asked
        )
        return answer.success

    @property
    def lifecycle(self):
        """The label of the node's lifecycle state."""
        current = self.call(GetState, "/diff_planner/get_state").current_state
        return {State.PRIMARY_STATE_ACTIVE: "active"}.get(current.id, current.label)

    @property
    def said(self):
        """State and reason of the newest status."""
        return PlannerState(self.status.state), self.status.reason

    def set_parameters(self, **values):
        """Set parameters as a whole; double underscores stand for dots."""
        messages = [
            ParameterMessage(
                name=name.replace("__", "."),
                value=Parameter(name, value=value).get_parameter_value(),
            )
            for name, value in values.items()
        ]
        name = "/diff_planner/set_parameters_atomically"
        return self.call(SetParametersAtomically, name, parameters=messages).result

    def close(self):
        """End all; the node first, so that its last words are heard."""
        try:
            if self.node is not None:
                self.spinner.close()
                self.node.destroy_node()
        finally:
            self.sensors.close()
            self.ear.close()
            for context in self._contexts:
                rclpy.shutdown(context=context)

    def check(self):
        """Every number that was ever published is finite."""
        self.ear.take()
        assert self.ear.count > 0
        assert not self.ear.wrong, self.ear.wrong[:5]


@contextmanager
def graph_of(bag, **options):
    """Yield a graph; at its end everything that it said is checked."""
    graph = Graph(bag, **options)
    try:
        yield graph
    finally:
        graph.heal()
        graph.close()
    graph.check()
