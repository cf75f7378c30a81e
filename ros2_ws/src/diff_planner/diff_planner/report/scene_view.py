"""A scene as the page draws it from above: map, agents over time, and each run's plans.

Frame: the ego's rear axle at t = 0, x forward, y left; packed as centimetres and 1e-4 rad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diff_planner.errors import ResultsError
from diff_planner.geometry import Array, poses_seen_from, wrap_angle
from diff_planner.report.packing import CM_PER_M, evenly, pack_int16
from diff_planner.scene.schema import Agent, PolygonType, Scene
from diff_planner.types import NETWORK_DT_S

YAW_SCALE = 1e4
RING_SCALE = 10.0  # decimetres: corners up to 3.2 km away still have a place
VIEW_STEPS = 41
"""Moments that the page can show: 0 to 4 s each 0.1 s."""
_REACH_M = 110.0  # what the picture can show at its widest
_MAX_PROPOSALS = 60  # more lines than these hide each other
_LAYER_ORDER = (
    PolygonType.DRIVABLE,
    PolygonType.ROADBLOCK,
    PolygonType.CAR_PARK,
    PolygonType.INTERSECTION,
    PolygonType.LANE,
    PolygonType.LANE_CONNECTOR,
    PolygonType.CROSSWALK,
)


@dataclass(frozen=True)
class PlanView:
    """What one run did in a scene."""

    proposals: Array
    """[K, 8, 3] ego frame, each 0.5 s."""
    scores: Array | None
    """[K] the total of each proposal; None where it was not evaluated."""
    chosen: int
    driven: Array | None = None
    """[41, 3] how the simulated vehicle follows the chosen one: ego frame, each 0.1 s."""
    findings: tuple[str, ...] = ()
    """What went wrong or could not be judged, in sentences."""


def scene_view(scene: Scene, plans: dict[str, PlanView]) -> dict[str, Any]:
    """Return what the page needs to draw a scene.

    Args:
        scene: the moment.
        plans: by run.

    Raises:
        ResultsError: a plan's shape is another one.
    """
    polygons = sorted(scene.map_polygons, key=lambda polygon: _LAYER_ORDER.index(polygon.type))
    rings = [(polygon, _ring(scene, polygon.ring)) for polygon in polygons]
    agents = [view for agent in scene.agents if (view := _agent_view(scene, agent)) is not None]
    return {
        "name": scene.token,
        "speed_mps": round(float(np.hypot(scene.ego.vx_mps, scene.ego.vy_mps)), 2),
        "vehicle": {
            "front_m": scene.vehicle.front_m,
            "rear_m": scene.vehicle.rear_m,
            "width_m": scene.vehicle.width_m,
        },
        "polygons": [
            {
                "type": polygon.type.value,
                "on_route": polygon.id in scene.route_lane_ids,
                "xy": pack_int16(ring, RING_SCALE),
            }
            for polygon, ring in rings
            if _is_near(ring)
        ],
        "red_lights": [
            {
                "xy": pack_int16(_ring(scene, light.ring), RING_SCALE),
                "on_s": light.t_on_s,
                "off_s": light.t_off_s,
            }
            for light in scene.red_lights
        ],
        "agents": agents,
        "centerline": _line(scene, scene.centerline),
        "human": _line(scene, _first_4_s(scene)),
        "reference": None
        if scene.reference is None
        else pack_int16(scene.reference[:, :2], CM_PER_M),
        "plans": {name: _plan_view(name, plan) for name, plan in plans.items()},
    }


def _plan_view(name: str, plan: PlanView) -> dict[str, Any]:
    count = len(plan.proposals)
    if plan.proposals.shape != (count, 8, 3) or not 0 <= plan.chosen < count:
        raise ResultsError(
            f"{name}: expected proposals [K, 8, 3] and a choice among them, got "
            f"{plan.proposals.shape} and {plan.chosen}"
        )
    shown = np.union1d(evenly(count, _MAX_PROPOSALS), [plan.chosen])
    driven = _interpolated(plan.proposals[plan.chosen]) if plan.driven is None else plan.driven
    return {
        "count": count,
        "xy": pack_int16(plan.proposals[shown][..., :2], CM_PER_M),
        "scores": None if plan.scores is None else [round(float(s), 4) for s in plan.scores[shown]],
        "chosen": int(np.searchsorted(shown, plan.chosen)),
        "is_simulated": plan.driven is not None,
        "driven_xy": pack_int16(driven[:, :2], CM_PER_M),
        "driven_yaw": pack_int16(wrap_angle(driven[:, 2]), YAW_SCALE),
        "findings": list(plan.findings),
    }


def _interpolated(proposal: Array) -> Array:
    """Return a proposal [8, 3] at 0.1 s from its start: [41, 3]."""
    knots = np.concatenate([np.zeros((1, 3)), proposal])
    times = NETWORK_DT_S * np.arange(len(knots))
    wanted = np.linspace(0.0, times[-1], VIEW_STEPS)
    yaw = np.unwrap(knots[:, 2])
    columns = (knots[:, 0], knots[:, 1], yaw)
    return np.stack([np.interp(wanted, times, column) for column in columns], axis=-1)


def _agent_view(scene: Scene, agent: Agent) -> dict[str, Any] | None:
    """Return an agent over time; None where it is never near or never seen."""
    states, valid = agent.states[:VIEW_STEPS], agent.valid[:VIEW_STEPS]
    poses = poses_seen_from(scene.ego.pose, states[:, :3])
    poses[~valid] = np.nan
    if not valid.any() or float(np.nanmin(np.hypot(poses[:, 0], poses[:, 1]))) > _REACH_M:
        return None
    return {
        "id": agent.id,
        "class": agent.agent_class.value,
        "length_m": round(agent.length_m, 2),
        "width_m": round(agent.width_m, 2),
        "speed_mps": round(float(np.hypot(*states[0, 3:5])), 2) if valid[0] else None,
        "xy": pack_int16(poses[:, :2], CM_PER_M),
        "yaw": pack_int16(wrap_angle(poses[:, 2]), YAW_SCALE),
    }


def _first_4_s(scene: Scene) -> Array | None:
    if scene.human is None or scene.human_times_s is None:
        return None
    kept = scene.human[scene.human_times_s <= 4.0 + 1e-6]
    return np.concatenate([scene.ego.pose[None], kept])


def _line(scene: Scene, poses: Array | None) -> str | None:
    return (
        None
        if poses is None
        else pack_int16(poses_seen_from(scene.ego.pose, poses)[:, :2], CM_PER_M)
    )


def _ring(scene: Scene, ring: Array) -> Array:
    return poses_seen_from(scene.ego.pose, np.column_stack([ring, np.zeros(len(ring))]))[:, :2]


def _is_near(ring: Array) -> bool:
    """Tell whether the ring's bounding box reaches into the view."""
    low, high = ring.min(axis=0), ring.max(axis=0)
    gap = np.maximum(np.maximum(low, -high), 0.0)
    return bool(np.hypot(gap[0], gap[1]) <= _REACH_M)
