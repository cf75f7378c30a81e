"""Messages to planner inputs: matching, decoding, carrying to the anchor, forgetting."""

import numpy as np
import pytest

from diff_planner.data import decode
from diff_planner.errors import ConfigError
from diff_planner.types import FaultBit, NavCommand, PlannerInput
from input_moments import (
    ACCELERATION,
    COMMAND,
    FRONT,
    IMAGE,
    INFO,
    LIDAR,
    LIDAR_POSITION,
    MS,
    NAMES,
    ODOMETRY,
    OPTICAL,
    PICTURE,
    POINTS,
    ROUTE,
    health_of,
    make_assembler,
    messages_at,
    one,
    run,
)
from message_factories import (
    STAMP_NS,
    make_cloud,
    make_command,
    make_compressed,
    make_info,
    make_odometry,
    make_route,
    make_transforms,
)


def test_a_complete_moment_gives_a_complete_input():
    cycle = one({COMMAND: make_command(), ROUTE: make_route([[0, 0], [50, 0]])})
    assert isinstance(cycle, PlannerInput)
    assert cycle.stamp_ns == STAMP_NS
    assert cycle.faults == FaultBit.NONE
    assert list(cycle.cameras) == ["left", "front"]
    np.testing.assert_array_equal(cycle.cameras["front"].image, PICTURE)
    np.testing.assert_allclose(cycle.lidar.points, POINTS + LIDAR_POSITION)
    assert (cycle.ego.vx_mps, cycle.ego.ax_mps2, cycle.ego.is_acceleration_derived) == (
        8,
        0.5,
        False,
    )
    assert cycle.nav_command == NavCommand.LEFT
    np.testing.assert_allclose(cycle.route.points, [[0, 0], [50, 0]])
    assert [h.name for h in cycle.health] == [
        "left",
        "front",
        "lidar",
        "odometry",
        "acceleration",
        "nav_command",
        "route",
    ]
    assert all(h.is_present and h.age_s == 0.0 and h.received == 1 for h in cycle.health)


def test_the_optional_inputs_may_be_absent_without_a_fault():
    cycle = one({ACCELERATION: None})
    assert cycle.faults == FaultBit.NONE
    assert cycle.nav_command == NavCommand.UNKNOWN
    assert cycle.route is None
    assert cycle.ego.is_acceleration_derived
    assert [h.name for h in cycle.health if not h.is_present] == [
        "acceleration",
        "nav_command",
        "route",
    ]
    assert one(acceleration=None, nav_command=None, route=None).faults == FaultBit.NONE


def test_only_matched_messages_are_decoded(monkeypatch):
    decoded = []
    original = decode.decode_image
    monkeypatch.setattr(decode, "decode_image", lambda m: decoded.append(m) or original(m))
    assembler = make_assembler()
    for k in range(10):
        early = make_compressed(PICTURE, stamp_ns=STAMP_NS - (k + 1) * MS, frame_id="camera_left")
        assembler.add(IMAGE.format("left"), early, STAMP_NS)
    run(assembler, messages_at())
    assert len(decoded) == 2


def test_the_same_calibration_object_comes_as_long_as_nothing_changes():
    assembler = make_assembler()
    (first,) = run(assembler, messages_at())
    later_ns = STAMP_NS + 100 * MS
    (second,) = run(assembler, messages_at(later_ns), later_ns)
    assert first.cameras["front"].calibration is second.cameras["front"].calibration
    moved = make_transforms(("base_link", "camera_front", (1.5, 0.2, 1.6), OPTICAL))
    last_ns = STAMP_NS + 200 * MS
    (third,) = run(assembler, messages_at(last_ns, **{"/tf_static": moved}), last_ns)
    assert third.cameras["front"].calibration is not second.cameras["front"].calibration
    assert third.cameras["left"].calibration is second.cameras["left"].calibration


def test_a_rectified_topic_is_not_undistorted_twice():
    cameras = {"front": {"image": "/front/image_rect/compressed", "info": INFO.format("front")}}
    messages = messages_at()
    info = make_info(d=[-0.3, 0.1, 0.0, 0.0, 0.0], frame_id="camera_front")
    messages[INFO.format("front")] = info
    raw = run(make_assembler(), messages)[0].cameras["front"].calibration
    assert raw.distortion_model == "plumb_bob"
    messages["/front/image_rect/compressed"] = messages[IMAGE.format("front")]
    rectified = run(make_assembler(cameras=cameras), messages)[0].cameras["front"].calibration
    assert rectified.distortion_model == "none"


def test_ego_motion_is_carried_to_the_stamp_of_the_anchor():
    cycle = one({ODOMETRY: make_odometry(STAMP_NS + 15 * MS, vx=10.0)})
    assert cycle.ego.stamp_ns == STAMP_NS
    np.testing.assert_allclose(cycle.ego.odom_SE3_ego[:2, 3], [-0.15, 0.0], atol=1e-9)
    assert health_of(cycle, "odometry").age_s == pytest.approx(-0.015)


def test_a_sweep_of_another_stamp_is_moved_to_that_of_the_anchor():
    # At 10 m/s the vehicle drives 0.4 m in 40 ms: a wall 10 m ahead of the sensor is nearer then.
    changes = {
        LIDAR: make_cloud(POINTS, stamp_ns=STAMP_NS - 40 * MS),
        ODOMETRY: make_odometry(vx=10.0),
    }
    cycle = one(changes, anchor="front")
    np.testing.assert_allclose(
        cycle.lidar.points, POINTS + LIDAR_POSITION - [0.4, 0.0, 0.0], atol=1e-5
    )
    assert cycle.lidar.stamp_ns == cycle.stamp_ns == STAMP_NS


def test_what_the_vehicle_sees_of_itself_is_dropped_from_a_sweep_that_is_moved():
    hood = [[3.8, y, 0.9] for y in (-0.5, 0.0, 0.5)]  # in base_link
    cloud = np.vstack([POINTS, np.array(hood) - LIDAR_POSITION])
    for later_ms, count in ((0, 5), (50, 2)):
        changes = {
            LIDAR: make_cloud(cloud, stamp_ns=STAMP_NS + later_ms * MS),
            ODOMETRY: make_odometry(vx=15.0),
        }
        assert len(one(changes, anchor="front").lidar.points) == count


def test_the_newest_sweep_is_there_without_odometry_and_in_base_link():
    assembler = make_assembler()
    assert assembler.newest_sweep() is None
    messages = messages_at(**{ODOMETRY: None})
    run(assembler, messages)
    sweep = assembler.newest_sweep()
    assert sweep.stamp_ns == STAMP_NS
    np.testing.assert_allclose(sweep.points, POINTS + LIDAR_POSITION)
    assembler.add(LIDAR, make_cloud(POINTS * np.nan), STAMP_NS)
    assert assembler.newest_sweep() is None
    assembler.add(LIDAR, messages[LIDAR], STAMP_NS)
    assembler.reset()
    assert assembler.newest_sweep() is None


def test_the_anchor_may_be_a_camera_and_the_lidar_may_be_left_out():
    cycle = one(anchor="front", lidar=None)
    assert cycle.lidar is None
    assert cycle.faults == FaultBit.NONE


def test_route_and_command_hold_until_the_next_one():
    assembler = make_assembler()
    first = messages_at(**{COMMAND: make_command(), ROUTE: make_route([[0, 0], [90, 0]])})
    run(assembler, first)
    later_ns = STAMP_NS + 30_000 * MS
    (cycle,) = run(assembler, messages_at(later_ns), later_ns)
    assert cycle.nav_command == NavCommand.LEFT
    assert cycle.route is not None
    assert health_of(cycle, "route").age_s == pytest.approx(30.0)


def test_a_clock_jump_is_reported_once():
    assembler = make_assembler()
    run(assembler, messages_at())
    back_ns = STAMP_NS - 60_000 * MS
    (cycle,) = run(assembler, messages_at(back_ns), STAMP_NS + 1000 * MS)
    assert cycle.faults == FaultBit.CLOCK_JUMP
    assert assembler.last_ego.stamp_ns == back_ns
    next_ns = back_ns + 100 * MS
    (cycle,) = run(assembler, messages_at(next_ns), STAMP_NS + 2000 * MS)
    assert cycle.faults == FaultBit.NONE


def test_doubled_messages_give_one_cycle_and_are_counted():
    assembler = make_assembler()
    messages = messages_at()
    assembler.add(FRONT, messages[FRONT], STAMP_NS)
    (cycle,) = run(assembler, messages)
    assert health_of(cycle, "front").dropped == 1
    assert run(assembler, messages) == []


def test_the_last_ego_is_that_of_the_newest_valid_odometry():
    assembler = make_assembler()
    assert assembler.last_ego is None
    assembler.add(ODOMETRY, make_odometry(STAMP_NS, vx=3.0), 0)
    assembler.add(ODOMETRY, make_odometry(STAMP_NS + 100 * MS, vx=4.0), 0)
    assembler.add(ODOMETRY, make_odometry(STAMP_NS + 200 * MS, vx=np.nan), 0)
    assembler.add(ODOMETRY, make_odometry(STAMP_NS + 50 * MS, vx=9.0), 0)
    ego = assembler.last_ego
    assert (ego.stamp_ns, ego.vx_mps) == (STAMP_NS + 100 * MS, 4.0)
    assert ego.ax_mps2 == pytest.approx(10.0)
    assert ego.is_acceleration_derived


def test_a_reset_forgets_messages_and_keeps_the_calibration():
    assembler = make_assembler()
    run(assembler, messages_at(**{COMMAND: make_command()}))
    assembler.reset()
    assert assembler.last_ego is None
    messages = messages_at()
    for topic in ("/tf_static", *map(INFO.format, NAMES)):
        del messages[topic]
    (cycle,) = run(assembler, messages)
    assert cycle.faults == FaultBit.NONE
    assert cycle.nav_command == NavCommand.UNKNOWN


def test_topics_names_all_that_is_wanted_and_others_do_no_harm():
    assembler = make_assembler()
    assert set(assembler.topics) == {
        *map(IMAGE.format, NAMES),
        *map(INFO.format, NAMES),
        *(LIDAR, ODOMETRY, ACCELERATION, COMMAND, ROUTE, "/tf_static"),
    }
    (cycle,) = run(assembler, {"/other": make_odometry(), **messages_at()})
    assert cycle.faults == FaultBit.NONE


def test_one_topic_for_two_inputs_is_a_configuration_error():
    with pytest.raises(ConfigError, match=f"topic {LIDAR} is configured for two inputs"):
        make_assembler(odometry={"topic": LIDAR})
