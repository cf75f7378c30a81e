import base64
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from diff_planner.camera_geometry import project
from diff_planner.config import PlannerConfig
from diff_planner.errors import InputError, OutputError, ResultsError
from diff_planner.report import timeline as timeline_module
from diff_planner.report.driven_path import DrivenPath
from diff_planner.report.frame import build_frame, camera_order
from diff_planner.report.frame_data import frame_data
from diff_planner.report.packing import NOTHING, evenly, pack_int16
from diff_planner.report.page import render_page
from diff_planner.report.replay_page import ReplayPage
from diff_planner.report.summary_table import UNTRAINED, summary_table
from diff_planner.report.timeline import Timeline
from diff_planner.report.wording import FAULT_WORDS, REJECT_WORDS, SOURCE_WORDS
from diff_planner.types import FaultBit, RejectBit, Source
from factories import STAMP_NS, make_camera
from replay_cycles import (
    make_cycle,
    make_ego_path,
    make_pose,
    make_summary,
    make_watchdog_cycle,
)

CONFIG = PlannerConfig()


def unpack(text, columns):
    return np.frombuffer(base64.b64decode(text), dtype="<i2").reshape(-1, columns)


def page_data(html):
    text = re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1)
    return json.loads(text)


def make_page(cycles, **changes):
    values = {"title": "drive", "expected_cycles": len(cycles)}
    page = ReplayPage(CONFIG, **{**values, **changes})
    for cycle in cycles:
        page.add(cycle)
    return page


def with_cameras(cameras):
    """A cycle that these cameras saw."""
    cycle = make_cycle(0)
    return replace(cycle, planner_input=replace(cycle.planner_input, cameras=cameras))


def data_of(cycle, *, ego_path=()):
    frame = build_frame(cycle, CONFIG)
    return frame_data(frame, DrivenPath(list(ego_path)), CONFIG, STAMP_NS)


def shown_indices(page):
    html = page.render(ego_path=[], summary=make_summary())
    return [frame["index"] for frame in page_data(html)["frames"]]


@pytest.mark.parametrize("expected", [1, 60, 10_000])
def test_frames_are_bounded_and_hold_first_and_last_whatever_was_expected(expected):
    cycles = (make_cycle(i, cameras=()) for i in range(61))
    page = ReplayPage(CONFIG, title="drive", expected_cycles=expected, max_frames=8)
    for cycle in cycles:
        page.add(cycle)
    shown = shown_indices(page)
    assert len(shown) <= 8
    assert (shown[0], shown[-1]) == (0, 60)
    assert len(set(np.diff(shown[:-1]).tolist())) <= 1, "spread evenly"


def test_every_cycle_is_shown_when_there_are_few():
    assert shown_indices(make_page([make_cycle(i, cameras=()) for i in range(7)])) == [*range(7)]


def test_a_page_without_cycles_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="no cycle was replayed"):
        make_page([]).write(tmp_path / "r.html", ego_path=[], summary=make_summary())
    assert not list(tmp_path.iterdir())
    with pytest.raises(ResultsError, match="expected at least 2, got 1"):
        make_page([], max_frames=1)


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        make_page([make_cycle(0)]).write(blocker / "r.html", ego_path=[], summary=make_summary())


def test_the_page_asks_nothing_of_the_network_and_names_what_it_shows(tmp_path):
    path = tmp_path / "r.html"
    cycles = [make_cycle(0), make_watchdog_cycle(1), make_cycle(2, source=Source.HOLD_LAST)]
    make_page(cycles).write(path, ego_path=make_ego_path(3), summary=make_summary())
    html = path.read_text(encoding="utf-8")
    links = set(re.findall(r"https?://[^\"' ]+", html))
    assert links == {"http://www.w3.org/2000/svg"}  # a namespace, never fetched
    assert "default-src 'none'" in html
    assert UNTRAINED in html
    assert REJECT_WORDS[RejectBit.COLLISION] in html


def test_texts_from_the_bag_cannot_become_markup():
    cycle = make_cycle(0, source=Source.FALLBACK_STOP)  # its reason holds </script><b>
    html = make_page([cycle]).render(ego_path=[], summary=make_summary(bag="<img src=x>.mcap"))
    assert "<img src=x>" not in html
    assert "<b>12 of 12" not in html
    assert "late &lt;b&gt;" in html  # the health report's reason
    assert page_data(html)["frames"][0]["reason"] == cycle.output.reason


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ResultsError, match="expected plain finite values"):
        render_page("page.html", title="t", scripts=[], data=[float("nan")], context={})


def test_lidar_points_are_drawn_where_the_camera_geometry_puts_them():
    cycle = make_cycle(0, cameras=("front",))
    picture = build_frame(cycle, CONFIG).pictures["front"]
    assert (picture.width_px, picture.height_px) == (480, 270)
    calibration = cycle.planner_input.cameras["front"].calibration
    uv, depth, is_visible = project(calibration, cycle.planner_input.lidar.points)
    drawn = unpack(picture.lidar, 3)
    possible = np.column_stack([uv, depth])[is_visible]
    assert len(possible) // 4 < len(drawn) <= len(possible)
    for u, v, depth_m in drawn / (4.0, 4.0, 100.0):
        is_same = np.abs(possible - (u, v, depth_m)) < (0.13, 0.13, 0.006)
        assert is_same.all(axis=1).any()


def test_a_picture_taken_before_the_sweep_shows_points_where_they_were_then():
    # Standing still and turning left at 0.5 rad/s: 0.1 s earlier all stood 0.05 rad further left.
    cycle = make_cycle(0, cameras=("front",))
    seen = cycle.planner_input
    early = replace(seen.cameras["front"], stamp_ns=seen.stamp_ns - 100_000_000)
    ego = replace(seen.ego, vx_mps=0.0, yaw_rate_radps=0.5)
    point = replace(seen.lidar, points=np.array([[1001.6, 0.0, 1.5]], dtype=np.float32))
    changed = replace(seen, ego=ego, lidar=point, cameras={"front": early})
    picture = build_frame(replace(cycle, planner_input=changed), CONFIG).pictures["front"]
    centre_px, focal_px = 0.5 * (480 - 1), 260.0
    u_px = unpack(picture.lidar, 3)[0, 0] / 4
    assert u_px == pytest.approx(centre_px - focal_px * np.tan(0.05), abs=0.3)


def test_large_pictures_shrink_and_keep_their_colours_and_pixels_to_scale():
    image = np.zeros((540, 960, 3), dtype=np.uint8)
    image[:, :, 0] = 200  # red
    camera = make_camera("front", image, hw=(540, 960), focal_px=520.0)
    picture = build_frame(with_cameras({"front": camera}), CONFIG).pictures["front"]
    assert (picture.width_px, picture.height_px, picture.scale) == (480, 270, 0.5)
    jpeg = np.frombuffer(base64.b64decode(picture.jpeg), dtype=np.uint8)
    shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert shown.shape == (270, 480, 3)
    assert shown[100, 100].tolist() == pytest.approx([0, 0, 200], abs=4)  # OpenCV's order: BGR
    assert unpack(picture.lidar, 3)[:, 0].max() <= 480 * 4


def test_obstacle_points_come_last_and_are_those_of_the_box():
    frame = build_frame(make_cycle(0), CONFIG)
    points = unpack(frame.points, 3) / 100
    obstacles = points[len(points) - frame.obstacle_count :]
    assert frame.obstacle_count > 50
    assert (np.abs(obstacles[:, 0] - 15.0) < 0.1).all()
    assert (points[: len(points) - frame.obstacle_count, 2] < 0.1).any()


def test_the_driven_path_passes_through_the_vehicle_and_where_it_will_be():
    path = make_ego_path(100)
    times, positions = DrivenPath(path).around(path[50][0], make_pose(5.0))
    assert times[0] == pytest.approx(-2.0)
    assert times[-1] == pytest.approx(4.0)
    np.testing.assert_allclose(positions[np.abs(times) < 1e-6], [[0.0, 0.0, 0.0]], atol=1e-9)
    expected = np.linalg.inv(make_pose(5.0)) @ make_pose(8.0)
    at_3s = positions[np.abs(times - 3.0) < 1e-6][0]
    np.testing.assert_allclose(at_3s, expected[:3, 3], atol=1e-6)


def test_the_driven_path_ends_where_the_recording_ends():
    path = make_ego_path(11)
    times, _ = DrivenPath(path).around(path[0][0], make_pose(0.0))
    assert (times[0], times[-1]) == (pytest.approx(0.0), pytest.approx(1.0))
    assert len(DrivenPath(path[:1]).around(STAMP_NS, np.eye(4))[0]) == 0


def test_the_driven_path_between_sparse_poses_follows_the_bend():
    sparse = make_ego_path(20, period_s=0.5)  # 4 m apart at 8 m/s
    times, positions = DrivenPath(sparse).around(sparse[10][0], make_pose(5.0))
    expected = np.linalg.inv(make_pose(5.0)) @ np.stack([make_pose(5.0 + t) for t in times])
    np.testing.assert_allclose(positions, expected[:, :3, 3], atol=0.01)


def test_nothing_is_invented_inside_a_gap_of_the_driven_path():
    path = make_ego_path(100)
    with_gap = path[:55] + path[85:]  # 3.1 s are missing
    times, positions = DrivenPath(with_gap).around(path[50][0], make_pose(5.0))
    assert np.isnan(positions[(times > 0.45) & (times < 3.45)]).all()
    assert np.isfinite(positions[(times < 0.35) | (times > 3.55)]).all()


def test_a_plan_that_was_driven_has_no_distance_to_the_drive():
    data = data_of(make_cycle(10), ego_path=make_ego_path(60))
    assert [row["at_s"] for row in data["distance_m"]] == [1.0, 2.0, 4.0]
    assert max(row["distance_m"] for row in data["distance_m"]) < 0.05


def test_without_ego_motion_no_driven_path_is_invented():
    data = data_of(make_watchdog_cycle(10), ego_path=make_ego_path(60))
    assert data["driven"] == {"past": "", "future": ""}
    assert data["distance_m"] == []
    assert data["cameras"] == {}
    assert data["speed_mps"] is None


def test_the_plan_lies_on_the_ground_in_the_picture_as_wide_as_the_vehicle():
    camera = data_of(make_cycle(0, cameras=("front",)))["cameras"]["front"]
    (edges,) = camera["plan"]
    left, right = (np.array(edge).reshape(-1, 2) for edge in edges)
    horizon_px = 0.5 * (camera["height"] - 1)
    assert (left[:, 0] < right[:, 0]).all()
    assert (left[:, 1] > horizon_px).all(), "ground is below the horizon"
    # From 1.5 m up, a width w on the ground spans w / 1.5 of the rows below the horizon.
    near = int(np.argmin(np.abs(left[:, 1] - 200.0)))
    expected = CONFIG.vehicle.width_m / 1.5 * (left[near, 1] - horizon_px)
    assert right[near, 0] - left[near, 0] == pytest.approx(expected, rel=0.1)


def test_a_plan_behind_a_camera_is_not_drawn_into_it():
    rear = make_camera("front", yaw_deg=180.0, position_m=(-1.0, 0.0, 1.5))
    data = data_of(with_cameras({"rear": rear}))
    assert data["cameras"]["rear"]["plan"] == []


def test_cameras_hang_with_the_front_first_then_left_to_right():
    yaws = {"back": 180, "back_left": 110, "left": 55, "front": 2, "right": -55, "back_right": -110}
    cameras = {name: make_camera(name, yaw_deg=float(yaw)) for name, yaw in yaws.items()}
    frame = build_frame(with_cameras(cameras), CONFIG)
    wanted = ["front", "left", "right", "back_left", "back", "back_right"]
    assert camera_order(frame.pictures) == wanted


def test_a_candidate_that_is_not_finite_breaks_its_line():
    data = data_of(make_cycle(0))["candidates"]
    lines = unpack(data["xy"], 2).reshape(12, data["steps"], 2)
    assert (lines[0, 5:] == NOTHING).all()
    assert (lines[1:] != NOTHING).all()
    assert data["rejects"][0] == ["NONFINITE"]
    assert data["end_speed_mps"][0] is None
    assert sorted(data["rank"]) == [*range(1, 13)]


def test_packing_keeps_centimetres_and_marks_what_does_not_fit():
    values = np.array([[1.234, -327.67], [np.nan, 400.0]])
    assert unpack(pack_int16(values, 100.0), 2).tolist() == [[123, -32767], [NOTHING, NOTHING]]
    assert pack_int16(np.zeros((0, 3)), 100.0) == ""
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 4).tolist() == [0, 1, 2]


def test_a_long_timeline_merges_and_keeps_the_worst_of_each_stretch(monkeypatch):
    monkeypatch.setattr(timeline_module, "MAX_ROWS", 16)
    timeline = Timeline()
    for i in range(101):
        source = Source.EMERGENCY_STOP if i == 37 else Source.DIFFUSION
        timeline.add(make_cycle(i, source=source, cameras=()))
    data = timeline.data([])
    assert len(data["t_s"]) <= 16 + 1
    assert data["source"].count("EMERGENCY_STOP") == 1
    assert data["cycles_per_row"] == 8
    assert data["t_s"][0] < 0.8
    assert data["t_s"][-1] > 9.2


def test_absent_inputs_are_counted():
    timeline = Timeline()
    for i in range(4):
        timeline.add(make_cycle(i, cameras=("front",) if i else ()))
    (front, lidar) = timeline.inputs()
    assert (front["name"], front["cycles"], front["absent"]) == ("front", 4, 1)
    assert (lidar["name"], lidar["absent"], lidar["worst_age_ms"]) == ("lidar", 0, 0.0)


def test_the_terminal_table_is_aligned_ascii_and_says_untrained():
    table = summary_table(make_summary(bag="fahrt_ö.mcap"))
    assert table.isascii()
    lines = table.splitlines()
    assert "80.0 % (16 of 20)" in table
    assert next(line for line in lines if line.startswith("COLLISION")).split() == [
        "COLLISION",
        "61/228",
        "30/36",
    ]
    stages = [line for line in lines if re.match(r"(stage|decode|inference|total) ", line)]
    assert [line.split()[0] for line in stages] == ["stage", "decode", "inference", "total"]
    assert len({len(line) for line in stages}) == 1
    assert lines[-1] == UNTRAINED
    assert UNTRAINED not in summary_table(make_summary(is_trained=True, training="10 h"))


def test_a_replay_without_cycles_has_no_share():
    summary = make_summary(cycles=0, sources={}, rate_hz=float("nan"), stage_ms={})
    assert summary.diffusion_share is None
    assert "not evaluated: no cycle was run" in summary_table(summary)


def test_sources_that_do_not_add_up_are_refused():
    with pytest.raises(InputError, match="expected sources to add up to 20 cycles"):
        make_summary(sources={"DIFFUSION": 3})


def test_every_code_has_words():
    assert set(REJECT_WORDS) == set(RejectBit)
    assert set(FAULT_WORDS) == set(FaultBit) - {FaultBit.NONE}
    assert set(SOURCE_WORDS) == set(Source)


def test_a_short_fallback_in_a_long_replay_is_shown_with_pictures():
    page = ReplayPage(PlannerConfig(), title="long", expected_cycles=100, max_frames=5)
    for index in range(100):
        source = Source.FALLBACK_STOP if index == 51 else Source.DIFFUSION
        page.add(make_cycle(index, source=source, cameras=("front",)))
    shown = shown_indices(page)
    assert {0, 51, 99} <= set(shown)
    assert shown == sorted(shown)
    assert len(shown) < 10
