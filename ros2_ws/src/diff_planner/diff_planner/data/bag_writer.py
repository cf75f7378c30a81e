"""Bags that are whole or not there: MCAP written aside, synced, then renamed.

Equal messages give equal bytes: nothing in the file depends on the clock, the process or the
folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from diff_planner.data.typestore import typestore
from diff_planner.errors import BagError
from diff_planner.files import cannot_write
from diff_planner.types import Message

_SUFFIX, _METADATA = ".mcap", "metadata.yaml"
_VERSION: Literal[8] = 8
"""Of metadata.yaml: the newest that rosbag2 of Humble reads as well."""
_FOREVER = QosTime(2147483647, 4294967295)
"""What rosbag2 writes for a duration that was not set."""


class BagWriter:
    """A bag being written; use it as a context manager.

    The bag appears under its name when the block ends without an exception; after one, neither
    the bag nor a part of it is left.
    """

    def __init__(
        self, path: str | Path, *, overwrite: bool = False, compress: bool = False
    ) -> None:
        """Name the bag.

        Args:
            path: a name with .mcap gives that one file, another name gives a bag directory.
            overwrite: replace a bag of that name.
            compress: store chunks with zstd; equal bytes then also ask for an equal version of it.
        """
        self.path = Path(path)
        self._compress = compress
        self._overwrite = overwrite
        self._folder: Path | None = None
        self._writer: Writer | None = None
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        """Begin to write.

        Raises:
            BagError: the name is taken, by a folder that is no bag even when overwriting, or its
                folder is not there or cannot be written.
        """
        if os.path.exists(self.path) and not self._overwrite:
            raise BagError(f"{self.path}: exists already, and overwriting was not asked for")
        if os.path.isdir(self.path) and not (self.path / _METADATA).is_file():
            raise BagError(f"{self.path}: a folder that is no bag; it is left as it is")
        try:
            # In the same folder, so that the rename stays on one file system.
            self._folder = Path(
                tempfile.mkdtemp(
                    prefix=f".{self.path.name}.", suffix=".partial", dir=self.path.parent
                )
            )
            # rosbags writes NAME/NAME.mcap and puts the name into the file.  A single file gets a
            # fixed one, so that its bytes do not depend on how it is called.
            name = "bag" if self.path.suffix == _SUFFIX else self.path.name
            self._writer = Writer(
                self._folder / name, version=_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            if self._compress:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            self._discard()
            raise self._failed(error) from error
        except BaseException:  # a signal may come here too, and then nobody calls __exit__
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag, or remove it after an exception.

        Raises:
            BagError: the disk is full.
        """
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            self._discard()

    def add_topic(self, topic: str, msgtype: str, *, latched: bool = False) -> None:
        """Declare a topic; the definition of its type goes into the bag.

        Args:
            topic: name.
            msgtype: a type of Jazzy or of diff_planner_msgs.
            latched: keep the last message for late subscribers (transient local, depth 1).

        Raises:
            BagError: the type is not known, or the topic was declared before.
        """
        if topic in self._connections:
            raise BagError(f"{self.path}: topic {topic} is declared twice")
        if msgtype not in typestore().fielddefs:
            raise BagError(f"{self.path}: topic {topic} has the unknown type {msgtype}")
        self._connections[topic] = self._open_writer().add_connection(
            topic, msgtype, typestore=typestore(), offered_qos_profiles=[_qos(latched=latched)]
        )

    def write(self, topic: str, message: Message, log_time_ns: int) -> None:
        """Write one message.

        Args:
            topic: one that `add_topic` declared.
            message: of that topic's type.
            log_time_ns: when it was received; for our own outputs, its stamp.

        Raises:
            BagError: the topic is not declared, the message does not fit its type, or the disk is
                full.
        """
        connection = self._declared(topic, log_time_ns)
        try:
            raw = typestore().serialize_cdr(message, connection.msgtype)
        except Exception as error:  # the encoder raises whatever an unfitting field leads to
            raise BagError(
                f"{self.path}: message on {topic} does not fit {connection.msgtype} ({error})"
            ) from error
        self._put(connection, log_time_ns, raw)

    def write_raw(self, topic: str, data: bytes, log_time_ns: int) -> None:
        """Write one message that is serialized already.

        Args:
            topic: one that `add_topic` declared.
            data: CDR of that topic's type, with the four bytes that tell its layout; not looked at.
            log_time_ns: as for `write`.

        Raises:
            BagError: the topic is not declared, or the disk is full.
        """
        self._put(self._declared(topic, log_time_ns), log_time_ns, data)

    def _declared(self, topic: str, log_time_ns: int) -> Connection:
        connection = self._connections.get(topic)
        if connection is None:
            raise BagError(f"{self.path}: topic {topic} was not declared by add_topic")
        if not 0 <= log_time_ns < 2**63:
            raise BagError(f"{self.path}: expected a log time in ns >= 0, got {log_time_ns}")
        return connection

    def _put(self, connection: Connection, log_time_ns: int, raw: bytes | memoryview) -> None:
        writer = self._open_writer()
        try:
            writer.write(connection, log_time_ns, raw)
        except OSError as error:
            raise self._failed(error) from error

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise BagError(f"{self.path}: expected an open bag, got a closed one")
        return self._writer

    def _finish(self) -> None:
        """Close, sync and rename.  The order makes a crash leave the old state or the new."""
        writer = self._open_writer()
        writer.close()
        self._writer = None
        folder = writer.path
        for file in sorted(folder.iterdir()):
            _sync(file)
        if self.path.suffix == _SUFFIX:
            if self.path.is_dir():
                shutil.rmtree(self.path)
            (folder / f"{folder.name}{_SUFFIX}").replace(self.path)
        else:
            _sync(folder)
            if self.path.exists():  # rename cannot replace a folder that holds files
                self.path.rename(folder.parent / "replaced")
            folder.rename(self.path)
        _sync(self.path.parent)

    def _discard(self) -> None:
        """Remove everything that is not under the final name."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):  # closing flushes, and the disk may still be full
                writer.abort()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _failed(self, error: OSError) -> BagError:
        return BagError(cannot_write(self.path, error))


def _qos(*, latched: bool) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
