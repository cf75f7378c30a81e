"""Nothing of the machine it was written on is left in a tracked file."""

import re
import subprocess

import pytest

from contract.source_tree import REPOSITORY

# Absolute places that exist on one machine only. /opt/python is where the ROS wheels were built.
_MACHINE = re.compile(
    r"(?<![\w.~$})/-])/(home|root|Users|work|mnt|media|opt(?!/(ros|python)\b))/[\w.-]+"
)
_LARGE_BYTES = 10 * 1024 * 1024


def tracked_files():
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: no list of tracked files")
    paths = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_names_an_absolute_path_of_a_machine():
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if match := _MACHINE.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {match.group()}")
    assert not found, "\n".join(found)


def test_no_tracked_file_is_larger_than_a_model_may_be():
    large = [str(path) for path in tracked_files() if path.stat().st_size > _LARGE_BYTES]
    assert not large, large


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        # A bar stands for the slash, so that this file passes its own test.
        ("see |home|somebody|models", True),
        ("'|root|x'", True),
        ("https:||example.org|home|page", False),
        ("source |opt|ros|jazzy|setup.bash", False),
        ("ros2_ws|home|x", False),
    ],
)
def test_the_search_tells_machine_paths_from_others(line, is_found):
    assert bool(_MACHINE.search(line.replace("|", "/"))) == is_found
