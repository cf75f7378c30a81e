"""What became of each input in one cycle: its value, or the fault and the sentence.

Apart from the assembler so that "one bad input makes that input absent" is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from diff_planner.config import StreamConfig
from diff_planner.data.input_streams import OPTIONAL
from diff_planner.data.synchronizer import Counts
from diff_planner.errors import (
    DiffPlannerError,
    InputError,
    MissingInputError,
    NonFiniteInputError,
)
from diff_planner.types import FaultBit, InputHealth

ValueT = TypeVar("ValueT")

_SILENT_S = 1.0
"""An input whose stamps are this far behind the others' has stopped."""


class Unusable(Exception):
    """An input that this cycle goes without: the fault and the sentence."""

    def __init__(self, fault: FaultBit, reason: str) -> None:
        """Take both."""
        super().__init__(reason)
        self.fault, self.reason = fault, reason


class HealthLog:
    """What was found of each input in one cycle."""

    def __init__(
        self,
        streams: Mapping[str, StreamConfig],
        counts: Mapping[str, Counts],
        stamps_ns: Mapping[str, int],
        stamp_ns: int,
        expected_hz: Mapping[str, float],
    ) -> None:
        """Begin a cycle.

        Args:
            streams: topic and tolerance of every configured input by name.
            counts: what became of its messages so far; `take` adds those it cannot use.
            stamps_ns: stamps of the messages that there are for this cycle.
            stamp_ns: the anchor's stamp.
            expected_hz: rates of the inputs of which one is expected.
        """
        self._expected_hz = expected_hz
        self._streams, self._counts = streams, counts
        self._stamps_ns, self._stamp_ns = stamps_ns, stamp_ns
        self._entries: dict[str, InputHealth] = {}

    def take(self, name: str, make: Callable[[], ValueT]) -> ValueT | None:
        """Make the value of a needed input; note why there is none."""
        try:
            value = make()
        except Unusable as error:
            self._note(name, fault=error.fault, reason=error.reason)
        except DiffPlannerError as error:
            self._count_unusable(name)
            self._note(name, fault=fault_of(error), reason=sentence(name, error))
        else:
            self._note(name, is_present=True)
            return value
        return None

    def take_optional(self, name: str, make: Callable[[], ValueT | None]) -> ValueT | None:
        """Make the value of an input whose absence is no fault; a broken one is."""
        if name not in self._streams:
            return None
        value = self.take(name, make)
        if value is None and self._entries[name].fault == FaultBit.NONE:
            self._note(name)
        return value

    def _count_unusable(self, name: str) -> None:
        """Count a message that could not be used once, however many cycles asked for it."""
        counts, stamp_ns = self._counts[name], self._stamps_ns.get(name, 0)
        counts.dropped += counts.last_unusable_ns != stamp_ns
        counts.last_unusable_ns = stamp_ns

    def note_presence(self, name: str, *, is_needed: bool) -> None:
        """Note whether a message is there, without decoding it, unless it is noted already."""
        if name not in self._entries:
            is_present = name in self._stamps_ns
            is_missed = is_needed and not is_present
            self._note(
                name,
                is_present=is_present,
                fault=FaultBit.INPUT_MISSING if is_missed else FaultBit.NONE,
                reason=f"{name}: no message for this cycle" if is_missed else "",
            )

    def reason(self, name: str) -> str:
        """Return the sentence noted of an input."""
        return self._entries[name].reason

    def entries(self) -> tuple[InputHealth, ...]:
        """Return what was noted, in the order of the configuration."""
        return tuple(self._entries[name] for name in self._streams if name in self._entries)

    def _note(
        self,
        name: str,
        *,
        is_present: bool = False,
        fault: FaultBit = FaultBit.NONE,
        reason: str = "",
    ) -> None:
        age_s = float("nan")
        if is_present and name in self._stamps_ns:
            age_s = (self._stamp_ns - self._stamps_ns[name]) / 1e9
        stream, counts = self._streams[name], self._counts[name]
        self._entries[name] = InputHealth(
            name=name,
            topic=stream.topic,
            is_present=is_present,
            age_s=age_s,
            max_age_s=stream.tolerance_s,
            fault=fault,
            reason=reason,
            rate_hz=counts.rate_hz,
            expected_rate_hz=self._expected_hz.get(name, -1.0),
            received=counts.received,
            dropped=counts.dropped,
        )


def presence(
    streams: Mapping[str, StreamConfig],
    counts: Mapping[str, Counts],
    missing: Mapping[str, str],
) -> tuple[InputHealth, ...]:
    """Judge every input by what has come so far, against the newest stamp of all.

    Args:
        streams: topic and tolerance of every configured input by name.
        counts: what became of its messages so far.
        missing: by input, what else it lacks.
    """
    # Once: on another thread messages may come meanwhile.
    newest = {name: counts[name].newest_ns for name in streams}
    stamps = [stamp_ns for stamp_ns in newest.values() if stamp_ns is not None]
    found = []
    for name, stream in streams.items():
        count, lack, fault = counts[name], missing.get(name, ""), FaultBit.NONE
        stamp_ns = newest[name]
        age_s = -1.0 if stamp_ns is None else (max(stamps) - stamp_ns) / 1e9
        if count.received == 0:
            lack = f"{name}: no message on {stream.topic} yet"
        if name in OPTIONAL:
            lack = ""
        elif lack:
            fault = FaultBit.CAMERA_INFO if count.received else FaultBit.INPUT_MISSING
        elif age_s > max(stream.tolerance_s, _SILENT_S):
            fault = FaultBit.INPUT_STALE
            lack = f"{name}: newest message on {stream.topic} is {age_s:.3f} s behind the others"
        found.append(
            InputHealth(
                name=name,
                topic=stream.topic,
                is_present=count.received > 0 and not fault,
                age_s=age_s,
                max_age_s=stream.tolerance_s,
                fault=fault,
                reason=lack,
                rate_hz=count.rate_hz,
                received=count.received,
                dropped=count.dropped,
            )
        )
    return tuple(found)


def guarded(expected: str, make: Callable[[], ValueT]) -> ValueT:
    """Read a message; one of another type, or one that is broken, becomes an `InputError`.

    Args:
        expected: its type, for the sentence.
        make: reads it.

    Raises:
        InputError: as said, or as `make` raises it.
    """
    try:
        return make()
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"expected {expected}, got a message that is not ({error})") from error


def sentence(name: str, error: Exception) -> str:
    """Return the text of an error with the input's name before it, once."""
    text = str(error)
    return text if text.startswith(f"{name}: ") else f"{name}: {text}"


def fault_of(error: DiffPlannerError) -> FaultBit:
    """Return the fault bit of an input that could not be decoded."""
    if isinstance(error, NonFiniteInputError):
        return FaultBit.NONFINITE_IN
    return FaultBit.TF if isinstance(error, MissingInputError) else FaultBit.INPUT_MISSING


def union(health: tuple[InputHealth, ...]) -> FaultBit:
    """Return all faults of a cycle."""
    faults = FaultBit.NONE
    for entry in health:
        faults |= entry.fault
    return faults
