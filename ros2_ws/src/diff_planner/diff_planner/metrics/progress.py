"""EP, ego progress: how far along the route's centreline, measured against a reference.

NAVSIM's reference is the PDM-Closed planner; a scene brings its own (`Scene.reference`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import project_on_polyline
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.subscores import SubScores

Array = NDArray[np.float64]

_LITTLE_M = 5.0
"""Where neither the reference nor the ego gets farther, progress is no criterion."""


def raw_progress(ego: EgoTrack, scene: PreparedScene) -> SubScores:
    """Return how many metres [K] the centre gets on along the centreline, at least 0.

    These are metres, not scores; they share the type because they can be missing too.
    """
    if scene.centerline is None:
        return SubScores.missing(len(ego), "the scene has no centreline")
    ends = ego.centre[:, :, [0, -1]].reshape(2, -1).T
    start, end = project_on_polyline(ends, scene.centerline)[0].reshape(-1, 2).T
    return SubScores(np.maximum(end - start, 0.0))


def score_progress_v1(progress: Array, multiplier: Array, reference: float) -> Array:
    """Return EP [K] of PDMS: each proposal alone against the reference.

    Args:
        progress: [K] metres.
        multiplier: [K] product of the scores that multiply, which masks it.
        reference: metres of the reference, masked likewise.
    """
    masked = progress * multiplier
    greatest = np.maximum(masked, reference)
    shared = masked / np.where(greatest > _LITTLE_M, greatest, 1.0)
    return np.where(greatest > _LITTLE_M, shared, np.where(multiplier == 0.0, 0.0, 1.0))


def score_progress_v2(progress: Array, multiplier: Array, reference: float) -> Array:
    """Return EP [K] of EPDMS; as published, the ego's own progress is not masked.

    Args:
        progress: [K] metres.
        multiplier: [K] product of the scores that multiply.
        reference: masked metres of the reference; 0 where there is none to compare with.
    """
    greatest = np.maximum(progress * multiplier, reference)
    is_far = greatest > _LITTLE_M
    return np.where(is_far, np.clip(progress / np.where(is_far, greatest, 1.0), 0.0, 1.0), 1.0)
