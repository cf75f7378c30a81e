"""What a user does wrong, and the sentence that answers; nothing half-written is left."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diff_planner.cli import main
from diff_planner.config import PlannerConfig, to_yaml
from diff_planner.data.bag_writer import BagWriter
from diff_planner.resources import model_folder
from tampering import on, rewrite, without


@pytest.fixture
def replay(tmp_path, capsys):
    """Run a replay that must fail; return its one sentence."""

    def run(bag, *options):
        out = tmp_path / "out" / "plans.mcap"
        page = tmp_path / "out" / "report.html"
        arguments = ["replay", str(bag), "--out", str(out), "--report", str(page)]
        assert main([*arguments, *map(str, options)]) == 2
        left = list(out.parent.iterdir()) if out.parent.exists() else []
        assert left == []
        sentence = capsys.readouterr().err.strip().splitlines()[-1]
        assert sentence.startswith("diff-planner replay: ")
        return sentence

    return run


def test_a_bag_that_is_not_there(replay, tmp_path):
    assert "nowhere.mcap" in replay(tmp_path / "nowhere.mcap")


def test_a_folder_without_a_bag(replay, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "metadata.yaml" in replay(tmp_path / "folder")


def test_an_empty_file(replay, tmp_path):
    (tmp_path / "e.mcap").touch()
    assert "e.mcap" in replay(tmp_path / "e.mcap")


def test_a_bag_without_messages(replay, tmp_path):
    with BagWriter(tmp_path / "e.mcap") as writer:
        writer.add_topic("/a", "std_msgs/msg/String")
    assert "the bag is empty (0 messages)" in replay(tmp_path / "e.mcap")


def test_a_truncated_bag(replay, sample_bag, tmp_path):
    whole = sample_bag.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    assert "truncated" in replay(tmp_path / "cut.mcap")


def test_a_bag_with_none_of_the_topics(replay, sample_bag, tmp_path):
    bag = rewrite(sample_bag, tmp_path / "b.mcap", without("cloud", "compressed", "state", "info"))
    assert "PointCloud2" in replay(bag)


def test_a_configuration_whose_topics_the_bag_has_not(replay, sample_bag, tmp_path):
    bag = rewrite(sample_bag, tmp_path / "b.mcap", lambda t, m, ns: [(t, m, ns)])
    config = tmp_path / "c.yaml"
    config.write_text(
        "inputs: {cameras: {}, lidar: {topic: /x}, odometry: {topic: /y}, acceleration: null,"
        " nav_command: null, route: null, tf_static: /z}\n"
    )
    assert "none of the configured topics ['/x', '/y', '/z']" in replay(bag, "--config", config)


@pytest.mark.parametrize("window", [["--start", "100"], ["--duration", "0"]])
def test_a_window_without_a_cycle(replay, sample_bag, window):
    sentence = replay(sample_bag, *window)
    assert "no cycle between --start and its end; the bag lasts 1.1 s" in sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("inputs: {lidar: {topic: /lidr}}\n", "no lidar topic: expected ['/lidr']"),
        ("inputs: {odometry: {topic: /odm}}\n", "no odometry topic: expected ['/odm']"),
        ("inputs: {cameras: {}}\n", "no camera topic: expected one to be configured"),
    ],
)
def test_a_needed_topic_that_the_bag_has_not(replay, sample_bag, tmp_path, text, sentence):
    (tmp_path / "c.yaml").write_text(text)
    assert sentence in replay(sample_bag, "--config", tmp_path / "c.yaml")


def test_an_unknown_configuration_key(replay, sample_bag, tmp_path):
    (tmp_path / "c.yaml").write_text("inputs: {anchr: lidar}\n")
    sentence = replay(sample_bag, "--config", tmp_path / "c.yaml")
    assert "unknown key 'inputs.anchr': did you mean 'anchor'?" in sentence


def test_a_model_that_is_not_there(replay, sample_bag):
    assert "model 'nanoo'" in replay(sample_bag, "--model", "nanoo")


def test_a_corrupt_model_file(replay, sample_bag, tmp_path):
    folder = shutil.copytree(model_folder("nano"), tmp_path / "broken")
    graph = folder / "model.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    sentence = replay(sample_bag, "--model", folder)
    assert "expected sha256" in sentence
    assert "model.onnx" in sentence


def test_a_folder_that_is_no_model(replay, sample_bag, tmp_path):
    (tmp_path / "other").mkdir()
    assert "not a model folder" in replay(sample_bag, "--model", tmp_path / "other")


def test_an_output_that_exists_is_kept(sample_bag, tmp_path, capsys):
    (tmp_path / "plans.mcap").write_text("mine")
    assert main(["replay", str(sample_bag), "--out", str(tmp_path / "plans.mcap")]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "plans.mcap").read_text() == "mine"


def test_the_bag_itself_is_never_overwritten(sample_bag, tmp_path, capsys):
    bag = shutil.copy(sample_bag, tmp_path / "bag.mcap")
    before = Path(bag).read_bytes()
    assert main(["replay", str(bag), "--out", str(bag), "--overwrite"]) == 2
    assert "bag to read" in capsys.readouterr().err
    assert Path(bag).read_bytes() == before


def test_wrong_usage_is_exit_code_2_with_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["replay"])
    assert stopped.value.code == 2
    assert "usage: diff-planner replay" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["demo", "doctor", "replay", "export"])
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"example:\n  diff-planner {command}" in text
    assert "--json" in text
    assert "--seed" in text


@pytest.mark.parametrize("full_at", ["plans.mcap", "report.html"])
def test_a_full_disk_while_writing_leaves_nothing_under_the_final_names(
    sample_bag, tmp_path, full_at
):
    # A limit on the size of files is the full disk that a test can make: the same write fails.
    out = tmp_path / "out" / "plans.mcap"
    command = [sys.executable, "-m", "diff_planner.cli", "replay", str(sample_bag)]
    page = ["--report", str(out.with_name("report.html"))] if full_at == "report.html" else []
    done = subprocess.run(
        [*command, "--out", str(out), *page],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env=_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 2, done.stderr
    assert f"{full_at}: cannot be written" in done.stderr
    assert "MB free" in done.stderr
    assert list(out.parent.iterdir()) == []


def _environment():
    import os

    package = Path(sys.modules["diff_planner"].__file__).parents[1]
    return {**os.environ, "PYTHONPATH": str(package)}


def test_partly_nan_points_are_dropped_and_the_rest_is_planned_on(sample_bag, tmp_path):
    def spoil(message):
        data = message.data.copy()
        data.view(np.float32)[:400] = np.nan
        message.data = data

    bag = rewrite(sample_bag, tmp_path / "nan.mcap", on("pointcloud", spoil))
    config = tmp_path / "c.yaml"
    config.write_text(to_yaml(PlannerConfig(), only_differences=False))
    out = tmp_path / "plans.mcap"
    assert main(["replay", str(bag), "--out", str(out), "--config", str(config)]) == 0
    assert out.exists()
