import pytest

from diff_planner.config import PlannerConfig, load_config
from diff_planner.data import doctor
from diff_planner.data.assembler import InputAssembler
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.doctor import Level
from diff_planner.data.rig import suggest_config
from diff_planner.types import PlannerInput
from doctor_cases import examine, restamp, said
from rig_bags import LIDAR, ODOMETRY, change, image_topic, make_rig, restamped

FRONT = image_topic("front")
S = 1_000_000_000


@pytest.fixture
def rig():
    return make_rig(duration_s=1.5, yaws_deg={"front": 0.0})


@pytest.fixture
def triple():
    return make_rig(duration_s=1.5)


@pytest.mark.parametrize("offset_s", [1.0, -1.0])
@pytest.mark.parametrize("topic", [FRONT, LIDAR, ODOMETRY])
def test_a_sensor_clock_one_second_off_is_found_by_log_time(triple, tmp_path, topic, offset_s):
    restamp(triple, topic, lambda _, stamp_ns: stamp_ns + round(offset_s * S))
    report = examine(triple, tmp_path)
    # An anchor that is ahead shows as all the others being behind it.
    is_anchor = topic == LIDAR
    side = "ahead of" if (offset_s > 0) != is_anchor else "behind"
    name = {FRONT: "front", ODOMETRY: "odometry", LIDAR: "left"}[topic]
    assert said(report, Level.PROBLEM, rf"The clock of {name} is 1\.00 s {side} that of the anchor")
    assert not report.can_drive


def test_a_clock_offset_is_found_where_log_times_are_copies_of_the_stamps(tmp_path):
    rig = make_rig(duration_s=6.0, rate_hz=2.0, delay_ns=0)
    change(rig, FRONT, lambda _, t, m: (t + S + 40_000_000, restamped(m, t + S + 40_000_000)))
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, r"The clock of front is 1\.04 s ahead of")


def test_a_stream_that_begins_late_has_no_clock_offset(tmp_path):
    rig = make_rig(duration_s=6.0, delay_ns=0)
    msgtype, messages = rig[FRONT]
    rig[FRONT] = (msgtype, messages[20:])
    report = examine(rig, tmp_path)
    assert said(report, Level.OK, "No clock offset shows")
    assert said(report, Level.WARNING, "front: .* 67% within 60 ms")
    assert (report.complete_anchors, report.anchors) == (40, 60)


def test_a_small_offset_is_a_warning(rig, tmp_path):
    restamp(rig, FRONT, lambda _, stamp_ns: stamp_ns - 200_000_000)
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"The clock of front is 0\.20 s behind")
    assert report.can_drive


def test_a_drifting_clock_is_named(tmp_path):
    rig = make_rig(duration_s=3.0)
    restamp(rig, FRONT, lambda i, stamp_ns: stamp_ns + i * 3_000_000)
    assert said(examine(rig, tmp_path), Level.WARNING, "The clock of front drifts by 7. ms")


def test_stamps_of_another_clock_than_the_recorders_are_named(rig, tmp_path):
    for topic in rig:
        if topic != "/tf_static":
            restamp(rig, topic, lambda _, stamp_ns: stamp_ns - 3600 * S)
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"Header stamps of lidar are 3600\.0 s before the log time")
    assert report.can_drive


def test_a_gap_is_named_with_its_length_and_place(tmp_path):
    rig = make_rig(duration_s=3.0)
    msgtype, messages = rig[LIDAR]
    rig[LIDAR] = (msgtype, messages[:10] + messages[17:])
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"lidar: .* longest step 800 ms at 0\.9 s; 1 gaps")
    assert (report.complete_anchors, report.anchors) == (23, 23)


def test_doubled_and_out_of_order_stamps_are_counted(rig, tmp_path):
    restamp(rig, FRONT, lambda i, stamp_ns: stamp_ns - (i == 4) * 100_000_000)
    msgtype, messages = rig[LIDAR]
    rig[LIDAR] = (msgtype, [*messages[:6], (messages[7][0], messages[6][1]),
                            (messages[7][0] + 1, messages[5][1]), *messages[7:]])  # fmt: skip
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, "front: 1 of 15 stamps are doubled")
    assert said(report, Level.WARNING, "lidar: 1 of 16 messages are out of order")
    assert said(report, Level.WARNING, "lidar: 1 of 16 stamps are doubled")
    assert report.anchors == 15


def test_stamps_that_jump_back_are_named_with_the_place(rig, tmp_path):
    restamp(rig, LIDAR, lambda i, stamp_ns: stamp_ns - 20 * S * (i >= 10))
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"lidar: stamps jump back by 19\.90 s at 1\.0 s")


def test_zero_stamps_are_a_problem(rig, tmp_path):
    restamp(rig, FRONT, lambda *_: 0)
    report = examine(rig, tmp_path)
    assert said(report, Level.PROBLEM, r"front: 15 of 15 messages have no stamp \(zero\)")
    assert report.complete_anchors == 0


def test_anchors_before_the_transforms_are_known_are_not_complete(rig, tmp_path):
    change(rig, "/tf_static", lambda _, t, m: (t + 315_000_000, m))
    report = examine(rig, tmp_path)
    assert said(report, Level.WARNING, r"4 of 15 anchors come before /tf_static .*\(0\.3 s\)")
    assert (report.complete_anchors, report.anchors) == (11, 15)
    assert report.can_drive


def test_a_configuration_of_another_rate_is_a_problem_that_says_what_to_set(tmp_path):
    report = examine(make_rig(duration_s=6.0, rate_hz=2.0), tmp_path, PlannerConfig())
    expected = r"lidar comes every 500 ms, but inputs.period_s is 0.1 .* set inputs.period_s to 0.5"
    assert said(report, Level.PROBLEM, expected)


def test_messages_that_arrive_too_late_do_not_complete_an_anchor(triple, tmp_path):
    change(triple, FRONT, lambda _, log_ns, m: (log_ns + 150_000_000, m))
    report = examine(triple, tmp_path, PlannerConfig())
    assert said(report, Level.PROBLEM, "front: .* 0% within 60 ms; .*sync_wait_s = 50 ms")
    assert report.complete_anchors == 0
    assert not report.can_drive


def completed(path, config):
    """Return how many cycles without a fault the assembler makes of a bag."""
    assembler = InputAssembler(config.inputs, config.vehicle)
    cycles = []
    with BagReader(path) as reader:
        topics = [topic for topic in assembler.topics if topic in reader.topics]
        for message in reader.messages(topics):
            assembler.add(message.topic, message.message, message.log_time_ns)
            cycles += assembler.take(message.log_time_ns)
        cycles += assembler.take(reader.end_ns + 10 * S)
    return sum(isinstance(cycle, PlannerInput) and not cycle.faults for cycle in cycles)


def test_anchors_called_complete_are_those_that_the_assembler_completes(rig, tmp_path):
    msgtype, messages = rig[FRONT]
    rig[FRONT] = (msgtype, messages[:3] + messages[5:])
    msgtype, messages = rig[ODOMETRY]
    rig[ODOMETRY] = (msgtype, messages[:40] + messages[55:])
    report = examine(rig, tmp_path)
    path = tmp_path / "rig.yaml"
    path.write_text(report.config_yaml)
    assert report.complete_anchors == completed(tmp_path / "bag.mcap", load_config(path))
    assert 0 < report.complete_anchors < report.anchors


@pytest.mark.realdata
@pytest.mark.parametrize("bag", ["nuscenes_scene_0006", "kitti_drive_0001"])
def test_the_assembler_completes_every_anchor_of_the_recorded_bags(real_data, bag):
    path = real_data / "bags" / bag
    with BagReader(path) as reader:
        config = suggest_config(reader)
    assert completed(path, config) == doctor.examine(path).complete_anchors
