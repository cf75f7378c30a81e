"""Sine embeddings of points and of diffusion time.

Keep them in float32 whatever the precision of the rest: bfloat16 has 8 bits, so the phase of the
finest band, up to 100 radians, would be rounded by a quarter of a radian.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PointEmbedding(nn.Module):
    """Sines and cosines of x and y; wavelengths from 4 m to 512 m, evenly in the logarithm."""

    omega: Tensor

    def __init__(self, bands: int) -> None:
        """Take the number of wavelengths."""
        super().__init__()
        wavelengths_m = torch.logspace(2.0, 9.0, bands, base=2.0, dtype=torch.float64)
        omega = (2.0 * math.pi / wavelengths_m).float()
        self.register_buffer("omega", omega, persistent=False)

    def forward(self, points_m: Tensor) -> Tensor:
        """Embed points [..., T, 2] in metres as [..., T * 4 * bands]."""
        phase = (points_m[..., None] * self.omega).flatten(-3)  # [..., T * 2 * bands]
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class TimeEmbedding(nn.Module):
    """The timestep as a vector: sines, then a small MLP."""

    omega: Tensor

    def __init__(self, width: int) -> None:
        """Take D, which must be even."""
        super().__init__()
        # Vaswani et al. (arXiv:1706.03762), section 3.5.
        exponent = torch.arange(width // 2, dtype=torch.float64) / (width // 2)
        self.register_buffer("omega", (10000.0**-exponent).float(), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, timestep: Tensor) -> Tensor:
        """Embed timesteps [B] as [B, D]."""
        phase = timestep[:, None].float() * self.omega
        return self.mlp(torch.cat([phase.sin(), phase.cos()], dim=-1))
