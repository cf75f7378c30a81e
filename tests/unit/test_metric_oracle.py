"""Areas and contacts of whole scenes, found again with shapely and plain loops, in the world."""

import numpy as np
import pytest

from diff_planner.geometry import transform_poses
from diff_planner.metrics.contacts import LOOKAHEAD_STEPS
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.quirks import PUBLISHED
from diff_planner.metrics.scoring import drive
from diff_planner.metrics.time_to_collision import LAST_STEP_V1
from diff_planner.metrics.tracker import SimIndex
from diff_planner.scene.schema import PolygonType
from metric_scenes import golden_cases, wild

shapely = pytest.importorskip("shapely", reason="shapely is not installed")

CASES = golden_cases()
LANES = (PolygonType.LANE, PolygonType.LANE_CONNECTOR)
DRIVABLE = (PolygonType.ROADBLOCK, PolygonType.INTERSECTION, PolygonType.CAR_PARK)


@pytest.fixture(params=sorted(CASES))
def driven(request):
    case = CASES[request.param]
    proposals = wild(case, seed=7, count=6)
    return drive(PreparedScene.of(case.scene), proposals, (), LAST_STEP_V1, PUBLISHED)


def in_world(driven):
    """The simulated poses [K, 41, 3] in the world, and the speed."""
    pose = driven.scene.scene.ego.pose
    return transform_poses(pose, driven.ego.states[..., : SimIndex.VX]), driven.ego.speed


def outline(x, y, yaw, front, rear, width):
    """Corners [..., 4, 2] of a box that reaches so far before and behind its origin."""
    along = np.array([front, -rear, -rear, front])
    across = 0.5 * width * np.array([1.0, 1.0, -1.0, -1.0])
    cos, sin = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    return np.stack(
        [
            x[..., None] + cos * along - sin * across,
            y[..., None] + sin * along + cos * across,
        ],
        axis=-1,
    )


def test_area_flags_are_those_of_shapely(driven):
    scene = driven.scene.scene
    vehicle = scene.vehicle
    poses, _ = in_world(driven)
    corners = outline(*poses.transpose(2, 0, 1), vehicle.front_m, vehicle.rear_m, vehicle.width_m)
    points = np.concatenate([corners, corners.mean(axis=2, keepdims=True)], axis=2)  # [K, 41, 5, 2]

    def held(*types):
        x, y = points[..., 0], points[..., 1]
        found = scene.polygons(*types)
        return [(p.id, shapely.contains_xy(shapely.Polygon(p.ring), x, y)) for p in found]

    lanes, drivable = held(*LANES), held(*DRIVABLE)
    touched = np.sum([inside[..., :4].any(axis=-1) for _, inside in lanes], axis=0)
    whole = np.any([inside[..., :4].all(axis=-1) for _, inside in lanes], axis=0)
    route = [inside[..., 4] for name, inside in lanes if name in scene.route_lane_ids]
    on_road = np.any([inside[..., :4] for _, inside in drivable], axis=0).all(axis=-1)
    assert np.array_equal(driven.areas.is_multi_lane, (touched > 1) & ~whole)
    assert np.array_equal(driven.areas.is_oncoming, ~np.any(route, axis=0))
    assert np.array_equal(driven.areas.is_off_road, ~on_road)


def test_contacts_are_those_of_shapely(driven):
    scene = driven.scene.scene
    vehicle = scene.vehicle
    poses, speed = in_world(driven)
    expected = set()
    for lookahead, ahead in enumerate(LOOKAHEAD_STEPS.tolist()):
        way = speed * 0.1 * ahead
        x = poses[..., 0] + way * np.cos(poses[..., 2])
        y = poses[..., 1] + way * np.sin(poses[..., 2])
        egos = shapely.polygons(
            outline(x, y, poses[..., 2], vehicle.front_m, vehicle.rear_m, vehicle.width_m)
        )
        for row, agent in enumerate(scene.agents):
            states = agent.states[ahead : ahead + 41]
            half = 0.5 * agent.length_m
            boxes = shapely.polygons(
                outline(states[:, 0], states[:, 1], states[:, 2], half, half, agent.width_m)
            )
            is_hit = shapely.intersects(egos, boxes) & agent.valid[ahead : ahead + 41]
            expected |= {(k, row, step, lookahead) for k, step in np.argwhere(is_hit).tolist()}
    found = driven.contacts
    columns = np.stack([found.proposal, found.agent, found.step, found.lookahead], axis=-1)
    assert {tuple(row) for row in columns.tolist()} == expected
    assert len(expected) == len(found)
