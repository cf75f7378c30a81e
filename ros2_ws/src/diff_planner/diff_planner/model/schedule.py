"""The noise schedule, truncated: diffusion starts at slightly noisy anchors.

Symbols as in DDIM (arXiv:2010.02502): alpha_bar_t = prod(1 - beta), x_t = sqrt(alpha_bar_t) x_0 +
sqrt(1 - alpha_bar_t) eps.  The network predicts x_0.  Steps are real jumps from one listed
timestep to the next, with eta = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TruncatedSchedule(nn.Module):
    """Scaled-linear betas: linear in sqrt(beta) over the training timesteps."""

    alpha_bar: Tensor

    def __init__(self, train_timesteps: int, beta_first: float, beta_last: float) -> None:
        """Compute alpha_bar [train_timesteps] in float64."""
        super().__init__()
        roots = torch.linspace(
            beta_first**0.5, beta_last**0.5, train_timesteps, dtype=torch.float64
        )
        alpha_bar = torch.cumprod(1.0 - roots**2, dim=0)
        self.register_buffer("alpha_bar", alpha_bar.float(), persistent=False)

    def add_noise(self, x_0: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Return x_t for clean x_0 [B, M, T, 2], standard normal noise and timestep [B]."""
        signal, sigma = self._coefficients(timestep)
        return signal * x_0 + sigma * noise

    def jump(self, x_t: Tensor, x_0: Tensor, timestep: Tensor, next_timestep: Tensor) -> Tensor:
        """Carry x_t [B, M, T, 2] from one timestep [B] to a smaller one, given predicted x_0."""
        signal, sigma = self._coefficients(timestep)
        noise = (x_t - signal * x_0) / sigma
        return self.add_noise(x_0, noise, next_timestep)

    def _coefficients(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = self.alpha_bar[timestep][:, None, None, None]
        return alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt()
