"""Make the ROS wheels' CMake files point at this virtual environment.

The wheels export include folders of the machine that built them (/opt/python/cp3XX-cp3XX/...).
CMake refuses a package whose include folder does not exist, so the two kinds of path are written
anew: Python's headers and numpy's.  Running it twice changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

_BUILD_HOST = r"/opt/python/cp3\d+-cp3\d+"
_PYTHON_HEADERS = re.compile(_BUILD_HOST + r"/include/python3\.\d+")
_NUMPY_HEADERS = re.compile(
    _BUILD_HOST + r"/lib/python3\.\d+/site-packages/numpy/(_core|core)/include"
)


def relocate(prefix: Path) -> int:
    """Rewrite the CMake files under `prefix`/share and return how many changed."""
    python_headers = sysconfig.get_paths()["include"]
    changed = 0
    for path in sorted((prefix / "share").glob("*/cmake/*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = _PYTHON_HEADERS.sub(lambda _: python_headers, before)
        after = _NUMPY_HEADERS.sub(lambda _: np.get_include(), after)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"pointed {relocate(Path(sys.prefix))} CMake files of the ROS wheels at {sys.prefix}")
