import numpy as np

from diff_planner.config import VehicleConfig
from diff_planner.model.anchors import GRID, anchor_poses


def test_there_are_twenty_anchors_and_no_two_are_alike():
    anchors = anchor_poses()
    assert anchors.shape == (20, 8, 3)
    gaps = np.abs(anchors[:, None] - anchors[None]).max(axis=(2, 3))
    assert gaps[~np.eye(20, dtype=bool)].min() > 0.1


def test_the_first_anchor_stands_still():
    assert not anchor_poses()[0].any()


def test_every_left_turn_has_its_mirror_image():
    anchors = anchor_poses()
    mirrored = anchors * [1.0, -1.0, -1.0]
    gaps = np.abs(mirrored[:, None] - anchors[None]).max(axis=(2, 3)).min(axis=1)
    np.testing.assert_allclose(gaps, 0.0, atol=1e-12)


def test_every_anchor_is_gentle_and_can_be_steered():
    vehicle = VehicleConfig()
    for speed_mps, curvatures in GRID:
        assert speed_mps**2 * max(curvatures) <= 3.0
        assert max(curvatures) < np.tan(vehicle.max_steer_rad) / vehicle.wheelbase_m


def test_an_anchor_drives_its_speed_along_its_heading():
    anchor = anchor_poses()[2]  # 2 m/s, to the left
    starts = np.vstack([np.zeros(3), anchor[:-1]])
    radius_m = 1 / 0.15
    chords_m = np.hypot(*(anchor - starts)[:, :2].T)
    np.testing.assert_allclose(chords_m, 2 * radius_m * np.sin(0.5 * 1.0 / radius_m))
    np.testing.assert_allclose(np.diff(anchor[:, 2]), 2.0 * 0.5 / radius_m)
