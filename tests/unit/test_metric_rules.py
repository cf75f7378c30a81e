"""Each rule of PDMS and EPDMS in a moment where it decides."""

from dataclasses import replace

import numpy as np
import pytest

from diff_planner.metrics.comfort import PreviousPlan
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.scene.schema import (
    AgentClass,
    MapPolygon,
    PolygonType,
    RedLight,
)
from metric_scenes import agent, rectangle, scene, straight, two_lane_road


def nc(some_scene, proposals):
    result = score_pdms(some_scene, proposals)
    return result.no_collision.values[0], int(result.detail.collision_step[0])


def centreline(y):
    return np.column_stack([np.arange(-50.0, 200.0), np.full(250, y), np.zeros(250)])


def test_an_empty_road_costs_nothing():
    result = score_pdms(scene(), straight())
    assert result.total.values[0] == pytest.approx(1.0)
    assert score_epdms(scene(), straight()).total.values[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("kind", "score"),
    [
        (AgentClass.VEHICLE, 0.0),
        (AgentClass.PEDESTRIAN, 0.0),
        (AgentClass.BICYCLE, 0.0),
        (AgentClass.TRAFFIC_CONE, 0.5),
        (AgentClass.BARRIER, 0.5),
        (AgentClass.SIGN, 0.5),
        (AgentClass.GENERIC, 0.5),
    ],
)
def test_running_into_a_road_user_costs_all_and_into_a_thing_half(kind, score):
    found, step = nc(scene(agent("ahead", 20.0, 0.0, kind=kind, size=(1.0, 1.0))), straight())
    assert found == score
    # Front bumper 4.049 m ahead of the axle, its own half length 0.5 m, 8 m/s.
    assert step == int(np.ceil((20.0 - 0.5 - 4.049) / 0.8))


def test_who_stands_is_never_at_fault():
    still = scene(agent("behind", -20.0, 0.0, speed=8.0), speed=0.0)
    assert nc(still, straight(0.0)) == (1.0, -1)


def test_who_is_hit_from_behind_is_not_at_fault():
    assert nc(scene(agent("behind", -12.0, 0.0, speed=14.0)), straight()) == (1.0, -1)


def test_a_car_that_stood_when_first_seen_counts_as_standing_even_if_it_hits_from_behind():
    late = agent("behind", -12.0, 0.0, speed=14.0)
    late.states[0, 3:] = 0.0
    assert nc(scene(late), straight())[0] == 0.0


def test_the_class_at_first_sight_is_that_of_the_first_valid_sample():
    late = agent("behind", -12.0, 0.0, speed=14.0)
    late.states[0, 3:] = 0.0
    late.valid[0] = False
    assert nc(scene(late), straight()) == (1.0, -1)


def test_a_side_contact_is_forgiven_in_the_own_lane_and_costs_all_between_lanes():
    beside = agent("beside", 1.0, 2.6, speed=8.0, yaw=-0.06)
    assert nc(scene(beside), straight()) == (1.0, -1)
    steady = agent("beside", 1.0, 3.6, speed=8.0)
    assert nc(scene(steady), straight(y=3.0))[0] == 0.0


def test_what_is_not_seen_is_not_hit():
    hidden = agent("ahead", 20.0, 0.0)
    hidden.valid[10:] = False
    assert nc(scene(hidden), straight()) == (1.0, -1)


def test_a_car_straight_ahead_shortens_the_time_to_collision_before_it_is_hit():
    result = score_pdms(scene(agent("ahead", 20.0, 0.0)), straight())
    assert result.time_to_collision.values[0] == 0.0
    assert 0 < result.detail.ttc_step[0] < result.detail.collision_step[0]


def test_epdms_looks_ahead_only_within_four_seconds():
    far = scene(agent("ahead", 41.2, 0.0))
    v1, v2 = score_pdms(far, straight()), score_epdms(far, straight())
    assert v1.no_collision.values[0] == 1.0
    assert (v1.time_to_collision.values[0], v2.time_to_collision.values[0]) == (0.0, 1.0)


def test_an_agent_that_overlaps_at_the_start_is_dropped_by_epdms_only():
    on_top = scene(agent("on_top", 4.2, 0.3, kind=AgentClass.TRAFFIC_CONE, size=(0.5, 0.5)))
    assert score_pdms(on_top, straight()).no_collision.values[0] == 0.5
    result = score_epdms(on_top, straight())
    assert (result.no_collision.values[0], result.dropped_agents) == (1.0, ("on_top",))


@pytest.mark.parametrize(
    ("on_s", "off_s", "score"), [(0.0, 1.0, 1.0), (0.0, 1.6, 0.0), (3.9, 4.0, 1.0)]
)
def test_a_red_light_counts_while_it_is_red_both_ends_included(on_s, off_s, score):
    # The front bumper is at 4.049 + 8 t: it enters at 16.8 m between 1.5 s and 1.6 s, and the rear
    # leaves the stretch before 3.9 s.
    light = RedLight("light", rectangle(16.8, 20.0, -2.0, 2.0), on_s, off_s)
    result = score_epdms(scene(red_lights=(light,)), straight())
    assert result.traffic_light.values[0] == score
    assert result.no_collision.values[0] == 1.0


def test_a_car_park_is_drivable_and_the_verge_is_not():
    park = MapPolygon(PolygonType.CAR_PARK, "park", rectangle(-50.0, 200.0, -6.0, -2.0))
    away = straight(y=-2.5)
    assert score_pdms(scene(), away).drivable_area.values[0] == 0.0
    with_park = scene(map_polygons=(*two_lane_road(), park))
    assert score_pdms(with_park, away).drivable_area.values[0] == 1.0


@pytest.mark.parametrize(("speed", "score"), [(1.5, 1.0), (4.0, 0.5), (8.0, 0.0)])
def test_driving_against_the_route_is_judged_by_the_way_within_a_second(speed, score):
    wrong = scene(route_lane_ids=frozenset({"left"}), speed=speed)
    assert score_pdms(wrong, straight(speed)).driving_direction.values[0] == score
    crossing = MapPolygon(PolygonType.INTERSECTION, "cross", rectangle(-50.0, 200.0, -2.0, 6.0))
    in_crossing = replace(wrong, map_polygons=(*two_lane_road(), crossing))
    assert score_epdms(in_crossing, straight(speed)).driving_direction.values[0] == 1.0
    assert score_pdms(in_crossing, straight(speed)).driving_direction.values[0] == score


def test_two_seconds_beside_the_centreline_lose_the_lane_except_in_an_intersection():
    aside = scene(
        centerline=np.column_stack([np.arange(-50.0, 200.0), np.full(250, 0.6), np.zeros(250)])
    )
    assert score_epdms(aside, straight()).lane_keeping.values[0] == 0.0
    near = scene(
        centerline=np.column_stack([np.arange(-50.0, 200.0), np.full(250, 0.4), np.zeros(250)])
    )
    assert score_epdms(near, straight()).lane_keeping.values[0] == 1.0
    crossing = MapPolygon(PolygonType.INTERSECTION, "cross", rectangle(-50.0, 21.0, -2.0, 6.0))
    skipped = replace(aside, map_polygons=(*two_lane_road(), crossing))
    assert score_epdms(skipped, straight()).lane_keeping.values[0] == 1.0


def test_a_hard_stop_is_not_comfortable():
    fast, stop = scene(speed=16.0), straight(1.0)
    assert score_pdms(fast, stop).comfort.values[0] == 0.0
    assert score_epdms(fast, stop).history_comfort.values[0] == 0.0


def test_a_jolt_against_the_past_shows_in_history_comfort_alone():
    braking = scene().past_motion.copy()
    braking[:, 2] = -4.5
    result = score_epdms(scene(past_motion=braking), straight())
    assert result.history_comfort.values[0] == 0.0
    assert result.detail.comfort_terms[0].all()


@pytest.mark.parametrize(("turned_rad", "score"), [(0.2, 0.0), (2.0 * np.pi, 1.0)])
def test_a_past_that_heads_elsewhere_than_the_ego_is_a_jolt_too(turned_rad, score):
    past = scene().past.copy()
    past[:, 2] += turned_rad
    assert score_epdms(scene(past=past), straight()).history_comfort.values[0] == score


def test_extended_comfort_compares_with_the_plan_half_a_second_before():
    still = score_epdms(scene(), straight()).detail.states
    same = score_epdms(scene(), straight(), PreviousPlan(still))
    assert (same.extended_comfort.values[0], same.total.values[0]) == (1.0, pytest.approx(1.0))
    other = score_epdms(scene(), straight(3.0)).detail.states
    jumpy = score_epdms(scene(), straight(), PreviousPlan(other))
    assert jumpy.extended_comfort.values[0] == 0.0
    assert jumpy.total.values[0] == pytest.approx(14.0 / 16.0)
    assert jumpy.total_without_ec.values[0] == pytest.approx(1.0)


@pytest.mark.parametrize("offset_s", [0.0, 0.6, -0.5])
def test_a_previous_plan_of_another_moment_is_not_compared(offset_s):
    before = PreviousPlan(score_epdms(scene(), straight()).detail.states, offset_s)
    result = score_epdms(scene(), straight(), before)
    assert "previous plan" in result.extended_comfort.reason
    assert result.total.values[0] == result.total_without_ec.values[0]


def test_the_human_filter_forgives_what_the_human_got_wrong_too():
    red = RedLight("light", rectangle(10.0, 20.0, -2.0, 2.0), 0.0, 4.0)
    result = score_epdms(scene(red_lights=(red,)), straight())
    assert result.human_zeros == ("TLC",)
    assert (result.total.values[0], result.human_filtered.values[0]) == (0.0, pytest.approx(1.0))


def test_the_human_filter_does_not_forgive_half_a_score():
    cone = agent("cone", 20.0, 0.0, kind=AgentClass.TRAFFIC_CONE, size=(0.5, 0.5))
    result = score_epdms(scene(cone), straight())
    assert "NC" not in result.human_zeros
    assert result.no_collision.values[0] == 0.5
    assert 0.0 < result.human_filtered.values[0] <= 0.5


def test_progress_is_measured_against_the_reference():
    result = score_pdms(scene(), np.concatenate([straight(4.0), straight(8.0), straight(12.0)]))
    metres = result.detail.progress_m.values
    expected = np.minimum(metres / result.detail.reference_progress_m, 1.0)
    np.testing.assert_allclose(result.progress.values, expected)
    assert result.progress.values[0] < 0.8


def test_where_nobody_gets_far_progress_is_no_criterion():
    still = scene(speed=0.0, reference=np.zeros((8, 3)))
    assert score_pdms(still, straight(0.0)).progress.values[0] == 1.0


def test_the_reference_is_masked_by_its_own_faults():
    # The reference runs into the car, so it does not count, and the slow one is as good as any.
    result = score_pdms(scene(agent("ahead", 30.0, 0.0)), straight(4.0))
    assert result.no_collision.values[0] == 1.0
    assert result.progress.values[0] == 1.0
