"""The reference backend: the network itself, from its weights.  For training and tests only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import BackendError, ContractError
from diff_planner.inference.backend import check_tensors, zeros
from diff_planner.inference.card import WEIGHTS_FILE, ModelCard, load_card
from diff_planner.types import ModelInputs, Proposals

if TYPE_CHECKING:
    from torch import Tensor

    from diff_planner.model.bev_diffusion_planner import BevDiffusionPlanner


class TorchBackend:
    """Runs `BevDiffusionPlanner` eagerly on the CPU."""

    name = "torch"
    precision = "f32"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load `model.safetensors` of a model folder.

        `threads` applies to all of torch in this process.

        Raises:
            ContractError: card and files do not fit each other or the network.
            BackendError: torch or safetensors is missing.
        """
        self.card = load_card(folder)
        _require_torch()
        import torch

        torch.set_num_threads(threads)
        self._model: BevDiffusionPlanner | None = load_planner(folder, self.card)

    def run(self, inputs: ModelInputs, noise: Mapping[str, NDArray[np.float32]]) -> Proposals:
        """Run the network once; see `Backend.run`."""
        import torch

        if self._model is None:
            raise BackendError(f"model {self.card.name}: the torch backend is closed")
        arrays = check_tensors(self.card, inputs, noise)
        tensors = {name: torch.from_numpy(array.copy())[None] for name, array in arrays.items()}
        with torch.inference_mode():
            prediction = self._model(**tensors)
        return Proposals(prediction.poses[0].numpy(), prediction.logits[0].numpy())

    def warm_up(self) -> None:
        """Run once on zeros."""
        self.run(*zeros(self.card))

    def close(self) -> None:
        """Release the network."""
        self._model = None


def load_planner(folder: Path, card: ModelCard) -> BevDiffusionPlanner:
    """Build the network that a card names and load its weights.

    Raises:
        ContractError: there is no such network, no weights, or weights that do not fit it.
        BackendError: torch or safetensors is missing.
    """
    _require_torch()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from diff_planner.model.bev_diffusion_planner import build_planner
    from diff_planner.model.network_config import network_config

    model = build_planner(network_config(card.family, card.size), card.features, seed=0)
    path = folder / WEIGHTS_FILE
    if WEIGHTS_FILE not in card.files:
        raise ContractError(f"{folder}: expected {WEIGHTS_FILE}, the card lists {[*card.files]}")
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ContractError(f"{path}: not a safetensors file ({error})") from None
    _check_weights(path, weights, model.state_dict())
    model.load_state_dict(weights)
    return model


def _check_weights(path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    faults = [f"{key} is missing" for key in sorted(expected.keys() - found.keys())]
    faults += [f"{key} is unknown" for key in sorted(found.keys() - expected.keys())]
    for key in sorted(expected.keys() & found.keys()):
        wanted, got = expected[key], found[key]
        if wanted.shape != got.shape or wanted.dtype != got.dtype:
            faults.append(
                f"{key}: expected {wanted.dtype} {tuple(wanted.shape)}, "
                f"got {got.dtype} {tuple(got.shape)}"
            )
    if faults:
        raise ContractError(f"{path}: does not fit the network: " + "; ".join(faults))


def _require_torch() -> None:
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"backend torch: {error}; install the train requirements, or use backend openvino"
        ) from None
