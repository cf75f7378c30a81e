"""A file of proposals for scenes: npz, `proposals` [S, K, 8, 3] in ego frame and `tokens` [S]."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import SceneError
from diff_planner.files import whole_file
from diff_planner.scene.npz_file import read_npz

Array = NDArray[np.float64]


def save_proposals(path: Path, proposals: Mapping[str, Array]) -> None:
    """Write proposals [K, 8, 3] by scene token; K must be the same for all.

    Raises:
        SceneError: no scenes, or shapes that differ.
        OutputError: the folder or the disk refuses.
    """
    shapes = {array.shape for array in proposals.values()}
    if len(shapes) != 1:
        raise SceneError(f"{path}: expected proposals of one shape, got {sorted(shapes)}")
    stacked = _checked(path, np.stack(list(proposals.values())))
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, proposals=stacked, tokens=np.array(list(proposals)))


def load_proposals(path: Path, tokens: Collection[str]) -> dict[str, Array]:
    """Return proposals [K, 8, 3] for exactly these scenes, by token.

    Raises:
        SceneError: the file is missing, broken or empty, a shape is wrong, a number is not finite,
            or its tokens are not those of the scenes.
    """
    arrays = read_npz(path)
    if not {"proposals", "tokens"} <= arrays.keys():
        raise SceneError(f"{path}: expected arrays proposals and tokens, got {sorted(arrays)}")
    names = arrays["tokens"]
    poses = _checked(path, arrays["proposals"])
    if names.shape != poses.shape[:1] or names.dtype.kind != "U":
        raise SceneError(
            f"{path}: tokens: expected {len(poses)} names, got {names.dtype} {names.shape}"
        )
    found = dict(zip(names.tolist(), poses, strict=True))
    if len(found) != len(names):
        raise SceneError(f"{path}: tokens: expected each scene once, some came twice")
    unknown, missing = sorted(found.keys() - set(tokens)), sorted(set(tokens) - found.keys())
    if unknown:
        raise SceneError(f"{path}: no scene has the tokens {_some(unknown)}")
    if missing:
        raise SceneError(f"{path}: no proposals for the scenes {_some(missing)}")
    return found


def _checked(path: Path, proposals: NDArray[np.generic]) -> Array:
    if proposals.ndim != 4 or proposals.shape[2:] != (8, 3):
        raise SceneError(f"{path}: proposals: expected shape [S, K, 8, 3], got {proposals.shape}")
    if proposals.size == 0:
        raise SceneError(f"{path}: proposals: expected at least one, got {proposals.shape}")
    if proposals.dtype.kind not in "fiu":
        raise SceneError(f"{path}: proposals: expected numbers, got {proposals.dtype}")
    poses = proposals.astype(np.float64)
    bad = np.argwhere(~np.isfinite(poses).all(axis=(2, 3)))
    if len(bad):
        scene, proposal = bad[0]
        raise SceneError(
            f"{path}: proposals: expected finite numbers, not so in proposal {proposal} "
            f"of scene {scene} ({len(bad)} in all)"
        )
    return poses


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
