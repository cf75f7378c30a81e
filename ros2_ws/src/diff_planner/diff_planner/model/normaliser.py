"""Between metres and the unit square in which noise is added."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PointNormaliser(nn.Module):
    """Scales x and y about the vehicle: base_link's origin stays 0.

    So multiplicative noise (DiffusionDriveV2) is a stretch of the trajectory about the vehicle.
    """

    scale_m: Tensor

    def __init__(self, x_m: float, y_m: float) -> None:
        """Take the metres that map to 1."""
        super().__init__()
        self.register_buffer("scale_m", torch.tensor([x_m, y_m]), persistent=False)

    def normalise(self, points_m: Tensor) -> Tensor:
        """Map metres [..., 2] to units."""
        return points_m / self.scale_m

    def denormalise(self, points: Tensor) -> Tensor:
        """Map units [..., 2] to metres."""
        return points * self.scale_m
