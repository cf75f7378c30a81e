"""What the commands promise beside their result: exit codes, JSON, seeds, nothing lost or left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import diff_planner
from diff_planner.cli import main
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.typestore import make_message
from diff_planner.report.results import read_results
from tampering import rewrite


def strict_json(path):
    """Read JSON as other languages do: NaN is none."""

    def refuse(word):
        raise AssertionError(f"{path} holds {word}")

    return json.loads(path.read_text(), parse_constant=refuse)


def started(*words, **options):
    environment = {**os.environ, "PYTHONPATH": str(Path(diff_planner.__file__).parents[1])}
    command = [sys.executable, "-m", "diff_planner.cli", *map(str, words)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(("options", "seed"), [([], 7), (["--seed", "3"], 3)])
def test_the_seed_of_the_configuration_counts_unless_another_is_asked_for(
    sample_bag, tmp_path, options, seed
):
    (tmp_path / "c.yaml").write_text("model: {seed: 7}\n")
    command = ["replay", str(sample_bag), "--out", str(tmp_path / "p.mcap"), "--duration", "0.3"]
    command += ["--config", str(tmp_path / "c.yaml"), "--json", str(tmp_path / "p.json")]
    assert main([*command, *options]) == 0
    assert strict_json(tmp_path / "p.json")["seed"] == seed
    header = read_results(tmp_path / "p.results.jsonl").header
    assert header.seed == header.config["model"]["seed"] == seed


def test_a_single_cycle_has_no_rate_which_is_null_in_json(sample_bag, tmp_path):
    command = ["replay", str(sample_bag), "--out", str(tmp_path / "p.mcap"), "--duration", "0.16"]
    assert main([*command, "--json", str(tmp_path / "p.json")]) == 0
    figures = strict_json(tmp_path / "p.json")
    assert (figures["cycles"], figures["rate_hz"]) == (1, None)


def test_reasons_that_differ_in_a_measured_number_alone_are_counted_together(sample_bag, tmp_path):
    with BagReader(sample_bag) as reader:
        middle_ns = (reader.start_ns + reader.end_ns) // 2

    def silenced(topic, message, log_time_ns):
        is_left = topic == "/sensing/camera/left/image_rect/compressed"
        return [] if is_left and log_time_ns > middle_ns else [(topic, message, log_time_ns)]

    bag = rewrite(sample_bag, tmp_path / "bag.mcap", silenced)
    (tmp_path / "c.yaml").write_text("{}\n")
    command = ["replay", str(bag), "--out", str(tmp_path / "p.mcap"), "--json"]
    assert main([*command, str(tmp_path / "p.json"), "--config", str(tmp_path / "c.yaml")]) == 0
    reasons = strict_json(tmp_path / "p.json")["reasons"]
    ((reason, count),) = reasons.items()
    assert count >= 3
    assert "/sensing/camera/left/image_rect/compressed is # s old, allowed # s" in reason


def test_the_command_in_the_results_can_be_typed_again(sample_bag, tmp_path):
    out = tmp_path / "my plans.mcap"
    assert main(["replay", str(sample_bag), "--out", str(out), "--duration", "0.3"]) == 0
    command = read_results(tmp_path / "my plans.results.jsonl").header.command
    assert command == f"diff-planner replay {sample_bag} --out '{out}' --duration 0.3"


def test_a_bag_folder_may_be_given_from_inside(sample_bag, tmp_path, monkeypatch, capsys):
    (tmp_path / "drive").mkdir()
    shutil.copy(sample_bag, tmp_path / "drive")
    monkeypatch.chdir(tmp_path / "drive")
    assert main(["replay", ".", "--out", "../plans.mcap", "--duration", "0.3"]) == 0
    assert read_results(tmp_path / "plans.results.jsonl").lines[0].name == "drive"
    assert main(["doctor", "."]) == 0
    assert "\ndrive: 1.1 s" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--report", "--json"])
def test_an_output_never_takes_the_place_of_an_input_or_another_output(
    sample_bag, tmp_path, capsys, option
):
    bag = Path(shutil.copy(sample_bag, tmp_path / "bag.mcap"))
    before = bag.read_bytes()
    out = tmp_path / "plans.mcap"
    assert main(["replay", str(bag), "--out", str(out), option, str(bag)]) == 2
    assert "bag.mcap: is the bag to read" in capsys.readouterr().err
    assert main(["replay", str(bag), "--out", str(out), option, str(out)]) == 2
    assert "plans.mcap: is named for two outputs" in capsys.readouterr().err
    assert bag.read_bytes() == before
    assert not out.exists()


def test_a_file_of_a_bag_folder_is_no_output(sample_bag, tmp_path, capsys):
    (tmp_path / "drive").mkdir()
    file = Path(shutil.copy(sample_bag, tmp_path / "drive" / "drive.mcap"))
    assert main(["doctor", str(file.parent), "--config-out", str(file)]) == 2
    assert "drive.mcap: is the bag to read" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_takes_the_plans_with_it(sample_bag, tmp_path, capsys):
    (tmp_path / "file").touch()
    out, page = tmp_path / "p.mcap", tmp_path / "file" / "page.html"
    command = ["replay", str(sample_bag), "--out", str(out), "--report", str(page)]
    assert main([*command, "--duration", "0.3"]) == 2
    assert "file: cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_replay_that_is_stopped_leaves_nothing(sample_bag, tmp_path, number, code):
    out = tmp_path / "out" / "plans.mcap"
    process = started("replay", sample_bag, "--out", out, "--report", out.with_suffix(".html"))
    deadline = time.monotonic() + 60.0
    while not any(out.parent.rglob("*.mcap")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    _, words = process.communicate(timeout=60)
    # Python dies of an interrupt that met it in generated code; a shell calls that 130 as well.
    assert process.returncode in (code, -signal.SIGINT), words
    assert list(out.parent.iterdir()) == []


def test_a_reader_of_the_output_may_leave_early(sample_bag):
    end, begin = os.pipe()
    os.close(end)  # nobody reads
    process = started("doctor", sample_bag, stdout=begin)
    os.close(begin)
    _, words = process.communicate(timeout=60)
    assert (process.returncode, words) == (141, "")


def test_names_in_a_bag_cannot_command_the_terminal(tmp_path, capsys):
    with BagWriter(tmp_path / "bag.mcap") as writer:
        writer.add_topic("/\x1b[2Jcleared", "std_msgs/msg/String")
        writer.write("/\x1b[2Jcleared", make_message("std_msgs/msg/String", data=""), 1)
    assert main(["doctor", str(tmp_path / "bag.mcap")]) == 1
    text = capsys.readouterr().out
    assert "/?[2Jcleared" in text
    assert "\x1b" not in text
