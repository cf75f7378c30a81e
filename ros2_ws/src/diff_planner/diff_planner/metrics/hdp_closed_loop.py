"""The closed-loop score of Hyper Diffusion Planner: success by scenario kind, and stability.

**A reconstruction** from the numbers of the paper's Table V (planner_facts 4.6); what agrees with
the published rows is in the tests.  What counts as an event is the simulator's to decide.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass

from diff_planner.errors import InputError
from diff_planner.metrics.value import Value

EVENTS_ZERO_PER_100_KM = 40.0
"""Events per 100 km at which a stability score reaches 0."""


class ScenarioKind(str, enum.Enum):
    """The six kinds of scenario that the success score weighs."""

    START = "start"
    FOLLOW_AND_STOP = "car following with stop"
    LANE_CHANGE = "navigational lane change"
    VULNERABLE_ROAD_USER = "vulnerable road user"
    CROSSING_TRAFFIC = "crossing traffic"
    TURN = "turn"


SUCCESS_WEIGHTS: dict[ScenarioKind, float] = {
    ScenarioKind.START: 0.10,
    ScenarioKind.FOLLOW_AND_STOP: 0.25,
    ScenarioKind.LANE_CHANGE: 0.25,
    ScenarioKind.VULNERABLE_ROAD_USER: 0.10,
    ScenarioKind.CROSSING_TRAFFIC: 0.10,
    ScenarioKind.TURN: 0.20,
}


@dataclass(frozen=True)
class Trials:
    """Episodes of one scenario kind."""

    successes: int
    episodes: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.episodes:
            raise InputError(
                f"trials: expected 0 <= successes <= episodes, got {self.successes} of "
                f"{self.episodes}"
            )


@dataclass(frozen=True)
class ClosedLoopScore:
    """Success, stability and their mean; all 0 to 100."""

    success: Value
    s_center: Value
    s_speed: Value
    stability: Value
    overall: Value


def success_score(trials: Mapping[ScenarioKind, Trials]) -> Value:
    """Return the weighted success rate, 0 to 100; missing where a kind has no episode.

    The weights of the kinds that are there are not scaled up: a planner is not to win by leaving
    out what is hard.
    """
    absent = [
        kind.value for kind in SUCCESS_WEIGHTS if kind not in trials or trials[kind].episodes == 0
    ]
    if absent:
        return Value.missing(f"no episode of: {', '.join(absent)}")
    rates = (w * trials[k].successes / trials[k].episodes for k, w in SUCCESS_WEIGHTS.items())
    return Value.of(100.0 * math.fsum(rates))


def stability_score(events: int, distance_km: float) -> Value:
    """Return 0 to 100 for a number of events (off the lane centre, or of unsteady speed).

    Raises:
        InputError: the number or the distance is negative or not finite.
    """
    if events < 0 or not 0.0 <= distance_km < math.inf:
        raise InputError(
            f"stability: expected events and km of 0 or more, got {events} in {distance_km} km"
        )
    if distance_km == 0.0:
        return Value.missing("no distance was driven")
    per_100_km = 100.0 * events / distance_km
    return Value.of(100.0 * min(max(1.0 - per_100_km / EVENTS_ZERO_PER_100_KM, 0.0), 1.0))


def closed_loop_score(
    trials: Mapping[ScenarioKind, Trials],
    *,
    centering_events: int,
    speed_events: int,
    distance_km: float,
) -> ClosedLoopScore:
    """Return the closed-loop score.

    Args:
        trials: episodes and successes of each scenario kind.
        centering_events: how often the vehicle left the middle of its lane.
        speed_events: how often its speed was unsteady.
        distance_km: driven in all.

    Raises:
        InputError: a number is negative or not finite.
    """
    success = success_score(trials)
    s_center = stability_score(centering_events, distance_km)
    s_speed = stability_score(speed_events, distance_km)
    stability = mean_of(s_center, s_speed)
    return ClosedLoopScore(success, s_center, s_speed, stability, mean_of(success, stability))


def mean_of(first: Value, second: Value) -> Value:
    """Return the mean of two values; missing where one is, with its reason."""
    if first.value is None:
        return first
    if second.value is None:
        return second
    return Value.of((first.value + second.value) / 2.0)
