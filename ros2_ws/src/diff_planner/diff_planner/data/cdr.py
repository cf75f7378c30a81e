"""The few fields of a serialized message that are needed without decoding it.

Whoever hands on pictures and point clouds must not take them apart: what is needed is at the front
of the bytes.  CDR: four bytes that tell the layout, then the fields, aligned from there.
"""

from __future__ import annotations

import functools
import struct

from rosbags.typesys.store import Typestore

from diff_planner.data.typestore import typestore
from diff_planner.errors import InputError
from diff_planner.types import Message

TF_MESSAGE = "tf2_msgs/msg/TFMessage"
_HEADER = "std_msgs/msg/Header"
_LAYOUT_BYTES = 4
_STAMP_BYTES = 8
_PLAIN = (0x00, 0x01, 0x06, 0x07)
"""Second byte of the layout: plain CDR of version 1 and 2, big and little endian.  In the others
a length or an identifier comes before the first field."""
_S_LIMIT = 2**31
"""builtin_interfaces/Time holds signed 32 bits of seconds."""


@functools.lru_cache(maxsize=256)
def begins_with_header(msgtype: str) -> bool:
    """Return whether the first field of a type is a std_msgs/Header; False for unknown types."""
    definition = typestore().fielddefs.get(msgtype)
    if definition is None or not definition[1]:
        return False
    _, (_, first) = definition[1][0]
    return bool(first == _HEADER)


def stamp_ns(data: bytes) -> int:
    """Return the stamp of a message that begins with a header.

    Raises:
        InputError: the bytes are no plain CDR, or end too early.
    """
    sec, nanosec = struct.unpack_from(f"{_endian(data, _STAMP_BYTES)}iI", data, _LAYOUT_BYTES)
    return int(sec * 1_000_000_000 + nanosec)


def plan_id(data: bytes) -> int:
    """Return `plan_id` of a Trajectory, CandidateSet, PlannerStatus or CycleTiming.

    In each of them it follows the header.

    Raises:
        InputError: the bytes are no plain CDR, or end too early.
    """
    (value,) = struct.unpack_from(f"{_endian(data, 0)}Q", data, _plan_id_at(data))
    return int(value)


def plan_source(data: bytes) -> int:
    """Return `source` of a Trajectory, a value of `Source`.

    Raises:
        InputError: the bytes are no plain CDR, or end too early.
    """
    return data[_plan_id_at(data, followed_by=1) + 8]


def _plan_id_at(data: bytes, followed_by: int = 0) -> int:
    """Return where the eight bytes behind the header are; `followed_by` more must be there."""
    endian = _endian(data, _STAMP_BYTES + 4)
    (length,) = struct.unpack_from(f"{endian}I", data, _LAYOUT_BYTES + _STAMP_BYTES)
    # Version 1 aligns eight bytes to eight, version 2 to four.
    align = 8 if data[1] in (0x00, 0x01) else 4
    at: int = _LAYOUT_BYTES + -(-(_STAMP_BYTES + 4 + length) // align) * align
    _endian(data, at + 8 + followed_by - _LAYOUT_BYTES)
    return at


def with_stamp_shifted(data: bytes, shift_ns: int) -> bytes:
    """Return a message that begins with a header with its stamp moved; the rest is copied once.

    Raises:
        InputError: the bytes are no plain CDR, or the new stamp does not fit a Time.
    """
    sec, nanosec = _split(stamp_ns(data) + shift_ns)
    stamp = struct.pack(f"{_endian(data, _STAMP_BYTES)}iI", sec, nanosec)
    rest = memoryview(data)[_LAYOUT_BYTES + _STAMP_BYTES :]
    return b"".join((data[:_LAYOUT_BYTES], stamp, rest))


def with_transforms_shifted(data: bytes, shift_ns: int) -> bytes:
    """Return a tf2_msgs/TFMessage with the stamp of every transform moved.

    Raises:
        InputError: a new stamp does not fit a Time.
    """
    store: Typestore = typestore()
    message: Message = store.deserialize_cdr(data, TF_MESSAGE)
    for transform in message.transforms:
        stamp = transform.header.stamp
        stamp.sec, stamp.nanosec = _split(stamp.sec * 1_000_000_000 + stamp.nanosec + shift_ns)
    return bytes(store.serialize_cdr(message, TF_MESSAGE))


def _endian(data: bytes, length: int) -> str:
    """Return struct's letter for the byte order; `length` bytes must follow the layout."""
    if len(data) < _LAYOUT_BYTES + length:
        raise InputError(
            f"serialized message: expected {_LAYOUT_BYTES + length} bytes or more, got {len(data)}"
        )
    if data[0] != 0 or data[1] not in _PLAIN:
        raise InputError(f"serialized message: expected plain CDR, got layout {data[:2].hex()}")
    return "<" if data[1] & 1 else ">"


def _split(time_ns: int) -> tuple[int, int]:
    sec, nanosec = divmod(time_ns, 1_000_000_000)
    if not -_S_LIMIT <= sec < _S_LIMIT:
        raise InputError(f"a stamp of {sec} s does not fit the 32 bits of a ROS time")
    return sec, nanosec
