"""Reading bags: every storage, time windows, and every broken bag with its sentence."""

import contextlib
import os
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.typestore import typestore
from diff_planner.errors import BagError
from message_factories import make_cloud, make_command, make_odometry

ODOMETRY, CLOUD = "nav_msgs/msg/Odometry", "sensor_msgs/msg/PointCloud2"
START_NS = 1_000_000_000_000
STEP_NS = 100_000_000
COUNT = 30


def write_bag(folder, storage=StoragePlugin.MCAP, mode=CompressionMode.NONE, count=COUNT):
    """A bag directory with `count` odometry messages and a large cloud at each third one."""
    writer = Writer(folder, version=8, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    cloud = make_cloud(np.random.default_rng(0).normal(size=(20_000, 3)))
    with writer:
        odometry = writer.add_connection("/odom", ODOMETRY, typestore=typestore())
        clouds = writer.add_connection("/points", CLOUD, typestore=typestore())
        for k in range(count):
            time_ns = START_NS + k * STEP_NS
            raw = typestore().serialize_cdr(make_odometry(time_ns, vx=float(k)), ODOMETRY)
            writer.write(odometry, time_ns, raw)
            if k % 3 == 0:
                writer.write(clouds, time_ns, typestore().serialize_cdr(cloud, CLOUD))
    return folder


def read_all(path, **window):
    with BagReader(path) as reader:
        return list(reader.messages(**window))


@pytest.fixture(scope="module")
def mcap_bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bags") / "drive")


@pytest.fixture(scope="module")
def sqlite_bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bags") / "drive", StoragePlugin.SQLITE3)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize(
    "mode", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]
)
def test_bag_directories_of_every_storage_and_compression_are_read(tmp_path, storage, mode):
    bag = write_bag(tmp_path / "drive", storage, mode, count=6)
    with BagReader(bag) as reader:
        assert {t.topic: t.count for t in reader.topics.values()} == {"/odom": 6, "/points": 2}
        assert reader.topics["/odom"].msgtype == ODOMETRY
        assert (reader.start_ns, reader.end_ns) == (START_NS, START_NS + 5 * STEP_NS)
        messages = list(reader.messages())
    times = [m.log_time_ns for m in messages]
    assert times == sorted(times)
    speeds = [m.message.twist.twist.linear.x for m in messages if m.topic == "/odom"]
    assert speeds == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_chunks_compressed_inside_of_the_file_are_read(tmp_path):
    bag = write_bag(tmp_path / "drive", mode=CompressionMode.STORAGE)
    assert len(read_all(bag)) == 40


@pytest.mark.parametrize("name", ["drive.mcap", "drive.db3"])
def test_single_files_are_read(request, tmp_path, name):
    bag = request.getfixturevalue("mcap_bag" if name.endswith("mcap") else "sqlite_bag")
    path = tmp_path / name
    shutil.copy(bag / name, path)
    assert len(read_all(path)) == 40
    assert len(read_all(str(path), topics=["/odom"])) == 30


def test_a_folder_without_metadata_is_read_when_it_holds_one_bag_file(mcap_bag, tmp_path):
    shutil.copy(mcap_bag / "drive.mcap", tmp_path)
    assert len(read_all(tmp_path)) == 40
    shutil.copy(mcap_bag / "drive.mcap", tmp_path / "other.mcap")
    with pytest.raises(BagError, match=r"2 bag files without metadata.yaml; `ros2 bag reindex`"):
        read_all(tmp_path)


@pytest.mark.parametrize("bag", ["mcap_bag", "sqlite_bag"])
def test_a_window_begins_with_start_and_ends_before_stop(request, bag):
    window = {"start_ns": START_NS + 3 * STEP_NS, "stop_ns": START_NS + 6 * STEP_NS}
    found = read_all(request.getfixturevalue(bag), topics=["/odom"], **window)
    assert [m.log_time_ns for m in found] == [START_NS + k * STEP_NS for k in (3, 4, 5)]


def test_messages_written_out_of_order_come_out_in_order_and_ties_as_written(tmp_path):
    order = list(range(40))
    random.Random(1).shuffle(order)
    with BagWriter(tmp_path / "a.mcap") as writer:
        writer.add_topic("/a", "diff_planner_msgs/msg/NavCommand")
        writer.add_topic("/b", "diff_planner_msgs/msg/NavCommand")
        for k in order:
            for topic in ("/b", "/a"):
                writer.write(topic, make_command(), k)
    found = read_all(tmp_path / "a.mcap")
    assert [m.log_time_ns for m in found] == sorted([*order, *order])
    assert [m.topic for m in found] == ["/b", "/a"] * 40


def test_the_definition_in_the_bag_wins_over_the_one_that_is_known(tmp_path):
    # NavCommand as another version might have had it.
    old = "std_msgs/Header header\nuint16 command\n"
    header = typestore().generate_msgdef("std_msgs/msg/Header", ros_version=2)[0]
    first, *nested = header.split("=" * 80 + "\n")
    text = old + "=" * 80 + "\nMSG: std_msgs/Header\n" + first
    text += "".join("=" * 80 + "\n" + part for part in nested)
    raw = typestore().serialize_cdr(make_command().header, "std_msgs/msg/Header")
    raw = bytes(raw) + b"\x00" * (-len(raw) % 2) + (515).to_bytes(2, "little")
    with Writer(tmp_path / "old", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            "/c", "diff_planner_msgs/msg/NavCommand", msgdef=text, rihs01="RIHS01_0"
        )
        writer.write(connection, 5, raw)
    (found,) = read_all(tmp_path / "old")
    assert found.message.command == 515


def test_raw_messages_are_the_bytes_of_what_messages_decodes(mcap_bag):
    with BagReader(mcap_bag) as reader:
        raws, messages = list(reader.raw_messages()), list(reader.messages())
    assert [(r.topic, r.msgtype, r.log_time_ns) for r in raws] == [
        (m.topic, m.msgtype, m.log_time_ns) for m in messages
    ]
    for raw, message in zip(raws, messages, strict=True):
        assert isinstance(raw.data, bytes)
        assert raw.data == bytes(typestore().serialize_cdr(message.message, message.msgtype))


def test_raw_messages_of_another_definition_are_refused(tmp_path):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg("float64 data", "std_msgs/msg/String"))
    with Writer(tmp_path / "b", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/text", "std_msgs/msg/String", typestore=store)
        text = store.types["std_msgs/msg/String"](data=1.0)
        writer.write(topic, START_NS, store.serialize_cdr(text, "std_msgs/msg/String"))
    with BagReader(tmp_path / "b") as reader:
        assert [m.message.data for m in reader.messages()] == [1.0]
        with pytest.raises(BagError, match="/text was recorded with another definition"):
            list(reader.raw_messages())


def test_a_database_without_definitions_is_read_with_the_known_types(sqlite_bag, tmp_path):
    path = tmp_path / "old.db3"
    shutil.copy(sqlite_bag / "drive.db3", path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM message_definitions")
    database.close()
    assert len(read_all(path)) == 40


def test_a_type_that_nobody_knows_is_an_error_only_when_it_is_asked_for(sqlite_bag, tmp_path):
    path = tmp_path / "foreign.db3"
    shutil.copy(sqlite_bag / "drive.db3", path)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM message_definitions")
        database.execute("UPDATE topics SET type='acme_msgs/msg/Thing' WHERE name='/points'")
    database.close()
    assert len(read_all(path, topics=["/odom"])) == 30
    with pytest.raises(BagError, match=r"/points is of type acme_msgs/msg/Thing, whose definition"):
        read_all(path)


def test_a_topic_that_is_not_there_is_named_beside_those_that_are(mcap_bag):
    with pytest.raises(BagError, match=r"no topic \['/nope'\]; the bag has \['/odom', '/points'\]"):
        read_all(mcap_bag, topics=["/odom", "/nope"])


def test_no_such_bag():
    with pytest.raises(BagError, match=r"^/nowhere/drive: no such bag$"):
        read_all("/nowhere/drive")


def test_a_name_that_the_system_refuses(tmp_path):
    with pytest.raises(BagError, match=r"cannot be read \(File name too long\)"):
        read_all(tmp_path / ("a" * 300 + ".mcap"))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.mcap").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)  # root, who runs CI, may read everything
    with pytest.raises(BagError, match=r"a\.mcap: cannot be read \(Permission denied\)"):
        read_all(tmp_path / "a.mcap")


def test_a_folder_without_any_bag_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BagError, match=r"expected metadata.yaml or a .mcap or .db3 file"):
        read_all(tmp_path)


def test_a_storage_that_is_not_supported(tmp_path, mcap_bag):
    (tmp_path / "drive.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(BagError, match=r"unsupported storage '.bag', expected a bag directory"):
        read_all(tmp_path / "drive.bag")
    bag = shutil.copytree(mcap_bag, tmp_path / "drive")
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("identifier: mcap", "identifier: tape"))
    with pytest.raises(BagError, match=r"drive: cannot be read .*'tape' not supported"):
        read_all(bag)


def test_a_metadata_file_that_is_not_yaml_or_names_missing_files(tmp_path, mcap_bag):
    bag = shutil.copytree(mcap_bag, tmp_path / "drive")
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text("{[")
    with pytest.raises(BagError, match=r"drive: cannot be read .*YAML"):
        read_all(bag)
    (bag / "metadata.yaml").write_text(text.replace("drive.mcap", "gone.mcap"))
    with pytest.raises(BagError, match=r"drive: cannot be read .*missing.*gone\.mcap"):
        read_all(bag)


@pytest.mark.parametrize("name", ["e.mcap", "e.db3"])
def test_a_file_of_no_bytes_is_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(BagError, match=rf"{name}: the file is empty \(0 bytes\)"):
        read_all(tmp_path / name)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_bag_of_no_messages_is_empty(tmp_path, storage):
    bag = write_bag(tmp_path / "drive", storage, count=0)
    with pytest.raises(BagError, match=r"drive: the bag is empty \(0 messages\)"):
        read_all(bag)


def test_a_file_that_is_not_mcap_is_named_so(tmp_path):
    (tmp_path / "x.mcap").write_bytes(b"hello world, not a bag" * 10)
    with pytest.raises(BagError, match=r"x.mcap: not an MCAP file"):
        read_all(tmp_path / "x.mcap")


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.999])
def test_a_truncated_mcap_says_how_much_is_there_and_what_helps(
    mcap_bag, tmp_path, share, is_folder
):
    bag = shutil.copytree(mcap_bag, tmp_path / "drive")
    path = bag / "drive.mcap"
    size = int(path.stat().st_size * share)
    os.truncate(path, size)
    with pytest.raises(BagError) as caught:
        read_all(bag if is_folder else path)
    text = str(caught.value)
    assert "drive.mcap: truncated after " in text
    assert f" of {size} bytes" in text
    assert "`mcap recover` saves what is whole" in text
    if share == 0.001:
        assert "no message is whole" in text
    if share == 0.999:
        assert "messages are whole for 2.900 s" in text


def test_a_file_whose_footer_alone_is_gone_is_truncated(mcap_bag, tmp_path):
    path = tmp_path / "drive.mcap"
    shutil.copy(mcap_bag / "drive.mcap", path)
    os.truncate(path, path.stat().st_size - 37)
    with pytest.raises(BagError, match=r"truncated after .* messages are whole for 2.900 s"):
        read_all(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_a_cut_database_is_an_error(sqlite_bag, tmp_path, share):
    path = tmp_path / "drive.db3"
    shutil.copy(sqlite_bag / "drive.db3", path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(BagError, match=r"drive.db3: (cannot be read|corrupted).*`sqlite3 BAG.db3"):
        read_all(path)


def test_a_database_that_was_not_closed_is_an_error(sqlite_bag, tmp_path):
    shutil.copy(sqlite_bag / "drive.db3", tmp_path / "drive.db3")
    (tmp_path / "drive.db3-wal").write_bytes(b"messages that are not in the file yet")
    with pytest.raises(BagError, match=r"was not closed and messages are still in drive.db3-wal"):
        read_all(tmp_path / "drive.db3")


def test_a_message_that_does_not_decode_is_named_with_topic_and_time(tmp_path):
    bag = tmp_path / "drive"
    with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/odom", ODOMETRY, typestore=typestore())
        raw = bytes(typestore().serialize_cdr(make_odometry(), ODOMETRY))
        writer.write(connection, 1, raw)
        writer.write(connection, 2, raw[:100])
    with pytest.raises(
        BagError, match=r"corrupted message on /odom at log time 2 ns, expected nav"
    ):
        read_all(bag)


def test_a_broken_chunk_is_an_error_that_says_when(tmp_path):
    path = write_bag(tmp_path / "drive", mode=CompressionMode.STORAGE) / "drive.mcap"
    content = bytearray(path.read_bytes())
    first = content.index(b"zstd")
    at = content.index(b"\x28\xb5\x2f\xfd", content.index(b"zstd", first + 4))
    content[at : at + 4] = bytes(4)  # the mark that begins the second compressed chunk
    path.write_bytes(content)
    with pytest.raises(BagError, match=r"drive: corrupted after \d\.\d00 s .*`mcap recover`"):
        read_all(tmp_path / "drive")


def test_fewer_messages_than_the_index_promises_is_an_error(tmp_path, mcap_bag):
    bag = shutil.copytree(mcap_bag, tmp_path / "drive")
    text = (bag / "metadata.yaml").read_text()
    (bag / "metadata.yaml").write_text(text.replace("message_count: 30", "message_count: 31"))
    with pytest.raises(BagError, match=r"expected 31 messages by the bag's index, got 30"):
        read_all(bag, topics=["/odom"])


def test_a_closed_reader_says_so(mcap_bag):
    with BagReader(mcap_bag) as reader:
        pass
    with pytest.raises(BagError, match=r"expected an open bag, got a closed one"):
        next(reader.messages())


def test_a_reader_can_be_read_twice_at_once(mcap_bag):
    with BagReader(mcap_bag) as reader:
        pairs = list(zip(reader.messages(["/odom"]), reader.messages(["/odom"]), strict=True))
    assert len(pairs) == 30
    assert all(a.log_time_ns == b.log_time_ns for a, b in pairs)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    storage=st.sampled_from(["mcap_bag", "sqlite_bag"]),
    damage=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=12)), max_size=4),
    cut=st.none() | st.floats(0, 1),
)
def test_a_damaged_file_is_read_or_refused_with_our_error(request, tmp_path, storage, damage, cut):
    bag = request.getfixturevalue(storage)
    source = next(f for f in bag.iterdir() if f.suffix != ".yaml")
    content = bytearray(source.read_bytes())
    for share, junk in damage:
        at = int(share * (len(content) - len(junk)))
        content[at : at + len(junk)] = junk
    if cut is not None:
        content = content[: int(cut * len(content))]
    path = Path(tmp_path) / f"damaged{source.suffix}"
    path.write_bytes(content)
    with contextlib.suppress(BagError):
        assert len(read_all(path, topics=["/odom"])) == COUNT
