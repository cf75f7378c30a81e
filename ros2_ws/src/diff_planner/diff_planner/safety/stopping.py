"""TOO_SHORT: a plan is long enough to come to rest on it.

What the other rules have judged ends where the plan ends.  Should no new plan come, its consumer
takes it for stale after 0.5 s and brakes; the vehicle must then stand before the plan's end, so
that it never leaves ground that was judged.  Required, with s the way along the plan and v the
speed there:

    s(0.5 s) + v(0.5 s)^2 / (2 max_deceleration)  <=  s(end)

A plan that itself ends in a standstill is a stop and passes; whether it brakes harder than the
vehicle can is the kinematic rule's business.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.types import PLAN_DT_S, RejectBit, StateIndex

_STALE_S = 0.5
"""The consumer's contract: older than this, a plan is not followed any more."""
_ROUNDING_M = 1e-6


def check_stopping(states: NDArray[np.float64], context: SafetyContext) -> NDArray[np.uint32]:
    """Refuse candidates [M, N, 7] on which the vehicle cannot come to rest.

    Also refused: a plan that ends before 0.5 s, standing or not.
    """
    stale = round(_STALE_S / PLAN_DT_S)
    if states.shape[1] <= stale:
        return bits_where(np.ones(len(states), dtype=np.bool_), RejectBit.TOO_SHORT)
    steps = np.diff(states[..., :2], axis=1)
    way = np.cumsum(np.hypot(steps[..., 0], steps[..., 1]), axis=1)  # [M, N-1], from point 1 on
    speed = states[..., StateIndex.SPEED]
    braking = speed[:, stale] ** 2 / (2.0 * context.vehicle.max_deceleration_mps2)
    is_short = way[:, stale - 1] + braking > way[:, -1] + _ROUNDING_M
    is_stop = np.abs(speed[:, -1]) < context.config.standstill_mps
    return bits_where(is_short & ~is_stop, RejectBit.TOO_SHORT)
