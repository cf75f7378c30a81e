"""`diff-planner replay --ros` as users run it: files, table and page, and every way it can fail."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.commands.replay_ros import use_own_domain
from diff_planner.config import InputsConfig, PlannerConfig, to_yaml
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.errors import BackendError
from diff_planner.report.results import read_results
from diff_planner.ros.node_process import NodeProcess

pytestmark = pytest.mark.ros

LIDAR = InputsConfig().lidar.topic


@pytest.fixture(scope="module")
def sample_bag(tmp_path_factory):
    """One second of the synthetic drive."""
    path = tmp_path_factory.mktemp("sample") / "sample.mcap"
    make_sample_bag(path, seed=0, duration_s=1.0)
    return path


@pytest.fixture
def environment(monkeypatch):
    """Variables of a random domain of this machine only, for child processes."""
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "")
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("RMW_FASTRTPS_USE_QOS_FROM_XML", "0")
    use_own_domain()
    return dict(os.environ)


def replay(environment, *words, **options):
    """Run the command in a process of its own; returns exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "diff_planner.cli", "replay", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_replay_in_real_time_writes_plans_results_timing_table_and_page(
    sample_bag, tmp_path, environment
):
    out, figures = tmp_path / "plans.mcap", tmp_path / "figures.json"
    code, said, error = replay(
        environment, sample_bag, "--ros", "--with-node", "--out", out,
        "--report", tmp_path / "report.html", "--json", figures,
    )  # fmt: skip
    assert code == 0, error
    for word in ("anchor frames", "rate", "source DIFFUSION", "end_to_end", "p99", "late by"):
        assert word in said
    numbers = json.loads(figures.read_text())
    assert numbers["anchors"] == 10
    assert numbers["planned_share"] >= 0.8
    assert numbers["lost_plans"] == 0
    with BagReader(out) as reader:
        assert set(reader.topics) == {
            "/planning/trajectory",
            "/planning/candidates",
            "/planning/status",
        }
        assert reader.topics["/planning/trajectory"].count == numbers["plans"]
    results = read_results(tmp_path / "plans.results.jsonl")
    assert results.header.model.name == "nano"
    assert results.lines[0].metrics["planned_share"].value == numbers["planned_share"]
    lines = (tmp_path / "plans.timing.jsonl").read_text().splitlines()
    timings = [json.loads(line) for line in lines]
    assert {"plan_id", "stamp_ns", "total", "end_to_end"} <= set(timings[-1])
    page = (tmp_path / "report.html").read_text()
    assert "through the graph, sent" in page
    assert page.count("data:image/jpeg") >= 1 or len(page) > 500_000


def test_a_namespace_moves_node_player_and_recorder_together(sample_bag, tmp_path, environment):
    out = tmp_path / "plans.mcap"
    options = ["--ros", "--with-node", "--namespace", "car1", "--rate", "2", "--loops", "2"]
    code, said, error = replay(environment, sample_bag, *options, "--continuous", "--out", out)
    assert code == 0, error
    assert "at rate 2, 2 loops" in said
    with BagReader(out) as reader:
        stamps = [m.log_time_ns for m in reader.raw_messages(["/planning/trajectory"])]
    assert stamps[-1] - stamps[0] > 1.5e9  # time ran on through the second loop


def test_without_a_node_it_is_said_in_time_who_is_missing(sample_bag, tmp_path, environment):
    begin_s = time.monotonic()
    code, _, error = replay(
        environment, sample_bag, "--ros", "--node-timeout", "1", "--out", tmp_path / "p.mcap"
    )
    assert code == 2
    assert "waited 1 s for /diff_planner to start" in error
    assert time.monotonic() - begin_s < 30.0
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_cannot_be_configured_is_named_with_its_reason(
    sample_bag, tmp_path, environment
):
    code, _, error = replay(
        environment, sample_bag, "--ros", "--with-node", "--model", "/no/such/model",
        "--out", tmp_path / "p.mcap",
    )  # fmt: skip
    assert code == 2
    assert "/no/such/model" in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_error_exit_code_1_and_nothing_is_left(
    sample_bag, tmp_path, environment
):
    limit = (100_000, 100_000)
    code, _, error = replay(
        environment, sample_bag, "--ros", "--with-node", "--out", tmp_path / "p.mcap",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert code == 1, error
    assert error.count("p.mcap: cannot be written") == 1
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_topic_that_the_node_does_not_read_is_named(sample_bag, tmp_path, environment):
    inputs = InputsConfig().model_copy(update={"lidar": None, "anchor": "front"})
    config = PlannerConfig(inputs=inputs)
    with NodeProcess(config, log=tmp_path / "node.log", environment=environment) as node:
        code, _, error = replay(
            environment, sample_bag, "--ros", "--node-timeout", "8", "--out", tmp_path / "p.mcap"
        )
        node.watch()
    assert code == 2
    assert f"a subscription to {LIDAR}" in error
    assert node.returncode == 0


def test_a_node_process_that_ends_is_an_error_with_its_last_words(tmp_path, environment):
    log = tmp_path / "node.log"
    with (
        pytest.raises(BackendError, match=r"ended with status -9:\n.*diff_planner"),
        NodeProcess(PlannerConfig(), log=log, environment=environment) as node,
    ):
        deadline_s = time.monotonic() + 30.0
        while "planner reset" not in log.read_text():
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)
        os.kill(node.pid, signal.SIGKILL)
        while True:
            node.watch()
            time.sleep(0.05)


def test_a_configuration_file_is_the_own_nodes_too(sample_bag, tmp_path, environment):
    path = tmp_path / "planner.yaml"
    path.write_text(to_yaml(PlannerConfig(output_frame="no_such_frame")))
    code, _, error = replay(
        environment, sample_bag, "--ros", "--with-node", "--config", path,
        "--out", tmp_path / "p.mcap",
    )  # fmt: skip
    assert code == 2
    assert "no_such_frame" in error
