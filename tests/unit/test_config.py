from pathlib import Path

import pytest

from diff_planner.config import (
    FeatureConfig,
    PlannerConfig,
    VehicleConfig,
    load_config,
    parse,
    read_yaml,
    to_yaml,
)
from diff_planner.errors import ConfigError

CONFIG_FOLDER = Path(__file__).parents[2] / "ros2_ws/src/diff_planner/config"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"inpts": {}}, "unknown key 'inpts': did you mean 'inputs'?"),
        ({"vehicle": {"lenght_m": 4}}, "'vehicle.lenght_m': did you mean 'length_m'?"),
        ({"inputs": {"lidar": {"topic": "a", "tolerance": 1}}}, "did you mean 'tolerance_s'?"),
        (
            {"inputs": {"cameras": {"front": {"image": "a", "inof": "b"}}}},
            "'inputs.cameras.front.inof': did you mean 'info'?",
        ),
        ({"qqqq": 1}, "unknown key 'qqqq': valid keys: fallback, inputs"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_valid_one(values, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(PlannerConfig, values, "my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"vehicle": {"width_m": -1}}, "vehicle.width_m: Input should be greater than 0, got -1"),
        ({"vehicle": {"width_m": float("nan")}}, "vehicle.width_m"),
        ({"inputs": {"anchor": "roof"}}, "anchor: expected one of ['left', 'front', 'right', "),
        ({"inputs": {"cameras": 3}}, "inputs.cameras: Input should be a valid dictionary, got 3"),
        (["a"], "top level"),
        (
            {"inputs": {"cameras": {f"c{k}": {"image": "i", "info": "j"} for k in range(7)}}},
            "cameras: expected at most 6, got 7",
        ),
    ],
)
def test_a_value_out_of_range_is_named_with_what_came(values, sentence):
    with pytest.raises(ConfigError) as caught:
        parse(PlannerConfig, values, "my.yaml")
    assert sentence in str(caught.value)


def test_every_fault_of_a_file_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        parse(PlannerConfig, {"a": 1, "vehicle": {"width_m": 0}}, "x")
    assert "'a'" in str(caught.value)
    assert "vehicle.width_m" in str(caught.value)


def test_the_yaml_that_is_written_holds_the_differences_alone_and_reads_back():
    config = parse(PlannerConfig, {"inputs": {"period_s": 0.5}, "output_frame": "map"}, "x")
    text = to_yaml(config)
    assert set(text.split()) == {"inputs:", "period_s:", "0.5", "output_frame:", "map"}
    assert len(to_yaml(config, only_differences=False)) > 1000


def test_the_shipped_planner_yaml_means_the_defaults():
    assert load_config(CONFIG_FOLDER / "planner.yaml") == PlannerConfig()


def test_the_shipped_vehicle_yaml_is_the_default_vehicle():
    values = read_yaml(CONFIG_FOLDER / "vehicle.yaml")
    assert parse(VehicleConfig, values, "vehicle.yaml") == VehicleConfig()


def test_an_empty_yaml_file_means_the_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(tmp_path / "empty.yaml") == PlannerConfig()


@pytest.mark.parametrize(
    ("text", "sentence"), [("a: [", "not YAML"), (None, "cannot be read"), ("\x00", "not YAML")]
)
def test_a_file_that_is_not_there_or_not_yaml_is_a_sentence(tmp_path, text, sentence):
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_config(path)


def test_a_vehicle_file_that_is_missing_is_named(tmp_path):
    (tmp_path / "c.yaml").write_text("vehicle: truck.yaml\n")
    with pytest.raises(ConfigError, match=r"truck\.yaml: cannot be read"):
        load_config(tmp_path / "c.yaml")


def test_the_feature_hash_follows_the_values():
    assert FeatureConfig().sha256 == FeatureConfig().sha256
    assert FeatureConfig().sha256 != FeatureConfig(commands="navsim4").sha256


def test_the_default_vehicle_is_the_box_of_navsim():
    vehicle = VehicleConfig()
    assert vehicle.front_m == pytest.approx(4.049)
    assert vehicle.rear_m == pytest.approx(1.127)
