"""The CPU backend: the exported graph in OpenVINO, in float32, the same bytes every time."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import BackendError, ContractError
from diff_planner.inference.backend import check_tensors, zeros
from diff_planner.inference.card import ONNX_FILE, TensorSpec, describe, load_card
from diff_planner.types import ModelInputs, Proposals


class OpenVinoBackend:
    """A compiled graph whose inputs are bound once to arrays that each run overwrites."""

    name = "openvino"
    precision = "f32"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load and compile `model.onnx` of a model folder.

        Raises:
            ContractError: card and files do not fit each other.
            BackendError: OpenVINO is missing or refuses the graph.
        """
        self.card = load_card(folder)
        openvino = _import_openvino()
        path = folder / ONNX_FILE
        try:
            model = openvino.Core().read_model(path)
            _check_ports(path, "inputs", _ports(model.inputs), self.card.graph_inputs)
            _check_ports(path, "outputs", _ports(model.outputs), self.card.outputs)
            compiled = openvino.Core().compile_model(model, "CPU", _properties(threads))
        except RuntimeError as error:
            raise BackendError(f"{path}: OpenVINO cannot load it ({_first_line(error)})") from None
        self._bound = {
            name: np.zeros(spec.shape, spec.dtype) for name, spec in self.card.graph_inputs.items()
        }
        self._request: Any = compiled.create_infer_request()
        for name, array in self._bound.items():
            self._request.set_tensor(name, openvino.Tensor(array, shared_memory=True))

    def run(self, inputs: ModelInputs, noise: Mapping[str, NDArray[np.float32]]) -> Proposals:
        """Run the network once; see `Backend.run`."""
        if self._request is None:
            raise BackendError(f"model {self.card.name}: the openvino backend is closed")
        for name, array in check_tensors(self.card, inputs, noise).items():
            np.copyto(self._bound[name], array)
        try:
            self._request.infer()
        except RuntimeError as error:
            raise BackendError(
                f"model {self.card.name}: OpenVINO failed ({_first_line(error)})"
            ) from None
        # Copies, since the request's own memory is overwritten by the next run.
        return Proposals(
            poses=self._request.get_tensor("poses").data.copy(),
            scores=self._request.get_tensor("scores").data.copy(),
        )

    def warm_up(self) -> None:
        """Run once on zeros: first use allocates."""
        self.run(*zeros(self.card))

    def close(self) -> None:
        """Release the graph."""
        self._request = None
        self._bound = {}


def _import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    On import it reports to its maker where the package `openvino_telemetry` can be imported.  A
    vehicle sends nothing to anyone unasked: a None in sys.modules makes that import fail, and
    OpenVINO goes on without.

    Raises:
        BackendError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise BackendError(
            f"backend openvino: the package openvino cannot be imported ({error}); "
            "it belongs to the core requirements"
        ) from None


def _properties(threads: int) -> dict[str, object]:
    return {
        # Left alone it computes in bfloat16 where the CPU has it: other results, other machine.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }


def _ports(ports: list[Any]) -> dict[str, TensorSpec]:
    """Return names, shapes and types of a graph's inputs or outputs."""
    return {
        port.any_name: TensorSpec.model_construct(
            shape=tuple(d.get_length() if d.is_static else -1 for d in port.partial_shape),
            dtype=np.dtype(port.element_type.to_dtype()).name,
        )
        for port in ports
    }


def _check_ports(
    path: Path, kind: str, found: dict[str, TensorSpec], expected: dict[str, TensorSpec]
) -> None:
    if found == expected:
        return
    raise ContractError(
        f"{path}: {kind}: the card says {describe(expected)}, the graph {describe(found)}"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
