"""Launch files without a ROS that could run them: what they declare, import, and install as."""

import ast
import fnmatch
import re
import sys

import pytest

from contract.source_tree import PACKAGE, REPOSITORY, imported_names, parse

LAUNCH = REPOSITORY / "launch"
README = LAUNCH / "README.md"
FILES = sorted(LAUNCH.glob("*.launch.py"))
# What a sourced ROS 2 brings; `ros2` runs under the system's Python, which has nothing from pip.
WITH_ROS = {"ament_index_python", "launch", "launch_ros", "rosbag2_py"}
READABLE_WITHOUT_PIP = {"diff_planner.ros.dds", "diff_planner.ros.launch_values"}


def declared(path):
    """Arguments of a launch file by name: (default, description)."""
    found = {}
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DeclareLaunchArgument":
            values = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
            found[ast.literal_eval(node.args[0])] = values["default_value"], values["description"]
    return found


def documented(name):
    """Arguments in the table below the heading of a launch file: (default, description)."""
    section = README.read_text(encoding="utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return {argument: (default.strip("`"), text) for argument, default, text in rows}


def test_there_is_a_launch_file_for_the_vehicle_and_one_for_a_bag():
    assert [path.name for path in FILES] == ["planner.launch.py", "replay.launch.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_declares_what_its_readme_says(path):
    assert declared(path) == documented(path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_has_a_default_and_says_what_it_does(path):
    for default, description in declared(path).values():
        assert isinstance(default, str)
        assert description.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_used(path):
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    unused = [a for a in declared(path) if not re.search(rf'given\["{a}"\]|"{a}", "', text)]
    assert set(unused) <= {"use_sim_time", "shadow", "autostart"}  # taken in a loop over names
    assert all(f'"{name}"' in text for name in unused)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_imports_only_what_the_python_of_ros2_has(path):
    names = {name for name, _ in imported_names(parse(path))}
    foreign = {
        name
        for name in names
        if name.partition(".")[0] not in {*sys.stdlib_module_names, *WITH_ROS, "diff_planner"}
    }
    assert not foreign
    own = {".".join(name.split(".")[:3]) for name in names if name.startswith("diff_planner.")}
    assert own - {"diff_planner.ros"} <= READABLE_WITHOUT_PIP


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_setup_py_installs_it(path):
    calls = [
        node
        for node in ast.walk(parse(PACKAGE.parent / "setup.py"))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "share"
    ]
    patterns = {ast.literal_eval(c.args[0]): ast.literal_eval(c.args[2]) for c in calls}
    assert fnmatch.fnmatch(path.name, patterns["launch"])
