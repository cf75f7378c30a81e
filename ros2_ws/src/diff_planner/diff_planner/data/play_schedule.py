"""What a player sends and when: the messages of a bag, once or in loops, without ROS.

Times are of the bag: a player at another rate divides them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from diff_planner.data.bag_reader import BagReader, RawMessage
from diff_planner.data.cdr import (
    TF_MESSAGE,
    begins_with_header,
    with_stamp_shifted,
    with_transforms_shifted,
)
from diff_planner.errors import BagError, MissingInputError

TF_STATIC = "/tf_static"


@dataclass(frozen=True)
class PlayMessage:
    """One message to send."""

    topic: str
    """Its name in the bag."""
    msgtype: str
    data: bytes
    """CDR; its stamp is moved already where loops follow one another in time."""
    clock_ns: int
    """What /clock says when it is sent."""
    due_ns: int
    """Bag time since the start of the first loop; never falls."""


class PlaySchedule:
    """The part of a bag to play, how often, and at what times."""

    def __init__(
        self,
        reader: BagReader,
        topics: Iterable[str],
        *,
        start_s: float = 0.0,
        duration_s: float | None = None,
        loops: int = 1,
        continuous: bool = False,
        loop_gap_s: float = 0.1,
        latched: str = TF_STATIC,
    ) -> None:
        """Prepare.

        Args:
            reader: an open bag.
            topics: which to play.
            start_s: seconds after the bag's start to begin at.
            duration_s: seconds to play; None for all.
            loops: how often.
            continuous: let time run on through the loops: headers and /clock of loop k are moved
                by k times the loop's length.  Otherwise the clock jumps back, as
                `ros2 bag play --loop` lets it.
            loop_gap_s: from the last message of the bag to the first of the next loop, the
                anchor's period; without it the two would have one stamp.
            latched: topic of the static transforms: what was sent before `start_s` is sent first,
                and never moved.

        Raises:
            BagError: the bag ends before `start_s`, `loops` is below 1 or `loop_gap_s` not
                positive.
            MissingInputError: the bag has none of the topics.
        """
        if loops < 1:
            raise BagError(f"loops: expected 1 or more, got {loops}")
        if not loop_gap_s > 0.0:
            raise BagError(f"loop_gap_s: expected a time above 0, got {loop_gap_s}")
        self.topics = _in_bag(reader, topics)
        """Of those asked for, the ones that the bag has."""
        self.start_ns, self.stop_ns, next_ns = _span(reader, start_s, duration_s, loop_gap_s)
        """The first /clock; the first log time that is not played, as in an offline replay."""
        self.loops = loops
        self.loop_ns = next_ns - self.start_ns
        """Bag time from the start of a loop to that of the next."""
        self._continuous = continuous
        self._reader = reader
        self._latched = latched

    @property
    def duration_ns(self) -> int:
        """Bag time from the start to the end of the last loop."""
        return (self.loops - 1) * self.loop_ns + self.stop_ns - self.start_ns

    @property
    def end_ns(self) -> int:
        """What /clock says when the last loop ends."""
        return self.stop_ns + self._shift_ns(self.loops - 1)

    def message_type(self, topic: str) -> str:
        """Return the type of a topic."""
        return self._reader.topics[topic].msgtype

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[PlayMessage]:
        """Yield what to send, in order.

        Args:
            topics: only these of the schedule's; None for all.

        Raises:
            BagError: the bag breaks off, or holds a type with another definition than ours.
            InputError: a stamp cannot be moved.
        """
        wanted = self.topics if topics is None else [t for t in topics if t in self.topics]
        for loop in range(self.loops):
            shift_ns = self._shift_ns(loop)
            for raw in self._one_loop(wanted):
                yield PlayMessage(
                    raw.topic,
                    raw.msgtype,
                    self._shifted(raw, shift_ns),
                    clock_ns=raw.log_time_ns + shift_ns,
                    due_ns=loop * self.loop_ns + raw.log_time_ns - self.start_ns,
                )

    def _shift_ns(self, loop: int) -> int:
        return loop * self.loop_ns if self._continuous else 0

    def _one_loop(self, topics: list[str]) -> Iterator[RawMessage]:
        """Yield what a late starter would have: static transforms first, then the bag."""
        reader = self._reader
        if self._latched in topics and self.start_ns > reader.start_ns:
            for raw in reader.raw_messages([self._latched], stop_ns=self.start_ns):
                yield replace(raw, log_time_ns=self.start_ns)
        yield from reader.raw_messages(topics, start_ns=self.start_ns, stop_ns=self.stop_ns)

    def _shifted(self, raw: RawMessage, shift_ns: int) -> bytes:
        if not shift_ns or raw.topic == self._latched:
            return raw.data
        if begins_with_header(raw.msgtype):
            return with_stamp_shifted(raw.data, shift_ns)
        return (
            with_transforms_shifted(raw.data, shift_ns) if raw.msgtype == TF_MESSAGE else raw.data
        )


def _in_bag(reader: BagReader, topics: Iterable[str]) -> list[str]:
    wanted = list(topics)
    found = [topic for topic in wanted if topic in reader.topics]
    if not found:
        raise MissingInputError(
            f"{reader.path}: none of the topics to play {sorted(wanted)}; "
            f"it has {sorted(reader.topics)}"
        )
    return found


def _span(
    reader: BagReader, start_s: float, duration_s: float | None, loop_gap_s: float
) -> tuple[int, int, int]:
    """Return log times: the start, the end (not played any more), and where a next loop starts."""
    start_ns = reader.start_ns + round(start_s * 1e9)
    next_ns = reader.end_ns + round(loop_gap_s * 1e9)
    if duration_s is not None:
        next_ns = min(next_ns, start_ns + round(duration_s * 1e9))
    stop_ns = min(next_ns, reader.end_ns + 1)
    if stop_ns <= start_ns:
        lasts_s = (reader.end_ns - reader.start_ns) / 1e9
        raise BagError(
            f"{reader.path}: nothing to play after {start_s:g} s; the bag lasts {lasts_s:.1f} s"
        )
    return start_ns, stop_ns, next_ns
