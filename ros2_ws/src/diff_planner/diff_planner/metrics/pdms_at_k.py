"""PDMS@k: how good the k-th best of the raw proposals of a scene is, before any selection.

DiffusionDriveV2 reports PDMS@1, @5 and @10 of 20 proposals without saying how (planner_facts 2.3),
and no code for it is public.  **Ours: the score of the k-th best proposal of each scene, ranked by
the true score, averaged over scenes.**  So @1 is the best that any selector could reach, and
PDMS@10 = 0.8 reads "on average, ten of the proposals score at least 0.8".  The other reading, the
mean of the k best, hides bad proposals behind good ones; `mean_of_best` gives it, so that numbers
of others can be set beside ours under either definition.
"""

from __future__ import annotations

import numpy as np

from diff_planner.errors import InputError
from diff_planner.geometry import Array
from diff_planner.metrics.value import Value

PUBLISHED_K = (1, 5, 10)
"""The ranks that the published table has."""


def score_at_k(scores: Array, k: int) -> Value:
    """Return the k-th best of the scores [K] of one scene's proposals; k counts from 1.

    Raises:
        InputError: k is below 1, or the scores are not K finite numbers.
    """
    ranked = _ranked(scores, k)
    if len(ranked) < k:
        return Value.missing(f"rank {k} needs at least {k} proposals, got {len(ranked)}")
    return Value.of(float(ranked[k - 1]))


def mean_of_best(scores: Array, k: int) -> Value:
    """Return the mean of the k best scores [K] of one scene's proposals.

    Raises:
        InputError: k is below 1, or the scores are not K finite numbers.
    """
    ranked = _ranked(scores, k)
    if len(ranked) < k:
        return Value.missing(f"the best {k} need at least {k} proposals, got {len(ranked)}")
    return Value.of(float(ranked[:k].mean()))


def _ranked(scores: Array, k: int) -> Array:
    values = np.asarray(scores, dtype=np.float64)
    if k < 1:
        raise InputError(f"k: expected 1 or more, got {k}")
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(f"scores: expected finite numbers [K], got shape {values.shape}")
    return np.sort(values)[::-1]
