"""What the package says about itself in several places agrees."""

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import diff_planner
from contract.source_tree import (
    PACKAGE,
    REPOSITORY,
    imported_names,
    module_name,
    parse,
    source_files,
)

SETUP = PACKAGE.parent / "setup.py"
PACKAGE_XML = PACKAGE.parent / "package.xml"
MSGS = PACKAGE.parent.parent / "diff_planner_msgs"
REQUIREMENTS = REPOSITORY / "requirements"
# What rosdep can install on a vehicle, by the name Python imports it with.
ROSDEP_NAMES = {
    "cv2": "python3-opencv",
    "jinja2": "python3-jinja2",
    "numpy": "python3-numpy",
    "pydantic": "python3-pydantic",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
}
# What rosdep cannot install on Ubuntu 24.04: pip does, see launch/README.md.
PIP_NAMES = ("openvino", "rosbags", "annotated_types", "torch")
NAME = "diff_planner"


def setup_value(name):
    """A literal of setup.py: an assigned name or a keyword of setup()."""
    for node in ast.walk(ast.parse(SETUP.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
        if isinstance(node, ast.keyword) and node.arg == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"setup.py has no {name}")


def xml_texts(path, *tags):
    root = ElementTree.parse(path).getroot()
    return [element.text for tag in tags for element in root.iter(tag)]


def requirement_lines(name):
    """The requirements of an .in file, without comments, inclusions and spaces."""
    lines = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    bare = [line.partition("#")[0].strip() for line in lines]
    return {line for line in bare if line and not line.startswith("-")}


def test_the_version_is_the_same_everywhere():
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = {
        "diff_planner.__version__": diff_planner.__version__,
        "setup.py": setup_value("version"),
        "package.xml": xml_texts(PACKAGE_XML, "version")[0],
        "diff_planner_msgs/package.xml": xml_texts(MSGS / "package.xml", "version")[0],
        "CHANGELOG.md": re.search(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE).group(1),
    }
    assert len(set(versions.values())) == 1, versions


def test_name_licence_and_maintainer_agree():
    assert xml_texts(PACKAGE_XML, "name") == [setup_value("NAME")]
    assert xml_texts(PACKAGE_XML, "license") == [setup_value("license")]
    assert xml_texts(PACKAGE_XML, "maintainer") == [setup_value("maintainer")]
    assert "Apache License" in (REPOSITORY / "LICENSE").read_text(encoding="utf-8")


def test_core_of_setup_py_is_core_of_the_lock_files():
    assert set(setup_value("CORE")) == requirement_lines("core")


@pytest.mark.parametrize("extra", ["ros", "sim", "dev"])
def test_an_extra_of_setup_py_asks_for_nothing_that_is_not_locked(extra):
    locked = requirement_lines(extra) | (requirement_lines("test") if extra == "dev" else set())
    assert set(setup_value("EXTRAS")[extra]) <= locked


def test_the_train_extra_asks_for_the_locked_torch():
    torch = next(line for line in setup_value("EXTRAS")["train"] if line.startswith("torch"))
    assert torch in requirement_lines("torch-pypi")
    cpu = (REQUIREMENTS / "torch-cpu.txt").read_text(encoding="utf-8")
    assert f"{torch}+cpu" in cpu


def test_every_input_has_a_lock_file_of_hashes_without_addresses():
    for path in REQUIREMENTS.glob("*.in"):
        lock = path.with_suffix(".txt").read_text(encoding="utf-8")
        assert not re.search(r"://|--(extra-)?index-url|--find-links", lock), path
        pins = re.findall(r"^[a-z0-9-]+==", lock, re.MULTILINE)
        assert lock.count("--hash=sha256:") >= len(pins), path


def test_lock_files_agree_on_every_version():
    versions = {}
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        if path.stem == "core-numpy126":
            continue
        lock = path.read_text(encoding="utf-8")
        for name, version in re.findall(r"^([a-z0-9.-]+)==([^ +]+)", lock, re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    different = {name: found for name, found in versions.items() if len(found) > 1}
    assert different.keys() <= {"networkx"}, different


def test_every_folder_with_python_files_is_a_package():
    folders = {path.parent for path in source_files()}
    bare = [str(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    assert not bare, f"find_packages would leave these out: {bare}"


def packages_of(files):
    """The top-level names that files import, wherever in the file."""
    return {name.partition(".")[0] for path in files for name, _ in imported_names(parse(path))}


def ros_packages_of(files):
    """Those that are neither Python's, pip's nor our own: only ROS brings them."""
    others = {*sys.stdlib_module_names, *ROSDEP_NAMES, *PIP_NAMES, NAME, "__future__"}
    return packages_of(files) - others


def test_package_xml_names_every_ros_package_that_node_and_launch_files_import():
    declared = set(xml_texts(PACKAGE_XML, "depend", "exec_depend"))
    files = [path for path in source_files() if module_name(path).startswith("ros")]
    wanted = ros_packages_of([*files, *(REPOSITORY / "launch").glob("*.py")])
    assert {"rclpy", "launch_ros"} <= wanted
    assert wanted <= declared, wanted - declared


def test_package_xml_names_every_ros_package_that_messages_are_looked_up_in():
    declared = set(xml_texts(PACKAGE_XML, "depend", "exec_depend"))
    text = "".join(path.read_text(encoding="utf-8") for path in source_files())
    wanted = set(re.findall(r'"(\w+_msgs)/msg/\w+"', text))
    assert "nav_msgs" in wanted
    assert wanted <= declared, wanted - declared


def test_package_xml_names_every_program_that_launch_files_start():
    declared = set(xml_texts(PACKAGE_XML, "exec_depend"))
    text = "".join(p.read_text(encoding="utf-8") for p in (REPOSITORY / "launch").glob("*.py"))
    verbs = set(re.findall(r'"ros2", "(\w+)"', text))
    started = {*re.findall(r'package="(\w+)"', text), *(f"ros2{verb}" for verb in verbs)} - {NAME}
    assert {"rviz2", "ros2bag", "ros2topic"} <= started
    assert started <= declared, started - declared


def test_package_xml_names_what_the_ros_tests_need():
    declared = set(xml_texts(PACKAGE_XML, "depend", "exec_depend", "test_depend"))
    files = (REPOSITORY / "tests" / "ros").glob("test_*.py")
    skipped = {
        name.partition(".")[0]
        for path in files
        for name in re.findall(r'importorskip\("([\w.]+)"', path.read_text(encoding="utf-8"))
    }
    assert {"launch_pytest", "sensor_msgs_py", "tf_transformations"} <= skipped
    assert skipped <= declared, skipped - declared


def test_package_xml_names_each_dependency_once():
    names = xml_texts(PACKAGE_XML, "depend", "exec_depend", "test_depend")
    assert len(set(names)) == len(names)


def test_package_xml_names_every_debian_package_that_the_core_imports():
    declared = set(xml_texts(PACKAGE_XML, "depend", "exec_depend"))
    used = {
        name.partition(".")[0] for path in source_files() for name, _ in imported_names(parse(path))
    }
    wanted = {ROSDEP_NAMES[name] for name in used & ROSDEP_NAMES.keys()}
    assert wanted <= declared, wanted - declared


def test_the_message_package_builds_exactly_the_files_that_are_there():
    cmake = (MSGS / "CMakeLists.txt").read_text(encoding="utf-8")
    listed = set(re.findall(r'"((?:msg|srv)/\w+\.(?:msg|srv))"', cmake))
    found = {path.relative_to(MSGS).as_posix() for path in MSGS.glob("*/*.[ms][sr][gv]")}
    assert listed == found


@pytest.mark.parametrize("command", setup_value("entry_points")["console_scripts"])
def test_a_command_names_a_function_that_exists(command):
    module, function = command.partition(" = ")[2].split(":")
    path = PACKAGE.parent / (module.replace(".", "/") + ".py")
    names = [node.name for node in parse(path).body if isinstance(node, ast.FunctionDef)]
    assert function in names
