"""The package builds with colcon as on a vehicle, and its files land where ROS 2 looks for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.source_tree import PACKAGE, REPOSITORY

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The install prefix of a colcon build of diff_planner alone."""
    pytest.importorskip("colcon_core")
    work = tmp_path_factory.mktemp("colcon")
    # The environment is the ament prefix of the ROS wheels; LD_LIBRARY_PATH has to stay as it is.
    command = [
        *(Path(sys.prefix) / "bin" / "colcon", "--log-base", work / "log", "build"),
        *("--base-paths", PACKAGE.parent, "--packages-select", "diff_planner"),
        *("--build-base", work / "build", "--install-base", work / "install"),
        *("--event-handlers", "console_direct+"),
    ]
    done = subprocess.run(
        [str(word) for word in command],
        cwd=work,
        env={**os.environ, "AMENT_PREFIX_PATH": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return work / "install" / "diff_planner"


def test_the_package_is_in_the_ament_index(installed):
    assert (installed / "share/ament_index/resource_index/packages/diff_planner").is_file()
    assert (installed / "share/diff_planner/package.xml").is_file()


@pytest.mark.parametrize("name", ["diff-planner", "planner_node"])
def test_a_command_lies_where_ros2_run_looks(installed, name):
    assert os.access(installed / "lib" / "diff_planner" / name, os.X_OK)


@pytest.mark.parametrize(
    ("folder", "root", "pattern"),
    [
        ("config", PACKAGE.parent / "config", "*"),
        ("rviz", PACKAGE.parent / "rviz", "*"),
        ("foxglove", PACKAGE.parent / "foxglove", "*"),
        ("launch", REPOSITORY / "launch", "*.py"),
        ("models", REPOSITORY / "models", "*/*"),
        ("msg", PACKAGE.parent.parent / "diff_planner_msgs" / "msg", "*.msg"),
    ],
)
def test_every_file_that_belongs_to_the_package_is_installed(installed, folder, root, pattern):
    wanted = {path.relative_to(root) for path in root.glob(pattern) if path.is_file()}
    share = installed / "share" / "diff_planner" / folder
    assert {path.relative_to(share) for path in share.rglob("*") if path.is_file()} == wanted


def test_what_the_code_reads_beside_itself_is_installed(installed):
    (package,) = installed.glob("lib/python3.*/site-packages/diff_planner")
    templates = {path.name for path in (PACKAGE / "report" / "templates").glob("*")}
    assert templates <= {path.name for path in (package / "report" / "templates").glob("*")}
