"""What RViz and Foxglove are given of a plan: where it lies, in which colour, and what vanishes."""

from dataclasses import replace

import numpy as np
import pytest

from diff_planner.config import VehicleConfig
from diff_planner.data import encode
from diff_planner.data.typestore import make_message
from diff_planner.geometry import transform_points
from diff_planner.ros.markers import (
    LIFETIME_NS,
    REFUSED_COLOR,
    SOURCE_COLORS,
    candidate_markers,
    plan_path,
)
from diff_planner.types import Candidates, RejectBit, Source, StateIndex, Trajectory
from factories import STAMP_NS
from plan_factories import make_output, through_cdr


def make_candidates(bits=(0, 0, int(RejectBit.JERK)), selected=0):
    states = make_output().trajectory.states
    scores = np.array([0.5, 0.25, 0.25], np.float32)
    return Candidates(
        states=np.stack([states + offset for offset in (0.0, 0.2, 0.4)]),
        scores_raw=scores,
        scores=scores,
        reject_bits=np.array(bits, np.uint32),
        order=np.arange(3),
        selected=selected,
    )


def markers_of(output, **options):
    pose = output.odom_SE3_ego
    array = through_cdr(candidate_markers(make_message, output, "map", pose, **options))
    return array.markers


def named(markers, namespace):
    return [marker for marker in markers if marker.ns == namespace]


def color_of(marker):
    return [marker.color.r, marker.color.g, marker.color.b, marker.color.a]


def points_of(marker):
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_the_plan_is_a_thick_line_where_the_trajectory_lies():
    output = make_output()
    (plan,) = named(markers_of(output), "plan")
    xy = output.trajectory.states[:, :2]
    expected = transform_points(output.odom_SE3_ego, np.column_stack([xy, np.full(41, 0.1)]))
    assert np.allclose(points_of(plan), expected)
    assert plan.type == plan.LINE_STRIP
    assert plan.header.frame_id == "map"
    assert plan.header.stamp.sec * 10**9 + plan.header.stamp.nanosec == STAMP_NS
    candidates = named(markers_of(replace(output, candidates=make_candidates())), "candidates")
    assert plan.scale.x > 2 * max(marker.scale.x for marker in candidates)


@pytest.mark.parametrize("source", list(Source))
def test_the_plan_has_the_colour_of_its_source(source):
    states = make_output().trajectory.states
    output = make_output(trajectory=Trajectory(STAMP_NS, source, states))
    (plan,) = named(markers_of(output), "plan")
    assert color_of(plan) == pytest.approx(SOURCE_COLORS[source])
    assert len(set(SOURCE_COLORS.values())) == len(SOURCE_COLORS)


def test_an_accepted_candidate_is_brighter_the_better_and_a_refused_one_is_grey_and_thin():
    output = make_output(candidates=make_candidates(selected=-1))
    best, worse, refused = named(markers_of(output), "candidates")
    assert best.color.g > worse.color.g
    assert color_of(refused) == pytest.approx(REFUSED_COLOR)
    assert refused.scale.x < worse.scale.x
    assert [marker.id for marker in (best, worse, refused)] == [0, 1, 2]


def test_the_chosen_candidate_is_drawn_once_as_the_plan():
    markers = markers_of(make_output(candidates=make_candidates(selected=1)))
    assert [marker.id for marker in named(markers, "candidates")] == [0, 2]
    assert len(named(markers, "plan")) == 1


def test_a_candidate_that_is_not_finite_is_not_drawn_and_no_number_is_left_in_the_markers():
    candidates = make_candidates(bits=(0, 0, int(RejectBit.NONFINITE)))
    candidates.states[2, 4, StateIndex.X] = np.nan
    candidates.scores[1] = np.nan
    markers = markers_of(make_output(candidates=candidates))
    assert [marker.id for marker in named(markers, "candidates")] == [1]
    numbers = np.concatenate([points_of(m).ravel() for m in markers if len(m.points)])
    assert np.isfinite(numbers).all()
    assert all(np.isfinite(color_of(marker)).all() for marker in markers)


def test_each_message_deletes_the_last_one_and_none_of_its_markers_lives_long():
    first, *others = markers_of(make_output(candidates=None))
    assert first.action == first.DELETEALL
    assert all(marker.action == marker.ADD for marker in others)
    lifetimes = {m.lifetime.sec * 10**9 + m.lifetime.nanosec for m in others}
    assert lifetimes == {LIFETIME_NS}
    keys = [(marker.ns, marker.id) for marker in others]
    assert len(set(keys)) == len(keys)


def test_source_and_reason_stand_above_the_vehicle():
    output = make_output(reason="lidar: 0.4 s old" + "!" * 300)
    (state,) = named(markers_of(output), "state")
    assert state.type == state.TEXT_VIEW_FACING
    assert state.text.startswith("DIFFUSION: lidar: 0.4 s old")
    assert len(state.text) < 200
    assert state.scale.z > 0.0
    x, y, z = output.odom_SE3_ego[:3, 3]
    assert (state.pose.position.x, state.pose.position.y) == (x, y)
    assert state.pose.position.z > z


def test_the_footprint_is_the_vehicles_box_along_the_plan_when_it_is_asked_for():
    vehicle = VehicleConfig()
    output = make_output(odom_SE3_ego=np.eye(4))
    assert not named(markers_of(output), "footprint")
    (footprint,) = named(markers_of(output, vehicle=vehicle), "footprint")
    assert footprint.type == footprint.LINE_LIST
    points = points_of(footprint).reshape(5, 8, 3)  # at 0, 1, 2, 3, 4 s
    at_start = points[0]
    assert at_start[:, 0].max() == pytest.approx(vehicle.front_m)
    assert at_start[:, 0].min() == pytest.approx(-vehicle.rear_m)
    assert np.ptp(at_start[:, 1]) == pytest.approx(vehicle.width_m)
    # Every outline is that box, turned by the plan's yaw: lengths of its lines stay.
    lengths = np.linalg.norm(points[:, 0::2] - points[:, 1::2], axis=2)
    expected = [vehicle.length_m, vehicle.width_m] * 2
    assert np.allclose(lengths, expected)
    along = points[4, 5] - points[4, 4]  # from the rear right corner to the front right one
    yaw = output.trajectory.states[40, StateIndex.YAW]
    assert np.arctan2(along[1], along[0]) == pytest.approx(yaw)


def test_the_path_has_the_trajectorys_poses_each_at_its_time():
    output = make_output()
    trajectory = encode.trajectory_message(
        make_message,
        output,
        wheelbase_m=3.0,
        frame_id="map",
        frame_SE3_ego=output.odom_SE3_ego,
    )
    path = through_cdr(plan_path(make_message, trajectory))
    assert path.header.frame_id == "map"
    assert [pose.pose for pose in path.poses] == [point.pose for point in trajectory.points]
    stamps = [p.header.stamp.sec * 10**9 + p.header.stamp.nanosec for p in path.poses]
    assert stamps == [STAMP_NS + k * 100_000_000 for k in range(41)]
    assert {pose.header.frame_id for pose in path.poses} == {"map"}
