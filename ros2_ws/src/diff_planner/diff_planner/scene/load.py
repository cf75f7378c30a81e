"""Opens whatever holds scenes: our own files, golden JSON, recorded npz, or a folder of them.

The content decides, not the name.
"""

from __future__ import annotations

from pathlib import Path

from diff_planner.errors import SceneError
from diff_planner.scene.golden import GoldenCase, cases_from_document, is_golden
from diff_planner.scene.io import (
    read_json_text,
    require_unique_tokens,
    scenes_from_document,
    scenes_from_npz,
)
from diff_planner.scene.npz_file import read_npz
from diff_planner.scene.recorded import is_recorded, scenes_from_recording
from diff_planner.scene.schema import Scene

_ZIP_MAGIC = b"PK"


def load_scenes(path: Path) -> tuple[Scene, ...]:
    """Return the scenes of a file, or of every .json and .npz of a folder in order of name.

    Raises:
        SceneError: nothing there, a layout that is not known, or a scene that is not valid.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".json", ".npz"))
        if not files:
            raise SceneError(f"{path}: expected .json or .npz files with scenes, found none")
        scenes = tuple(scene for file in files for scene in _load_file(file))
        require_unique_tokens(path, scenes)
        return scenes
    return _load_file(path)


def load_golden(path: Path) -> tuple[GoldenCase, ...] | None:
    """Return the cases of a golden JSON file; None where the file is something else.

    Raises:
        SceneError: the file cannot be read, or is golden JSON with a fault.
    """
    if path.is_dir() or _is_zip(path):
        return None
    document = _read_json(path)
    return cases_from_document(path, document) if is_golden(document) else None


def _load_file(path: Path) -> tuple[Scene, ...]:
    if not _is_zip(path):
        document = _read_json(path)
        if is_golden(document):
            return tuple(case.scene for case in cases_from_document(path, document))
        return scenes_from_document(path, document)
    arrays = read_npz(path)
    if "document" in arrays:
        return scenes_from_npz(path, arrays)
    if is_recorded(arrays):
        return scenes_from_recording(path, arrays)
    raise SceneError(
        f"{path}: expected an npz of scenes (`document`) or of a recording (`agent_state`), "
        f"got {sorted(arrays)[:8]}"
    )


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(2) == _ZIP_MAGIC
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({error.strerror})") from None


def _read_json(path: Path) -> object:
    try:
        return read_json_text(path, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SceneError(f"{path}: neither JSON nor npz ({error.reason})") from None
