"""What launch files compute: parameters out of YAML files, and what a bag player must not send."""

import subprocess
import sys

import pytest
import yaml

from contract.source_tree import PACKAGE
from diff_planner.config import PlannerConfig, to_yaml
from diff_planner.errors import ConfigError
from diff_planner.ros.launch_values import (
    full_name,
    is_true,
    output_topics,
    parameters_from,
    player_arguments,
    vehicle_parameters,
    view_remappings,
)
from diff_planner.ros.parameter_specs import settings_from

CONFIG = {
    "vehicle": {"length_m": 4, "name": "shuttle"},
    "inputs": {
        "anchor": "nose",
        "cameras": {"nose": {"image": "/nose/image", "info": "/nose/info"}},
        "lidar": None,
        "route": {"topic": "/my/route", "tolerance_s": 0.5},
    },
    "output_frame": None,
    "model": {"threads": 2},
}


def write(path, values):
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def with_relative_topics(config):
    """The same configuration as a namespace can move it."""
    text = config.model_dump_json()
    for key in ("topic", "image", "info"):
        text = text.replace(f'"{key}":"/', f'"{key}":"')
    return PlannerConfig.model_validate_json(text)


def test_a_planner_configuration_becomes_the_parameters_that_mean_the_same(tmp_path):
    parameters = parameters_from(write(tmp_path / "planner.yaml", CONFIG))
    expected = PlannerConfig.model_validate(CONFIG)
    assert settings_from(parameters).planner == with_relative_topics(expected)


def test_the_configuration_with_every_value_written_out_is_read_back_the_same(tmp_path):
    path = tmp_path / "planner.yaml"
    path.write_text(to_yaml(PlannerConfig(), only_differences=False), encoding="utf-8")
    expected = with_relative_topics(PlannerConfig())
    assert settings_from(parameters_from(path)).planner == expected


def test_a_rig_without_cameras_is_one_empty_name_as_ros_files_know_no_empty_list(tmp_path):
    values = parameters_from(write(tmp_path / "planner.yaml", {"inputs": {"cameras": {}}}))
    assert values == {"inputs.camera_names": [""]}


def test_the_configuration_of_the_package_names_its_vehicle_file():
    values = parameters_from(PACKAGE.parent / "config" / "planner.yaml")
    vehicle = yaml.safe_load((PACKAGE.parent / "config" / "vehicle.yaml").read_text("utf-8"))
    assert {f"vehicle.{name}": value for name, value in vehicle.items()}.items() <= values.items()


def test_a_vehicle_file_becomes_parameters_below_vehicle(tmp_path):
    path = write(tmp_path / "car.yaml", {"length_m": 4.2, "name": "car"})
    assert vehicle_parameters(path) == {"vehicle.length_m": 4.2, "vehicle.name": "car"}


@pytest.mark.parametrize(
    "values",
    [
        {"/**": {"ros__parameters": {"shadow": True}}},
        {"car": {"diff_planner": {"ros__parameters": {"shadow": True}}}},
    ],
)
def test_a_ros_parameter_file_is_handed_on_as_it_is(tmp_path, values):
    path = write(tmp_path / "params.yaml", values)
    assert parameters_from(path) == str(path)


@pytest.mark.parametrize(
    ("text", "message"), [("[1, 2]", "expected keys and values, got a list"), ("a: [", "not YAML")]
)
def test_a_file_that_cannot_be_parameters_is_named(tmp_path, text, message):
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"broken\.yaml: {message}"):
        parameters_from(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read \(No such file"):
        vehicle_parameters(tmp_path / "absent.yaml")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("0", False)])
def test_truth_values_are_read_as_launch_reads_them(text, value):
    assert is_true("shadow", text) is value


@pytest.mark.parametrize("text", ["", "yes", "2"])
def test_other_words_for_truth_are_refused_by_the_arguments_name(text):
    with pytest.raises(ConfigError, match="argument shadow: expected true or false"):
        is_true("shadow", text)


@pytest.mark.parametrize(
    ("namespace", "name"), [("", "/a/b"), ("/", "/a/b"), ("car", "/car/a/b"), ("/car/", "/car/a/b")]
)
def test_names_resolve_however_the_namespace_is_written(namespace, name):
    assert full_name(namespace, "a/b") == name


def test_only_outputs_are_recorded_never_the_clock():
    topics = output_topics("car", shadow=True)
    assert "/car/planning/shadow/trajectory" in topics
    assert "/clock" not in topics
    assert not any("sensing" in topic or "shadow" not in topic for topic in topics[:-1])
    assert topics[-1] == "/diagnostics"


def test_a_bag_of_sensors_is_played_as_it_is():
    assert player_arguments(["/sensing/lidar", "/tf_static", "/tf"], "") == []


def test_a_recorded_plan_is_shown_beside_and_the_rest_of_the_planner_is_left_out():
    topics = ["/planning/trajectory", "/planning/status", "/planning/shadow/path", "/clock", "/x"]
    assert player_arguments(topics, "") == [
        *("--remap", "/planning/trajectory:=/planning/reference_trajectory"),
        *("--exclude-topics", "/clock", "/planning/shadow/path", "/planning/status"),
    ]


def test_in_a_namespace_topics_move_there_unless_they_are_there_or_absolute():
    topics = ["/sensing/lidar", "/car/odometry", "/cart/odometry", "/tf_static", "/tf"]
    assert player_arguments(topics, "/car") == [
        *("--remap", "/cart/odometry:=/car/cart/odometry"),
        "/sensing/lidar:=/car/sensing/lidar",
    ]


@pytest.mark.parametrize("topic", ["/planning/trajectory", "/car/planning/trajectory"])
def test_a_plan_recorded_inside_or_outside_of_the_namespace_is_the_reference(topic):
    remap = f"{topic}:=/car/planning/reference_trajectory"
    assert player_arguments([topic], "car") == ["--remap", remap]


@pytest.mark.parametrize(
    ("shadow", "markers"), [(False, "planning/markers"), (True, "planning/shadow/markers")]
)
def test_the_view_for_rviz_moves_into_a_namespace_and_beside_control(shadow, markers):
    rules = view_remappings(PACKAGE.parent / "rviz" / "planner.rviz", shadow=shadow)
    assert ("/planning/markers", markers) in rules
    assert ("/sensing/lidar/top/pointcloud", "sensing/lidar/top/pointcloud") in rules
    assert all(new.endswith(old.rpartition("/")[2]) and new[0] != "/" for old, new in rules)


def test_launch_files_run_under_a_python_that_has_only_yaml_beside_ros():
    blocked = ["pydantic", "numpy", "rosbags", "cv2", "openvino", "jinja2", "tqdm", "rclpy"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "import diff_planner.ros.launch_values, diff_planner.ros.dds"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
