"""What has arrived and nobody has looked at yet: bounded, the newest of each topic win.

Callbacks of the executor put messages in and return at once, so that no sensor waits for the
network; whoever plans takes them out in the order in which they came.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple


class Arrival(NamedTuple):
    """One message as it came off the wire."""

    topic: str
    """As it is called on the graph."""
    msgtype: str
    """Such as "sensor_msgs/msg/Image"."""
    data: bytes
    """CDR."""
    arrival_ns: int
    """Steady clock."""


class Inbox:
    """Messages between the executor's thread and the one that plans."""

    def __init__(self, depths: Mapping[str, int]) -> None:
        """Prepare.

        Args:
            depths: of every topic: how many messages are kept, the newest ones.
        """
        self._queues: dict[str, deque[tuple[int, Arrival]]] = {
            topic: deque(maxlen=depth) for topic, depth in depths.items()
        }
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_woken = False
        self.dropped = dict.fromkeys(depths, 0)
        """By topic: messages that newer ones pushed out."""

    def put(self, arrival: Arrival) -> None:
        """Add a message; the oldest of its topic goes where there are too many."""
        with self._changed:
            queue = self._queues[arrival.topic]
            self.dropped[arrival.topic] += len(queue) == queue.maxlen
            queue.append((next(self._numbers), arrival))
            self._changed.notify_all()

    def drain(self) -> list[Arrival]:
        """Return all messages in the order in which they came, and forget them."""
        with self._changed:
            found = sorted(entry for queue in self._queues.values() for entry in queue)
            for queue in self._queues.values():
                queue.clear()
            self._is_woken = False
        return [arrival for _, arrival in found]

    def wake(self) -> None:
        """End a wait though no message came."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Return when there is a message, when woken, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_woken or any(self._queues.values()), timeout_s)
