"""The simulated ego of every proposal: its states, its box and its speed, in the scene's frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.metrics.boxes import Boxes
from diff_planner.metrics.tracker import SimIndex

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EgoTrack:
    """What K proposals became in the simulation."""

    states: Array
    """[K, 41, 11] columns of `SimIndex`, in the frame of the ego at t = 0."""
    vehicle: VehicleConfig

    def __len__(self) -> int:
        """K."""
        return len(self.states)

    @cached_property
    def boxes(self) -> Boxes:
        """The vehicle's box [K, 41]."""
        yaw = self.states[..., SimIndex.YAW]
        cos, sin = np.cos(yaw), np.sin(yaw)
        offset = self.vehicle.rear_axle_to_center_m
        return Boxes(
            self.states[..., SimIndex.X] + offset * cos,
            self.states[..., SimIndex.Y] + offset * sin,
            cos,
            sin,
            np.full(cos.shape, 0.5 * self.vehicle.length_m),
            np.full(cos.shape, 0.5 * self.vehicle.width_m),
        )

    @cached_property
    def speed(self) -> Array:
        """[K, 41] m/s, never negative."""
        return np.hypot(self.states[..., SimIndex.VX], self.states[..., SimIndex.VY])

    @cached_property
    def centre(self) -> Array:
        """[2, K, 41] x and y of the box's centre."""
        return np.stack([self.boxes.x, self.boxes.y])

    def rows(self, index: slice) -> EgoTrack:
        """Return the track of some of the proposals."""
        return EgoTrack(self.states[index], self.vehicle)
