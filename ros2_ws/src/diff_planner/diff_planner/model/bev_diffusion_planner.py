"""The whole network: sensors and noise in, trajectories and scores out, all steps inside."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from diff_planner.config import FeatureConfig
from diff_planner.model.anchors import anchor_poses
from diff_planner.model.attention import Memory
from diff_planner.model.decoder import DecoderLayer, Prediction
from diff_planner.model.embedding import PointEmbedding, TimeEmbedding
from diff_planner.model.encoder import BevEncoder, token_grids, tokens_of
from diff_planner.model.network_config import NetworkConfig
from diff_planner.model.normaliser import PointNormaliser
from diff_planner.model.schedule import TruncatedSchedule
from diff_planner.types import HORIZON_STEPS, ROUTE_POINTS

BEV_STRIDE = 4
"""LiDAR cells to a cell of the BEV map, along one axis."""
SPEED_SCALE_MPS = 10.0
ACCELERATION_SCALE_MPS2 = 3.0
ROUTE_SCALE_M = 50.0
"""Divisors that bring the inputs to about 1; inside the graph, so no caller can forget them."""


class Scene(NamedTuple):
    """What the decoder reads; made once a cycle."""

    bev: Tensor
    """[B, C, R / 4, R / 4]."""
    ego: Tensor
    """[B, 1, D] status and masks."""
    memories: tuple[Memory, ...]
    """Keys and values of all tokens, for each decoder layer."""


class BevDiffusionPlanner(nn.Module):
    """Anchored truncated diffusion over a TransFuser-style scene.

    Differences from the published DiffusionDrive, all deliberate: the schedule really jumps between
    the listed timesteps; the feed-forward part has a residual; the regression is an offset from
    the clean anchor, and so is the heading; a query carries on from layer to layer; BEV samples
    beyond the map read a learned vector; x and y are normalised about the vehicle.
    """

    anchors: Tensor
    status_scale: Tensor
    encoder: BevEncoder

    def __init__(self, config: NetworkConfig, features: FeatureConfig) -> None:
        """Build it with torch's global random state; see `build_planner` for a seeded one."""
        super().__init__()
        self.config = config
        self.features = features
        anchors = torch.from_numpy(anchor_poses()).float()
        self.register_buffer("anchors", anchors)  # [M, T, 3]
        self.normaliser = PointNormaliser(config.normaliser_x_m, config.normaliser_y_m)
        self.schedule = TruncatedSchedule(
            config.train_timesteps, config.beta_first, config.beta_last
        )
        self.encoder = BevEncoder(config, features)
        self._add_tokens()
        self.time_embedding = TimeEmbedding(config.width)
        self.point_embedding = PointEmbedding(config.point_bands)
        embedded = HORIZON_STEPS * 4 * config.point_bands
        self.anchor_query = nn.Linear(embedded, config.width)
        self.point_query = nn.Linear(embedded, config.width)
        cell_m = BEV_STRIDE / features.lidar_px_per_m
        range_m = 0.5 * features.lidar_cells / features.lidar_px_per_m
        self.layers = nn.ModuleList(
            DecoderLayer(config, range_m, cell_m) for _ in range(config.decoder_layers)
        )

    def _add_tokens(self) -> None:
        width, coarse = self.config.width, self.config.stage_channels[-1]
        self.camera_token = nn.Linear(coarse, width)
        self.lidar_token = nn.Linear(coarse, width)
        masks = 3 + 1  # camera thirds, LiDAR
        self.ego_token = nn.Sequential(
            nn.Linear(self.features.status_size + masks, width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.route_token = nn.Linear(2, width)
        self.route_absent = nn.Parameter(torch.zeros(width))
        camera_grid, lidar_grid = token_grids(self.features)
        count = camera_grid[0] * camera_grid[1] + lidar_grid[0] * lidar_grid[1] + 1 + ROUTE_POINTS
        self.token_position = nn.Parameter(torch.empty(1, count, width).uniform_(-0.1, 0.1))
        # Commands as they are, then vx, vy, ax, ay.
        scale = torch.ones(self.features.status_size)
        scale[-4:] = torch.tensor([SPEED_SCALE_MPS] * 2 + [ACCELERATION_SCALE_MPS2] * 2)
        self.register_buffer("status_scale", scale, persistent=False)

    def forward(
        self,
        camera: Tensor,
        lidar: Tensor,
        status: Tensor,
        route: Tensor,
        route_mask: Tensor,
        camera_mask: Tensor,
        lidar_mask: Tensor,
        noise: Tensor,
    ) -> Prediction:
        """Plan: shapes as in `ModelInputs` with a batch axis B in front.

        Args:
            camera: [B, 3, H, W] uint8.
            lidar: [B, 1, R, R] uint8 counts.
            status: [B, S] command one-hot, vx, vy (m/s), ax, ay (m/s2).
            route: [B, 20, 2] metres.
            route_mask: [B, 20].
            camera_mask: [B, 3].
            lidar_mask: [B, 1].
            noise: [B, M, T, 2] standard normal.

        Returns:
            The last layer's prediction after the last denoising step.
        """
        scene = self.encode(camera, lidar, status, route, route_mask, camera_mask, lidar_mask)
        return self.sample(scene, noise)

    def encode(
        self,
        camera: Tensor,
        lidar: Tensor,
        status: Tensor,
        route: Tensor,
        route_mask: Tensor,
        camera_mask: Tensor,
        lidar_mask: Tensor,
    ) -> Scene:
        """Read the sensors; arguments as in `forward`."""
        # A sensor that is absent is zero whatever its tensor holds.  Thirds of the picture that no
        # camera saw are already zero; where their borders lie is the features' business.
        any_camera = camera_mask.amax(dim=1)[:, None, None, None]
        camera = camera.float() / 255.0 * any_camera
        lidar = lidar.float() / float(self.features.lidar_max_count)
        lidar = lidar * lidar_mask[:, :, None, None]
        bev, camera_map, lidar_map = self.encoder(camera, lidar)
        ego = torch.cat([status / self.status_scale, camera_mask, lidar_mask], dim=1)
        ego = self.ego_token(ego)[:, None]  # [B, 1, D]
        present = route_mask[..., None]
        route_tokens = present * self.route_token(route / ROUTE_SCALE_M)
        route_tokens = route_tokens + (1.0 - present) * self.route_absent
        camera_tokens = self.camera_token(tokens_of(camera_map))
        lidar_tokens = self.lidar_token(tokens_of(lidar_map))
        tokens = torch.cat([camera_tokens, lidar_tokens, ego, route_tokens], dim=1)
        tokens = tokens + self.token_position
        memories = tuple(layer.attention.remember(tokens) for layer in self.layers)
        return Scene(bev, ego, memories)

    def sample(self, scene: Scene, noise: Tensor) -> Prediction:
        """Denoise from noisy anchors through all timesteps; noise [B, M, T, 2]."""
        steps = [self._timestep(t, noise) for t in self.config.timesteps]
        points = self.noisy_anchors(noise, steps[0])
        for timestep, next_timestep in pairwise(steps):
            poses = self.denoise(scene, points, timestep)[-1].poses
            clean = self.normaliser.normalise(poses[..., :2]).clamp(-1.0, 1.0)
            points = self.schedule.jump(points, clean, timestep, next_timestep).clamp(-1.0, 1.0)
        return self.denoise(scene, points, steps[-1])[-1]

    def noisy_anchors(self, noise: Tensor, timestep: Tensor) -> Tensor:
        """Return the anchors in units at timestep [B], with noise [B, M, T, 2] in them."""
        clean = self.normaliser.normalise(self.anchors[None, ..., :2])
        return self.schedule.add_noise(clean, noise, timestep).clamp(-1.0, 1.0)

    def denoise(self, scene: Scene, points: Tensor, timestep: Tensor) -> list[Prediction]:
        """Predict the clean trajectories of noisy points: what a training loss looks at.

        Args:
            scene: of `encode`.
            points: [B, M, T, 2] in the normaliser's units.
            timestep: [B] integers, how noisy the points are.

        Returns:
            The prediction of each layer, the last one best.
        """
        points_m = self.normaliser.denormalise(points)
        anchor_query = self.anchor_query(self.point_embedding(self.anchors[..., :2]))
        queries = anchor_query + scene.ego  # [B, M, D]
        time = self.time_embedding(timestep)
        predictions = []
        for layer, memory in zip(self.layers, scene.memories, strict=True):
            queries = queries + self.point_query(self.point_embedding(points_m))
            queries, offsets, logits = layer(queries, points_m, scene.bev, memory, time)
            poses = self.anchors + offsets
            predictions.append(Prediction(poses, logits))
            # Layers are trained one by one (as in DiffusionDrive): no gradient through points.
            points_m = poses[..., :2].detach()
        return predictions

    def _timestep(self, value: int, like: Tensor) -> Tensor:
        return torch.full((like.shape[0],), value, dtype=torch.long, device=like.device)


def build_planner(config: NetworkConfig, features: FeatureConfig, seed: int) -> BevDiffusionPlanner:
    """Build an untrained network in evaluation mode; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BevDiffusionPlanner(config, features).eval()
