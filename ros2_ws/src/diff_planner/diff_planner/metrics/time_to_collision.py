"""TTC, time to collision: would the ego touch an agent within 0.9 s if it kept speed and heading?

The ego's box is moved on by 0, 0.3, 0.6 and 0.9 s against where agents then are.  The first
contact with each agent decides: it costs the score if the agent is ahead (bearing below 30
degrees), or if the ego is between lanes, off the road or with its rear axle in an intersection and
the agent is not behind (above 150 degrees).  Published code takes an arccos that rounding can turn
into NaN for a car straight ahead; here the bearing is always a number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.areas import EgoAreas
from diff_planner.metrics.contacts import LOOKAHEAD_STEPS, Contacts, is_ahead_or_behind
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.no_collision import (
    EventScores,
    by_lateral_fault,
    first_steps,
    missing_agents,
    no_events,
)
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.subscores import SubScores
from diff_planner.metrics.tracker import SimIndex

LAST_STEP_V1 = 40
"""PDMS looks from every step, so agents must be known for 4.9 s."""
LAST_STEP_V2 = 31
"""EPDMS looks no further than 4 s."""
_STOPPED_MPS = 0.005


def score_time_to_collision(
    ego: EgoTrack,
    scene: PreparedScene,
    contacts: Contacts,
    areas: EgoAreas,
    last_step: int,
) -> EventScores:
    """Return 1 or 0 for each proposal, judged from steps 0 to `last_step`."""
    if reason := missing_agents(scene.agents, samples_needed(last_step)):
        return EventScores(SubScores.missing(len(ego), reason), no_events(len(ego)))
    is_moving = ego.speed[contacts.proposal, contacts.step] >= _STOPPED_MPS
    first = contacts.where(is_moving & (contacts.step <= last_step)).first(len(scene.agents))
    is_ahead, is_behind = is_ahead_or_behind(ego, scene.agents, first)
    is_crossing = _in_intersection(ego, scene, first)

    def judge(is_lateral_at_fault: NDArray[np.bool_]) -> EventScores:
        is_loose = is_lateral_at_fault[first.proposal, first.step] | is_crossing
        fault = first.where(is_ahead | (is_loose & ~is_behind))
        scores = np.ones(len(ego))
        scores[fault.proposal] = 0.0
        return EventScores(SubScores(scores), first_steps(len(ego), fault))

    return by_lateral_fault(ego, areas, judge)


def samples_needed(last_step: int) -> int:
    """Return how many samples of agents it takes to look from steps 0 to `last_step`."""
    return last_step + int(LOOKAHEAD_STEPS[-1]) + 1


def _in_intersection(ego: EgoTrack, scene: PreparedScene, contacts: Contacts) -> NDArray[np.bool_]:
    """Say of each contact [M] whether the rear axle is then in an intersection."""
    states = ego.states[contacts.proposal, contacts.step]
    return scene.intersections.any_contains(states[:, [SimIndex.X, SimIndex.Y]].T)
