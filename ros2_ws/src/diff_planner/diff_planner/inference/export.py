"""From a network to a model folder: weights, ONNX graph and card, written only if they agree."""

from __future__ import annotations

import copy
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from diff_planner.config import FeatureConfig
from diff_planner.errors import ContractError, OutputError
from diff_planner.files import cannot_write
from diff_planner.inference.backend import Backend
from diff_planner.inference.card import (
    CARD_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    ModelCard,
    file_sha256,
    input_specs,
    output_specs,
    save_card,
)
from diff_planner.inference.openvino_backend import OpenVinoBackend
from diff_planner.inference.torch_backend import TorchBackend
from diff_planner.model.bev_diffusion_planner import BevDiffusionPlanner, build_planner
from diff_planner.model.network_config import FAMILY, SIZES
from diff_planner.noise import NoiseSpec, draw
from diff_planner.types import HORIZON_STEPS, ROUTE_POINTS, ModelInputs

OPSET = 17
"""The first with LayerNormalization; GridSample needs 16."""
TOLERANCE = 1e-3
"""Largest difference between torch and the exported graph: m, rad and logits."""
COMPARED_INPUTS = 4
NANO_SEED = 0


def export_nano(out: Path, seed: int = NANO_SEED) -> ModelCard:
    """Write an untrained nano into a new model folder.

    Args:
        out: the folder; an older model folder there is replaced.
        seed: of the weights.

    Raises:
        ContractError: the exported graph does not compute what the network does.
        OutputError: the folder cannot be written, or holds something else.
    """
    model = build_planner(SIZES["nano"], FeatureConfig(), seed)
    training = (
        f"untrained: random weights of seed {seed}; the last layers are zero, so that it "
        "proposes its 20 anchors with equal scores whatever it sees"
    )
    card = model_card(model, name="nano", size="nano", training=training, is_trained=False)
    return export_model(model, out, card)


def write_nano(models: Path) -> ModelCard:
    """Write models/nano as it is committed, given the folder models/."""
    return export_nano(models / "nano")


def model_card(
    model: BevDiffusionPlanner, *, name: str, size: str, training: str, is_trained: bool
) -> ModelCard:
    """Describe a network; hashes of files are added when they are written."""
    features, modes = model.features, len(model.anchors)
    return ModelCard(
        name=name,
        family=FAMILY,
        size=size,
        inputs=input_specs(features),
        noise=(NoiseSpec(name="noise", shape=(modes, HORIZON_STEPS, 2), distribution="normal"),),
        outputs=output_specs(modes),
        features=features,
        feature_sha256=features.sha256,
        published_quirks=False,
        training=training,
        is_trained=is_trained,
        scores={},
        licence="Apache-2.0",
        files={},
    )


def export_model(model: BevDiffusionPlanner, folder: Path, card: ModelCard) -> ModelCard:
    """Write a model folder, whole or not at all.

    The graph is compared with torch on random inputs, and so is that of a copy with random heads:
    an untrained network's heads are zero and would hide every fault before them.

    Args:
        model: in evaluation mode.
        folder: where it appears; an older model folder there is replaced.
        card: its description; `files` is filled in here.

    Returns:
        The card as written.

    Raises:
        ContractError: the exported graph does not compute what the network does.
        OutputError: the folder cannot be written, or holds something else.
    """
    if folder.exists() and not (folder / CARD_FILE).is_file():
        raise OutputError(f"{folder}: exists and is not a model folder; it is left as it is")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:
            probe, final = Path(partial) / "probe", Path(partial) / "final"
            _write_folder(with_random_heads(model, seed=1), probe, card)
            _require_agreement(probe)
            written = _write_folder(model, final, card)
            _require_agreement(final)
            if folder.exists():
                folder.rename(Path(partial) / "replaced")
            final.rename(folder)
    except OSError as error:
        raise OutputError(cannot_write(folder, error)) from error
    return written


def with_random_heads(model: BevDiffusionPlanner, seed: int) -> BevDiffusionPlanner:
    """Return a copy whose last layers are random: offsets of metres, distinct scores."""
    probe = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for layer in probe.layers:
        for head in (layer.regression, layer.classification):
            nn.init.uniform_(head[-1].weight, -1.0, 1.0, generator=generator)
            nn.init.uniform_(head[-1].bias, -1.0, 1.0, generator=generator)
    return probe


def random_inputs(card: ModelCard, seed: int) -> tuple[ModelInputs, dict[str, NDArray[np.float32]]]:
    """Return plausible random inputs and noise of a card's shapes."""
    rng = np.random.default_rng(seed)
    features = card.features
    status = np.zeros(card.inputs["status"].shape, np.float32)
    status[rng.integers(features.status_size - 4)] = 1.0
    status[-4:] = rng.normal(scale=[8.0, 0.2, 1.0, 1.0])
    inputs = ModelInputs(
        camera=rng.integers(0, 256, card.inputs["camera"].shape, dtype=np.uint8),
        lidar=rng.integers(
            0, features.lidar_max_count + 1, card.inputs["lidar"].shape, dtype=np.uint8
        ),
        status=status,
        route=rng.normal(scale=20.0, size=card.inputs["route"].shape).astype(np.float32),
        route_mask=_random_mask(rng, ROUTE_POINTS),
        camera_mask=_random_mask(rng, 3),
        lidar_mask=_random_mask(rng, 1),
    )
    return inputs, draw(card.noise, seed, stamp_ns=0)


def largest_difference(reference: Backend, other: Backend, count: int) -> float:
    """Return the largest difference (m, rad or logit) of two backends on random inputs."""
    worst = 0.0
    for seed in range(count):
        inputs, noise = random_inputs(reference.card, seed)
        expected, got = reference.run(inputs, noise), other.run(inputs, noise)
        differences = np.concatenate(
            [np.abs(expected.poses - got.poses).ravel(), np.abs(expected.scores - got.scores)]
        )
        # NaN counts as infinitely different; max would pass it on and every comparison be false.
        worst = max(worst, float(np.nan_to_num(differences, nan=np.inf).max()))
    return worst


class _Unbatched(nn.Module):
    """The graph as exported: the contract's shapes, without a batch axis."""

    def __init__(self, model: BevDiffusionPlanner) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.model(*[tensor.unsqueeze(0) for tensor in tensors])
        return prediction.poses.squeeze(0), prediction.logits.squeeze(0)


def _write_folder(model: BevDiffusionPlanner, folder: Path, card: ModelCard) -> ModelCard:
    folder.mkdir()
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS_FILE).write_bytes(save(weights))
    _write_onnx(model, folder / ONNX_FILE, card)
    files = {name: file_sha256(folder / name) for name in (ONNX_FILE, WEIGHTS_FILE)}
    card = card.model_copy(update={"files": files})
    save_card(card, folder)
    return card


def _write_onnx(model: BevDiffusionPlanner, path: Path, card: ModelCard) -> None:
    inputs, noise = random_inputs(card, seed=0)
    arrays = {**inputs.as_dict(), **noise}
    with warnings.catch_warnings(), torch.inference_mode():
        # torch calls its tracing exporter deprecated; the new one needs onnxscript, and a fixed
        # graph without branches is what tracing is good at.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Unbatched(model).eval(),
            tuple(torch.from_numpy(arrays[name]) for name in card.graph_inputs),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(card.graph_inputs),
            output_names=list(card.outputs),
        )


def _require_agreement(folder: Path) -> None:
    threads = torch.get_num_threads()  # the torch backend sets it for the whole process
    reference, exported = TorchBackend(folder, threads=1), OpenVinoBackend(folder, threads=1)
    worst = largest_difference(reference, exported, COMPARED_INPUTS)
    reference.close()
    exported.close()
    torch.set_num_threads(threads)
    if worst > TOLERANCE:
        raise ContractError(
            f"export: expected the graph within {TOLERANCE} (m, rad, logits) of torch, "
            f"got {worst:.3g}; nothing was written"
        )


def _random_mask(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    return (rng.random(size) < 0.8).astype(np.float32)
