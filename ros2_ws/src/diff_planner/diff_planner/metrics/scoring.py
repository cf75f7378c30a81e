"""What PDMS and EPDMS have in common: proposals driven in the simulator, and where that led."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import transform_poses
from diff_planner.metrics.areas import EgoAreas, ego_areas
from diff_planner.metrics.contacts import Contacts, find_contacts
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.no_collision import EventScores
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.progress import raw_progress
from diff_planner.metrics.proposals import checked_proposals, interpolate_proposals
from diff_planner.metrics.quirks import Quirks
from diff_planner.metrics.subscores import SubScores, why_missing
from diff_planner.metrics.tracker import simulate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreDetail:
    """How scores came about; [K] as the proposals."""

    proposals: Array
    """[K, 41, 3] x, y, yaw in the world, 0.1 s apart: what was tracked."""
    states: Array
    """[K, 41, 11] columns of `SimIndex`, poses in the world: what was scored."""
    progress_m: SubScores
    """Metres along the centreline, not masked by other scores."""
    reference_progress_m: float
    """The same of the reference; NaN where progress was not evaluated."""
    collision_step: NDArray[np.int64]
    """Step of 0.1 s of the first collision at fault, -1 for none."""
    ttc_step: NDArray[np.int64]
    """Step at which time to collision is first too short, -1 for none."""
    areas: EgoAreas
    comfort_terms: NDArray[np.bool_]
    """[K, 6] columns of `COMFORT_TERMS`, of the simulated states alone."""


@dataclass(frozen=True)
class Drive:
    """Proposals after simulation: the K to be scored, then the reference and others, if any."""

    scene: PreparedScene
    count: int
    """K."""
    tracked: Array
    """[K + ..., 41, 3] in the frame of the ego at t = 0."""
    ego: EgoTrack
    areas: EgoAreas
    contacts: Contacts
    progress: SubScores
    """[K + ...] metres along the centreline."""

    @property
    def own(self) -> slice:
        """Rows of the proposals that are to be scored."""
        return slice(self.count)

    @property
    def reference_row(self) -> int | None:
        """Row of the reference; None without one."""
        return None if self.scene.reference is None else self.count

    def missing_progress(self) -> str:
        """Return why progress cannot be scored, or an empty string."""
        if self.scene.reference is None:
            return "the scene has no reference trajectory"
        return self.progress.reason

    def detail(
        self, collision: EventScores, ttc: EventScores, comfort_terms: NDArray[np.bool_]
    ) -> ScoreDetail:
        """Return how scores came about, in the world's frame."""
        pose, own = self.scene.scene.ego.pose, self.own
        states = self.ego.states[own].copy()
        states[..., :3] = transform_poses(pose, states[..., :3])
        row = self.reference_row
        return ScoreDetail(
            proposals=transform_poses(pose, self.tracked[own]),
            states=states,
            progress_m=self.progress.rows(own),
            reference_progress_m=float("nan") if row is None else float(self.progress.values[row]),
            collision_step=collision.step[own],
            ttc_step=ttc.step[own],
            areas=self.areas.rows(own),
            comfort_terms=comfort_terms[own],
        )


def drive(
    scene: PreparedScene,
    proposals: Array,
    others: Sequence[Array],
    last_ahead_step: int,
    quirks: Quirks,
) -> Drive:
    """Simulate proposals [K, 8, 3], the scene's reference and others [8, 3], and look around.

    Raises:
        InputError: the proposals have another shape or are not finite.
    """
    poses = checked_proposals(proposals)
    more = [*([] if scene.reference is None else [scene.reference]), *others]
    everyone = np.concatenate([poses, checked_proposals(np.stack(more))]) if more else poses
    tracked = interpolate_proposals(everyone)
    vehicle = scene.scene.vehicle
    ego = EgoTrack(simulate(tracked, scene.initial, vehicle, quirks), vehicle)
    return Drive(
        scene=scene,
        count=len(poses),
        tracked=tracked,
        ego=ego,
        areas=ego_areas(ego, scene),
        contacts=find_contacts(ego, scene.agents, last_ahead_step),
        progress=raw_progress(ego, scene),
    )


def combined(
    multiplied: Mapping[str, SubScores],
    weighted: Mapping[str, SubScores],
    weights: Mapping[str, float],
) -> SubScores:
    """Return the product of some scores times the weighted mean of others.

    Where one of them was not evaluated, neither is the result.
    """
    count = len(next(iter(multiplied.values())).values)
    reason = why_missing({**multiplied, **weighted})
    if reason:
        return SubScores.missing(count, reason)
    weight = np.array([weights[name] for name in weighted])
    mean = weight @ np.stack([part.values for part in weighted.values()]) / weight.sum()
    return SubScores(product(multiplied) * mean)


def product(multiplied: Mapping[str, SubScores]) -> Array:
    """Return the product [K] of scores; NaN where one was not evaluated."""
    return np.asarray(np.prod([part.values for part in multiplied.values()], axis=0))
