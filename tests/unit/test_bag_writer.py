"""Writing bags: whole or not there, the same bytes each time."""

import errno
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapWriter

from diff_planner.data import bag_writer
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.typestore import typestore
from diff_planner.errors import BagError
from message_factories import make_cloud, make_command, make_header, make_odometry

COMMAND = "diff_planner_msgs/msg/NavCommand"
CLOUD = "sensor_msgs/msg/PointCloud2"


def write(path, count=3, **options):
    with BagWriter(path, **options) as writer:
        writer.add_topic("/navigation/command", COMMAND, latched=True)
        for k in range(count):
            writer.write("/navigation/command", make_command(command=k % 8), 1000 + k)


def assert_nothing_is_left(folder, *expected):
    assert sorted(path.name for path in Path(folder).iterdir()) == sorted(expected)


@pytest.mark.parametrize("name", ["plan.mcap", "plan"])
def test_what_is_written_is_read_back(tmp_path, name):
    write(tmp_path / name)
    assert_nothing_is_left(tmp_path, name)
    with BagReader(tmp_path / name) as reader:
        messages = list(reader.messages())
        assert reader.topics["/navigation/command"].msgtype == COMMAND
    assert [m.message.command for m in messages] == [0, 1, 2]
    assert [m.log_time_ns for m in messages] == [1000, 1001, 1002]
    assert (tmp_path / "plan" / "metadata.yaml").exists() == (name == "plan")


def test_a_bag_of_our_messages_explains_itself_to_any_reader(tmp_path):
    write(tmp_path / "plan.mcap")
    with Reader(tmp_path / "plan.mcap") as reader:
        (connection,) = reader.connections
    assert "uint8 command" in connection.msgdef.data
    assert "MSG: std_msgs/Header" in connection.msgdef.data
    assert connection.ext.serialization_format == "cdr"


def test_latched_topics_are_transient_local_and_others_are_not(tmp_path):
    with BagWriter(tmp_path / "a.mcap") as writer:
        writer.add_topic("/latched", COMMAND, latched=True)
        writer.add_topic("/other", COMMAND)
        writer.write("/other", make_command(), 1)
    with Reader(tmp_path / "a.mcap") as reader:
        found = {c.topic: c.ext.offered_qos_profiles[0] for c in reader.connections}
    assert found["/latched"].durability == QosDurability.TRANSIENT_LOCAL
    assert found["/latched"].depth == 1
    assert found["/other"].durability == QosDurability.VOLATILE


def test_the_same_messages_give_the_same_bytes_under_any_name(tmp_path):
    for name in ("a.mcap", "b.mcap", "other/c.mcap"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    contents = {(tmp_path / n).read_bytes() for n in ("a.mcap", "b.mcap", "other/c.mcap")}
    assert len(contents) == 1
    write(tmp_path / "d")
    (tmp_path / "second").mkdir()
    write(tmp_path / "second" / "d")
    for file in ("d.mcap", "metadata.yaml"):
        assert (tmp_path / "d" / file).read_bytes() == (
            tmp_path / "second" / "d" / file
        ).read_bytes()


@pytest.mark.parametrize("name", ["plan.mcap", "plan"])
def test_a_bag_is_replaced_only_when_asked_to(tmp_path, name):
    write(tmp_path / name, count=1)
    with pytest.raises(BagError, match=f"{name}: exists already, and overwriting was not asked"):
        write(tmp_path / name, count=2)
    write(tmp_path / name, count=5, overwrite=True)
    with BagReader(tmp_path / name) as reader:
        assert reader.topics["/navigation/command"].count == 5
    assert_nothing_is_left(tmp_path, name)


@pytest.mark.parametrize("name", ["plan.mcap", "plan"])
def test_a_folder_that_is_no_bag_is_never_replaced(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("precious")
    with pytest.raises(BagError, match=f"{name}: a folder that is no bag; it is left as it is"):
        write(tmp_path / name, overwrite=True)
    assert (tmp_path / name / "thesis.txt").read_text() == "precious"
    assert_nothing_is_left(tmp_path, name)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["plan.mcap", "plan"])
def test_an_exception_leaves_neither_the_bag_nor_a_part_of_it(tmp_path, name, error):
    def write_and_fail():
        with BagWriter(tmp_path / name) as writer:
            writer.add_topic("/c", COMMAND)
            writer.write("/c", make_command(), 1)
            assert_nothing_is_left_under(tmp_path / name)
            raise error

    def assert_nothing_is_left_under(path):
        assert not path.exists()

    with pytest.raises(error):
        write_and_fail()
    assert_nothing_is_left(tmp_path)


def test_an_exception_leaves_the_bag_that_was_to_be_replaced(tmp_path):
    write(tmp_path / "plan.mcap", count=4)
    before = (tmp_path / "plan.mcap").read_bytes()
    with (
        pytest.raises(ValueError, match="midway"),
        BagWriter(tmp_path / "plan.mcap", overwrite=True),
    ):
        raise ValueError("midway")
    assert (tmp_path / "plan.mcap").read_bytes() == before
    assert_nothing_is_left(tmp_path, "plan.mcap")


def write_clouds(path, count):
    cloud = make_cloud(np.random.default_rng(0).normal(size=(30_000, 3)))
    with BagWriter(path) as writer:
        writer.add_topic("/points", CLOUD)
        for k in range(count):
            writer.write("/points", cloud, k)


@pytest.fixture
def small_disk():
    """Files of at most 500 kB: the next byte fails as on a full disk, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("name", ["plan.mcap", "plan"])
def test_a_file_that_cannot_grow_leaves_nothing_behind(tmp_path, small_disk, name, count):
    if count == 1:
        write_clouds(tmp_path / name, count)  # it fits: the limit is what stops the other
        return
    with pytest.raises(BagError, match=rf"{name}: cannot be written \(File too large.* MB free"):
        write_clouds(tmp_path / name, count)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("method", ["write", "close", "__init__"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(tmp_path, monkeypatch, method):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(McapWriter, method, fail)
    with pytest.raises(
        BagError, match=r"plan.mcap: cannot be written \(No space left on device.* MB free"
    ):
        write(tmp_path / "plan.mcap")
    assert_nothing_is_left(tmp_path)


def test_a_full_disk_at_the_last_step_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bag_writer, "_sync", fail)
    with pytest.raises(BagError, match="No space left"):
        write(tmp_path / "plan.mcap")
    assert_nothing_is_left(tmp_path)


def test_a_signal_while_the_bag_is_opened_leaves_nothing_behind(tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(McapWriter, "__init__", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "plan.mcap")
    assert_nothing_is_left(tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BagError, match=r"plan.mcap: cannot be written \(No such file"):
        write(tmp_path / "nope" / "plan.mcap")


def test_raw_bytes_are_written_as_they_are(tmp_path):
    raw = bytes(typestore().serialize_cdr(make_odometry(7), "nav_msgs/msg/Odometry"))
    with BagWriter(tmp_path / "b.mcap") as writer:
        writer.add_topic("/odom", "nav_msgs/msg/Odometry")
        writer.write_raw("/odom", raw, 7)
        with pytest.raises(BagError, match="/other was not declared"):
            writer.write_raw("/other", raw, 7)
    with BagReader(tmp_path / "b.mcap") as reader:
        assert [(m.log_time_ns, m.data) for m in reader.raw_messages()] == [(7, raw)]


def test_misuse_is_named(tmp_path):
    with BagWriter(tmp_path / "a.mcap") as writer:
        writer.add_topic("/c", COMMAND)
        with pytest.raises(BagError, match="topic /c is declared twice"):
            writer.add_topic("/c", COMMAND)
        with pytest.raises(BagError, match="topic /d has the unknown type acme/msg/Thing"):
            writer.add_topic("/d", "acme/msg/Thing")
        with pytest.raises(BagError, match="topic /e was not declared"):
            writer.write("/e", make_command(), 1)
        with pytest.raises(BagError, match="message on /c does not fit"):
            writer.write("/c", make_header(), 1)
        with pytest.raises(BagError, match="expected a log time in ns >= 0, got -1"):
            writer.write("/c", make_command(), -1)
        writer.write("/c", make_command(), 1)
    with pytest.raises(BagError, match="expected an open bag, got a closed one"):
        writer.write("/c", make_command(), 1)


def test_memory_does_not_grow_with_the_bag(tmp_path):
    # 24 MB of clouds through a writer and a reader that may each hold a few chunks of 1 MiB.
    import tracemalloc

    write_clouds(tmp_path / "warm.mcap", 1)
    tracemalloc.start()
    write_clouds(tmp_path / "long.mcap", 66)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    with BagReader(tmp_path / "long.mcap") as reader:
        count = sum(1 for _ in reader.messages())
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 66
    assert (tmp_path / "long.mcap").stat().st_size > 23e6
    assert written < 10e6
    assert read < 10e6
