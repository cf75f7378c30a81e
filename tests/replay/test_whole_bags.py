"""Whole drives: the demo as a user runs it, and the recorded bags where they are."""

import json

import numpy as np
import pytest

from diff_planner.cli import main
from diff_planner.data.bag_reader import BagReader

ANCHORS = {"nuscenes_scene_0006": 40, "kitti_drive_0001": 108}
LIDAR = "/sensing/lidar/top/pointcloud"


def stamps(bag, topic):
    with BagReader(bag) as reader:
        headers = [m.message.header.stamp for m in reader.messages([topic])]
    return [stamp.sec * 10**9 + stamp.nanosec for stamp in headers]


@pytest.mark.slow
def test_the_demo_ends_with_a_page_and_plans_of_the_network(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), "--json", str(tmp_path / "demo.json")]) == 0
    table = capsys.readouterr().out
    for word in ("cycles", "DIFFUSION", "p50", "p95", "p99", "inference", "UNTRAINED"):
        assert word in table
    figures = json.loads((tmp_path / "demo.json").read_text())
    assert figures["cycles"] == 50
    assert figures["diffusion_share"] >= 0.95
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.fixture(scope="module", params=ANCHORS)
def recorded(request, real_data, tmp_path_factory):
    """A recorded bag replayed twice; (bag, folder, figures of the first run)."""
    bag, folder = real_data / "bags" / request.param, tmp_path_factory.mktemp(request.param)
    for name in ("first", "second"):
        out, figures = folder / f"{name}.mcap", folder / f"{name}.json"
        assert main(["replay", str(bag), "--out", str(out), "--json", str(figures)]) == 0
    return bag, folder, json.loads((folder / "first.json").read_text())


@pytest.mark.realdata
def test_every_recorded_anchor_is_complete_and_gets_one_plan_with_its_stamp(recorded):
    bag, folder, figures = recorded
    assert figures["complete_anchors"] == figures["anchors"] == ANCHORS[bag.name]
    assert stamps(folder / "first.mcap", "/planning/trajectory") == stamps(bag, LIDAR)


@pytest.mark.realdata
def test_a_recorded_bag_gives_the_same_bytes_twice(recorded):
    _, folder, _ = recorded
    assert (folder / "first.mcap").read_bytes() == (folder / "second.mcap").read_bytes()


@pytest.mark.realdata
def test_a_planned_second_costs_at_most_one_core_second(recorded):
    _, _, figures = recorded
    # Processor time, not wall time: it does not suffer from what else runs on the machine.
    assert figures["cpu_s"] / figures["bag_duration_s"] < 1.0


@pytest.mark.realdata
def test_what_the_network_did_not_plan_is_explained_by_reject_bits(recorded):
    _, _, figures = recorded
    fallbacks = figures["cycles"] - figures["sources"]["DIFFUSION"]
    assert sum(figures["reasons"].values()) >= fallbacks
    assert bool(figures["candidates_without_diffusion"]) == bool(fallbacks)


@pytest.mark.realdata
def test_no_number_of_a_recorded_run_is_non_finite(recorded):
    _, folder, _ = recorded
    with BagReader(folder / "first.mcap") as reader:
        for m in reader.messages(["/planning/trajectory"]):
            for point in m.message.points:
                place = point.pose.position
                numbers = [place.x, place.y, place.z, point.longitudinal_velocity_mps]
                assert np.isfinite([*numbers, point.acceleration_mps2]).all()
