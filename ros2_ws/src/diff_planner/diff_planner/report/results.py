"""results.jsonl, schema v1: what a command measured, one line per scene, episode or replay.

The first line is the header.  Every metric and check begins as "not evaluated", and what was not
evaluated never counts as passed.  Replay, open-loop scoring and closed-loop runs all write this.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from diff_planner.config import ConfigModel
from diff_planner.errors import ResultsError
from diff_planner.files import whole_file

SCHEMA: Final = "diff_planner.results"
VERSION: Final = 1
LineT = TypeVar("LineT", bound=ConfigModel)


class MetricStatus(str, Enum):
    """Whether a metric holds a number."""

    NOT_EVALUATED = "not evaluated"
    EVALUATED = "evaluated"


class CheckStatus(str, Enum):
    """What came of a check."""

    NOT_EVALUATED = "not evaluated"
    PASSED = "passed"
    FAILED = "failed"


class Metric(ConfigModel):
    """One number, or the reason why there is none."""

    status: MetricStatus = MetricStatus.NOT_EVALUATED
    value: float | None = None
    unit: str = Field("", description="Empty for shares and counts.")
    reason: str = Field("nothing has measured it yet", description="Why it was not evaluated.")

    @model_validator(mode="after")
    def _check(self) -> Metric:
        is_evaluated = self.status is MetricStatus.EVALUATED
        if is_evaluated != (self.value is not None):
            raise ValueError(f"a metric that is {self.status.value} has value {self.value}")
        if not is_evaluated and not self.reason:
            raise ValueError("a metric that is not evaluated needs a reason")
        return self

    @classmethod
    def of(cls, value: float, unit: str = "") -> Metric:
        """Return an evaluated metric.

        Raises:
            ResultsError: the value is NaN or infinite: say why by `missing` instead.
        """
        if not math.isfinite(value):
            raise ResultsError(f"metric: expected a finite value, got {value}")
        return cls(status=MetricStatus.EVALUATED, value=float(value), unit=unit, reason="")

    @classmethod
    def missing(cls, reason: str, unit: str = "") -> Metric:
        """Return a metric that could not be evaluated, with the reason."""
        return cls(reason=reason, unit=unit)


@dataclass(frozen=True)
class Mean:
    """The mean of one metric over scenes: there is one if every scene evaluated it.

    Always of the scenes' own scores, never computed from averaged sub-scores: the product of means
    is another number than the mean of products, and has been published for it by mistake
    (https://github.com/autonomousvision/navsim/issues/116).
    """

    value: float | None
    """None where a scene has no number: a mean over those that happen to have one hides it."""
    partial: float | None
    """Over the scenes that have a number, where some have none; to be shown with their count."""
    evaluated: int
    """How many scenes have a number."""
    scenes: int
    reasons: Mapping[str, int]
    """Why the others have none, and how often."""

    @classmethod
    def of(cls, found: Sequence[Metric]) -> Mean:
        """Return the mean of one metric, given for each scene."""
        values = [m.value for m in found if m.value is not None]
        reasons = dict(Counter(m.reason for m in found if m.value is None))
        mean = math.fsum(values) / len(values) if values else None
        if reasons:
            return cls(None, mean, len(values), len(found), reasons)
        return cls(mean, None, len(values), len(found), {})


class Check(ConfigModel):
    """A requirement, and whether it holds."""

    status: CheckStatus = CheckStatus.NOT_EVALUATED
    requirement: str = Field(description="What must hold, in words with its number.")
    reason: str = Field("nothing has checked it yet", description="What was found instead.")

    @classmethod
    def of(cls, requirement: str, is_passed: bool, reason: str = "") -> Check:
        """Return a check that was made."""
        status = CheckStatus.PASSED if is_passed else CheckStatus.FAILED
        return cls(status=status, requirement=requirement, reason=reason)


class ModelIdentity(ConfigModel):
    """Which model was measured."""

    name: str
    sha256: str
    is_trained: bool


class ResultHeader(ConfigModel):
    """The first line: what was run, with what, where."""

    schema_name: Literal["diff_planner.results"] = SCHEMA
    version: Literal[1] = VERSION
    command: str = Field(min_length=1, description="The command line.")
    config: dict[str, Any] = Field(description="The whole configuration, defaults included.")
    commit: str = Field(description="Of the checkout, or 'unknown'.")
    model: ModelIdentity | None = None
    seed: int = Field(ge=0)
    machine: str = ""


class ResultLine(ConfigModel):
    """One scene, episode or replay."""

    kind: Literal["scene", "episode", "replay"]
    name: str = Field(min_length=1)
    metrics: dict[str, Metric] = Field(default_factory=dict)
    checks: dict[str, Check] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> ResultLine:
        if not self.metrics and not self.checks:
            raise ValueError(f"{self.name}: expected at least one metric or check, got none")
        return self


@dataclass(frozen=True)
class Results:
    """A results file in memory."""

    header: ResultHeader
    lines: tuple[ResultLine, ...]

    @property
    def is_passed(self) -> bool:
        """True when at least one check was made and every one that is there passed."""
        checks = [check for line in self.lines for check in line.checks.values()]
        return bool(checks) and all(check.status is CheckStatus.PASSED for check in checks)

    def mean(self, metric: str) -> Mean:
        """Return the mean of a metric over the lines: of the lines' own numbers."""
        return Mean.of([line.metrics.get(metric, Metric()) for line in self.lines])


def write_results(path: Path, header: ResultHeader, lines: Iterable[ResultLine]) -> None:
    """Write a results file; it appears only when complete.

    Args:
        path: usually `results.jsonl`.
        header: the first line.
        lines: consumed as a stream; each is written as it comes.

    Raises:
        ResultsError: there are no lines, or two have the same kind and name.
        OutputError: the folder or the disk refuses.
    """
    seen: set[tuple[str, str]] = set()
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
        stream.write(_dump(header))
        for line in lines:
            if (line.kind, line.name) in seen:
                raise ResultsError(f"{path}: {line.kind} '{line.name}' came twice")
            seen.add((line.kind, line.name))
            stream.write(_dump(line))
        if not seen:
            raise ResultsError(f"{path}: expected at least one result, got none; nothing written")


def read_results(path: Path) -> Results:
    """Read a results file.

    Raises:
        ResultsError: no such file, another schema or version, a broken line, or no results.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror})") from None
    if not texts:
        raise ResultsError(f"{path}: expected a header line, got an empty file")
    header = _header(path, texts[0])
    lines = tuple(
        _parse(ResultLine, path, number, _json(path, number, text))
        for number, text in enumerate(texts[1:], start=2)
    )
    if not lines:
        raise ResultsError(f"{path}: expected at least one result after the header, got none")
    return Results(header, lines)


def _header(path: Path, text: str) -> ResultHeader:
    values = _json(path, 1, text)
    if not isinstance(values, dict) or values.get("schema_name") != SCHEMA:
        got = values.get("schema_name") if isinstance(values, dict) else type(values).__name__
        raise ResultsError(f"{path}: expected schema {SCHEMA}, got {got!r}")
    if values.get("version") != VERSION:
        raise ResultsError(
            f"{path}: this program reads version {VERSION} of {SCHEMA}, "
            f"the file has {values.get('version')!r}; use the program that wrote it"
        )
    return _parse(ResultHeader, path, 1, values)


def _json(path: Path, number: int, text: str) -> object:
    try:
        values: object = json.loads(text)
    except ValueError as error:
        raise ResultsError(f"{path}, line {number}: not JSON ({error})") from None
    return values


def _parse(model: type[LineT], path: Path, number: int, values: object) -> LineT:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        raise ResultsError(f"{path}, line {number}: {where}: {first['msg']}") from None


def _dump(model: ConfigModel) -> str:
    """Return one line of JSON with sorted keys: same values, same bytes."""
    values = model.model_dump(mode="json")
    return json.dumps(values, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
