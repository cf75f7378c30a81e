"""Finds the chain of lanes that a driven path follows, and returns its centreline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import arc_lengths, project_on_polyline, wrap_angle

Array = NDArray[np.float64]
JOIN_M = 0.5
"""A lane goes on where the next one starts within this distance."""
JOIN_RAD = np.deg2rad(45.0)
START_M = 3.0
"""A path starts on a lane that is at most this far aside."""
LARGEST_DISTANCE_M = 4.5
"""A chain that the path leaves further than this, more than a lane's width, is not its route."""
SPACING_M = 1.0
_BEAM = 32
"""Chains kept while growing; those that the path leaves are dropped first."""


class LaneGraph:
    """The lanes of a map and which follows which."""

    def __init__(self, polylines: Sequence[Array]) -> None:
        """Link lanes [P, 2] by their ends; lanes without length are left out."""
        self.lanes = [line for line in map(_without_doubles, polylines) if len(line) >= 2]
        self.length_m = [float(arc_lengths(line)[-1]) for line in self.lanes]
        starts = np.array([line[0] for line in self.lanes]).reshape(-1, 2)
        first_yaw = np.array([_yaw(line[:2])[0] for line in self.lanes])
        self.following: list[list[int]] = []
        for index, line in enumerate(self.lanes):
            gap_m = np.hypot(*(starts - line[-1]).T)
            turn = np.abs(wrap_angle(first_yaw - _yaw(line[-2:])[0]))
            joined = np.flatnonzero((gap_m < JOIN_M) & (turn < JOIN_RAD))
            self.following.append([int(i) for i in joined if i != index])

    def centerline(self, path: Array, ahead_m: float) -> Array | str:
        """Return the centreline of the lanes that a path follows, or why there is none.

        Of all chains of lanes from the path's start, the one with the least mean squared distance
        to the path; beyond the path's end the straightest.

        Args:
            path: [N, 3] x, y, yaw of the driven path, in order.
            ahead_m: how far to go on beyond the path's end, where lanes are mapped.

        Returns:
            [P, 3] x, y, yaw about each metre, or a sentence.
        """
        samples = _thinned(path)
        driven_m = float(arc_lengths(samples)[-1])
        chains: list[tuple[int, ...]] = [
            (lane,) for lane, line in enumerate(self.lanes) if self._starts_on(line, samples[0])
        ]
        if not chains:
            return f"no lane of the map within {START_M:g} m of where the path starts"
        done: list[tuple[int, ...]] = []
        while chains:
            chains = sorted(chains, key=lambda c: self._cost(c, samples, driven_m))[:_BEAM]
            grown = []
            for chain in chains:
                nexts = [n for n in self.following[chain[-1]] if n not in chain]
                if not nexts or self._beyond_m(chain, samples[0]) >= driven_m + ahead_m:
                    done.append(chain)
                else:
                    grown += [(*chain, n) for n in nexts]
            chains = grown
        best = min(done, key=lambda c: self._cost(c, samples, np.inf))
        line = self._line(best)
        farthest_m = float(np.abs(project_on_polyline(samples[:, :2], line)[1]).max())
        if farthest_m > LARGEST_DISTANCE_M:
            return (
                f"the path leaves every chain of mapped lanes by more than "
                f"{LARGEST_DISTANCE_M:g} m (best: {farthest_m:.1f} m)"
            )
        return _resampled(line)

    def _starts_on(self, line: Array, pose: Array) -> bool:
        s, aside_m = project_on_polyline(pose[None, :2], line)
        segment = np.searchsorted(arc_lengths(line), s[0], side="right") - 1
        segment = min(int(segment), len(line) - 2)
        turn = abs(float(wrap_angle(_yaw(line[segment : segment + 2])[0] - pose[2])))
        return bool(abs(aside_m[0]) < START_M and turn < JOIN_RAD)

    def _line(self, chain: tuple[int, ...]) -> Array:
        return _without_doubles(np.concatenate([self.lanes[i] for i in chain]))

    def _beyond_m(self, chain: tuple[int, ...], start: Array) -> float:
        line = self._line(chain)
        s, _ = project_on_polyline(start[None, :2], line)
        return float(arc_lengths(line)[-1] - s[0])

    def _cost(self, chain: tuple[int, ...], samples: Array, reach_m: float) -> float:
        """Mean squared distance [m2] of the samples that the chain is long enough for, plus turns.

        The turns decide only where the path says nothing: 1 rad weighs as 0.1 m2.
        """
        line = self._line(chain)
        travelled = arc_lengths(samples)
        reached = travelled <= max(min(self._beyond_m(chain, samples[0]), reach_m), 0.0)
        used = samples if np.isinf(reach_m) else samples[reached]
        _, aside_m = project_on_polyline(used[:, :2], line)
        turns = float(np.abs(wrap_angle(np.diff(_yaw(line)))).sum())
        return float((aside_m**2).mean()) + 0.1 * turns


def _yaw(line: Array) -> Array:
    step = np.diff(line[:, :2], axis=0)
    return np.arctan2(step[:, 1], step[:, 0])


def _without_doubles(line: Array) -> Array:
    """Drop points that repeat the one before."""
    keep = np.concatenate([[True], np.hypot(*np.diff(line[:, :2], axis=0).T) > 1e-3])
    return np.asarray(line[keep], dtype=np.float64)


def _thinned(path: Array) -> Array:
    """Return poses at least SPACING_M apart, the first always."""
    kept = [path[0]]
    for pose in path[1:]:
        if np.hypot(*(pose - kept[-1])[:2]) >= SPACING_M:
            kept.append(pose)
    return np.array(kept)


def _resampled(line: Array) -> Array:
    """Return a polyline [P, 2] as x, y, yaw [Q, 3] at even steps of about SPACING_M."""
    s = arc_lengths(line)
    even = np.linspace(0.0, s[-1], max(2, round(float(s[-1]) / SPACING_M) + 1))
    xy = np.stack([np.interp(even, s, line[:, k]) for k in (0, 1)], axis=-1)
    yaw = np.arctan2(*np.gradient(xy, axis=0).T[::-1])
    return np.column_stack([xy, yaw])
