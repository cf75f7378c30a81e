"""The graph that most tests of faults share: made once, well again after each test."""

import importlib

import pytest


def pytest_ignore_collect(collection_path, config):
    """Leave these tests out where ROS and our messages cannot be imported, and say so.

    Whoever asks for them (-m ros) gets an error instead: CI must not lose them unseen.
    """
    try:
        importlib.import_module("rclpy")
        importlib.import_module("diff_planner_msgs.msg")
    except ImportError as error:
        why = f"{error}: source tools/ros_env.sh"
        wanted = config.option.markexpr.strip()
        if "ros" in wanted and not wanted.startswith("not"):
            raise pytest.UsageError(f"tests/ros: {why}") from None
        if not getattr(config, "has_told_of_ros", False):
            config.has_told_of_ros = True
            config.get_terminal_writer().line(f"tests/ros is left out ({why})")
        return True
    return None


@pytest.fixture(scope="session")
def moment_bag(tmp_path_factory):
    """One moment of the sample drive; its three cameras, LiDAR, calibration."""
    from diff_planner.data.sample_bag import make_sample_bag

    path = tmp_path_factory.mktemp("moment") / "moment.mcap"
    make_sample_bag(path, seed=0, duration_s=0.2)
    return path


@pytest.fixture(scope="session")
def shared_graph(moment_bag):
    """A node that plans, with its sensors; paused where no test uses it."""
    # Here, not above: where there is no ROS, these tests are collected too, and skipped.
    from ros_graph import graph_of

    with graph_of(moment_bag) as made:
        made.sensors.pause()
        yield made


@pytest.fixture
def graph(shared_graph):
    """The shared node, NOMINAL; whatever the test breaks is healed after it."""
    shared_graph.sensors.pause(False)
    shared_graph.until_nominal()
    yield shared_graph
    shared_graph.heal()
    shared_graph.sensors.pause()
    shared_graph.check()
