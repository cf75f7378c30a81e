"""Options of a replay through ROS 2: which go together, and what is said without ROS."""

import sys

import pytest

from diff_planner.cli import main
from diff_planner.commands.arguments import build_parser, ros_options
from diff_planner.errors import ConfigError

REPLAY = ["replay", "drive.mcap", "--out", "plans.mcap"]


def options_of(*words):
    runs = dict.fromkeys(("demo", "doctor", "replay", "export", "score", "evaluate"), print)
    return ros_options(build_parser(runs).parse_args([*REPLAY, *words]))


def test_without_ros_nothing_is_played_to_a_node():
    assert options_of() is None


def test_only_what_was_given_is_handed_on():
    assert options_of("--ros") == {}
    assert options_of("--ros", "--with-node", "--rate", "0.5", "--namespace", "car1") == {
        "has_own_node": True,
        "rate": 0.5,
        "namespace": "car1",
    }
    assert options_of("--ros", "--lock-step", "--loops", "3", "--continuous") == {
        "is_lock_step": True,
        "loops": 3,
        "is_continuous": True,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rate", "2"], "--rate: expected --ros beside it"),
        (["--with-node"], "--with-node: expected --ros beside it"),
        (["--ros", "--lock-step", "--rate", "2"], "--rate: lock-step goes as fast as"),
        (["--ros", "--lock-step", "--all-topics"], "--all-topics: in lock-step only"),
        (["--ros", "--seed", "1"], "--seed: a running node has its own parameters"),
        (["--ros", "--model", "nano"], "--model: a running node has its own parameters"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        options_of(*words)


@pytest.mark.parametrize(
    "words", [["--rate", "0"], ["--rate", "fast"], ["--loops", "0"], ["--node-timeout", "-1"]]
)
def test_numbers_out_of_range_are_bad_usage(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*REPLAY, "--ros", *words])
    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[*REPLAY, "--ros"], ["demo", "--ros", "--out", "demo"]])
def test_without_ros_installed_it_is_said_what_to_do(command, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "rclpy", None)
    monkeypatch.delitem(sys.modules, "diff_planner.ros.graph_replay", raising=False)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "source tools/ros_env.sh" in said
    assert "setup.bash" in said
    assert "Traceback" not in said
    assert not (tmp_path / "demo").exists()
