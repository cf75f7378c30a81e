"""Which messages belong to one cycle: the anchor's stamp and the nearest of each other stream.

Knows stamps, not messages: payloads pass through untouched.  Everything follows from stamps and
from the moments that the caller names, so a replay makes the cycles that the vehicle made.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")

_BUFFER_NS = 2_000_000_000
_BUFFER_ITEMS = 64
_RATE_SPAN_NS = 3_000_000_000
_MIN_JUMP_NS = 500_000_000
_SETTLED_SHARE = 0.4
"""Of a stream's shortest period.  Below one half, so that a late next message is not nearer."""


class Sample(NamedTuple):
    """A payload, its stamp, and when it arrived."""

    stamp_ns: int
    payload: object
    arrival_ns: int


@dataclass
class Counts:
    """What became of the messages of one stream."""

    received: int = 0
    dropped: int = 0
    """Doubled, too old, thrown away by a clock jump, or of no use."""
    last_unusable_ns: int | None = None
    """Stamp of the last one that was of no use: a latched one is asked for again and again."""
    newest_ns: int | None = None
    """Stamp of the newest one."""
    recent_ns: deque[int] = field(default_factory=deque)
    """Stamps of the last seconds, to measure the rate by."""

    def note(self, stamp_ns: int) -> None:
        """Take the stamp of a message; one that jumps far back begins a new measurement."""
        if self.recent_ns and stamp_ns <= self.recent_ns[-1]:
            if self.recent_ns[-1] - stamp_ns < _MIN_JUMP_NS:
                return  # doubled or out of order
            self.recent_ns.clear()
        self.newest_ns = stamp_ns
        self.recent_ns.append(stamp_ns)
        while self.recent_ns[0] < stamp_ns - _RATE_SPAN_NS:
            self.recent_ns.popleft()

    @property
    def rate_hz(self) -> float:
        """Messages a second by their stamps; -1 before the second one."""
        recent_ns = tuple(self.recent_ns)  # on another thread a message may come meanwhile
        if len(recent_ns) < 2:
            return -1.0
        return (len(recent_ns) - 1) * 1e9 / (recent_ns[-1] - recent_ns[0])


@dataclass(frozen=True)
class Match:
    """One anchor with what lies nearest to it."""

    stamp_ns: int
    """The anchor's stamp."""
    samples: Mapping[str, Sample | None]
    """By stream, the anchor's own among them; None where nothing lies within the tolerance."""
    is_after_jump: bool
    """The first one after the anchor's stamps jumped back."""
    arrival_ns: int
    """When the anchor arrived."""

    @property
    def last_arrival_ns(self) -> int:
        """When the last of the messages arrived that belong to this cycle."""
        return max(s.arrival_ns for s in self.samples.values() if s is not None)


@dataclass
class _Buffer(Generic[Payload]):
    """Samples of one stream, sorted by stamp."""

    stamps: list[int] = field(default_factory=list)
    payloads: list[Payload] = field(default_factory=list)
    last_arrival_ns: int | None = None
    shortest_gap_ns: int = 2**63

    def insert(self, stamp_ns: int, payload: Payload) -> bool:
        """Put a sample at its place; return whether it took the place of an equal stamp."""
        at = bisect.bisect_left(self.stamps, stamp_ns)
        if at < len(self.stamps) and self.stamps[at] == stamp_ns:
            self.payloads[at] = payload
            return True
        self.stamps.insert(at, stamp_ns)
        self.payloads.insert(at, payload)
        for left, right in ((at - 1, at), (at, at + 1)):
            if left >= 0 and right < len(self.stamps):
                gap_ns = self.stamps[right] - self.stamps[left]
                self.shortest_gap_ns = min(self.shortest_gap_ns, gap_ns)
        return False

    def prune(self) -> None:
        """Forget what is older than the buffer's span, and the oldest of too many."""
        first = bisect.bisect_left(self.stamps, self.stamps[-1] - _BUFFER_NS)
        self.forget(max(first, len(self.stamps) - _BUFFER_ITEMS))

    def forget(self, count: int) -> None:
        """Forget so many of the oldest."""
        del self.stamps[:count], self.payloads[:count]

    def keep(self, first: int, end: int) -> int:
        """Keep the samples of indices first..end; return how many went."""
        before = len(self.stamps)
        self.stamps, self.payloads = self.stamps[first:end], self.payloads[first:end]
        return before - len(self.stamps)

    def nearest(self, stamp_ns: int) -> int | None:
        """Return the index of the sample nearest to a stamp, the older of two equally near."""
        at = bisect.bisect_left(self.stamps, stamp_ns)
        around = [k for k in (at - 1, at) if 0 <= k < len(self.stamps)]
        return min(around, key=lambda k: abs(self.stamps[k] - stamp_ns), default=None)

    def is_settled(self, stamp_ns: int) -> bool:
        """Tell that no later message can be expected to lie nearer to `stamp_ns`."""
        if not self.stamps:
            return False
        behind_ns = stamp_ns - self.stamps[-1]
        if behind_ns <= 0:
            return True
        # The next one comes a period later, so it will be farther away than the newest is now.
        has_gap = self.shortest_gap_ns < 2**63
        return has_gap and behind_ns < _SETTLED_SHARE * self.shortest_gap_ns


class Synchronizer:
    """Matches streams to an anchor stream.

    A cycle is ready when every stream has reached the anchor's stamp (or, as its period tells,
    will not come nearer to it), or when the longest wait is over.  Streams that have been silent
    for long are not waited for.  Cycles come out in the order of their stamps, which rise
    strictly until the clock jumps back.
    """

    def __init__(
        self,
        anchor: str,
        tolerances_ns: Mapping[str, int],
        wait_ns: int,
        period_ns: int,
        lead_ns: int,
    ) -> None:
        """Prepare.

        Args:
            anchor: name of the stream that triggers.
            tolerances_ns: largest stamp distance to the anchor, by name of every other stream.
            wait_ns: longest wait for the others after the anchor arrived.
            period_ns: expected period of the anchor.
            lead_ns: how long before the anchor a message of its stamp may arrive.  One that came
                earlier is of a clock that runs ahead: it shows the past.
        """
        self._lead_ns = lead_ns
        self._kept_ns = lead_ns + wait_ns + period_ns
        """How long before the newest message one may have come that can be of use, likewise."""
        self._anchor = anchor
        self._tolerances_ns = {k: v for k, v in tolerances_ns.items() if k != anchor}
        self._wait_ns = wait_ns
        self._jump_ns = max(_MIN_JUMP_NS, 2 * period_ns)
        self._silent_ns = max(1_000_000_000, 3 * period_ns)
        self.counts = {name: Counts() for name in (anchor, *self._tolerances_ns)}
        """By stream, since the beginning; a reset does not clear them."""
        self.reset()

    def reset(self) -> None:
        """Forget all messages and the last stamp, not the counts."""
        self._buffers: dict[str, _Buffer[tuple[int, object]]] = {
            name: _Buffer() for name in self._tolerances_ns
        }
        self._pending: _Buffer[tuple[int, object]] = _Buffer()  # arrival_ns and payload
        self._last_ns: int | None = None
        self._first_arrival_ns: int | None = None
        self._has_jumped = False

    def push(self, stream: str, stamp_ns: int, payload: object, now_ns: int) -> None:
        """Take a message.

        Args:
            stream: one of the names given at the beginning.
            stamp_ns: its stamp.
            payload: what comes out again.
            now_ns: when it arrived: log time in a replay, else the steady clock.
        """
        self.counts[stream].received += 1
        self.counts[stream].note(stamp_ns)
        if self._first_arrival_ns is None:
            self._first_arrival_ns = now_ns
        if stream == self._anchor:
            self._push_anchor(stamp_ns, payload, now_ns)
            return
        buffer = self._buffers[stream]
        buffer.last_arrival_ns = now_ns
        if buffer.stamps and stamp_ns < buffer.stamps[-1] - self._jump_ns:
            self.counts[stream].dropped += buffer.keep(0, 0)
        self.counts[stream].dropped += buffer.insert(stamp_ns, (now_ns, payload))
        buffer.prune()
        self._forget_spent(buffer, now_ns - self._kept_ns - self._tolerances_ns[stream])

    def _push_anchor(self, stamp_ns: int, payload: object, now_ns: int) -> None:
        counts, pending = self.counts[self._anchor], self._pending
        newest_ns = pending.stamps[-1] if pending.stamps else self._last_ns
        if newest_ns is not None and stamp_ns < newest_ns - self._jump_ns:
            self._jump_back(stamp_ns)
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            counts.dropped += 1
            return
        same = pending.nearest(stamp_ns)
        if same is not None and pending.stamps[same] == stamp_ns:
            now_ns = pending.payloads[same][0]  # a doubled one is not waited for anew
        counts.dropped += pending.insert(stamp_ns, (now_ns, payload))
        counts.dropped += pending.keep(-_BUFFER_ITEMS, len(pending.stamps) + 1)

    def _jump_back(self, stamp_ns: int) -> None:
        """Forget the anchors, and of the others what lies in the time before the jump."""
        self.counts[self._anchor].dropped += self._pending.keep(0, 0)
        self._last_ns = None
        self._has_jumped = True
        for name, buffer in self._buffers.items():
            # A stream that jumped before the anchor did is already in the new time.
            end = bisect.bisect_right(buffer.stamps, stamp_ns + self._jump_ns)
            self.counts[name].dropped += buffer.keep(0, end)

    def take(self, now_ns: int, *, is_newest_wanted: bool = False) -> Match | None:
        """Return the oldest cycle that is ready, or None; call again until it is None.

        Args:
            now_ns: the present, on the clock of `push`.
            is_newest_wanted: return the newest one that is ready and drop those before it.
        """
        pending = self._pending
        ready = [k for k in range(len(pending.stamps)) if self._is_ready(k, now_ns)]
        # If a newer anchor is ready, what an older one waits for will not come any more.
        if not ready:
            return None
        if is_newest_wanted:
            self.counts[self._anchor].dropped += pending.keep(ready[-1], len(pending.stamps))
        stamp_ns, (arrival_ns, payload) = pending.stamps.pop(0), pending.payloads.pop(0)
        samples: dict[str, Sample | None] = {self._anchor: Sample(stamp_ns, payload, arrival_ns)}
        for name in self._buffers:
            samples[name] = self._near(name, stamp_ns, arrival_ns)
        self._last_ns = stamp_ns
        self._release(stamp_ns)
        has_jumped, self._has_jumped = self._has_jumped, False
        return Match(stamp_ns, samples, has_jumped, arrival_ns)

    @property
    def is_pending(self) -> bool:
        """Tell that an anchor waits for its cycle."""
        return bool(self._pending.stamps)

    def _release(self, stamp_ns: int) -> None:
        """Let go of what no later anchor can match: two seconds of pictures are gigabytes."""
        for name, buffer in self._buffers.items():
            first = bisect.bisect_left(buffer.stamps, stamp_ns - self._tolerances_ns[name])
            buffer.keep(min(first, max(len(buffer.stamps) - 1, 0)), len(buffer.stamps))

    @staticmethod
    def _forget_spent(buffer: _Buffer[tuple[int, object]], arrival_ns: int) -> None:
        """Let go of what arrived before a moment: without an anchor pictures pile up."""
        spent = 0
        while spent < len(buffer.stamps) - 1 and buffer.payloads[spent][0] < arrival_ns:
            spent += 1
        buffer.forget(spent)

    def _near(self, stream: str, stamp_ns: int, anchor_arrival_ns: int) -> Sample | None:
        """Return the sample nearest to a stamp if it is near enough, and as new as it says."""
        buffer, tolerance_ns = self._buffers[stream], self._tolerances_ns[stream]
        at = buffer.nearest(stamp_ns)
        if at is None or abs(buffer.stamps[at] - stamp_ns) > tolerance_ns:
            return None
        arrival_ns, payload = buffer.payloads[at]
        later_ns = (anchor_arrival_ns - stamp_ns) - (arrival_ns - buffer.stamps[at])
        if later_ns > self._lead_ns:
            return None
        return Sample(buffer.stamps[at], payload, arrival_ns)

    def newest_ns(self, stream: str) -> int | None:
        """Return the newest stamp that is kept of a stream, None without one."""
        stamps = self._buffers[stream].stamps
        return stamps[-1] if stamps else None

    def _is_ready(self, index: int, now_ns: int) -> bool:
        stamp_ns = self._pending.stamps[index]
        arrival_ns = self._pending.payloads[index][0]
        if now_ns - arrival_ns >= self._wait_ns:
            return True
        return all(
            buffer.is_settled(stamp_ns) or self._is_silent(buffer, now_ns)
            for buffer in self._buffers.values()
        )

    def _is_silent(self, buffer: _Buffer[tuple[int, object]], now_ns: int) -> bool:
        """Tell that a stream is not worth waiting for: it said nothing for long."""
        since_ns = buffer.last_arrival_ns
        if since_ns is None:
            since_ns = self._first_arrival_ns
        return since_ns is not None and now_ns - since_ns > self._silent_ns
