"""A plan as messages: through CDR and back, against the core values."""

import numpy as np
import pytest

from diff_planner.data import encode
from diff_planner.data.typestore import make_message, typestore
from diff_planner.geometry import rotation_from_quaternion, se3, transform_points
from diff_planner.inference.card import load_card
from diff_planner.resources import model_folder
from diff_planner.types import (
    Candidates,
    FaultBit,
    InputHealth,
    PlannerOutput,
    PlannerState,
    RejectBit,
    Source,
    StateIndex,
    Trajectory,
)
from factories import STAMP_NS, make_ego

WHEELBASE_M = 3.0


def make_output(**changes):
    times = np.arange(41) * 0.1
    states = np.zeros((41, 7))
    states[:, StateIndex.X] = 5.0 * times
    states[:, StateIndex.Y] = 0.1 * times**2
    states[:, StateIndex.YAW] = 0.04 * times
    states[:, StateIndex.SPEED] = 5.0
    states[:, StateIndex.CURVATURE] = 0.008
    states[:, StateIndex.HEADING_RATE] = 0.04
    # A pose with roll, pitch and yaw: the frame of a real localisation.
    odom_SE3_ego = se3(rotation_from_quaternion(0.05, -0.03, 0.6, 0.8), [700.0, 1400.0, 3.0])
    candidates = Candidates(
        states=np.stack([states, states + 1.0]),
        scores_raw=np.array([1.0, 2.0], np.float32),
        scores=np.array([0.3, 0.7], np.float32),
        reject_bits=np.array([0, RejectBit.COLLISION | RejectBit.JERK], np.uint32),
        order=np.array([1, 0]),
        selected=0,
    )
    values = {
        "trajectory": Trajectory(STAMP_NS, Source.DIFFUSION, states),
        "odom_SE3_ego": odom_SE3_ego,
        "frame_id": "map",
        "plan_id": 7,
        "state": PlannerState.NOMINAL,
        "faults": FaultBit.NONE,
        "reason": "",
        "candidates": candidates,
    }
    return PlannerOutput(**{**values, **changes})


def through_cdr(message):
    name = message.__msgtype__
    return typestore().deserialize_cdr(typestore().serialize_cdr(message, name), name)


def trajectory_of(output):
    message = encode.trajectory_message(
        make_message,
        output,
        wheelbase_m=WHEELBASE_M,
        frame_id=output.frame_id,
        frame_SE3_ego=output.odom_SE3_ego,
    )
    return through_cdr(message)


def test_a_plan_is_published_in_the_odometrys_frame_at_the_anchors_stamp():
    output = make_output()
    message = trajectory_of(output)
    assert message.header.frame_id == "map"
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS
    assert (message.plan_id, message.source) == (7, Source.DIFFUSION)
    states = output.trajectory.states
    in_ego = np.column_stack([states[:, :2], np.zeros(41)])
    expected = transform_points(output.odom_SE3_ego, in_ego)
    got = np.array(
        [[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in message.points]
    )
    assert np.allclose(got, expected, atol=1e-9)


def test_each_point_has_the_heading_speed_and_time_of_the_plan():
    output = make_output()
    for k, point in enumerate(trajectory_of(output).points):
        q = point.pose.orientation
        rotation = rotation_from_quaternion(q.x, q.y, q.z, q.w)
        yaw = output.trajectory.states[k, StateIndex.YAW]
        x_axis = output.odom_SE3_ego[:3, :3] @ [np.cos(yaw), np.sin(yaw), 0.0]
        assert np.allclose(rotation[:, 0], x_axis, atol=1e-12)
        assert point.time_from_start.sec + point.time_from_start.nanosec * 1e-9 == (
            pytest.approx(0.1 * k)
        )
        assert point.longitudinal_velocity_mps == 5.0
        assert point.front_wheel_angle_rad == pytest.approx(np.arctan(WHEELBASE_M * 0.008))
        assert point.heading_rate_rps == pytest.approx(0.04)


def test_candidates_travel_flat_with_their_reject_bits():
    output = make_output()
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    assert message.header.frame_id == "base_link"
    shape = (message.num_candidates, message.num_steps, message.state_dim)
    assert np.allclose(message.states.reshape(shape), output.candidates.states, atol=1e-5)
    assert message.is_valid.tolist() == [True, False]
    assert message.reject_bits[1] == message.REJECT_COLLISION | message.REJECT_JERK
    assert message.selected == 0
    assert len(message.state_layout.split(",")) == message.state_dim


def test_a_cycle_without_candidates_gives_an_empty_set_and_none_selected():
    output = make_output(candidates=None)
    message = through_cdr(encode.candidates_message(make_message, output, "base_link"))
    assert (message.num_candidates, message.selected, len(message.states)) == (0, -1, 0)


def status_of(output, counters=None):
    message = encode.status_message(
        make_message,
        output,
        card=load_card(model_folder("nano")),
        backend="openvino",
        precision="f32",
        counters=counters or encode.Counters(cycles=9, fallbacks=2, dropped_frames=1),
        is_shadow=False,
    )
    return through_cdr(message)


def test_the_status_says_what_suffers_in_bits_and_words_and_that_the_model_is_untrained():
    health = [
        InputHealth("front", "/f", True, 0.01, 0.06, received=5),
        InputHealth("left", "/l", False, np.nan, 0.06, FaultBit.INPUT_MISSING),
        InputHealth("lidar", "/p", False, 0.4, 0.06, FaultBit.INPUT_STALE, received=3),
        InputHealth("right", "/r", False, np.nan, 0.06, FaultBit.CAMERA_INFO, received=3),
    ]
    output = make_output(
        state=PlannerState.FALLBACK,
        faults=FaultBit.INPUT_STALE | FaultBit.CAMERA_INFO,
        reason="lidar: 0.4 s old",
        health=tuple(health),
    )
    message = status_of(output)
    assert message.state == message.STATE_FALLBACK
    assert message.fault_bits == message.FAULT_INPUT_STALE | message.FAULT_CAMERA_INFO
    assert message.reason == "lidar: 0.4 s old"
    states = [entry.state for entry in message.inputs]
    entry = message.inputs[0]
    assert states == [entry.STATE_OK, entry.STATE_NEVER, entry.STATE_STALE, entry.STATE_INVALID]
    assert "untrained" in message.model_note
    assert message.model_sha256 == load_card(model_folder("nano")).model_sha256
    assert (message.cycle_count, message.fallback_count) == (9, 2)
    assert message.drop_ratio == pytest.approx(0.1)


def test_a_reason_longer_than_the_message_allows_is_cut_visibly():
    message = status_of(make_output(reason="ü" * 300))
    assert len(message.reason.encode()) <= 256
    assert message.reason.endswith("...")


def test_an_ego_at_the_origin_gives_the_plan_as_it_is():
    output = make_output(odom_SE3_ego=make_ego().odom_SE3_ego)
    got = [(p.pose.position.x, p.pose.position.y) for p in trajectory_of(output).points]
    assert np.allclose(got, output.trajectory.states[:, :2])
