"""Messages of a rosbag2 bag in log-time order, without ROS; every fault of a bag is a sentence.

Reads bag directories (mcap, sqlite3, with file or message compression) and single .mcap and
.db3 files.  Storage formats are rosbags' business; this file adds what a user needs: one kind of
error, and never a silent part of a bag.  Memory: a few chunks of an MCAP file, one row of a
database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys.store import Typestore

from diff_planner.data.mcap_scan import scan
from diff_planner.data.typestore import store_of, typestore
from diff_planner.errors import BagError, DiffPlannerError

_SUFFIXES = (".mcap", ".db3")
_METADATA = "metadata.yaml"


@dataclass(frozen=True)
class TopicInfo:
    """One topic of a bag."""

    topic: str
    msgtype: str
    count: int
    """Messages, as the bag's index tells."""


@dataclass(frozen=True)
class BagMessage:
    """One decoded message."""

    topic: str
    msgtype: str
    log_time_ns: int
    message: Any
    """A rosbags message; its arrays are read-only views of the bytes."""


@dataclass(frozen=True)
class RawMessage:
    """One message as it lies in the bag, to be handed on without decoding."""

    topic: str
    msgtype: str
    log_time_ns: int
    data: bytes
    """CDR, the four bytes that tell its layout included."""


class BagReader:
    """An open bag; use it as a context manager."""

    def __init__(self, path: str | Path) -> None:
        """Name the bag.

        Args:
            path: a bag directory, or a single .mcap or .db3 file.
        """
        self.path = Path(path)
        self.topics: dict[str, TopicInfo] = {}
        """By topic name."""
        self.start_ns = 0
        """Log time of the first message."""
        self.end_ns = 0
        """Log time of the last message."""
        self._reader: Reader | None = None
        self._stores: dict[tuple[str, str], Typestore] = {}

    def __enter__(self) -> BagReader:
        """Open the bag.

        Raises:
            BagError: it is not there, empty, truncated, or of a kind that is not supported.
        """
        try:
            self._reader = reader = self._opened()
        except OSError as error:
            raise BagError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        if not reader.message_count:
            self.close()
            raise BagError(f"{self.path}: the bag is empty (0 messages)")
        self.topics = _topics(reader.connections)
        self.start_ns, self.end_ns = reader.start_time, reader.end_time - 1
        return self

    def _opened(self) -> Reader:
        storage = _storage_of(self.path)
        reader = Reader(storage)
        try:
            reader.open()
        except Exception as error:  # a parser on broken bytes raises whatever it meets
            raise BagError(_why_unreadable(self.path, storage, error)) from error
        return reader

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bag."""
        self.close()

    def close(self) -> None:
        """Close the bag; a second call does nothing."""
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(Exception):  # nothing was written, so nothing can be lost
                reader.close()

    def messages(
        self,
        topics: Iterable[str] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        """Yield messages in log-time order; equal times in the order they were written.

        The files of a split bag are read one after the other.

        Args:
            topics: which to read; None for all.  Only these are decoded.
            start_ns: first log time.
            stop_ns: first log time that is not read any more.

        Raises:
            BagError: a topic is not in the bag, its type is unknown, a message or the file is
                broken, or fewer messages come out than the bag's index promises.
        """
        for connection, log_time_ns, raw in self._wanted(topics, start_ns, stop_ns):
            message = self._decode(connection, log_time_ns, raw)
            yield BagMessage(connection.topic, connection.msgtype, log_time_ns, message)

    def raw_messages(
        self,
        topics: Iterable[str] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[RawMessage]:
        """Yield what `messages` yields, undecoded; whoever gets it knows the type by its name only.

        Raises:
            BagError: as `messages`, or a type was recorded with another definition than this
                package knows: its bytes would be read as something else.
        """
        for connection, log_time_ns, raw in self._wanted(topics, start_ns, stop_ns, is_raw=True):
            yield RawMessage(connection.topic, connection.msgtype, log_time_ns, bytes(raw))

    def _wanted(
        self,
        topics: Iterable[str] | None,
        start_ns: int | None,
        stop_ns: int | None,
        *,
        is_raw: bool = False,
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield the undecoded messages of some topics; count them against the bag's index."""
        if self._reader is None:
            raise BagError(f"{self.path}: expected an open bag, got a closed one")
        wanted = sorted(self.topics) if topics is None else sorted(set(topics))
        if absent := [topic for topic in wanted if topic not in self.topics]:
            raise BagError(f"{self.path}: no topic {absent}; the bag has {sorted(self.topics)}")
        connections = [c for c in self._reader.connections if c.topic in wanted and c.msgcount]
        for connection in connections:
            self._prepare(connection)
            if is_raw:
                self._check_definition(connection)
        count = 0
        for item in self._raw(connections, start_ns, stop_ns):
            count += 1
            yield item
        is_all = (start_ns is None or start_ns <= self.start_ns) and (
            stop_ns is None or stop_ns > self.end_ns
        )
        promised = sum(self.topics[topic].count for topic in wanted)
        if is_all and count != promised:
            raise BagError(
                f"{self.path}: expected {promised} messages by the bag's index, got {count}; "
                "the index is broken, `ros2 bag reindex` or `mcap recover` makes a new one"
            )

    def _raw(
        self, connections: list[Connection], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield undecoded messages; whatever the storage layer raises becomes a BagError."""
        if not connections or self._reader is None:
            return
        last_ns = self.start_ns
        try:
            for connection, log_time_ns, raw in self._reader.messages(
                connections, start=start_ns, stop=stop_ns
            ):
                last_ns = log_time_ns
                yield connection, log_time_ns, raw
        except Exception as error:  # a parser on broken bytes raises whatever it meets
            after_s = (last_ns - self.start_ns) / 1e9
            raise BagError(
                f"{self.path}: corrupted after {after_s:.3f} s ({_text(error)}); "
                f"{_remedy(_storage_of(self.path))}"
            ) from error

    def _prepare(self, connection: Connection) -> None:
        """Find the type of a topic before the first message is read."""
        key = (connection.msgtype, connection.msgdef.data)
        try:
            if key not in self._stores:
                self._stores[key] = store_of(connection.msgdef, connection.msgtype)
            self._stores[key].get_msgdef(connection.msgtype)
        except DiffPlannerError:
            raise
        except KeyError:
            raise BagError(
                f"{self.path}: topic {connection.topic} is of type {connection.msgtype}, whose "
                "definition is neither in the bag nor known"
            ) from None
        except Exception as error:  # the parser of definitions on broken text
            raise BagError(
                f"{self.path}: the definition of {connection.msgtype} (topic {connection.topic}) "
                f"cannot be used ({_text(error)})"
            ) from error

    def _check_definition(self, connection: Connection) -> None:
        """Hold the recorded definition of a type against the one that this package knows."""
        recorded = self._stores[connection.msgtype, connection.msgdef.data]
        known, name = typestore(), connection.msgtype
        if name in known.fielddefs and recorded.hash_rihs01(name) != known.hash_rihs01(name):
            raise BagError(
                f"{self.path}: topic {connection.topic} was recorded with another definition of "
                f"{name} than the installed one; record it again, or convert the bag"
            )

    def _decode(self, connection: Connection, log_time_ns: int, raw: bytes) -> object:
        store = self._stores[connection.msgtype, connection.msgdef.data]
        try:
            return store.deserialize_cdr(raw, connection.msgtype)
        except Exception as error:  # a decoder on broken bytes raises whatever it meets
            raise BagError(
                f"{self.path}: corrupted message on {connection.topic} at log time {log_time_ns} "
                f"ns, expected {connection.msgtype} ({_text(error)})"
            ) from error


def _topics(connections: Iterable[Connection]) -> dict[str, TopicInfo]:
    """Sum the connections of each topic: several publishers make several."""
    topics: dict[str, TopicInfo] = {}
    for connection in connections:
        before = topics.get(connection.topic)
        count = connection.msgcount + (before.count if before else 0)
        topics[connection.topic] = TopicInfo(connection.topic, connection.msgtype, count)
    return topics


def _storage_of(path: Path) -> Path:
    """Return what rosbags shall open: the path, or the only bag file of a folder without index.

    Raises:
        BagError: there is nothing to open.
    """
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    if not path.is_dir():
        _check_file(path)
        return path
    if (path / _METADATA).exists():
        return path
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not files:
        raise BagError(f"{path}: expected {_METADATA} or a .mcap or .db3 file, got neither")
    if len(files) > 1:
        raise BagError(
            f"{path}: {len(files)} bag files without {_METADATA}; `ros2 bag reindex` writes it"
        )
    _check_file(files[0])
    return files[0]


def _check_file(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise BagError(
            f"{path}: unsupported storage '{path.suffix}', expected a bag directory, .mcap or .db3"
        )
    if path.stat().st_size == 0:
        raise BagError(f"{path}: the file is empty (0 bytes)")
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise BagError(
            f"{path}: the database was not closed and messages are still in {log.name}; "
            f'`sqlite3 {path.name} "PRAGMA wal_checkpoint(TRUNCATE)"` brings them in'
        )


def _why_unreadable(path: Path, storage: Path, error: Exception) -> str:
    """Return the sentence for a bag that did not open: truncation is named before all else."""
    files = [storage]
    if storage.is_dir():
        files = sorted(file for file in storage.iterdir() if file.suffix in _SUFFIXES)
    for file in files:
        if file.stat().st_size == 0:
            return f"{file}: the file is empty (0 bytes)"
        if file.suffix == ".mcap" and (sentence := _why_truncated(file)):
            return sentence
    return f"{path}: cannot be read ({_text(error)}); {_remedy(storage)}"


def _why_truncated(path: Path) -> str:
    """Return the sentence for an MCAP file that breaks off; empty if it does not."""
    extent = scan(path)
    if not extent.is_mcap:
        return f"{path}: not an MCAP file (it begins with other bytes)"
    if extent.is_whole:
        return ""
    if extent.first_ns is None or extent.last_ns is None:
        until = "and no message is whole"
    else:
        until = f"messages are whole for {(extent.last_ns - extent.first_ns) / 1e9:.3f} s"
    return (
        f"{path}: truncated after {extent.whole_bytes} of {extent.total_bytes} bytes, {until}; "
        f"{_remedy(path)}"
    )


def _remedy(storage: Path) -> str:
    if storage.suffix == ".mcap" or any(storage.glob("*.mcap")):
        return "`mcap recover` saves what is whole"
    if storage.suffix == ".db3" or any(storage.glob("*.db3")):
        return "`sqlite3 BAG.db3 .recover` saves what is whole"
    return f"see {_METADATA}"


def _text(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
