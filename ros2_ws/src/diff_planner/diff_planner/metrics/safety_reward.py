"""HDP's safety reward: 1 less the worst collision, one from behind counting less.

r = 1 - max over steps of c: c is 1 in a collision, 0.3 in one with something behind the ego, for
recorded traffic does not react and runs into whoever drives more slowly than was recorded.  Hyper
Diffusion Planner, section on rewards; its text at hand had lost the number, 0.3 is the value of a
reproduction (planner_facts 4.5).  Overlaps are those of `boxes.py`, as for every other score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.contacts import Contacts, agent_boxes
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.no_collision import missing_agents
from diff_planner.metrics.prepared import PreparedAgents, PreparedScene, prepared
from diff_planner.metrics.quirks import PUBLISHED, Quirks
from diff_planner.metrics.scoring import drive
from diff_planner.metrics.subscores import SubScores
from diff_planner.metrics.time_to_collision import LAST_STEP_V2
from diff_planner.scene.schema import Scene
from diff_planner.types import PLAN_POINTS

COLLISION_COST, REAR_END_COST = 1.0, 0.3


def score_safety_reward(
    scene: Scene | PreparedScene, proposals: NDArray[np.float64], quirks: Quirks = PUBLISHED
) -> SubScores:
    """Return the reward, 0 to 1, of proposals [K, 8, 3] (ego frame) after the tracker.

    Raises:
        InputError: the proposals have another shape or are not finite.
    """
    driven = drive(prepared(scene), proposals, (), LAST_STEP_V2, quirks)
    return safety_reward(driven.ego, driven.scene.agents, driven.contacts).rows(driven.own)


def safety_reward(ego: EgoTrack, agents: PreparedAgents, contacts: Contacts) -> SubScores:
    """Return the reward of each proposal [K] from its contacts."""
    if reason := missing_agents(agents, PLAN_POINTS):
        return SubScores.missing(len(ego), reason)
    now = contacts.where(contacts.lookahead == 0)
    is_behind = _is_behind(ego, agents, now)
    cost = np.zeros(len(ego))
    np.maximum.at(cost, now.proposal, np.where(is_behind, REAR_END_COST, COLLISION_COST))
    return SubScores(1.0 - cost)


def _is_behind(ego: EgoTrack, agents: PreparedAgents, contacts: Contacts) -> NDArray[np.bool_]:
    """Say of each contact [M] whether the agent's centre is behind the ego's along its heading."""
    at = contacts.proposal, contacts.step
    other = agent_boxes(agents, contacts)
    ahead_x = (other.x - ego.boxes.x[at]) * ego.boxes.cos[at]
    ahead_y = (other.y - ego.boxes.y[at]) * ego.boxes.sin[at]
    return np.asarray(ahead_x + ahead_y < 0.0)
