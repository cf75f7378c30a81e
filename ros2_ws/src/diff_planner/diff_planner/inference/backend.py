"""What runs a network: the Protocol that all backends share, and the checks they all make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import ContractError, NonFiniteInputError
from diff_planner.inference.card import ModelCard, TensorSpec
from diff_planner.types import ModelInputs, Proposals

Tensors = dict[str, NDArray[np.generic]]


class Backend(Protocol):
    """A loaded network.  One thread at a time may call it."""

    @property
    def name(self) -> str:
        """As configured, such as "openvino"."""

    @property
    def precision(self) -> str:
        """What it computes in, such as "f32"."""

    @property
    def card(self) -> ModelCard:
        """The model's card."""

    def run(self, inputs: ModelInputs, noise: Mapping[str, NDArray[np.float32]]) -> Proposals:
        """Run the network once.

        Args:
            inputs: shapes and types as the card says.
            noise: every draw that the card asks for, by name.

        Returns:
            Trajectories and scores, as they come: they may be non-finite.

        Raises:
            ContractError: a tensor is missing, unknown, or of another shape or type.
            NonFiniteInputError: NaN or infinity in an input.
            BackendError: the network could not be run, or is closed.
        """

    def warm_up(self) -> None:
        """Run once on zeros, so that the first real cycle is not slower than the others."""

    def close(self) -> None:
        """Release the network; `run` raises BackendError from then on."""


def check_tensors(
    card: ModelCard, inputs: ModelInputs, noise: Mapping[str, NDArray[np.float32]]
) -> Tensors:
    """Return all tensors of a run by name, held against the card.

    Raises:
        ContractError: a tensor is missing, unknown, or of another shape or type.
        NonFiniteInputError: NaN or infinity in one.
    """
    tensors: Tensors = {**inputs.as_dict(), **noise}
    wanted = card.graph_inputs
    if tensors.keys() != wanted.keys():
        raise ContractError(
            f"model {card.name}: expected inputs {sorted(wanted)}, got {sorted(tensors)}"
        )
    for name, spec in wanted.items():
        _check_tensor(card.name, name, spec, tensors[name])
    return tensors


def zeros(card: ModelCard) -> tuple[ModelInputs, dict[str, NDArray[np.float32]]]:
    """Return inputs and noise of the card's shapes, all zero."""
    inputs = {name: np.zeros(spec.shape, spec.dtype) for name, spec in card.inputs.items()}
    noise = {spec.name: np.zeros(spec.shape, np.float32) for spec in card.noise}
    return ModelInputs(**inputs), noise


def _check_tensor(model: str, name: str, spec: TensorSpec, array: NDArray[np.generic]) -> None:
    if array.shape != spec.shape or array.dtype != spec.dtype:
        raise ContractError(
            f"model {model}: input {name}: expected {spec}, got {array.dtype} {array.shape}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise NonFiniteInputError(
            f"model {model}: input {name}: {count} of {array.size} values are not finite"
        )
