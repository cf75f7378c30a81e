"""DISCONTINUITY: a plan starts at the vehicle, agrees with itself, and follows on the last one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import SafetyConfig
from diff_planner.geometry import wrap_angle
from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.types import PLAN_DT_S, EgoState, RejectBit, StateIndex

Array = NDArray[np.float64]

_STEP_SLACK_M = 0.1
"""Between the way of a step and what its speeds give: 1 m/s over 0.1 s."""
_TURN_SLACK_RAD = 0.1
"""Between the turn of a step and what its heading rates give: 1 rad/s over 0.1 s."""


def check_continuity(states: Array, context: SafetyContext) -> NDArray[np.uint32]:
    """Judge candidates [M, N, 7]: start, inner agreement, shift against the last plan.

    The last plan binds over `continuity_horizon_s` at the same absolute times, and only while
    the vehicle follows it: after a fallback it stands elsewhere than the old plan says, and a
    plan that starts at the vehicle cannot agree with both.
    """
    config = context.config
    is_broken = starts_elsewhere(states, context.ego, config) | _falls_apart(states)
    last = context.last_plan
    if (
        last is not None
        and len(last) > 0
        and not starts_elsewhere(
            np.asarray(last, dtype=np.float64)[None], context.ego, config
        ).any()
    ):
        is_broken = is_broken | _shifts(states, np.asarray(last, dtype=np.float64), config)
    return bits_where(is_broken, RejectBit.DISCONTINUITY)


def starts_elsewhere(states: Array, ego: EgoState, config: SafetyConfig) -> NDArray[np.bool_]:
    """Say which plans [M, N, 7] do not begin at the vehicle: origin, heading zero, its speed."""
    start = states[:, 0]
    offset = np.hypot(start[:, StateIndex.X], start[:, StateIndex.Y])
    heading = np.abs(wrap_angle(start[:, StateIndex.YAW]))
    speed_step = np.abs(start[:, StateIndex.SPEED] - ego.speed_mps)
    return np.asarray(
        (offset > config.max_start_deviation_m)
        | (heading > config.max_heading_shift_rad)
        | (speed_step > config.max_start_speed_step_mps)
    )


def _falls_apart(states: Array) -> NDArray[np.bool_]:
    """Compare each step's way and turn with the speeds and heading rates at its ends."""
    steps = np.diff(states[..., :2], axis=1)
    turn = wrap_angle(np.diff(states[..., StateIndex.YAW], axis=1))
    mean_yaw = states[:, :-1, StateIndex.YAW] + 0.5 * turn
    along = steps[..., 0] * np.cos(mean_yaw) + steps[..., 1] * np.sin(mean_yaw)
    across = steps[..., 1] * np.cos(mean_yaw) - steps[..., 0] * np.sin(mean_yaw)
    way = PLAN_DT_S * _midpoints(states[..., StateIndex.SPEED])
    rate = PLAN_DT_S * _midpoints(states[..., StateIndex.HEADING_RATE])
    is_apart = (
        (np.abs(along - way) > _STEP_SLACK_M)
        | (np.abs(across) > _STEP_SLACK_M)
        | (np.abs(turn - rate) > _TURN_SLACK_RAD)
    )
    return np.asarray(is_apart.any(axis=1))


def _midpoints(column: Array) -> Array:
    return np.asarray(0.5 * (column[:, 1:] + column[:, :-1]))


def _shifts(states: Array, last: Array, config: SafetyConfig) -> NDArray[np.bool_]:
    """Compare with the last plan [N, 7] point by point, in that plan's own axes."""
    points = min(states.shape[1], len(last), round(config.continuity_horizon_s / PLAN_DT_S) + 1)
    offset = states[:, :points, :2] - last[:points, :2]
    yaw = last[:points, StateIndex.YAW]
    along = offset[..., 0] * np.cos(yaw) + offset[..., 1] * np.sin(yaw)
    across = offset[..., 1] * np.cos(yaw) - offset[..., 0] * np.sin(yaw)
    heading = wrap_angle(states[:, :points, StateIndex.YAW] - yaw)
    is_shifted = (
        (np.abs(along) > config.max_longitudinal_shift_m)
        | (np.abs(across) > config.max_lateral_shift_m)
        | (np.abs(heading) > config.max_heading_shift_rad)
    )
    return np.asarray(is_shifted.any(axis=1))
