"""What is wrong from the start: the node says so in every status and plans when it is put right."""

import shutil

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.resources import model_folder
from diff_planner.types import FaultBit, PlannerState, Source
from ros_graph import graph_of
from ros_sensors import load_sensors

pytestmark = pytest.mark.ros

FAULT, WAITING = PlannerState.FAULT, PlannerState.WAITING_INPUT


def test_without_a_camera_info_the_camera_is_left_out_from_the_first_plan_on(moment_bag):
    with graph_of(moment_bag, broken=("front_info",)) as graph:
        plans = graph.wait_for_plans(5, since_ns=0, within_s=10.0)
        said = [str(plan) for plan in plans]
        assert all(FaultBit.CAMERA_INFO in plan.faults for plan in plans), said
        assert plans[-1].state == PlannerState.DEGRADED
        words = "front: no CameraInfo on /sensing/camera/front/camera_info"
        assert all(words in plan.reason for plan in plans), said
        graph.sensors.heal()
        graph.until_nominal()


def test_without_transforms_nothing_is_taken_for_base_link(moment_bag):
    with graph_of(moment_bag, without=("tf_static",)) as graph:
        plans = graph.wait_for_plans(4, since_ns=0, within_s=10.0)
        said = [str(plan) for plan in plans]
        assert all(plan.state == PlannerState.FALLBACK for plan in plans), said
        assert all(FaultBit.TF in plan.faults for plan in plans), said
        assert "transform" in plans[-1].reason, said
        graph.sensors.sensors["tf_static"] = load_sensors(moment_bag)["tf_static"]
        graph.sensors.connect("tf_static")
        graph.until_nominal()


def test_without_any_sensor_the_status_names_what_is_missing_and_no_plan_goes_out(moment_bag):
    with graph_of(moment_bag, is_started=True) as graph:
        graph.sensors.pause()
        graph.transition("deactivate")
        graph.transition("cleanup")
        graph.transition("configure")
        graph.transition("activate")
        seen = len(graph.plans)
        status = graph.wait_for_status("waiting for inputs", state=WAITING)
        assert "left: no message on /sensing/camera/left/image_rect/compressed yet" in status.reason
        missing = {entry.name for entry in status.inputs if entry.state == entry.STATE_NEVER}
        assert {"left", "front", "right", "lidar", "odometry"} <= missing
        graph.wait_for_status("waiting for inputs", state=WAITING)
        assert len(graph.plans) == seen
        graph.sensors.pause(False)
        graph.until_nominal()


def test_a_model_that_is_gone_is_named_until_it_is_back(moment_bag, tmp_path):
    model, away = tmp_path / "nano", tmp_path / "away.onnx"
    shutil.copytree(model_folder("nano"), model)
    (model / "model.onnx").rename(away)
    with graph_of(moment_bag, parameters={"model.path": str(model)}) as graph:
        for _ in range(3):
            status = graph.wait_for_status("model.onnx", state=FAULT)
            assert status.fault_bits & FaultBit.MODEL
        assert graph.lifecycle == "unconfigured"
        assert not graph.transition("configure")
        away.rename(model / "model.onnx")
        assert graph.transition("configure")
        assert graph.transition("activate")
        graph.until_nominal()
        assert graph.status.model_id == "nano"


def test_an_output_frame_that_nobody_knows_is_refused_in_a_sentence(moment_bag):
    with graph_of(moment_bag, parameters={"output_frame": "utm"}) as graph:
        status = graph.wait_for_status("output_frame: expected the odometry's frame", state=FAULT)
        assert "got 'utm'" in status.reason
        assert graph.lifecycle == "unconfigured"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"safety.max_lateral_shift_m": -1.0}, "safety.max_lateral_shift_m"),
        ({"inputs.period_s": "fast"}, "inputs.period_s"),
        ({"safety.max_lateral_shft_m": 1.0}, "safety.max_lateral_shift_m"),
        ({"safety.obstacle_min_height_m": 2.0, "safety.obstacle_max_height_m": 1.0}, "less than"),
        ({"inputs.anchor": "radar"}, "anchor: expected one of"),
        ({"model.backend": "abacus"}, "model.backend"),
    ],
)
def test_a_parameter_file_with_a_fault_is_refused_as_a_whole(moment_bag, parameters, words):
    with graph_of(moment_bag, parameters=parameters) as graph:
        status = graph.wait_for_status(words, state=FAULT)
        assert not graph.plans
        assert Source(status.source) == Source.UNKNOWN
        assert not graph.transition("configure")
        graph.wait_for_status(words, state=FAULT)
