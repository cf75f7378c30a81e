"""Files that appear under their final name whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diff_planner.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    On any exception the temporary file is removed and nothing is left under the final name.
    A link is followed; what is there and is no file (a folder, a device) is left alone.

    Raises:
        OutputError: the folder cannot be written, the disk is full, or `path` is no file.
    """
    path = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputError(f"{path}: expected a file or nothing there, found something else")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OutputError(cannot_write(path, error)) from error
    finally:
        with suppress(OSError):  # not made, or renamed by now
            partial.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there.

    Raises:
        OutputError: something else has that name, or the disk refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(cannot_write(path, error)) from error


def cannot_write(path: Path, error: OSError) -> str:
    """Say in a sentence why `path` could not be written, with the space that is left."""
    folder = next((p for p in [path.parent, *path.parents] if os.path.isdir(p)), Path("/"))
    free_mb = shutil.disk_usage(folder).free / 1e6
    return f"{path}: cannot be written ({error.strerror or error}); {free_mb:.0f} MB free there"
