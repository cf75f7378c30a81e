"""The Python class of a message type that is known by its name only."""

from __future__ import annotations

import importlib

from diff_planner.errors import MissingInputError
from diff_planner.types import Message


def message_class(msgtype: str) -> type[Message]:
    """Return the class of a type such as "sensor_msgs/msg/Image".

    Raises:
        MissingInputError: its package is not installed, or has no such message.
    """
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as error:
        raise MissingInputError(
            f"message type {msgtype} is not installed ({error}); install or build the package "
            f"{package} and source its workspace"
        ) from None
