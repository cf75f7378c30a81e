"""Imports point one way: a module knows only what lies below it."""

import ast
import subprocess
import sys

import pytest

from contract.source_tree import (
    PACKAGE,
    REPOSITORY,
    imported_names,
    module_name,
    names_at_import_time,
    parse,
    source_files,
)

# Lowest first. A unit (a module or folder of the package) may import units of lower layers and its
# own; units of one layer do not know each other unless BESIDE says so. A new unit gets its place
# here.
LAYERS = (
    {"", "types", "errors", "geometry", "files", "stage_clock"},
    {"resources", "camera_geometry"},
    {"config"},
    {"panorama", "noise", "motion", "scene"},
    {"features", "safety", "metrics", "policies", "selection", "refine"},
    {"fallback"},
    {"model"},
    {"inference"},
    {"planner"},
    {"data"},
    {"sim", "training"},
    {"report"},
    {"ros", "commands"},
    {"cli"},
)
LEVEL = {unit: level for level, layer in enumerate(LAYERS) for unit in layer}
BESIDE = {
    ("types", "errors"),
    ("geometry", "errors"),
    ("geometry", "types"),
    ("files", "errors"),
}
# The one command that plays to a node; it imports ROS when it runs, not when it is imported.
EXCEPTIONS = {("commands.replay_ros", "ros")}
FORBIDDEN = {("safety", "model"), ("safety", "metrics"), ("commands", "ros"), ("cli", "ros")}
TORCH_HOMES = ("model", "training", "inference.torch_backend", "inference.export")
ROS_PACKAGES = (
    "rclpy",
    "ament_index_python",
    "rosidl_runtime_py",
    "tf2_ros",
    "launch",
    "launch_ros",
)
UNTYPED_MESSAGE_PACKAGES = ("builtin_interfaces", "std_srvs")


def unit_of(name):
    return name.partition(".")[0]


def own_imports(path):
    """Yield (unit, line) of what a file of the package imports from the package."""
    units = {module_name(file).partition(".")[0] for file in source_files()}
    for name, line in imported_names(parse(path)):
        head, _, rest = name.partition(".")
        if head == "diff_planner" and rest and unit_of(rest) in units:
            yield unit_of(rest), line


def is_at(name, homes):
    return any(name == home or name.startswith(home + ".") for home in homes)


def test_every_unit_of_the_package_has_a_level():
    units = {unit_of(module_name(path)) for path in source_files()}
    assert units <= LEVEL.keys(), f"give these a place in LEVEL: {sorted(units - LEVEL.keys())}"


def test_imports_point_from_higher_to_lower_levels():
    wrong = []
    for path in source_files():
        unit = unit_of(module_name(path))
        for other, line in sorted(set(own_imports(path))):
            if other == unit or (module_name(path), other) in EXCEPTIONS:
                continue
            lower = LEVEL.get(other, 99) < LEVEL.get(unit, -1)
            allowed = (lower or (unit, other) in BESIDE) and (unit, other) not in FORBIDDEN
            if not allowed:
                wrong.append(f"{path.relative_to(REPOSITORY)}:{line}: {unit} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_torch_is_imported_only_where_networks_are_trained_or_exported():
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}"
        for path in source_files()
        if not is_at(module_name(path), TORCH_HOMES)
        for name, line in imported_names(parse(path))
        if unit_of(name) == "torch"
    ]
    assert not wrong, wrong


@pytest.mark.parametrize(("module", "other"), sorted(EXCEPTIONS))
def test_an_exception_is_made_use_of_and_only_inside_of_functions(module, other):
    (path,) = (path for path in source_files() if module_name(path) == module)
    tree = parse(path)
    used = {name for name, _ in imported_names(tree) if name.startswith(f"diff_planner.{other}.")}
    at_import_time = {name for name, _ in names_at_import_time(tree)}
    assert used
    assert not used & at_import_time


def test_ros_is_imported_only_in_ros():
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name}"
        for path in source_files()
        if unit_of(module_name(path)) != "ros"
        for name, line in imported_names(parse(path))
        if unit_of(name) in ROS_PACKAGES + UNTYPED_MESSAGE_PACKAGES
        or unit_of(name).endswith("_msgs")
    ]
    assert not wrong, wrong


def modules_without_torch_or_ros():
    """Every module that the vehicle or the demo may import, by its full name."""
    names = [module_name(path) for path in source_files()]
    homes = (*TORCH_HOMES, "ros")
    return [f"diff_planner.{name}".rstrip(".") for name in names if not is_at(name, homes)]


def test_nothing_on_the_vehicle_reaches_torch_at_import_time():
    files = {module_name(path): path for path in source_files()}
    reaching = {name for name in files if is_at(name, TORCH_HOMES)}
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: {imported}"
        for name, path in files.items()
        if name not in reaching
        for imported, line in names_at_import_time(parse(path))
        if imported.removeprefix("diff_planner.") in reaching
    ]
    assert not wrong, wrong


def test_the_core_imports_with_torch_and_ros_unimportable():
    blocked = ["torch", "onnx", "onnxruntime", "safetensors", "std_msgs", *ROS_PACKAGES]
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        f"for name in {modules_without_torch_or_ros()!r}:\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_direction_test_sees_an_import_inside_a_function():
    tree = ast.parse("def f():\n    from diff_planner import cli\n")
    assert ("diff_planner.cli", 2) in list(imported_names(tree))
    assert not list(names_at_import_time(tree))


@pytest.mark.parametrize("pair", sorted(FORBIDDEN))
def test_forbidden_pairs_name_units_that_have_a_level(pair):
    assert set(pair) <= LEVEL.keys()
