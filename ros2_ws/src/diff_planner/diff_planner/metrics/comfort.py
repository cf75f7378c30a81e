"""Comfort: acceleration, jerk and turning of the simulated ego within what passengers bear.

C of PDMS judges the 41 simulated states; HC of EPDMS puts the human's past before them, so a plan
that begins with a jolt shows; EC compares two plans made one after the other.  Bounds and filters
are nuPlan's; all bounds are strict, values are rounded to 8 decimals before they are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.quirks import Quirks
from diff_planner.metrics.savgol import savgol
from diff_planner.metrics.subscores import SubScores
from diff_planner.metrics.tracker import SimIndex
from diff_planner.scene.schema import PAST_MOTION, Scene
from diff_planner.types import PLAN_DT_S

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

COMFORT_TERMS = (
    "longitudinal_acceleration",
    "lateral_acceleration",
    "jerk",
    "longitudinal_jerk",
    "yaw_acceleration",
    "yaw_rate",
)
"""Order of the columns of `ComfortScores.terms`."""
_LONGITUDINAL_MPS2 = (-4.05, 2.40)
_LATERAL_MPS2 = 4.89
_JERK_MPS3 = 8.37
_LONGITUDINAL_JERK_MPS3 = 4.13
_YAW_ACCELERATION_RADPS2 = 1.93
_YAW_RATE_RADPS = 0.95

_SHORT, _JERK_WINDOW, _YAW_WINDOW = 8, 15, 5
_PAST_TIMES_S = np.arange(-15, -1) * PLAN_DT_S
"""[14]: published code leaves out the sample at -0.1 s, and takes the series as even all the same.
"""
_EC_LIMITS = (0.7, 0.5, 0.1, 0.1)
"""Root mean square differences of acceleration, jerk, yaw rate and yaw acceleration."""
_EC_MAX_OFFSET_S = 0.55


@dataclass(frozen=True)
class ComfortScores:
    """1 where all terms hold, else 0."""

    scores: SubScores
    terms: Mask
    """[K, 6] `COMFORT_TERMS`; all False where the score was not evaluated."""


@dataclass(frozen=True)
class PreviousPlan:
    """What was planned a moment before, simulated: EC compares with it."""

    states: Array
    """[K, 41, 11] or [1, 41, 11] for all, columns of `SimIndex`; the frame does not matter."""
    offset_s: float = 0.5
    """How long before."""


def score_comfort(ego: EgoTrack) -> ComfortScores:
    """Return C of PDMS."""
    states = ego.states
    ax, ay = states[..., SimIndex.AX], states[..., SimIndex.AY]
    whole = states.shape[1]
    return _judge(
        longitudinal=_smoothed(ax, whole),
        lateral=_smoothed(ay, whole),
        jerk=_jerk(np.hypot(ax, ay), whole),
        longitudinal_jerk=_jerk(ax, whole),
        yaw=states[..., SimIndex.YAW],
    )


def score_history_comfort(ego: EgoTrack, scene: Scene, quirks: Quirks) -> ComfortScores:
    """Return HC of EPDMS: the ego's past and the simulated states as one series."""
    reason = _missing_past(scene)
    if reason:
        missing = SubScores.missing(len(ego), reason)
        return ComfortScores(missing, np.zeros((len(ego), len(COMFORT_TERMS)), dtype=np.bool_))
    past = np.broadcast_to(
        _past_states(scene, quirks), (len(ego), len(_PAST_TIMES_S), len(SimIndex))
    )
    return _judge_v2(np.concatenate([past, ego.states], axis=1), ego, quirks)


def comfort_terms(ego: EgoTrack, quirks: Quirks) -> Mask:
    """Return the terms [K, 6] of the simulated states alone, with the filters of EPDMS."""
    return _judge_v2(ego.states, ego, quirks).terms


def _judge_v2(states: Array, ego: EgoTrack, quirks: Quirks) -> ComfortScores:
    """Judge states [K, T, 11] by the filters of EPDMS."""
    centre_x, centre_y = _centre_acceleration(states, ego.vehicle.rear_axle_to_center_m, quirks)
    magnitude = np.hypot(states[..., SimIndex.AX], states[..., SimIndex.AY])
    return _judge(
        longitudinal=_smoothed(centre_x, _SHORT),
        lateral=_smoothed(centre_y, _SHORT),
        jerk=_jerk(magnitude, _JERK_WINDOW),
        longitudinal_jerk=_jerk(centre_x, _JERK_WINDOW),
        yaw=states[..., SimIndex.YAW],
    )


def score_extended_comfort(ego: EgoTrack, previous: PreviousPlan | None) -> SubScores:
    """Return EC of EPDMS: 1 where a plan goes on as the one before it, on the time both cover."""
    if previous is None:
        return SubScores.missing(len(ego), "there is no previous plan")
    if not 0.0 < previous.offset_s < _EC_MAX_OFFSET_S:
        return SubScores.missing(
            len(ego),
            f"the previous plan is {previous.offset_s:.2f} s older, expected less than "
            f"{_EC_MAX_OFFSET_S} s",
        )
    shift = round(previous.offset_s / PLAN_DT_S)
    now = ego.states[:, : ego.states.shape[1] - shift]
    before = previous.states[:, shift:]
    is_smooth = np.ones(len(ego), dtype=np.bool_)
    for ours, theirs, limit in zip(_signals(now), _signals(before), _EC_LIMITS, strict=True):
        is_smooth &= np.sqrt(np.mean((ours - theirs) ** 2, axis=1)) <= limit
    return SubScores(np.where(is_smooth, 1.0, 0.0))


def _signals(states: Array) -> tuple[Array, Array, Array, Array]:
    """Return acceleration, jerk (magnitudes), yaw rate and yaw acceleration [K, T]."""
    magnitude = np.hypot(states[..., SimIndex.AX], states[..., SimIndex.AY])
    yaw = np.unwrap(states[..., SimIndex.YAW], axis=1)
    return (
        _smoothed(magnitude, _SHORT),
        _jerk(magnitude, _JERK_WINDOW),
        _derived(yaw, _YAW_WINDOW, 2, 1),
        _derived(yaw, _YAW_WINDOW, 2, 2),
    )


def _judge(
    *, longitudinal: Array, lateral: Array, jerk: Array, longitudinal_jerk: Array, yaw: Array
) -> ComfortScores:
    """Compare series [K, T] with the bounds."""
    yaw = np.unwrap(yaw, axis=1)
    yaw_rate = _derived(yaw, _YAW_WINDOW, 2, 1)
    yaw_acceleration = _derived(yaw, _YAW_WINDOW, 3, 2)
    low, high = _LONGITUDINAL_MPS2
    terms = np.stack(
        [
            ((longitudinal > low) & (longitudinal < high)).all(axis=1),
            (np.abs(lateral) < _LATERAL_MPS2).all(axis=1),
            (np.abs(jerk) < _JERK_MPS3).all(axis=1),
            (np.abs(longitudinal_jerk) < _LONGITUDINAL_JERK_MPS3).all(axis=1),
            (np.abs(yaw_acceleration) < _YAW_ACCELERATION_RADPS2).all(axis=1),
            (np.abs(yaw_rate) < _YAW_RATE_RADPS).all(axis=1),
        ],
        axis=-1,
    )
    return ComfortScores(SubScores(np.where(terms.all(axis=1), 1.0, 0.0)), terms)


def _smoothed(series: Array, window: int) -> Array:
    return np.round(savgol(series, window, 2), 8)


def _jerk(acceleration: Array, window: int) -> Array:
    return _derived(_smoothed(acceleration, _SHORT), window, 2, 1)


def _derived(series: Array, window: int, order: int, derivative: int) -> Array:
    return np.round(savgol(series, window, order, derivative, PLAN_DT_S), 8)


def _centre_acceleration(states: Array, offset_m: float, quirks: Quirks) -> tuple[Array, Array]:
    """Return the acceleration [K, T] along and across the vehicle at the centre of its box."""
    ax, ay = states[..., SimIndex.AX], states[..., SimIndex.AY]
    yaw_rate, yaw_acceleration = (
        states[..., SimIndex.YAW_RATE],
        states[..., SimIndex.YAW_ACCELERATION],
    )
    if quirks.is_centre_acceleration_inverted:
        return ax + offset_m * (yaw_rate**2 + yaw_acceleration), ay
    return ax - offset_m * yaw_rate**2, ay + offset_m * yaw_acceleration


def _missing_past(scene: Scene) -> str:
    if scene.past is None or scene.past_times_s is None or scene.past_motion is None:
        return "the scene has no past poses with their motion"
    first = float(scene.past_times_s[0])
    if first > _PAST_TIMES_S[0] + 1e-6:
        return f"the past begins {first:.2f} s before, {_PAST_TIMES_S[0]:.1f} s are needed"
    return ""


def _past_states(scene: Scene, quirks: Quirks) -> Array:
    """Return the past [14, 11], interpolated; poses as heading only, in the ego's frame."""
    if scene.past is None or scene.past_times_s is None or scene.past_motion is None:
        raise AssertionError("asked only where there is a past")
    states = np.zeros((len(_PAST_TIMES_S), len(SimIndex)))
    times = scene.past_times_s
    yaw = np.unwrap(scene.past[:, 2])
    # The simulated headings follow, which count from the ego's.
    states[:, SimIndex.YAW] = np.interp(_PAST_TIMES_S, times, yaw) - scene.ego.yaw_rad
    for column, name in (
        (SimIndex.VX, "vx_mps"),
        (SimIndex.VY, "vy_mps"),
        (SimIndex.AX, "ax_mps2"),
        (SimIndex.AY, "ay_mps2"),
        (SimIndex.YAW_RATE, "yaw_rate_radps"),
    ):
        if column is SimIndex.YAW_RATE and quirks.is_past_yaw_rate_dropped:
            continue
        motion = scene.past_motion[:, PAST_MOTION.index(name)]
        states[:, column] = np.interp(_PAST_TIMES_S, times, motion)
    return states
