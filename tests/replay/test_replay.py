"""The whole line on the sample bag, by the command that users type."""

import json

import numpy as np
import pytest

from diff_planner.cli import main
from diff_planner.config import InputsConfig, PlannerConfig, to_yaml
from diff_planner.data.bag_reader import BagReader
from diff_planner.report.results import read_results
from diff_planner.types import FaultBit, PlannerState, Source
from tampering import on, rewrite, shift_stamp, without

LIDAR = InputsConfig().lidar.topic
ODOMETRY = InputsConfig().odometry.topic


@pytest.fixture(scope="session")
def default_yaml(tmp_path_factory):
    """The default configuration in a file: a faulty bag must not choose its own."""
    path = tmp_path_factory.mktemp("config") / "planner.yaml"
    path.write_text(to_yaml(PlannerConfig(), only_differences=False))
    return path


def run(bag, folder, *options):
    """Replay a bag and return its plans and statuses in order."""
    plans = folder / "plans.mcap"
    assert main(["replay", str(bag), "--out", str(plans), *map(str, options)]) == 0
    with BagReader(plans) as reader:
        trajectories = [m.message for m in reader.messages(["/planning/trajectory"])]
        statuses = [m.message for m in reader.messages(["/planning/status"])]
    assert len(trajectories) == len(statuses)
    return trajectories, statuses


def stamp_of(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def anchors_of(bag):
    with BagReader(bag) as reader:
        return [stamp_of(m.message) for m in reader.messages([LIDAR])]


@pytest.fixture(scope="session")
def whole_run(sample_bag, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    options = ["--report", folder / "report.html", "--json", folder / "summary.json"]
    return folder, *run(sample_bag, folder, *options)


def test_every_anchor_frame_gets_one_plan_with_its_stamp(sample_bag, whole_run):
    _, trajectories, _ = whole_run
    assert [stamp_of(t) for t in trajectories] == anchors_of(sample_bag)
    ids = [t.plan_id for t in trajectories]
    assert ids == list(range(1, len(ids) + 1))


def test_the_sample_bag_is_planned_by_the_network_in_95_percent_and_more(whole_run):
    _, trajectories, statuses = whole_run
    share = np.mean([t.source == Source.DIFFUSION for t in trajectories])
    assert share >= 0.95
    assert {s.state for s in statuses} == {PlannerState.NOMINAL}


def test_each_plan_has_41_finite_points_a_tenth_of_a_second_apart_in_the_odometrys_frame(whole_run):
    _, trajectories, _ = whole_run
    for plan in trajectories:
        assert plan.header.frame_id == "map"
        times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in plan.points]
        assert np.allclose(times, np.arange(41) * 0.1)
        speeds = [p.longitudinal_velocity_mps for p in plan.points]
        places = [(p.pose.position.x, p.pose.position.y) for p in plan.points]
        assert np.isfinite(speeds).all()
        assert np.isfinite(places).all()


def test_point_0_is_where_the_odometry_says_the_vehicle_was(sample_bag, whole_run):
    _, trajectories, _ = whole_run
    with BagReader(sample_bag) as reader:
        odometry = [m.message for m in reader.messages([ODOMETRY])]
    stamps = [stamp_of(o) for o in odometry]
    for plan in trajectories:
        x = np.interp(stamp_of(plan), stamps, [o.pose.pose.position.x for o in odometry])
        y = np.interp(stamp_of(plan), stamps, [o.pose.pose.position.y for o in odometry])
        point = plan.points[0].pose.position
        assert np.hypot(point.x - x, point.y - y) < 0.02


def test_the_same_bag_and_seed_give_the_same_bytes(sample_bag, whole_run, tmp_path):
    folder, _, _ = whole_run
    run(sample_bag, tmp_path)
    assert (tmp_path / "plans.mcap").read_bytes() == (folder / "plans.mcap").read_bytes()


def test_wall_clock_figures_and_results_lie_beside_the_plans(whole_run):
    folder, trajectories, _ = whole_run
    timing = [json.loads(t) for t in (folder / "plans.timing.jsonl").read_text().splitlines()]
    assert len(timing) == len(trajectories)
    assert timing[0]["total"] > timing[0]["inference"] > 0
    results = read_results(folder / "plans.results.jsonl")
    assert results.lines[0].metrics["cycles"].value == len(trajectories)
    assert results.header.model.is_trained is False
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["sources"] == {"DIFFUSION": len(trajectories)}
    assert "nano" in (folder / "report.html").read_text()


def test_a_part_of_a_bag_is_replayed_with_the_transforms_from_before(sample_bag, tmp_path):
    trajectories, _ = run(sample_bag, tmp_path, "--start", "0.6", "--duration", "0.35")
    assert 2 <= len(trajectories) <= 4
    assert {t.source for t in trajectories} == {Source.DIFFUSION}


def faulty(sample_bag, folder, change, default_yaml):
    return run(rewrite(sample_bag, folder / "bag.mcap", change), folder, "--config", default_yaml)


def test_a_missing_camera_is_degraded_and_named_in_every_status(sample_bag, tmp_path, default_yaml):
    change = without("/camera/left/image_rect/compressed")
    trajectories, statuses = faulty(sample_bag, tmp_path, change, default_yaml)
    assert {t.source for t in trajectories} == {Source.DIFFUSION}
    for status in statuses:
        assert status.state == PlannerState.DEGRADED
        assert status.fault_bits == FaultBit.INPUT_MISSING
        assert "left: no message on" in status.reason


FAULTS = {
    "camera info missing": (
        without("/camera/front/camera_info"),
        FaultBit.CAMERA_INFO,
        "front: no CameraInfo on /sensing/camera/front/camera_info",
    ),
    "transforms missing": (without("/tf_static"), FaultBit.TF, "lidar"),
    "odometry missing": (without(ODOMETRY), FaultBit.INPUT_MISSING, "odometry: no message on"),
    "all points NaN": (
        on(LIDAR, lambda m: m.data.view(np.float32).__setitem__(slice(None), np.nan)),
        FaultBit.NONFINITE_IN,
        "points are NaN or infinite",
    ),
    "a picture that is none": (
        on("front/image_rect/compressed", lambda m: m.data.__setitem__(slice(None), 7)),
        FaultBit.INPUT_MISSING,
        "front",
    ),
    "lidar late by a second": (
        on(LIDAR, lambda m: shift_stamp(m, -(10**9))),
        FaultBit.INPUT_MISSING | FaultBit.SYNC | FaultBit.INPUT_STALE,
        "odometry",  # none near the sweep's stamp, or one much newer than it
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_bag_ends_in_a_labelled_plan_with_bit_and_sentence(
    sample_bag, tmp_path, default_yaml, name
):
    change, fault, sentence = FAULTS[name]

    def writable(topic, message, log_time_ns):
        if hasattr(message, "data") and isinstance(message.data, np.ndarray):
            message.data = message.data.copy()
        return change(topic, message, log_time_ns)

    trajectories, statuses = faulty(sample_bag, tmp_path, writable, default_yaml)
    assert trajectories
    assert all(t.source != Source.UNKNOWN for t in trajectories)
    assert all(s.fault_bits & fault for s in statuses)
    assert all(sentence in s.reason for s in statuses), {s.reason for s in statuses}
    for plan in trajectories:
        assert np.isfinite([p.pose.position.x for p in plan.points]).all()


def test_duplicated_and_out_of_order_messages_change_no_plan(
    sample_bag, whole_run, tmp_path, default_yaml
):
    held = []

    def shuffle(topic, message, log_time_ns):
        twice = [(topic, message, log_time_ns), (topic, message, log_time_ns + 1)]
        if topic != ODOMETRY:
            return twice
        held.append(message)  # odometry leaves in pairs, the newer first
        if len(held) % 2:
            return []
        return [(topic, m, log_time_ns + k) for k, m in enumerate(reversed(held[-2:]))]

    trajectories, _ = faulty(sample_bag, tmp_path, shuffle, default_yaml)
    stamps = [stamp_of(t) for t in trajectories]
    assert stamps == sorted(set(stamps))
    reference = {stamp_of(t): t for t in whole_run[1]}
    same = [
        np.allclose(
            [p.pose.position.x for p in plan.points],
            [p.pose.position.x for p in reference[stamp_of(plan)].points],
            atol=0.05,
        )
        for plan in trajectories
    ]
    assert len(same) >= 9
    assert np.mean(same) >= 0.9


def test_a_clock_jump_back_forgets_the_past_and_is_reported(sample_bag, tmp_path, default_yaml):
    with BagReader(sample_bag) as reader:
        middle_ns = (reader.start_ns + reader.end_ns) // 2

    def jump(topic, message, log_time_ns):
        if log_time_ns > middle_ns and hasattr(message, "header"):
            shift_stamp(message, -20 * 10**9)
        return [(topic, message, log_time_ns)]

    trajectories, statuses = faulty(sample_bag, tmp_path, jump, default_yaml)
    jumped = [s for s in statuses if s.fault_bits & FaultBit.CLOCK_JUMP]
    assert len(jumped) == 1
    # The output bag is in the order of stamps, the plans' ids are in the order of making.
    newest = max(trajectories, key=lambda plan: plan.plan_id)
    assert newest.source == Source.DIFFUSION


def test_when_the_anchor_falls_silent_the_watchdog_plans_in_bag_time(
    sample_bag, tmp_path, default_yaml
):
    with BagReader(sample_bag) as reader:
        middle_ns = (reader.start_ns + reader.end_ns) // 2

    def cut(topic, message, log_time_ns):
        return [] if topic == LIDAR and log_time_ns > middle_ns else [(topic, message, log_time_ns)]

    trajectories, statuses = faulty(sample_bag, tmp_path, cut, default_yaml)
    late = [s for s in statuses if "anchor 'lidar' is silent" in s.reason]
    assert len(late) >= 2
    labels = [t.source for t in trajectories if t.plan_id >= late[0].plan_id]
    assert labels[0] == Source.HOLD_LAST
    assert all(s.state == PlannerState.FALLBACK for s in late)


def test_an_output_frame_without_a_transform_is_refused(sample_bag, tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text("output_frame: utm\n")
    out = tmp_path / "plans.mcap"
    code = main(["replay", str(sample_bag), "--out", str(out), "--config", str(config)])
    assert code == 2
    assert "utm" in capsys.readouterr().err
    assert not out.exists()
