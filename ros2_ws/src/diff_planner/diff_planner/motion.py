"""Plan states from a speed profile and a heading: pose, speed and heading agree by construction.

Refinement and fallback both describe a plan as a motion along a path; this is the one place where
such a description becomes the seven columns of a plan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.types import PLAN_DT_S, StateIndex

Array = NDArray[np.float64]


def covered_m(speed_mps: Array) -> Array:
    """Return the way [M, N] covered at each point of speeds [M, N] at 0.1 s, linear between."""
    steps = 0.5 * PLAN_DT_S * (speed_mps[:, 1:] + speed_mps[:, :-1])
    return np.concatenate([np.zeros((len(speed_mps), 1)), np.cumsum(steps, axis=1)], axis=1)


def integrate(speed_mps: Array, yaw_rad: Array, curvature_pm: Array) -> Array:
    """Drive from the origin with the given speeds and headings, in arcs from point to point.

    Args:
        speed_mps: [M, N] signed along the heading, at 0.1 s.
        yaw_rad: [M, N] continuous (no jumps of a full turn).
        curvature_pm: [M, N] of the path, also where the vehicle stands.

    Returns:
        [M, N, 7] states (`StateIndex`).
    """
    turn = np.diff(yaw_rad, axis=1)
    # The chord of an arc; np.sinc takes multiples of pi.
    chord = np.diff(covered_m(speed_mps), axis=1) * np.sinc(0.5 * turn / np.pi)
    mean = yaw_rad[:, :-1] + 0.5 * turn
    states = np.zeros((*speed_mps.shape, len(StateIndex)))
    states[:, 1:, StateIndex.X] = np.cumsum(chord * np.cos(mean), axis=1)
    states[:, 1:, StateIndex.Y] = np.cumsum(chord * np.sin(mean), axis=1)
    states[..., StateIndex.YAW] = yaw_rad
    states[..., StateIndex.SPEED] = speed_mps
    states[..., StateIndex.ACCELERATION] = np.gradient(speed_mps, PLAN_DT_S, axis=1)
    states[..., StateIndex.CURVATURE] = curvature_pm
    states[..., StateIndex.HEADING_RATE] = speed_mps * curvature_pm
    return states
