"""What the safety rules judge a candidate by, beside the candidate itself."""

from __future__ import annotations

from dataclasses import dataclass

from diff_planner.config import SafetyConfig, VehicleConfig
from diff_planner.types import EgoState, FloatArray, LidarSweep


@dataclass(frozen=True)
class SafetyContext:
    """One cycle's surroundings; frame: base_link at the plan's stamp."""

    vehicle: VehicleConfig
    config: SafetyConfig
    ego: EgoState
    """Motion at the plan's stamp."""
    lidar: LidarSweep | None
    """The sweep of this cycle; without one the collision rule refuses to judge."""
    last_plan: FloatArray | None
    """[N, 7] what is left of the last plan, from the stamp on at 0.1 s; None or N = 0: none."""
