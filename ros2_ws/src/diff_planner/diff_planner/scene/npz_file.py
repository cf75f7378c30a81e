"""Reads the arrays of an npz file, or says in a sentence why not."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import SceneError


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays by name.

    Raises:
        SceneError: the file is missing, no npz, broken, or holds Python objects.
    """
    try:
        # Opened here: numpy leaves the file open when the archive is broken.
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise SceneError(f"{path}: expected an npz, got a single array")
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SceneError(f"{path}: broken npz ({error})") from None
