"""A configuration written as a ROS parameter file is the same configuration for the node."""

import yaml

from diff_planner.config import (
    CameraInputConfig,
    InputsConfig,
    PlannerConfig,
    StreamConfig,
    VehicleConfig,
)
from diff_planner.ros.parameter_file import parameter_yaml, write_parameter_file
from diff_planner.ros.parameter_specs import NodeConfig, settings_from

CONFIG = PlannerConfig(
    vehicle=VehicleConfig(name="no", length_m=4, max_steer_rad=1e-5),
    inputs=InputsConfig(
        anchor="eye",
        cameras={"eye": CameraInputConfig(image="cam/image", info="/cam/info", tolerance_s=0.1)},
        lidar=None,
        odometry=StreamConfig(topic="/odom"),
        route=None,
    ),
    output_frame=None,
)


def parameters_of(text):
    return yaml.safe_load(text)["/**"]["ros__parameters"]


def test_the_node_reads_the_configuration_back_with_relative_topics():
    values = parameters_of(parameter_yaml(CONFIG, NodeConfig(lock_step=True)))
    assert values.pop("use_sim_time") is True
    settings = settings_from(values)
    assert settings.node == NodeConfig(lock_step=True)
    dumped = settings.planner.model_dump()
    assert dumped["inputs"]["odometry"]["topic"] == "odom"
    assert dumped["inputs"]["cameras"]["eye"]["info"] == "cam/info"
    dumped["inputs"]["odometry"]["topic"] = "/odom"
    dumped["inputs"]["cameras"]["eye"]["info"] = "/cam/info"
    for name in ("acceleration", "nav_command"):
        dumped["inputs"][name]["topic"] = "/" + dumped["inputs"][name]["topic"]
    assert dumped == CONFIG.model_dump()


def test_static_transforms_stay_absolute():
    assert parameters_of(parameter_yaml(CONFIG))["inputs.tf_static"] == "/tf_static"


def test_types_survive_the_file():
    values = parameters_of(parameter_yaml(CONFIG, use_sim_time=False))
    assert values["use_sim_time"] is False
    assert values["vehicle.length_m"] == 4.0
    assert isinstance(values["vehicle.length_m"], float)
    assert values["vehicle.name"] == "no"  # plain YAML would read false
    assert values["vehicle.max_steer_rad"] == 1e-5
    assert values["inputs.route.topic"] == ""


def test_a_rig_without_cameras_names_an_empty_one(tmp_path):
    config = PlannerConfig(inputs=InputsConfig(cameras={}))
    write_parameter_file(tmp_path / "p.yaml", config)
    values = parameters_of((tmp_path / "p.yaml").read_text())
    assert values["inputs.camera_names"] == [""]
    values.pop("use_sim_time")
    assert settings_from(values).planner.inputs.cameras == {}
