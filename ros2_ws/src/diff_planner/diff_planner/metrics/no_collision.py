"""NC, no at-fault collision: does the ego run into something, by its own fault?

The first contact with each agent decides.  Its kind is the first that fits: the ego stands (not at
fault); the agent stands (at fault); the agent is behind (not at fault); it touches the ego's front
edge (at fault); else it is lateral, and at fault where the ego is between lanes or off the road.
A road user costs all, anything else half.  NAVSIM, Dauner et al. 2024, section 4; nuPlan's rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.areas import EgoAreas
from diff_planner.metrics.boxes import Boxes, separation
from diff_planner.metrics.contacts import Contacts, agent_boxes, is_ahead_or_behind
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import STOPPED_MPS, PreparedAgents
from diff_planner.metrics.subscores import SubScores
from diff_planner.types import PLAN_POINTS

Steps = NDArray[np.int64]

NO_EVENT = -1
"""Step of an event that does not happen."""
_OBJECT_SCORE = 0.5


@dataclass(frozen=True)
class EventScores:
    """Scores with the step at which the first event happens that cost something."""

    scores: SubScores
    step: Steps
    """[K] step of 0.1 s, -1 where nothing happens."""


def score_no_collision(
    ego: EgoTrack, agents: PreparedAgents, contacts: Contacts, areas: EgoAreas
) -> EventScores:
    """Return 1, 0.5 (ran into an object) or 0 (into a road user) for each proposal.

    Where the map does not tell between lanes or off the road, the one that it tells decides on
    lateral contacts.  Where it tells neither there is a score all the same if no lateral contact
    makes a difference.
    """
    if reason := missing_agents(agents, PLAN_POINTS):
        return EventScores(SubScores.missing(len(ego), reason), no_events(len(ego)))
    return by_lateral_fault(ego, areas, lambda flags: _scored(ego, agents, contacts, flags))


def by_lateral_fault(
    ego: EgoTrack, areas: EgoAreas, judge: Callable[[NDArray[np.bool_]], EventScores]
) -> EventScores:
    """Judge with the flags [K, 41] of where a lateral contact is the ego's fault.

    Where the map does not tell, both answers are tried: a score that is the same is the score.
    """
    if areas.is_lateral_at_fault is not None:
        return judge(areas.is_lateral_at_fault)
    mild, strict = (judge(np.full(ego.speed.shape, flag)) for flag in (False, True))
    if np.array_equal(mild.step, strict.step) and np.array_equal(
        mild.scores.values, strict.scores.values
    ):
        return mild
    reason = "the map has no lanes and no drivable area to judge side contacts by"
    return EventScores(SubScores.missing(len(ego), reason), no_events(len(ego)))


def _scored(
    ego: EgoTrack,
    agents: PreparedAgents,
    contacts: Contacts,
    is_lateral_at_fault: NDArray[np.bool_],
) -> EventScores:
    """Score by flags [K, 41] that say where a lateral contact is the ego's fault."""
    first = contacts.where(contacts.lookahead == 0).first(len(agents))
    at = first.proposal, first.step
    _, is_behind = is_ahead_or_behind(ego, agents, first)
    is_driven_into = ~is_behind & (_touches_front(ego, agents, first) | is_lateral_at_fault[at])
    is_possible = agents.is_standing[first.agent] | is_driven_into
    fault = first.where(is_possible & (ego.speed[at] > STOPPED_MPS))
    scores = np.ones(len(ego))
    cost = np.where(agents.is_road_user[fault.agent], 0.0, _OBJECT_SCORE)
    np.minimum.at(scores, fault.proposal, cost)
    return EventScores(SubScores(scores), first_steps(len(ego), fault))


def missing_agents(agents: PreparedAgents, samples: int) -> str:
    """Return why agents with too few samples cannot be judged, or an empty string."""
    if len(agents) and agents.samples < samples:
        return (
            f"agents are known for {max(agents.samples - 1, 0) / 10:.1f} s, "
            f"{(samples - 1) / 10:.1f} s are needed"
        )
    return ""


def first_steps(count: int, contacts: Contacts) -> Steps:
    """Return the least step [K] of each proposal's contacts, -1 where it has none."""
    steps = np.full(count, PLAN_POINTS, dtype=np.int64)
    np.minimum.at(steps, contacts.proposal, contacts.step)
    return np.where(steps == PLAN_POINTS, NO_EVENT, steps)


def no_events(count: int) -> Steps:
    """Return the steps [K] of events that nobody looked for."""
    return np.full(count, NO_EVENT, dtype=np.int64)


def _touches_front(ego: EgoTrack, agents: PreparedAgents, contacts: Contacts) -> NDArray[np.bool_]:
    """Say of each contact [M] whether the agent touches the edge between the front corners."""
    at = contacts.proposal, contacts.step
    boxes = Boxes(**{name: value[at] for name, value in vars(ego.boxes).items()})
    return separation(boxes.front(), agent_boxes(agents, contacts)) <= 0.0
