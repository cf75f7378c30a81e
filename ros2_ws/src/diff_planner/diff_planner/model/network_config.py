"""Sizes of a network: every width, depth and step count, by the name that a card carries."""

from __future__ import annotations

from pydantic import Field

from diff_planner.config import ConfigModel
from diff_planner.errors import ContractError

FAMILY = "bev_diffusion"
"""Family name in the cards of `BevDiffusionPlanner`."""


class NetworkConfig(ConfigModel):
    """Hyper-parameters of `BevDiffusionPlanner`; with FeatureConfig they fix every shape."""

    stem_channels: int = Field(16, ge=1)
    stage_channels: tuple[int, int, int, int] = Field(
        (32, 48, 64, 96), description="Of the stages with strides 4, 8, 16 and 32."
    )
    bev_channels: int = Field(64, ge=1, description="Of the map that the decoder samples.")
    width: int = Field(96, ge=1, description="D: of tokens and queries.")
    heads: int = Field(4, ge=1, description="Attention heads; divides all widths they work on.")
    decoder_layers: int = Field(2, ge=1)
    point_bands: int = Field(8, ge=1, description="Sine and cosine pairs of each coordinate.")
    normaliser_x_m: float = Field(80.0, gt=0, description="x that maps to 1.")
    normaliser_y_m: float = Field(32.0, gt=0, description="y that maps to 1.")
    train_timesteps: int = Field(1000, ge=2, description="Steps of the noise schedule.")
    beta_first: float = Field(1e-4, gt=0, lt=1)
    beta_last: float = Field(0.02, gt=0, lt=1)
    timesteps: tuple[int, ...] = Field(
        (8, 0), description="Decoded in this order; the first is how noisy the anchors start."
    )


SIZES = {"nano": NetworkConfig()}


def network_config(family: str, size: str) -> NetworkConfig:
    """Return the sizes that a card names.

    Raises:
        ContractError: this package has no such network.
    """
    if family != FAMILY or size not in SIZES:
        known = ", ".join(f"{FAMILY}/{name}" for name in SIZES)
        raise ContractError(f"network: expected one of {known}, got {family}/{size}")
    return SIZES[size]
