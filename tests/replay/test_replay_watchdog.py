"""Replay where messages stop: the watchdog's plans are those that the vehicle would give."""

import pytest

from diff_planner.config import FallbackConfig, InputsConfig, PlannerConfig
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.replay import TRAJECTORY_TOPIC, Replay
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.resources import model_folder
from diff_planner.types import FaultBit, Source
from tampering import rewrite

LIDAR = InputsConfig().lidar.topic
ODOMETRY = InputsConfig().odometry.topic
OTHERS = "/ground_truth"
S = 1_000_000_000


@pytest.fixture(scope="module")
def backend():
    loaded = load_backend(model_folder("nano"), "openvino", threads=1)
    yield loaded
    loaded.close()


@pytest.fixture
def replayed(sample_bag, tmp_path, backend):
    """Replay the sample bag with only the messages wanted; return its cycles and the output."""
    with BagReader(sample_bag) as reader:
        start_ns = reader.start_ns

    def run(is_kept, config=None, log_offset_ns=0):
        def change(topic, message, log_time_ns):
            if topic != "/tf_static" and not is_kept(topic, (log_time_ns - start_ns) / S):
                return []
            return [(topic, message, log_time_ns + log_offset_ns)]

        cycles = []
        bag, out = tmp_path / f"{log_offset_ns}.mcap", tmp_path / f"{log_offset_ns}.out.mcap"
        rewrite(sample_bag, bag, change)
        with BagReader(bag) as reader, BagWriter(out) as writer:
            planner = Planner(config or PlannerConfig(), backend)
            Replay(planner, writer=writer, on_cycle=cycles.append).run(reader)
        return cycles, out

    return run


def test_a_cycle_that_waits_in_a_gap_puts_off_the_watchdog_and_no_moment_comes_twice(replayed):
    def is_kept(topic, at_s):
        return at_s < 0.5 or at_s > 0.95 or (topic == LIDAR and at_s < 0.6)

    cycles, _ = replayed(is_kept)
    late = [c for c in cycles if "is silent" in c.output.reason]
    # The sweep of 0.5 s is planned when its wait for the cameras is over, at 0.6 s at the latest;
    # so the watchdog bites at 0.8 s at the latest, and once each 0.1 s up to 0.95 s.
    assert 1 <= len(late) <= 3
    waited = next(c for c in cycles if "no camera input" in c.output.reason)
    assert waited.index < late[0].index


def test_a_bag_whose_sensors_end_before_it_does_is_watched_to_its_end(replayed):
    cycles, _ = replayed(lambda topic, at_s: at_s < 0.5 or topic.startswith(OTHERS))
    late = [c.output for c in cycles if "is silent" in c.output.reason]
    assert len(late) >= 2
    assert late[0].source is Source.HOLD_LAST


def test_a_plan_of_unknown_motion_is_told_in_the_vehicles_own_frame_whatever_was_asked(replayed):
    def is_kept(topic, at_s):
        return topic != ODOMETRY or at_s < 0.2

    cycles, out = replayed(is_kept, PlannerConfig(output_frame="map"))
    assert cycles[-1].output.faults & FaultBit.STAMP_ESTIMATED
    with BagReader(out) as reader:
        frames = [m.message.header.frame_id for m in reader.messages([TRAJECTORY_TOPIC])]
    assert frames[0] == "map"
    assert frames[-1] == "base_link"


def test_fallback_plans_do_not_depend_on_the_clock_of_the_log(replayed):
    def is_kept(topic, at_s):
        return topic != LIDAR  # no cycle ever: only odometry tells the sensors' time

    runs = [replayed(is_kept, log_offset_ns=k * 1000 * S)[0] for k in (-1, 0, 1)]
    told = [[(c.stamp_ns, c.output.source, c.output.faults) for c in cycles] for cycles in runs]
    assert told[0] == told[1] == told[2]
    assert {source for _, source, _ in told[1]} == {Source.FALLBACK_STOP}


def test_a_plan_is_not_held_into_what_the_lidar_still_sees(replayed, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "diff_planner.safety.collision.is_blocked",
        lambda poses, sweep, *_: seen.append(sweep) or True,
    )
    cycles, _ = replayed(lambda topic, at_s: topic != ODOMETRY or at_s < 0.5)
    missed = [c.output for c in cycles if c.output.reason.startswith("odometry")]
    assert missed
    assert seen
    assert {output.source for output in missed} == {Source.EMERGENCY_STOP}


def test_odometry_that_just_fell_silent_is_believed_though_no_plan_may_be_held(replayed):
    cycles, _ = replayed(
        lambda topic, at_s: topic not in (LIDAR, ODOMETRY) or at_s < 0.6,
        PlannerConfig(fallback=FallbackConfig(hold_last_s=0.0)),
    )
    late = [c.output for c in cycles if "is silent" in c.output.reason]
    assert {output.source for output in late} == {Source.FALLBACK_STOP}
