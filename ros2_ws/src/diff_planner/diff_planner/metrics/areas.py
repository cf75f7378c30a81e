"""Where on the map the ego's box is at each step: the flags that several scores read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import PreparedScene

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EgoAreas:
    """Flags [K, 41]; None where the map does not have what it takes to tell."""

    is_multi_lane: Mask | None
    """Corners in more than one lane or connector, and none of these holds all four."""
    is_off_road: Mask | None
    """A corner is in no road block, intersection, car park or drivable area."""
    is_oncoming: Mask | None
    """The centre is in no lane or connector of the route."""
    is_centre_in_intersection: Mask
    """Also False where the map has no intersections."""

    @cached_property
    def is_lateral_at_fault(self) -> Mask | None:
        """Where a collision from the side is the ego's fault: between lanes, or off the road.

        What is not known of the two is taken as False; both unknown is None.
        """
        if self.is_multi_lane is None or self.is_off_road is None:
            return self.is_multi_lane if self.is_off_road is None else self.is_off_road
        return np.asarray(self.is_multi_lane | self.is_off_road)

    def rows(self, index: slice) -> EgoAreas:
        """Return the flags of some of the proposals."""
        return EgoAreas(
            None if self.is_multi_lane is None else self.is_multi_lane[index],
            None if self.is_off_road is None else self.is_off_road[index],
            None if self.is_oncoming is None else self.is_oncoming[index],
            self.is_centre_in_intersection[index],
        )


def ego_areas(ego: EgoTrack, scene: PreparedScene) -> EgoAreas:
    """Return where the simulated ego of each proposal is."""
    corners = np.stack(ego.boxes.corners())  # [2, 4, K, 41]
    points = np.concatenate([corners, ego.centre[:, None]], axis=1)  # [2, 5, K, 41]
    shape = points.shape[2:]
    multi_lane, oncoming = _lane_flags(points, scene)
    off_road: Mask | None = None
    if scene.drivable.rings:
        held = scene.drivable.any_contains(points[:, :4].reshape(2, -1))
        off_road = ~np.asarray(held.reshape(4, *shape).all(axis=0))
    crossing = scene.intersections.any_contains(points[:, 4].reshape(2, -1)).reshape(shape)
    return EgoAreas(multi_lane, off_road, oncoming, crossing)


def _lane_flags(
    points: NDArray[np.float64], scene: PreparedScene
) -> tuple[Mask | None, Mask | None]:
    """Return the flags of multiple lanes and of the oncoming side for points [2, 5, K, 41]."""
    if not scene.lanes.rings:
        return None, None
    shape = points.shape[2:]
    touched = np.zeros(shape, dtype=np.int16)
    is_within_one = np.zeros(shape, dtype=np.bool_)
    is_on_route = np.zeros(shape, dtype=np.bool_)
    flat = points.reshape(2, -1)
    for index in scene.lanes.near(points):
        held = scene.lanes.contains(int(index), flat).reshape(5, *shape)
        touched += held[:4].any(axis=0)
        is_within_one |= held[:4].all(axis=0)
        if scene.is_route_lane[index]:
            is_on_route |= held[4]
    oncoming = ~is_on_route if scene.is_route_lane.any() else None
    return (touched > 1) & ~is_within_one, oncoming
