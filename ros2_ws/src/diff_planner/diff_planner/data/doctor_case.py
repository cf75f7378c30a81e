"""What each check of the doctor looks at: the survey of a bag against a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import InputsConfig, PlannerConfig
from diff_planner.data import survey as bag
from diff_planner.data.survey import BagSurvey, TopicSurvey


@dataclass(frozen=True)
class Stream:
    """A configured input with what the bag holds of it."""

    name: str
    topic: str
    key: str
    """Where it is configured, for "set ... to ..."."""
    msgtypes: tuple[str, ...]
    tolerance_s: float
    is_needed: bool
    """False: planning goes on without it."""
    is_timed: bool
    """True: matched to the anchor by stamp; commands and routes are events."""
    found: TopicSurvey | None
    """None when the topic is absent, of another type, or without messages."""


@dataclass(frozen=True)
class Case:
    """A bag and the configuration that it is judged by."""

    bag: BagSurvey
    config: PlannerConfig
    streams: tuple[Stream, ...]

    @property
    def inputs(self) -> InputsConfig:
        """The configured inputs."""
        return self.config.inputs

    @property
    def anchor(self) -> Stream:
        """The stream that triggers each cycle."""
        return next(s for s in self.streams if s.name == self.inputs.anchor)

    @property
    def timed(self) -> list[tuple[Stream, TopicSurvey]]:
        """The streams that are matched by stamp and have messages."""
        return [(s, s.found) for s in self.streams if s.is_timed and s.found is not None]

    @property
    def ready_ns(self) -> int:
        """Log time from which transforms and calibrations of all sensors are known."""
        infos = [self.bag.topics.get(camera.info) for camera in self.inputs.cameras.values()]
        begins = [int(info.logs_ns[0]) for info in infos if info is not None and len(info.logs_ns)]
        return max([self.bag.transforms_ns or self.bag.start_ns, *begins])

    def at_s(self, log_ns: int) -> float:
        """Return the seconds after the bag's start of a log time."""
        return (log_ns - self.bag.start_ns) / 1e9

    def frame_of(self, name: str) -> str | None:
        """Return the frame of a configured camera or "lidar", None without messages."""
        stream = next(s for s in self.streams if s.name == name)
        if stream.found is None:
            return None
        if not stream.found.frame_id and name in self.inputs.cameras:
            info = self.bag.topics.get(self.inputs.cameras[name].info)
            return info.frame_id if info else ""
        return stream.found.frame_id


def make_case(found: BagSurvey, config: PlannerConfig) -> Case:
    """Join what is configured with what was found."""
    inputs = config.inputs
    streams = [
        _stream(
            found, name, camera.image, f"inputs.cameras.{name}.image", bag.IMAGES,
            tolerance_s=camera.tolerance_s,
        )
        for name, camera in inputs.cameras.items()
    ]  # fmt: skip
    for name, msgtypes, is_needed, is_timed in (
        ("lidar", (bag.POINT_CLOUD,), True, True),
        ("odometry", (bag.ODOMETRY,), True, True),
        ("acceleration", bag.ACCELERATIONS, False, True),
        ("nav_command", (bag.NAV_COMMAND,), False, False),
        ("route", (bag.ROUTE,), False, False),
    ):
        configured = getattr(inputs, name)
        if configured is not None:
            streams.append(
                _stream(
                    found, name, configured.topic, f"inputs.{name}.topic", msgtypes,
                    tolerance_s=configured.tolerance_s, is_needed=is_needed, is_timed=is_timed,
                )
            )  # fmt: skip
    return Case(found, config, tuple(streams))


def _stream(
    found: BagSurvey,
    name: str,
    topic: str,
    key: str,
    msgtypes: tuple[str, ...],
    *,
    tolerance_s: float,
    is_needed: bool = True,
    is_timed: bool = True,
) -> Stream:
    survey = found.topics.get(topic)
    is_usable = survey is not None and survey.msgtype in msgtypes and len(survey.stamps_ns) > 0
    return Stream(
        name=name,
        topic=topic,
        key=key,
        msgtypes=msgtypes,
        tolerance_s=tolerance_s,
        is_needed=is_needed,
        is_timed=is_timed,
        found=survey if is_usable else None,
    )


class Matches(NamedTuple):
    """A stream matched to the anchors."""

    distance_s: NDArray[np.float64]
    """[A] signed stamp distance of the nearest usable message (positive: later than the anchor);
    infinite where there is none."""
    arrival_ns: bag.Stamps
    """[A] log time of that message; the anchor's own where there is none."""
    is_late: NDArray[np.bool_]
    """[A] the nearest message of all came too late to be used."""


def match(anchor: TopicSurvey, stream: TopicSurvey, wait_s: float) -> Matches:
    """Match a stream to the anchors as the synchronizer will.

    Args:
        anchor: [A] stamps.
        stream: its messages, at least one.
        wait_s: a message that arrives later than this after the anchor cannot be used.
    """
    order = np.argsort(stream.stamps_ns, kind="stable")
    stamps_ns, logs_ns = stream.stamps_ns[order], stream.logs_ns[order]
    right = np.searchsorted(stamps_ns, anchor.stamps_ns).clip(0, len(stamps_ns) - 1)
    neighbours = np.stack([(right - 1).clip(0), right])  # [2, A]
    distances_s = (stamps_ns[neighbours] - anchor.stamps_ns) / 1e9
    is_late = logs_ns[neighbours] > anchor.logs_ns + round(wait_s * 1e9)
    usable_s = np.where(is_late, np.inf, np.abs(distances_s))
    columns = np.arange(len(right))
    best, nearest = usable_s.argmin(axis=0), np.abs(distances_s).argmin(axis=0)
    is_usable = np.isfinite(usable_s[best, columns])
    return Matches(
        distance_s=np.where(is_usable, distances_s[best, columns], np.inf),
        arrival_ns=np.where(is_usable, logs_ns[neighbours[best, columns]], anchor.logs_ns),
        is_late=is_late[nearest, columns],
    )
