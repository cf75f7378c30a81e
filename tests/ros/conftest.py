"""The graph that most tests of faults share: made once, well again after each test."""

import pytest


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
