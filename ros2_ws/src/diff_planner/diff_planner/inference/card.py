"""The model card: what a model folder holds, what it wants and gives, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from diff_planner.config import ConfigModel, FeatureConfig, parse
from diff_planner.errors import ConfigError, ContractError
from diff_planner.noise import NoiseSpec
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S, ROUTE_POINTS

CARD_FILE = "card.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FILE = "model.safetensors"
SCHEMA_VERSION = 1
_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")
_EXTERNAL_KEY = b"\n\x08location"
"""First entry of an ONNX tensor's `external_data`, as protobuf writes it."""


class TensorSpec(ConfigModel):
    """Shape and type of one input or output; there is no batch axis."""

    shape: tuple[PositiveInt, ...]
    dtype: Literal["uint8", "float32"]

    def __str__(self) -> str:
        """Return it as numpy writes it."""
        return f"{self.dtype} {self.shape}"


class ModelCard(ConfigModel):
    """Everything about a model that is not in its weights."""

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1)
    family: str = Field(description="Which network class.")
    size: str = Field(description="Which of its sizes.")
    inputs: dict[str, TensorSpec]
    noise: tuple[NoiseSpec, ...] = Field(description="Random inputs, in the graph's order.")
    outputs: dict[str, TensorSpec]
    horizon_steps: Literal[8] = 8
    dt_s: float = Field(NETWORK_DT_S, gt=0, description="Between two poses.")
    features: FeatureConfig
    feature_sha256: str = Field(description="Hash of the features the model was made for.")
    published_quirks: bool = Field(
        description="True: computes as published code does, its oddities included."
    )
    training: str = Field(min_length=1, description="On what and how long, or untrained.")
    is_trained: bool
    scores: dict[str, float] = Field(description="Measured figures by name; empty: none.")
    licence: str = Field(min_length=1)
    files: dict[str, str] = Field(description="sha256 of each file beside the card.")

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if not _PLAIN_NAME.fullmatch(name) or name == CARD_FILE:
                raise ValueError(f"expected names of files beside the card, got {name!r}")
        return files

    @property
    def graph_inputs(self) -> dict[str, TensorSpec]:
        """Every input of the exported graph in its order: sensors, then noise."""
        noise = {spec.name: TensorSpec(shape=spec.shape, dtype="float32") for spec in self.noise}
        return {**self.inputs, **noise}

    @property
    def model_sha256(self) -> str:
        """The model's identity: the hash of its graph."""
        return self.files[ONNX_FILE]


def input_specs(features: FeatureConfig) -> dict[str, TensorSpec]:
    """Return what `features.build` makes, in the order of the graph's inputs."""
    picture = (3, features.camera_height_px, features.camera_width_px)
    cells = (1, features.lidar_cells, features.lidar_cells)
    return {
        "camera": TensorSpec(shape=picture, dtype="uint8"),
        "lidar": TensorSpec(shape=cells, dtype="uint8"),
        "status": TensorSpec(shape=(features.status_size,), dtype="float32"),
        "route": TensorSpec(shape=(ROUTE_POINTS, 2), dtype="float32"),
        "route_mask": TensorSpec(shape=(ROUTE_POINTS,), dtype="float32"),
        "camera_mask": TensorSpec(shape=(3,), dtype="float32"),
        "lidar_mask": TensorSpec(shape=(1,), dtype="float32"),
    }


def output_specs(modes: int) -> dict[str, TensorSpec]:
    """Return what `Proposals` holds of M modes."""
    return {
        "poses": TensorSpec(shape=(modes, HORIZON_STEPS, 3), dtype="float32"),
        "scores": TensorSpec(shape=(modes,), dtype="float32"),
    }


def describe(specs: Mapping[str, TensorSpec]) -> str:
    """Return tensors by name, for an error."""
    return ", ".join(f"{name} {spec}" for name, spec in sorted(specs.items()))


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_card(folder: Path) -> ModelCard:
    """Read a model folder's card and hold every file against it.

    Args:
        folder: such as models/nano.

    Raises:
        ContractError: no model folder, a card of a newer or unknown schema, tensors that the
            planner does not make or read, a file that is missing or has other bytes than the
            card says, a graph whose weights lie in files that no hash covers.
    """
    path = folder / CARD_FILE
    values = _read_json(path)
    version = values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"{path}: expected schema_version {SCHEMA_VERSION}, got {version!r}; "
            "a newer card needs a newer diff_planner"
        )
    try:
        card = parse(ModelCard, values, str(path))
    except ConfigError as error:
        raise ContractError(str(error)) from None
    if card.features.sha256 != card.feature_sha256:
        raise ContractError(
            f"{path}: features: expected sha256 {card.feature_sha256}, got {card.features.sha256}; "
            "the model was made for other features than this version builds"
        )
    _check_tensors(path, card)
    if ONNX_FILE not in card.files:
        raise ContractError(f"{path}: files: expected {ONNX_FILE} among them, got {[*card.files]}")
    for name, expected in card.files.items():
        _check_file(folder / name, expected)
    if _EXTERNAL_KEY in (folder / ONNX_FILE).read_bytes():
        raise ContractError(
            f"{folder / ONNX_FILE}: keeps weights in other files, which its hash does not cover; "
            "export it with its weights inside"
        )
    return card


def save_card(card: ModelCard, folder: Path) -> None:
    """Write the card into a folder."""
    values = card.model_dump(mode="json")
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _read_json(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ContractError(
            f"{path.parent}: not a model folder: {CARD_FILE} cannot be read ({error.strerror})"
        ) from None
    except ValueError as error:
        raise ContractError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ContractError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def _check_tensors(path: Path, card: ModelCard) -> None:
    """Hold the card's tensors against what the planner makes and reads."""
    if card.dt_s != NETWORK_DT_S:
        raise ContractError(f"{path}: dt_s: expected {NETWORK_DT_S}, got {card.dt_s}")
    wanted = input_specs(card.features)
    if card.inputs != wanted:
        raise ContractError(
            f"{path}: inputs: expected {describe(wanted)} by its features, "
            f"got {describe(card.inputs)}"
        )
    poses = card.outputs.get("poses")
    if poses is None or card.outputs != output_specs(poses.shape[0]):
        raise ContractError(
            f"{path}: outputs: expected poses float32 (M, {HORIZON_STEPS}, 3), "
            f"scores float32 (M,), got {describe(card.outputs)}"
        )


def _check_file(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ContractError(f"{path}: cannot be read ({error.strerror})") from None
    if found != expected:
        raise ContractError(
            f"{path}: expected sha256 {expected}, found {found}: the file is damaged or "
            "belongs to another model"
        )
