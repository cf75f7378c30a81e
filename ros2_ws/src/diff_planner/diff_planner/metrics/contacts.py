"""Which agents the ego's box touches, when, now or a little ahead at constant velocity.

The collision score and the time to collision ask the same question of 41 steps x N agents x K
proposals; almost all pairs are far apart, so two cheap tests come before the kernel of `boxes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.boxes import Boxes, separation
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import PreparedAgents
from diff_planner.types import PLAN_DT_S, PLAN_POINTS

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LOOKAHEAD_STEPS = np.array([0, 3, 6, 9])
"""Steps of 0.1 s by which the ego is moved on along its heading at its speed."""
_BLOCK_PAIRS = 16384
_AHEAD_COS = np.cos(np.deg2rad(30.0))
_BEHIND_COS = np.cos(np.deg2rad(150.0))


@dataclass(frozen=True)
class Contacts:
    """Pairs of a proposal and an agent that touch; all arrays [M]."""

    proposal: Index
    agent: Index
    step: Index
    """At which the ego is looked at, 0..40."""
    lookahead: Index
    """Row of `LOOKAHEAD_STEPS`: by how much both are moved on."""

    def __len__(self) -> int:
        """M."""
        return len(self.step)

    @property
    def agent_step(self) -> Index:
        """[M] step at which the agent's box is taken."""
        return self.step + LOOKAHEAD_STEPS[self.lookahead]

    def where(self, keep: NDArray[np.bool_]) -> Contacts:
        """Return the contacts [M] that are to be kept."""
        return Contacts(
            self.proposal[keep], self.agent[keep], self.step[keep], self.lookahead[keep]
        )

    def first(self, agents: int) -> Contacts:
        """Return the first contact of each pair, by step, then by look-ahead.

        It decides: at fault, the score is lost; else the agent is forgiven for all that follows.
        """
        pair = self.proposal * agents + self.agent
        order = self.step * len(LOOKAHEAD_STEPS) + self.lookahead
        earliest = np.lexsort((order, pair))
        is_first = np.ones(len(earliest), dtype=np.bool_)
        is_first[1:] = np.diff(pair[earliest]) != 0
        chosen = earliest[is_first]
        return Contacts(
            self.proposal[chosen], self.agent[chosen], self.step[chosen], self.lookahead[chosen]
        )


def find_contacts(ego: EgoTrack, agents: PreparedAgents, last_ahead_step: int) -> Contacts:
    """Return all contacts of the ego with agents.

    Args:
        ego: K simulated proposals.
        agents: N agents.
        last_ahead_step: look-aheads above 0 are tested from steps 0 to this one.  Where agents have
            too few samples for that they are not tested, and where they have none for the 41 steps
            nothing is: the scores that need them then say so.
    """
    if agents.samples < last_ahead_step + LOOKAHEAD_STEPS[-1] + 1:
        last_ahead_step = -1
    if not len(agents) or agents.samples < PLAN_POINTS:
        nothing = np.empty(0, dtype=np.intp)
        return Contacts(nothing, nothing, nothing, nothing)
    ahead = ego.speed.T * (LOOKAHEAD_STEPS * PLAN_DT_S)[:, None, None]  # [Q, 41, K]
    x = ego.boxes.x.T + ahead * ego.boxes.cos.T
    y = ego.boxes.y.T + ahead * ego.boxes.sin.T
    lookahead, step, agent = _near_the_lot(x, y, ego, agents, last_ahead_step)
    row, proposal = _near_each(x, y, ego, agents, (lookahead, step, agent))
    near = Contacts(proposal, agent[row], step[row], lookahead[row])
    a = Boxes(
        x[near.lookahead, near.step, proposal],
        y[near.lookahead, near.step, proposal],
        ego.boxes.cos[proposal, near.step],
        ego.boxes.sin[proposal, near.step],
        np.array(0.5 * ego.vehicle.length_m),
        np.array(0.5 * ego.vehicle.width_m),
    )
    return near.where(separation(a, agent_boxes(agents, near)) <= 0.0)


def agent_boxes(agents: PreparedAgents, contacts: Contacts) -> Boxes:
    """Return the agent's box [M] of each contact."""
    row, step = contacts.agent, contacts.agent_step
    boxes = agents.boxes
    return Boxes(
        boxes.x[row, step],
        boxes.y[row, step],
        boxes.cos[row, step],
        boxes.sin[row, step],
        boxes.half_length[row, 0],
        boxes.half_width[row, 0],
    )


def is_ahead_or_behind(
    ego: EgoTrack, agents: PreparedAgents, contacts: Contacts
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say of each contact [M] whether the agent is ahead (below 30 degrees) or behind (above 150).

    The bearing is taken from the rear axle at the contact's step to the agent's centre.
    """
    offset = ego.vehicle.rear_axle_to_center_m
    at = contacts.proposal, contacts.step
    cos, sin = ego.boxes.cos[at], ego.boxes.sin[at]
    boxes = agent_boxes(agents, contacts)
    dx = boxes.x - (ego.boxes.x[at] - offset * cos)
    dy = boxes.y - (ego.boxes.y[at] - offset * sin)
    distance = np.hypot(dx, dy)
    # An agent centred on the rear axle has no bearing: neither ahead nor behind.
    bearing_cos = (cos * dx + sin * dy) / np.where(distance > 0.0, distance, 1.0)
    return bearing_cos > _AHEAD_COS, bearing_cos < _BEHIND_COS


def _reach(ego: EgoTrack, agents: PreparedAgents) -> Array:
    """Return the distance [N] of centres within which boxes may touch."""
    own = float(np.hypot(0.5 * ego.vehicle.length_m, 0.5 * ego.vehicle.width_m))
    return own + np.hypot(agents.boxes.half_length, agents.boxes.half_width)[:, 0]


def _near_the_lot(
    x: Array, y: Array, ego: EgoTrack, agents: PreparedAgents, last_ahead_step: int
) -> tuple[Index, Index, Index]:
    """Return (look-ahead, step, agent) where the agent is near the bounds of all proposals.

    Egos x, y [Q, 41, K].
    """
    steps = np.arange(PLAN_POINTS)
    lookahead, step = np.nonzero((LOOKAHEAD_STEPS[:, None] == 0) | (steps <= last_ahead_step))
    agent_step = step + LOOKAHEAD_STEPS[lookahead]
    reach = _reach(ego, agents)[:, None]
    is_near = agents.is_there[:, agent_step]  # [N, S]
    for ours, theirs in ((x, agents.boxes.x), (y, agents.boxes.y)):
        low, high = ours.min(axis=2)[lookahead, step], ours.max(axis=2)[lookahead, step]
        place = theirs[:, agent_step]
        is_near &= (place >= low - reach) & (place <= high + reach)
    agent, pair = np.nonzero(is_near)
    return lookahead[pair], step[pair], agent


def _near_each(
    x: Array, y: Array, ego: EgoTrack, agents: PreparedAgents, near: tuple[Index, Index, Index]
) -> tuple[Index, Index]:
    """Return the pairs (row of `near`, proposal) whose centres are near enough for a contact.

    Egos x, y [Q, 41, K].  In blocks that stay in the processor's cache.
    """
    lookahead, step, agent = near
    count = x.shape[2]
    agent_step = step + LOOKAHEAD_STEPS[lookahead]
    place_x = agents.boxes.x[agent, agent_step][:, None]
    place_y = agents.boxes.y[agent, agent_step][:, None]
    reach = (_reach(ego, agents)[agent] ** 2)[:, None]
    moment = lookahead * PLAN_POINTS + step
    x, y = x.reshape(-1, count), y.reshape(-1, count)
    size = max(1, _BLOCK_PAIRS // count)
    found = []
    for start in range(0, len(agent), size):
        block = slice(start, start + size)
        dx = x[moment[block]]
        dy = y[moment[block]]
        dx -= place_x[block]
        dy -= place_y[block]
        dx *= dx
        dy *= dy
        dx += dy
        found.append(start * count + np.flatnonzero(dx <= reach[block]))
    pair = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
    return pair // count, pair % count
