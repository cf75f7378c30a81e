import cv2
import numpy as np
import pytest

from diff_planner import panorama
from diff_planner.camera_geometry import project
from diff_planner.config import FeatureConfig
from diff_planner.errors import InputError
from diff_planner.panorama import Panorama
from factories import make_calibration, make_camera

CONFIG = FeatureConfig(camera_width_px=256, camera_height_px=64)
LENSES = {
    "none": (),
    "plumb_bob": (-0.2, 0.05, 0.001, -0.001, 0.0),
    "equidistant": (0.02, -0.01, 0.002, 0.0),
}


def _expected_pixel(direction):
    azimuth = np.rad2deg(np.arctan2(direction[1], direction[0]))
    rise = direction[2] / np.hypot(direction[0], direction[1])
    column = (70.0 - azimuth) / 140.0 * 256 - 0.5
    row = (1.0 - rise / np.tan(np.deg2rad(17.5))) * 0.5 * 64 - 0.5
    return column, row


def _camera_with_dot(direction, **calibration):
    """A black picture with a white dot where a far thing in this direction falls."""
    camera = make_camera(hw=(480, 800), focal_px=400.0, **calibration)
    uv, _, is_visible = project(camera.calibration, [np.asarray(direction) * 1e6])
    assert is_visible[0]
    image = np.zeros_like(camera.image)
    cv2.circle(image, [int(v) for v in np.rint(uv[0])], 5, (255, 255, 255), -1)
    return make_camera(image=image, hw=(480, 800), focal_px=400.0, **calibration)


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("azimuth_deg", [-55.0, -20.0, 0.0, 35.0, 65.0])
def test_a_dot_lands_in_the_column_and_row_of_its_direction(lens, azimuth_deg):
    azimuth, rise = np.deg2rad(azimuth_deg), np.tan(np.deg2rad(8.0))
    direction = np.array([np.cos(azimuth), np.sin(azimuth), rise])
    yaw_deg = 40.0 * np.sign(azimuth_deg)
    camera = _camera_with_dot(direction, yaw_deg=yaw_deg, model=lens, distortion=LENSES[lens])
    picture, _ = Panorama(CONFIG).render({"any": camera})
    rows, columns = np.nonzero(picture[..., 0] > 100)
    column, row = _expected_pixel(direction)
    assert columns.mean() == pytest.approx(column, abs=1.0)
    assert rows.mean() == pytest.approx(row, abs=1.0)


def test_each_pixel_takes_the_camera_whose_axis_is_nearest():
    cameras = {}
    for value, yaw_deg in ((50, 40.0), (100, 0.0), (200, -40.0)):
        image = np.full((120, 200, 3), value, dtype=np.uint8)
        cameras[f"at{yaw_deg}"] = make_camera(image=image, yaw_deg=yaw_deg)
    picture, mask = Panorama(CONFIG).render(cameras)
    middle = picture[32, :, 0]
    azimuth_deg = 70.0 - (np.arange(256) + 0.5) / 256 * 140.0
    wanted = np.where(azimuth_deg > 20, 50, np.where(azimuth_deg > -20, 100, 200))
    np.testing.assert_array_equal(middle, wanted)
    assert mask.tolist() == [1, 1, 1]


def test_a_camera_that_looks_backwards_does_not_contribute():
    # At 100 degrees a fisheye still sees things at 60 degrees.
    camera = make_camera(yaw_deg=100.0, model="equidistant")
    picture, mask = Panorama(CONFIG).render({"rear": camera})
    assert not picture.any()
    assert not mask.any()


def test_thirds_count_as_seen_from_half_of_their_pixels_on():
    narrow = make_camera(hw=(120, 40), focal_px=100.0)  # sees 22.6 of the middle's 46.7 degrees
    wide = make_camera(hw=(120, 60), focal_px=100.0)  # sees 33.4 degrees
    assert Panorama(CONFIG).render({"front": narrow})[1].tolist() == [0, 0, 0]
    assert Panorama(CONFIG).render({"front": wide})[1].tolist() == [0, 1, 0]


def test_a_picture_of_another_size_than_its_calibration_is_refused():
    camera = make_camera(image=np.zeros((60, 100, 3), np.uint8), hw=(120, 200))
    with pytest.raises(InputError, match=r"camera a: expected .*\(120, 200\).*got \(60, 100\)"):
        Panorama(CONFIG).render({"a": camera})


def test_tables_are_made_once_for_each_rig_and_not_kept_without_end(monkeypatch):
    made = []
    original = panorama._build_tables
    monkeypatch.setattr(panorama, "_build_tables", lambda *args: made.append(1) or original(*args))
    view = Panorama(FeatureConfig(camera_width_px=64, camera_height_px=32))
    rigs = [{"front": make_camera(yaw_deg=float(k))} for k in range(panorama._CACHED_RIGS + 1)]
    view.render(rigs[0])
    view.render({"front": make_camera(yaw_deg=0.0)})  # equal values, other arrays
    assert len(made) == 1
    for rig in rigs:
        view.render(rig)
    assert len(made) == len(rigs)
    view.render(rigs[0])  # was the oldest, made anew
    assert len(made) == len(rigs) + 1


def test_a_changed_calibration_changes_the_picture():
    image = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (120, 1, 3))
    view = Panorama(CONFIG)
    first, _ = view.render({"front": make_camera(image=image, yaw_deg=0.0)})
    second, _ = view.render({"front": make_camera(image=image, yaw_deg=5.0)})
    assert (first != second).any()


def test_directions_run_from_upper_left_to_lower_right():
    rays = panorama.directions(CONFIG)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0)
    assert rays[0, 0, 1] > 0 > rays[0, -1, 1]
    assert rays[0, 0, 2] > 0 > rays[-1, 0, 2]
    np.testing.assert_allclose(rays, rays[::-1, ::-1] * [1, -1, -1], atol=1e-12)


def test_the_calibration_of_the_factory_looks_ahead():
    _, _, is_visible = project(make_calibration(), [[20.0, 0.0, 1.5]])
    assert is_visible.all()
