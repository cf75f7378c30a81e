"""One parameter of the node: its type, its limits, and whether a value fits them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diff_planner.errors import ConfigError

Kind = Literal["bool", "int", "double", "string", "string array"]
Value = bool | int | float | str | tuple[str, ...]

_NOUNS: dict[Kind, str] = {
    "bool": "true or false",
    "int": "an integer",
    "double": "a number",
    "string": "a string",
    "string array": "a list of strings",
}
_CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Part of parameter names, so it can hold neither a dot nor a space."""
_NULLS = ("null", "~")
"""YAML's words for nothing, which rcl hands on as strings."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: what it may be, and what it means.

    Attributes:
        low: smallest value, None for no limit; `is_low_open` says that it is itself too small.
        high: largest value, likewise.
        choices: the only values; empty for no such limit.
        may_be_empty: whether the empty string (None in the config) is a value.
    """

    name: str
    kind: Kind
    default: Value
    description: str
    low: float | None = None
    high: float | None = None
    is_low_open: bool = False
    is_high_open: bool = False
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False
    is_read_only: bool = True

    @property
    def limits(self) -> str:
        """What it may be beyond its type, in words; empty where every value will do."""
        if self.choices:
            return " or ".join(self.choices)
        if self.kind == "string array":
            return "each once, of letters, digits and _"
        if self.kind == "string":
            return "" if self.may_be_empty else "not empty"
        words = []
        if self.low is not None:
            words.append(f"{'above' if self.is_low_open else 'at least'} {_number(self.low)}")
        if self.high is not None:
            words.append(f"{'below' if self.is_high_open else 'at most'} {_number(self.high)}")
        return ", ".join(words)

    def check(self, value: object) -> Value:
        """Return a value as this parameter's type: an integer is accepted for a double.

        Raises:
            ConfigError: naming the parameter, what was expected and what came.
        """
        typed = _as_kind(self.kind, value)
        if typed is None or not self._allows(typed):
            noun = _NOUNS[self.kind] if not self.choices else ""
            expected = ", ".join(word for word in (noun, self.limits) if word)
            raise ConfigError(f"parameter {self.name}: expected {expected}; got {value!r}")
        return typed

    def _allows(self, value: Value) -> bool:
        if isinstance(value, bool):
            return True
        if isinstance(value, str):
            return value in (self.choices or (value,)) and (value != "" or self.may_be_empty)
        if isinstance(value, tuple):
            names = [name for name in value if name]
            return len(set(names)) == len(names) and all(map(_CAMERA_NAME.fullmatch, names))
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        is_at_open_end = (self.is_low_open and value == low) or (
            self.is_high_open and value == high
        )
        return math.isfinite(value) and low <= value <= high and not is_at_open_end


def _number(value: float) -> str:
    # Integers as they are: the seed's limit would be rounded.
    return str(value) if isinstance(value, int) else f"{value:g}"


def _as_kind(kind: Kind, value: object) -> Value | None:
    """Return the value as the Python type of `kind`, or None where it is another one."""
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "string":
        if not isinstance(value, str):
            return None
        return "" if value in _NULLS else value
    if kind == "string array":
        if not isinstance(value, Sequence) or isinstance(value, str):
            return None
        return tuple(value) if all(isinstance(item, str) for item in value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if kind == "double":
        return float(value)
    return value if isinstance(value, int) else None
