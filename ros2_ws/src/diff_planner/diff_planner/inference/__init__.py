"""Running networks: model cards, backends, export."""

from __future__ import annotations

from pathlib import Path

from diff_planner.errors import ConfigError
from diff_planner.inference.backend import Backend

__all__ = ["Backend", "load_backend"]


def load_backend(folder: Path, backend: str, threads: int) -> Backend:
    """Load a model folder into a backend and warm it up.

    Args:
        folder: such as models/nano; see `resources.model_folder`.
        backend: "openvino", or "torch" as the reference.
        threads: that one inference may use.

    Raises:
        ContractError: the folder, its card or a file in it does not fit.
        BackendError: the backend's package is missing, or it cannot load the model.
        ConfigError: no such backend.
    """
    # A backend's package is imported only where it is used: the vehicle has no torch.
    if backend == "openvino":
        from diff_planner.inference.openvino_backend import OpenVinoBackend

        loaded: Backend = OpenVinoBackend(folder, threads)
    elif backend == "torch":
        from diff_planner.inference.torch_backend import TorchBackend

        loaded = TorchBackend(folder, threads)
    else:
        raise ConfigError(f"backend: expected openvino or torch, got {backend!r}")
    loaded.warm_up()
    return loaded
