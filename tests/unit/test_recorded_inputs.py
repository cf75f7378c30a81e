"""The recorded bags, whole, through reader and assembler."""

import os
from pathlib import Path

import numpy as np
import pytest

from diff_planner.config import InputsConfig, VehicleConfig
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.types import FaultBit

BAGS = {
    "nuscenes_scene_0006": ("cam_front_left", "cam_front", "cam_front_right", "cam_back"),
    "kitti_drive_0001": ("image_02", "image_03"),
}


def recorded_inputs(name):
    cameras = {
        camera: {
            "image": f"/sensing/camera/{camera}/image_rect/compressed",
            "info": f"/sensing/camera/{camera}/camera_info",
        }
        for camera in BAGS[name]
    }
    return InputsConfig(cameras=cameras, period_s=0.5 if name.startswith("nus") else 0.1)


def assemble_recorded(name, without=()):
    root = os.environ.get("DIFF_PLANNER_REAL_DATA")
    if not root:
        pytest.skip("DIFF_PLANNER_REAL_DATA is not set")
    assembler = InputAssembler(recorded_inputs(name), VehicleConfig())
    cycles = []
    with BagReader(Path(root) / "bags" / name) as reader:
        topics = [t for t in assembler.topics if t in reader.topics and t not in without]
        for message in reader.messages(topics):
            assembler.add(message.topic, message.message, message.log_time_ns)
            cycles += assembler.take(message.log_time_ns)
        cycles += assembler.take(reader.end_ns + 1_000_000_000)
    return cycles


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count"), [("nuscenes_scene_0006", 40), ("kitti_drive_0001", 108)]
)
def test_every_sweep_of_the_recorded_bags_gives_a_complete_cycle(name, count):
    cycles = assemble_recorded(name)
    assert len(cycles) == count
    assert all(c.faults == FaultBit.NONE for c in cycles)
    assert all(len(c.cameras) == len(BAGS[name]) for c in cycles)
    assert all(len(c.lidar.points) > 20_000 for c in cycles)
    stamps = [c.stamp_ns for c in cycles]
    assert stamps == sorted(set(stamps))


@pytest.mark.realdata
def test_derived_acceleration_is_near_the_recorded_one():
    measured = assemble_recorded("kitti_drive_0001")
    derived = assemble_recorded("kitti_drive_0001", without=("/localization/acceleration",))
    assert all(c.ego.is_acceleration_derived for c in derived)
    assert not any(c.ego.is_acceleration_derived for c in measured)
    error = [a.ego.ax_mps2 - b.ego.ax_mps2 for a, b in zip(measured, derived, strict=True)]
    assert np.sqrt(np.mean(np.square(error[2:]))) < 0.3  # m/s^2, at 10 Hz over 0.2 s
