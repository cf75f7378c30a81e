"""The message types that this package knows without ROS: Jazzy's and our own .msg files.

Separate, because the reader, the writer and every maker of messages share the one store.
"""

from __future__ import annotations

import functools
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from diff_planner.errors import InputError
from diff_planner.resources import message_folder
from diff_planner.types import Message

PACKAGE = "diff_planner_msgs"
_IDL_SEPARATOR = "=" * 80 + "\n"
"""Line between the parts of an IDL schema that holds several files (MCAP, "ros2idl")."""


@functools.lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the store with Jazzy's types and every .msg file of diff_planner_msgs.

    Raises:
        ConfigError: the .msg files are neither beside the source nor installed.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    own: dict[str, Any] = {}
    for path in sorted(message_folder().glob("*.msg")):
        name = f"{PACKAGE}/msg/{path.stem}"
        own.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
    store.register(own)
    return store


def store_of(definition: MessageDefinition, msgtype: str) -> Typestore:
    """Return the store to decode `msgtype` with: of its embedded definition, else `typestore()`.

    One store for each embedded definition, so that a bag recorded with an older version of a type
    is decoded as it was written.

    Raises:
        rosbags.typesys.TypesysError: the embedded definition cannot be parsed.
    """
    if definition.format == MessageDefinitionFormat.NONE:
        return typestore()
    types: dict[str, Any] = {}
    if definition.format == MessageDefinitionFormat.MSG:
        types.update(get_types_from_msg(definition.data, msgtype))
    else:
        for part in definition.data.split(_IDL_SEPARATOR):
            header, _, rest = part.partition("\n")
            types.update(get_types_from_idl(rest if header.startswith("IDL: ") else part))
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def make_message(msgtype: str, **fields: Message) -> Message:
    """Build a message; each field of the type must be given.

    Args:
        msgtype: for example "std_msgs/msg/Header".
        fields: by field name; arrays as numpy arrays of the field's type.

    Raises:
        InputError: unknown type, or fields that do not fit it.
    """
    message_class = typestore().types.get(msgtype)
    if message_class is None:
        raise InputError(f"expected a message type of Jazzy or {PACKAGE}, got '{msgtype}'")
    try:
        return message_class(**fields)
    except TypeError as error:
        raise InputError(f"{msgtype}: {error}") from None
