"""The launch files started for real, where there is `ros2 launch`: node, replay, respawn."""

import gc
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("launch_ros")
pytest.importorskip("launch_pytest")

import launch_pytest
import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from diff_planner_msgs.msg import PlannerStatus, Trajectory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.ros.bag_player import BagPlayer

pytestmark = [
    pytest.mark.ros,
    # launch does not close the pipes of a process that it starts anew.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function BaseSubprocessTransport"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]

LAUNCH = Path(__file__).resolve().parents[2] / "launch"
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
PATIENCE_S = 40.0


class Graph:
    """What a test sees of the launched node: its status, plans, and what happened to processes."""

    def __init__(self):
        self.statuses, self.plans = [], []
        self.started, self.ended = [], []

    def __enter__(self):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)  # the domain is in the environment
        self.node = rclpy.create_node("test", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._executor.shutdown()
        rclpy.shutdown(context=self._context)
        self._thread.join()

    def listen(self, namespace="", home="planning"):
        topics = (f"{namespace}/{home}/status", f"{namespace}/{home}/trajectory")
        for topic, kind, kept, qos in (
            (topics[0], PlannerStatus, self.statuses, LATCHED),
            (topics[1], Trajectory, self.plans, 10),
        ):
            self.node.create_subscription(kind, topic, kept.append, qos)

    def handlers(self):
        """Launch actions that keep every start and end of a process."""
        return [
            RegisterEventHandler(
                OnProcessStart(on_start=lambda event, _: self.started.append(event))
            ),
            RegisterEventHandler(OnProcessExit(on_exit=lambda event, _: self.ended.append(event))),
        ]

    def pids(self):
        """Of the planner's processes, oldest first."""
        return [event.pid for event in self.started if "planner_node" in event.process_name]

    def wait_for(self, condition, what):
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"{what} did not come in {PATIENCE_S:g} s"
            time.sleep(0.05)

    def wait_for_state(self, state, namespace="", home="planning"):
        self.listen(namespace, home)
        self.wait_for(lambda: any(s.state == state for s in self.statuses), f"state {state}")


@pytest.fixture
def graph(monkeypatch):
    try:
        get_package_prefix("diff_planner")
    except PackageNotFoundError:
        pytest.fail("diff_planner is not in the ament index: colcon build and source it first")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 101)))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with Graph() as made:
        yield made
    gc.collect()  # what launch left open is told here and not in another file's test


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Two seconds of the synthetic drive."""
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    make_sample_bag(path, duration_s=2.0)
    return path


def description(graph, name, **arguments):
    source = PythonLaunchDescriptionSource(str(LAUNCH / f"{name}.launch.py"))
    return LaunchDescription(
        [
            *graph.handlers(),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@launch_pytest.fixture
def planner(graph):
    return description(graph, "planner")


@pytest.mark.launch(fixture=planner)
def test_the_node_configures_itself_waits_for_inputs_and_ends_well_on_ctrl_c(graph):
    graph.wait_for_state(PlannerStatus.STATE_WAITING_INPUT)
    assert graph.node.get_node_names().count("diff_planner") == 1
    yield
    assert [event.returncode for event in graph.ended] == [0]


@launch_pytest.fixture
def planner_in_namespace(graph, tmp_path):
    config = tmp_path / "params.yaml"
    values = "{vehicle: {length_m: 9.0, width_m: 2.5}, safety: {max_lateral_shift_m: 0.6}}"
    # By its full name, which a value of /** could not override.
    config.write_text(f"/car/diff_planner: {{ros__parameters: {values}}}\n")
    vehicle = tmp_path / "vehicle.yaml"
    vehicle.write_text("length_m: 4\n")
    arguments = {"params_file": str(config), "vehicle": str(vehicle)}
    return description(graph, "planner", namespace="car", shadow="true", **arguments)


@pytest.mark.launch(fixture=planner_in_namespace)
def test_namespace_and_files_reach_the_node_and_the_vehicle_file_wins(graph):
    graph.wait_for_state(PlannerStatus.STATE_WAITING_INPUT, "/car", "planning/shadow")
    client = graph.node.create_client(GetParameters, "/car/diff_planner/get_parameters")
    assert client.wait_for_service(PATIENCE_S)
    names = ["vehicle.length_m", "vehicle.width_m", "safety.max_lateral_shift_m"]
    future = client.call_async(GetParameters.Request(names=names))
    graph.wait_for(future.done, "the answer of the parameter service")
    assert [value.double_value for value in future.result().values] == [4.0, 2.5, 0.6]


@launch_pytest.fixture
def managed_planner(graph):
    return description(graph, "planner", autostart="false")


@pytest.mark.launch(fixture=managed_planner)
def test_without_autostart_the_node_stays_unconfigured(graph):
    graph.wait_for_state(PlannerStatus.STATE_UNCONFIGURED)
    time.sleep(1.0)
    assert {status.state for status in graph.statuses} == {PlannerStatus.STATE_UNCONFIGURED}


@launch_pytest.fixture
def respawning_planner(graph):
    return description(graph, "planner", respawn="true")


@pytest.mark.launch(fixture=respawning_planner)
def test_a_killed_node_comes_back(graph):
    graph.wait_for_state(PlannerStatus.STATE_WAITING_INPUT)
    os.kill(graph.pids()[0], signal.SIGKILL)
    graph.wait_for(lambda: len(graph.pids()) == 2, "a second process")
    graph.statuses.clear()
    waiting = PlannerStatus.STATE_WAITING_INPUT
    graph.wait_for(lambda: any(s.state == waiting for s in graph.statuses), "its status")


@launch_pytest.fixture
def planner_on_bag_time(graph):
    return description(graph, "planner", use_sim_time="true")


@pytest.mark.launch(fixture=planner_on_bag_time)
def test_a_launched_node_plans_on_what_is_played_to_it(graph, bag):
    graph.wait_for_state(PlannerStatus.STATE_WAITING_INPUT)
    with BagReader(bag) as reader:
        player = BagPlayer(graph.node, PlaySchedule(reader, reader.topics))
        publishers = player.publishers
        lidar = publishers["/sensing/lidar/top/pointcloud"]
        graph.wait_for(lambda: lidar.get_subscription_count(), "the node's subscription")
        player.play()
        assert len(graph.plans) >= 10
        player.close()


@launch_pytest.fixture
def replay(graph, bag, tmp_path):
    pytest.importorskip("rosbag2_py")
    return description(graph, "replay", bag=str(bag), record=str(tmp_path / "plans"))


@pytest.mark.launch(fixture=replay)
def test_a_replay_plans_records_its_outputs_alone_and_ends_by_itself(graph, tmp_path):
    graph.listen()
    graph.wait_for(lambda: any("player" in e.process_name for e in graph.ended), "the bag's end")
    yield
    assert [e.process_name for e in graph.ended if e.returncode != 0] == []
    with BagReader(tmp_path / "plans") as reader:
        assert reader.topics["/planning/trajectory"].count >= 10
        assert all(topic.startswith(("/planning/", "/diagnostics")) for topic in reader.topics)
