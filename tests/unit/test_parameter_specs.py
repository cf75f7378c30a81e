import subprocess
import sys

import pytest
import yaml
from pydantic import BaseModel

from contract.source_tree import PACKAGE
from diff_planner.config import CameraInputConfig, InputsConfig, PlannerConfig, SafetyConfig
from diff_planner.errors import ConfigError
from diff_planner.ros import parameter_table
from diff_planner.ros.parameter_kinds import ParameterSpec
from diff_planner.ros.parameter_specs import (
    NodeConfig,
    Settings,
    is_misspelt,
    parameter_specs,
    settings_from,
    values_of,
)

SPECS = {spec.name: spec for spec in parameter_specs()}
EXAMPLE = PACKAGE.parent / "config" / "planner.params.yaml"


def config_classes(model=PlannerConfig):
    """Every config class that parameters are made from."""
    found = [model]
    for field in model.model_fields.values():
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for annotation in inner:
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found += config_classes(annotation)
    return found


def flat(values, prefix=""):
    """Nested values under dotted names, as rcl reads them from a parameter file."""
    if not isinstance(values, dict):
        return {prefix.removesuffix("."): values}
    return {
        name: value
        for key, inner in values.items()
        for name, value in flat(inner, f"{prefix}{key}.").items()
    }


def fault_of(values):
    with pytest.raises(ConfigError) as caught:
        settings_from(values)
    return str(caught.value)


def test_every_field_of_every_config_says_what_it_means():
    classes = [NodeConfig, CameraInputConfig, *config_classes()]
    assert InputsConfig in classes
    bare = [
        f"{model.__name__}.{key}"
        for model in classes
        for key, field in model.model_fields.items()
        # A group such as PlannerConfig.safety is described by its class.
        if not field.description and model is not PlannerConfig
    ]
    assert not bare, bare
    assert all(spec.description for spec in SPECS.values())


def test_every_field_of_the_configs_is_a_parameter():
    names = flat(PlannerConfig().model_dump())
    names["inputs.camera_names"] = names.pop("inputs.cameras", None)
    assert set(SPECS) == names.keys() | NodeConfig.model_fields.keys()


def test_every_number_has_a_lowest_and_a_highest_value_that_hold_its_default():
    numbers = [spec for spec in SPECS.values() if spec.kind in ("int", "double")]
    assert len(numbers) > 30
    assert not [spec.name for spec in numbers if spec.low is None or spec.high is None]
    assert all(spec.low <= spec.default <= spec.high for spec in numbers)


@pytest.mark.parametrize(
    ("name", "kind", "default", "limits"),
    [
        ("autostart", "bool", True, ""),
        ("vehicle.length_m", "double", 5.176, "above 0, at most 30"),
        ("vehicle.max_steer_rad", "double", 0.61, "above 0, below 1.5"),
        ("model.threads", "int", 1, "at least 1, at most 64"),
        ("model.seed", "int", 0, "at least 0, at most 9223372036854775807"),
        ("model.backend", "string", "openvino", "openvino or torch"),
        ("inputs.base_frame", "string", "base_link", "not empty"),
        ("output_frame", "string", "", ""),
        (
            "inputs.camera_names",
            "string array",
            ("left", "front", "right"),
            "each once, of letters, digits and _",
        ),
    ],
)
def test_type_default_and_limits_are_those_of_the_config(name, kind, default, limits):
    spec = SPECS[name]
    assert (spec.kind, spec.default, spec.limits) == (kind, default, limits)


def test_the_description_of_a_number_names_its_unit():
    assert SPECS["vehicle.length_m"].description == "Overall length. Unit: m."
    assert "Unit: m/s^2." in SPECS["vehicle.max_acceleration_mps2"].description
    assert "Unit" not in SPECS["safety.max_curvature_margin"].description


def test_what_the_next_plan_can_take_is_changeable_and_nothing_else():
    changeable = {name.partition(".")[0] for name, spec in SPECS.items() if not spec.is_read_only}
    assert changeable == {"safety", "selection", "refine", "fallback", "model"}
    assert [n for n in SPECS if n.startswith("model.") and not SPECS[n].is_read_only] == [
        "model.seed"
    ]
    assert all(SPECS[name].is_read_only for name in NodeConfig.model_fields)


def test_default_topics_are_relative_but_the_static_transforms():
    topics = {name: SPECS[name].default for name in SPECS if name.endswith((".topic", ".image"))}
    assert topics["inputs.lidar.topic"] == "sensing/lidar/top/pointcloud"
    assert not [topic for topic in topics.values() if topic.startswith("/")]
    assert SPECS["inputs.tf_static"].default == "/tf_static"


def test_no_parameters_mean_the_default_configuration_with_relative_topics():
    settings = settings_from({})
    assert settings.node == NodeConfig()
    planner = settings.planner.model_dump()
    expected = PlannerConfig().model_dump()
    for stream in [*expected["inputs"]["cameras"].values(), *expected["inputs"].values()]:
        for key in stream if isinstance(stream, dict) else ():
            if key in ("topic", "image", "info"):
                stream[key] = stream[key].removeprefix("/")
    assert planner == expected
    assert planner["inputs"]["odometry"]["topic"] == "localization/kinematic_state"


def test_settings_turn_into_values_and_back():
    given = {
        "shadow": True,
        "inputs.camera_names": ["front", "rear"],
        "inputs.cameras.rear.image": "rear/image",
        "inputs.cameras.rear.info": "/rear/info",
        "inputs.lidar.topic": "",
        "inputs.anchor": "rear",
        "output_frame": "odom",
        "model.seed": 2**63 - 1,
    }
    settings = settings_from(given)
    assert list(settings.planner.inputs.cameras) == ["front", "rear"]
    assert settings.planner.inputs.cameras["rear"].info == "/rear/info"
    assert settings.planner.inputs.lidar is None
    assert settings.planner.output_frame == "odom"
    values = values_of(settings)
    assert settings_from(values) == settings
    assert given.items() <= {**values, "inputs.camera_names": ["front", "rear"]}.items()
    assert values["inputs.lidar.topic"] == ""


def test_the_values_of_any_planner_configuration_are_parameters_of_it():
    config = PlannerConfig(inputs=InputsConfig(lidar=None, route=None, anchor="front"))
    settings = Settings(NodeConfig(), config)
    assert settings_from(values_of(settings)) == settings


@pytest.mark.parametrize("names", [[""], [], ("",)])
def test_a_list_of_one_empty_name_means_no_camera(names):
    assert settings_from({"inputs.camera_names": names}).planner.inputs.cameras == {}


@pytest.mark.parametrize("word", ["null", "~", ""])
def test_null_in_a_parameter_file_means_not_used(word):
    # rcl hands YAML's null on as a string.
    settings = settings_from({"output_frame": word, "inputs.route.topic": word})
    assert (settings.planner.output_frame, settings.planner.inputs.route) == (None, None)
    assert "expected a string, not empty" in fault_of({"inputs.odometry.topic": word})


def test_an_integer_is_accepted_for_a_double_and_becomes_one():
    length = settings_from({"vehicle.length_m": 4}).planner.vehicle.length_m
    assert (length, type(length)) == (4.0, float)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("vehicle.length_m", 0.0, "expected a number, above 0, at most 30; got 0.0"),
        ("vehicle.max_steer_rad", 1.5, "expected a number, above 0, below 1.5; got 1.5"),
        ("vehicle.length_m", float("nan"), "expected a number, above 0, at most 30; got nan"),
        ("vehicle.length_m", float("inf"), "at most 30; got inf"),
        ("vehicle.length_m", "4", "expected a number, above 0, at most 30; got '4'"),
        ("vehicle.length_m", True, "expected a number, above 0, at most 30; got True"),
        ("model.threads", 2.0, "expected an integer, at least 1, at most 64; got 2.0"),
        ("model.threads", True, "expected an integer, at least 1, at most 64; got True"),
        ("model.seed", 2**63, "at most 9223372036854775807; got 9223372036854775808"),
        ("model.backend", "onnx", "expected openvino or torch; got 'onnx'"),
        ("shadow", 1, "expected true or false; got 1"),
        ("inputs.odometry.topic", "", "expected a string, not empty; got ''"),
        ("inputs.base_frame", 3, "expected a string, not empty; got 3"),
        ("inputs.camera_names", "front", "expected a list of strings"),
        ("inputs.camera_names", [1], "expected a list of strings"),
        ("inputs.camera_names", ["left", "left"], "each once"),
        ("inputs.camera_names", ["a.b"], "of letters, digits and _; got ['a.b']"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_was_expected_and_what_came(
    name, value, sentence
):
    fault = fault_of({name: value})
    assert fault.startswith(f"parameter {name}: expected ")
    assert sentence in fault


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vehicle.lenght_m", "unknown parameter vehicle.lenght_m: did you mean vehicle.length_m?"),
        ("max_lateral_shift_m", "did you mean safety.max_lateral_shift_m?"),
        ("inputs.cameras.back.info", "inputs.camera_names does not name 'back'"),
        ("inputs.cameras.front.inof", "did you mean inputs.cameras.front.info?"),
        ("0", "unknown parameter 0"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest_one(name, sentence):
    assert sentence in fault_of({name: 1.0})


def test_every_fault_is_told_at_once():
    fault = fault_of({"a": 1, "model.threads": 0, "vehicle.width_m": -1.0})
    assert fault.count(";") == 4  # two between the three sentences, one in each of two of them
    assert "model.threads" in fault
    assert "vehicle.width_m" in fault


def test_a_camera_of_another_name_needs_its_topics():
    fault = fault_of({"inputs.camera_names": ["rear"], "inputs.anchor": "rear"})
    assert "parameter inputs.cameras.rear.image: expected a string, not empty; got ''" in fault


def test_what_does_not_fit_together_is_refused_as_a_whole():
    assert "anchor: expected one of ['left', 'front', 'right'], got 'lidar'" in fault_of(
        {"inputs.lidar.topic": ""}
    )
    assert "obstacle_min_height_m: expected less than 0.5 m, got 0.6" in fault_of(
        {"safety.obstacle_min_height_m": 0.6, "safety.obstacle_max_height_m": 0.5}
    )


def test_a_band_of_heights_that_holds_no_obstacle_is_no_safety_config():
    with pytest.raises(ValueError, match="expected less than"):
        SafetyConfig(obstacle_min_height_m=1.0, obstacle_max_height_m=1.0)


def test_a_spec_without_limits_takes_any_finite_number_only():
    spec = ParameterSpec("x", "double", 0.0, "")
    assert spec.check(-1e300) == -1e300
    with pytest.raises(ConfigError, match="expected a number; got inf"):
        spec.check(float("inf"))


def test_the_example_of_a_parameter_file_means_the_defaults():
    parameters = yaml.safe_load(EXAMPLE.read_text())["/**"]["diff_planner"]["ros__parameters"]
    assert parameters.pop("use_sim_time") is False
    values = flat(parameters)
    assert len(values) > 15
    assert settings_from(values) == settings_from({})


def test_the_parameters_in_the_readme_are_the_present_ones():
    text = parameter_table.README.read_text(encoding="utf-8")
    is_present = parameter_table.with_table(text) == text
    assert is_present, f"out of date, write it again: {parameter_table.COMMAND} (or make docs)"


def test_the_readme_has_a_row_for_every_parameter():
    text = parameter_table.parameter_table()
    assert [name for name in SPECS if f"| `{name}`" not in text] == []
    assert "| `safety.collision_min_points` \\* | int | `4` | at least 1, at most 100 |" in text


@pytest.mark.parametrize("text", ["", "nothing\n", f"{parameter_table._END}\n"])
def test_a_readme_without_the_markers_is_refused(text):
    with pytest.raises(ConfigError, match="expected the lines"):
        parameter_table.with_table(text)


def test_the_specs_need_no_ros():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['rclpy', 'rcl_interfaces']))\n"
        "import diff_planner.ros.parameter_table\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_misspelt_name_is_told_from_a_parameter_for_other_nodes():
    known = [spec.name for spec in parameter_specs()]
    for name in ("safety.max_lateral_shft_m", "inputs.nothing", "autostrt", "vehicle.lenght_m"):
        assert is_misspelt(name, known), name
    for name in ("wheel_radius", "max_steer_angle", "robot_description", "front_overhang"):
        assert not is_misspelt(name, known), name
