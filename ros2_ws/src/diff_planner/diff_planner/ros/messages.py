"""Messages of rclpy by type name: `make` here is what `make_message` is for bags.

Apart from the encoders, which know no library.  The classes of rclpy take what they are given
without looking (Jazzy) or refuse numpy's numbers (Humble, ROS_PYTHON_CHECK_FIELDS=1), so each value
is turned into what its field holds.
"""

from __future__ import annotations

import array
import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from diff_planner.errors import InputError
from diff_planner.ros.message_classes import message_class
from diff_planner.types import Message

Convert = Callable[[Any], Any]


def make(msgtype: str, **fields: Message) -> Message:
    """Build a message; each field of the type must be given.

    Args:
        msgtype: for example "std_msgs/msg/Header".
        fields: by field name; arrays as numpy arrays or sequences.

    Raises:
        MissingInputError: the type is not installed.
        InputError: fields that the type does not have, that are missing, or of a value that the
            field cannot hold.
    """
    made, converters = _recipe(msgtype)
    if fields.keys() != converters.keys():
        raise InputError(
            f"{msgtype}: expected the fields {sorted(converters)}, got {sorted(fields)}"
        )
    message = made()
    name = ""
    try:
        for name, value in fields.items():
            setattr(message, name, converters[name](value))
    except (TypeError, ValueError, OverflowError, AssertionError) as error:
        raise InputError(f"{msgtype}.{name}: {error}") from None
    return message


@functools.cache
def _recipe(msgtype: str) -> tuple[type[Message], dict[str, Convert]]:
    """Return the class of a type and, by field, what makes a value fit it."""
    made = message_class(msgtype)
    empty = made()
    names = made.get_fields_and_field_types()
    return made, {name: _converter(getattr(empty, name)) for name in names}


def _converter(default: object) -> Convert:
    """Choose by the value that a field has in an empty message."""
    if isinstance(default, array.array):
        return functools.partial(_to_array, default.typecode)
    if isinstance(default, np.ndarray):
        return functools.partial(np.asarray, dtype=default.dtype)
    if isinstance(default, list):
        return _to_list
    if isinstance(default, bytes):  # a `byte`: rosbags takes the number, rclpy one byte
        return _to_byte
    if isinstance(default, bool):
        return bool
    if isinstance(default, int):
        return operator.index
    if isinstance(default, float):
        return float
    return _unchanged  # text and other messages


def _to_array(typecode: str, values: Message) -> array.array[Any]:
    result: array.array[Any] = array.array(typecode)
    result.frombytes(np.ascontiguousarray(values, dtype=typecode).tobytes())
    return result


def _to_list(values: Message) -> list[Message]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _to_byte(value: Message) -> bytes:
    return value if isinstance(value, bytes) else bytes([operator.index(value)])


def _unchanged(value: Message) -> Message:
    return value
