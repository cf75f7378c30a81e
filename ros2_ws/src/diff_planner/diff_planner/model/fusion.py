"""Camera and LiDAR maps look at each other (TransFuser, arXiv:2205.15997, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_planner.model.attention import SelfAttentionBlock


class Fusion(nn.Module):
    """Self-attention over the coarse tokens of both maps, added back to both.

    Both maps are pooled to the token grids of the coarsest stage, so the cost does not grow with
    the scale at which it is used.
    """

    def __init__(
        self, channels: int, heads: int, camera_grid: tuple[int, int], lidar_grid: tuple[int, int]
    ) -> None:
        """Take the maps' channels and the token grids (rows, columns)."""
        super().__init__()
        self.camera_grid = camera_grid
        self.lidar_grid = lidar_grid
        tokens = camera_grid[0] * camera_grid[1] + lidar_grid[0] * lidar_grid[1]
        self.position = nn.Parameter(torch.empty(1, tokens, channels).uniform_(-0.1, 0.1))
        self.block = SelfAttentionBlock(channels, heads)
        self.norm = nn.LayerNorm(channels)

    def forward(self, camera: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse camera [B, C, h, w] and LiDAR [B, C, r, c]; shapes stay."""
        camera_tokens = _pool(camera, self.camera_grid)
        lidar_tokens = _pool(lidar, self.lidar_grid)
        tokens = torch.cat([camera_tokens, lidar_tokens], dim=1) + self.position
        tokens = self.norm(self.block(tokens))
        split = self.camera_grid[0] * self.camera_grid[1]
        fused_camera = _unpool(tokens[:, :split], self.camera_grid, camera)
        fused_lidar = _unpool(tokens[:, split:], self.lidar_grid, lidar)
        return camera + fused_camera, lidar + fused_lidar


def _pool(feature_map: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average a map [B, C, H, W] over equal cells to tokens [B, rows * columns, C]."""
    # Fixed kernels, since adaptive pooling does not export.
    kernel = (feature_map.shape[2] // grid[0], feature_map.shape[3] // grid[1])
    return functional.avg_pool2d(feature_map, kernel).flatten(2).transpose(1, 2)


def _unpool(tokens: Tensor, grid: tuple[int, int], like: Tensor) -> Tensor:
    """Bring tokens [B, rows * columns, C] to the size of a map."""
    coarse = tokens.transpose(1, 2).unflatten(2, grid)  # [B, C, rows, columns]
    factor = like.shape[2] // grid[0]
    if factor == 1:
        return coarse
    return functional.interpolate(
        coarse, scale_factor=float(factor), mode="bilinear", align_corners=False
    )
