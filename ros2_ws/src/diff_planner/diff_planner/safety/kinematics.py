"""CURVATURE, LAT_ACC, LON_ACC, JERK, STEER_RATE, REVERSE: what the vehicle cannot do.

Everything is computed again from poses and speeds: the derived columns of a plan are what is
being judged, so they are no evidence (that they agree is the continuity rule's business).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import wrap_angle
from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.types import PLAN_DT_S, RejectBit, StateIndex

_ROUNDING = 1e-6
"""Slack of a limit that a plan may sit on exactly."""
_JERK_SPAN_S = 2 * PLAN_DT_S
"""Accelerations are compared over this: a stop from 3 m/s2 ends in one step on any vehicle."""
_REVERSE_MPS = 0.1
"""Odometry of a standing vehicle shows less."""


def check_kinematics(states: NDArray[np.float64], context: SafetyContext) -> NDArray[np.uint32]:
    """Judge candidates [M, N, 7] by the vehicle's limits and the configured ones.

    Curvature and steering rate are judged only above the standstill speed: below it the heading
    changes by fractions of a millimetre of way, and wheels may turn on the spot.
    """
    vehicle, config = context.vehicle, context.config
    speed = states[..., StateIndex.SPEED]
    steps = np.diff(states[..., :2], axis=1)
    way = np.hypot(steps[..., 0], steps[..., 1])  # [M, N-1]
    turn = wrap_angle(np.diff(states[..., StateIndex.YAW], axis=1))
    is_moving = way > config.standstill_mps * PLAN_DT_S
    curvature = np.where(is_moving, turn / np.maximum(way, 1e-9), 0.0)
    acceleration = np.diff(speed, axis=1) / PLAN_DT_S
    jerk = (speed[:, 4:] - 2.0 * speed[:, 2:-2] + speed[:, :-4]) / _JERK_SPAN_S**2
    steer_step = np.diff(np.arctan(vehicle.wheelbase_m * curvature), axis=1)
    steer_rate = np.where(is_moving[:, 1:] & is_moving[:, :-1], steer_step / PLAN_DT_S, 0.0)

    tightest = np.tan(vehicle.max_steer_rad) / vehicle.wheelbase_m
    max_curvature = tightest * config.max_curvature_margin
    lateral = (way / PLAN_DT_S) ** 2 * curvature
    is_too_hard = (acceleration > vehicle.max_acceleration_mps2 + _ROUNDING) | (
        acceleration < -vehicle.max_deceleration_mps2 - _ROUNDING
    )
    return (
        bits_where(_exceeds(curvature, max_curvature), RejectBit.CURVATURE)
        | bits_where(_exceeds(lateral, config.max_lateral_acceleration_mps2), RejectBit.LAT_ACC)
        | bits_where(np.asarray(is_too_hard.any(axis=1)), RejectBit.LON_ACC)
        | bits_where(_exceeds(jerk, config.max_longitudinal_jerk_mps3), RejectBit.JERK)
        | bits_where(_exceeds(steer_rate, vehicle.max_steer_rate_radps), RejectBit.STEER_RATE)
        | bits_where(np.asarray((speed < -_REVERSE_MPS).any(axis=1)), RejectBit.REVERSE)
    )


def _exceeds(values: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Say for each row [M, K] whether any magnitude is above the limit."""
    return np.asarray((np.abs(values) > limit + _ROUNDING).any(axis=1))
