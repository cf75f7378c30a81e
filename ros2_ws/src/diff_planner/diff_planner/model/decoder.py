"""One pass of the trajectory decoder: noisy points and a scene in, clean trajectories out.

After DiffusionDrive (arXiv:2411.15139, section 3.4): every trajectory is a query of its own, layers
refine one another.  What differs is listed at `BevDiffusionPlanner`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_planner.model.attention import Attention, FeedForward, Memory
from diff_planner.model.network_config import NetworkConfig
from diff_planner.types import HORIZON_STEPS


class Prediction(NamedTuple):
    """What one decoder layer says."""

    poses: Tensor
    """[B, M, T, 3] x m, y m, yaw rad (unwrapped) in base_link."""
    logits: Tensor
    """[B, M]; higher is better."""


class BevAttention(nn.Module):
    """Reads the BEV map at the trajectory's own points, with learned weights per head.

    Beyond the map's edge the samples fade, over one cell, into a learned vector, so that "not seen"
    differs from "seen and empty".
    """

    def __init__(self, config: NetworkConfig, range_m: float, cell_m: float) -> None:
        """Take the map's half width and the side of a cell."""
        super().__init__()
        self.heads = config.heads
        self.range_m = range_m
        self.cell_m = cell_m
        self.weights = nn.Linear(config.width, config.heads * HORIZON_STEPS)
        self.beyond = nn.Parameter(torch.zeros(config.bev_channels, 1, 1))
        self.out = nn.Linear(config.bev_channels, config.width)

    def forward(self, queries: Tensor, points_m: Tensor, bev: Tensor) -> Tensor:
        """Read for queries [B, M, D] at points [B, M, T, 2] in bev [B, C, R, R]: [B, M, D]."""
        # grid_sample wants (column, row): columns grow with y, rows with x.
        grid = points_m.flip(-1) / self.range_m
        sampled = functional.grid_sample(
            bev, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )  # [B, C, M, T]
        # The share of each bilinear sample that falls on the map.
        inside = ((self.range_m - points_m.abs()) / self.cell_m + 0.5).clamp(0.0, 1.0)
        inside = inside.prod(dim=-1)[:, None]  # [B, 1, M, T]
        sampled = sampled + (1.0 - inside) * self.beyond
        weights = self.weights(queries).unflatten(-1, (self.heads, HORIZON_STEPS)).softmax(-1)
        values = sampled.permute(0, 2, 3, 1).unflatten(-1, (self.heads, -1))  # [B, M, T, h, C/h]
        mixed = torch.matmul(weights[..., None, :], values.transpose(2, 3))  # [B, M, h, 1, C/h]
        return self.out(mixed.flatten(2))


class DecoderLayer(nn.Module):
    """BEV at the points, all tokens, feed-forward, time; then a trajectory and a logit."""

    def __init__(self, config: NetworkConfig, range_m: float, cell_m: float) -> None:
        """Take the sizes and the BEV map's geometry."""
        super().__init__()
        width = config.width
        self.bev_norm = nn.LayerNorm(width)
        self.bev_attention = BevAttention(config, range_m, cell_m)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width)
        self.time_norm = nn.LayerNorm(width)
        self.modulation = nn.Linear(width, 2 * width)
        self.regression = _head(width, HORIZON_STEPS * 3)
        self.classification = _head(width, 1)

    def forward(
        self, queries: Tensor, points_m: Tensor, bev: Tensor, memory: Memory, time: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine queries [B, M, D] of points [B, M, T, 2], at time embedding [B, D].

        Returns:
            Queries [B, M, D], offsets [B, M, T, 3] from the clean anchors, logits [B, M].
        """
        queries = queries + self.bev_attention(self.bev_norm(queries), points_m, bev)
        queries = queries + self.attention(self.attention_norm(queries), memory)
        queries = queries + self.ffn(self.ffn_norm(queries))
        scale, shift = self.modulation(time)[:, None].chunk(2, dim=-1)  # [B, 1, D] each
        queries = self.time_norm(queries) * (1.0 + scale) + shift
        offsets = self.regression(queries).unflatten(-1, (HORIZON_STEPS, 3))
        return queries, offsets, self.classification(queries).squeeze(-1)


def _head(width: int, size: int) -> nn.Sequential:
    """Make a head whose last layer is zero: an untrained network returns its anchors exactly."""
    head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))
    nn.init.zeros_(head[-1].weight)
    nn.init.zeros_(head[-1].bias)
    return head
