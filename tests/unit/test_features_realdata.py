import numpy as np
import pytest

from diff_planner.config import CameraInputConfig, FeatureConfig, InputsConfig, PlannerConfig
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.features import FeatureBuilder, on_own_vehicle
from diff_planner.types import PlannerInput

pytestmark = pytest.mark.realdata

RIGS = {
    "nuscenes_scene_0006": (
        "cam_front_left", "cam_front", "cam_front_right", "cam_back_right", "cam_back",
        "cam_back_left",
    ),
    "kitti_drive_0001": ("image_02", "image_03"),
}  # fmt: skip


def _inputs(real_data, bag):
    cameras = {
        name: CameraInputConfig(
            image=f"/sensing/camera/{name}/image_rect/compressed",
            info=f"/sensing/camera/{name}/camera_info",
            tolerance_s=0.1,
        )
        for name in RIGS[bag]
    }
    config = PlannerConfig(inputs=InputsConfig(cameras=cameras, nav_command=None, route=None))
    assembler = InputAssembler(config.inputs, config.vehicle)
    with BagReader(real_data / "bags" / bag) as reader:
        for entry in reader.messages(stop_ns=reader.start_ns + 3 * 10**9):
            assembler.add(entry.topic, entry.message, entry.log_time_ns)
            yield from assembler.take(entry.log_time_ns)


@pytest.mark.parametrize(
    ("bag", "mask", "seen_share"),
    [("nuscenes_scene_0006", [1, 1, 1], 0.98), ("kitti_drive_0001", [0, 1, 0], 0.45)],
)
def test_recorded_rigs_give_a_panorama_and_a_histogram_for_every_sweep(
    real_data, bag, mask, seen_share
):
    config = PlannerConfig()
    builder = FeatureBuilder(FeatureConfig(), config.vehicle)
    found = [x for x in _inputs(real_data, bag) if isinstance(x, PlannerInput)]
    assert len(found) >= 5
    edges = np.linspace(-32, 32, 257)
    for planner_input in found:
        inputs = builder.build(planner_input)
        assert inputs.camera_mask.tolist() == mask
        assert (inputs.camera.max(axis=0) > 0).mean() == pytest.approx(seen_share, abs=0.02)
        points = planner_input.lidar.points
        points = points[(points[:, 2] > np.float32(0.2)) & ~on_own_vehicle(points, config.vehicle)]
        counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=(edges, edges))
        np.testing.assert_array_equal(inputs.lidar[0], np.minimum(counts, 5))
