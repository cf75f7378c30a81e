"""Sensors to scene: two small residual branches, fused, and a BEV map built top-down.

After TransFuser (arXiv:2205.15997) as DiffusionDrive uses it, at a size for two CPU cores: fusion
at the two coarsest of four scales, one residual block a stage.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_planner.config import FeatureConfig
from diff_planner.errors import ContractError
from diff_planner.model.fusion import Fusion
from diff_planner.model.network_config import NetworkConfig

COARSEST_STRIDE = 32


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (arXiv:1512.03385); the first halves the map."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Take the channels."""
        super().__init__()
        self.conv1 = _conv(channels_in, channels_out, kernel=3, stride=2)
        self.conv2 = _conv(channels_out, channels_out, kernel=3, stride=1)
        self.shortcut = _conv(channels_in, channels_out, kernel=1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, C', H / 2, W / 2]."""
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + self.shortcut(x))


def _conv(channels_in: int, channels_out: int, *, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


class Branch(nn.Module):
    """One sensor's convolutions: a stem of stride 2 and four stages of strides 4 to 32."""

    def __init__(self, channels_in: int, config: NetworkConfig) -> None:
        """Take the input's channels."""
        super().__init__()
        self.stem = nn.Sequential(
            _conv(channels_in, config.stem_channels, kernel=5, stride=2), nn.ReLU()
        )
        channels = (config.stem_channels, *config.stage_channels)
        self.stages = nn.ModuleList(
            ResidualBlock(before, after) for before, after in pairwise(channels)
        )


class BevEncoder(nn.Module):
    """Camera and LiDAR to one BEV map and tokens."""

    def __init__(self, config: NetworkConfig, features: FeatureConfig) -> None:
        """Take the sizes; picture and LiDAR grid must be multiples of 32."""
        super().__init__()
        self.camera = Branch(3, config)
        self.lidar = Branch(1, config)
        camera_grid, lidar_grid = token_grids(features)
        coarse = config.stage_channels[2:]
        self.fusions = nn.ModuleList(
            Fusion(channels, config.heads, camera_grid, lidar_grid) for channels in coarse
        )
        self.top_down = TopDown(config)

    def forward(self, camera: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode camera [B, 3, H, W] and LiDAR [B, 1, R, R], both 0..1.

        Returns:
            BEV map [B, C, R / 4, R / 4] (first axis grows with x, second with y), fused
            camera map [B, C', H / 32, W / 32] and fused LiDAR map [B, C', R / 32, R / 32].
        """
        camera = self.camera.stem(camera)
        lidar = self.lidar.stem(lidar)
        maps = []
        first_fused = len(self.camera.stages) - len(self.fusions)
        for k, stages in enumerate(zip(self.camera.stages, self.lidar.stages, strict=True)):
            camera, lidar = stages[0](camera), stages[1](lidar)
            if k >= first_fused:
                camera, lidar = self.fusions[k - first_fused](camera, lidar)
            maps.append(lidar)
        return self.top_down(maps), camera, lidar


class TopDown(nn.Module):
    """Coarse LiDAR maps carried up to stride 4 (feature pyramid, arXiv:1612.03144)."""

    def __init__(self, config: NetworkConfig) -> None:
        """Take the sizes."""
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Conv2d(channels, config.bev_channels, 1) for channels in config.stage_channels
        )
        self.smooth = nn.ModuleList(
            nn.Conv2d(config.bev_channels, config.bev_channels, 3, padding=1) for _ in range(2)
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Merge maps [B, C_k, R / s, R / s] of strides s = 4, 8, 16, 32 to [B, C, R / 4, R / 4]."""
        merged = self.laterals[3](maps[3])
        merged = self.laterals[2](maps[2]) + _double(merged)
        merged = functional.relu(self.smooth[1](self.laterals[1](maps[1]) + _double(merged)))
        return functional.relu(self.smooth[0](self.laterals[0](maps[0]) + _double(merged)))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def token_grids(features: FeatureConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return rows and columns of the coarsest camera and LiDAR maps.

    Raises:
        ContractError: a size is no multiple of 32.
    """
    sizes = (features.camera_height_px, features.camera_width_px, features.lidar_cells)
    if any(size % COARSEST_STRIDE for size in sizes):
        raise ContractError(
            "picture height, width and LiDAR cells: "
            f"expected multiples of {COARSEST_STRIDE}, got {sizes}"
        )
    rows, columns, cells = (size // COARSEST_STRIDE for size in sizes)
    return (rows, columns), (cells, cells)


def tokens_of(feature_map: Tensor) -> Tensor:
    """Flatten a map [B, C, H, W] to tokens [B, H * W, C]."""
    return torch.flatten(feature_map, 2).transpose(1, 2)
