"""A driver that keeps to the route's centreline and follows by the Intelligent Driver Model.

Treiber, Hennecke, Helbing, "Congested traffic states in empirical observations and microscopic
simulations", Phys. Rev. E 62 (2000), eq. 2 and 3; parameters of the PDM planner (planner_facts.md,
section 3.6).  It knows the present only: others are carried on at their present velocity, and a
light that is red stays red.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import arc_lengths, box_corners, poses_seen_from, project_on_polyline
from diff_planner.scene.schema import Agent, Scene
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S, PLAN_DT_S

Array = NDArray[np.float64]
_STEPS_PER_POSE = round(NETWORK_DT_S / PLAN_DT_S)
_STEPS = HORIZON_STEPS * _STEPS_PER_POSE
_SIDE_MARGIN_M = 0.2
"""Whoever is nearer to the own path's side than this is in the way."""


@dataclass(frozen=True)
class IdmParameters:
    """How the driver drives."""

    target_speed_mps: float = 15.0
    minimum_gap_m: float = 1.0
    headway_s: float = 1.5
    acceleration_mps2: float = 1.5
    deceleration_mps2: float = 3.0
    exponent: float = 10.0
    lateral_acceleration_mps2: float = 2.0
    """Speed in bends; the model itself knows only straight roads."""
    merge_s: float = 3.0
    """Time in which an offset from the centreline is driven out."""


@dataclass(frozen=True)
class _Obstacles:
    """What is in the way along the path, by time step and obstacle."""

    rear_m: Array
    """[S, N] arc length where it begins; infinite where it is not in the way."""
    speed_mps: Array
    """[S, N] along the path."""


def idm_driver(scene: Scene, parameters: IdmParameters | None = None) -> Array | str:
    """Return poses [8, 3] each 0.5 s in the ego frame, or why there are none."""
    if scene.centerline is None:
        return scene.notes.get("centerline", "the scene has no centreline to follow")
    drive = parameters or IdmParameters()
    path = _extended(scene.centerline, _STEPS * PLAN_DT_S * drive.target_speed_mps * 2.0)
    s_ego, offset_m = project_on_polyline(scene.ego.pose[None, :2], path)
    way_m, speed_mps = _follow(
        scene, drive, float(s_ego[0]), _obstacles(scene, path), _bend_speed(path, drive)
    )
    poses = _on_path(scene, path, way_m, float(offset_m[0]), drive.merge_s * max(speed_mps[0], 3.0))
    return poses_seen_from(scene.ego.pose, poses[_STEPS_PER_POSE::_STEPS_PER_POSE])


def _follow(
    scene: Scene,
    drive: IdmParameters,
    s_start_m: float,
    others: _Obstacles,
    bends: tuple[Array, Array],
) -> tuple[Array, Array]:
    """Return the rear axle's arc length [S] and speed [S] at 0.1 s, the first at the moment."""
    s, v = s_start_m, max(scene.ego.vx_mps, 0.0)
    way, speeds = [s], [v]
    for step in range(_STEPS):
        gap_m = others.rear_m[step] - s - scene.vehicle.front_m
        target = min(drive.target_speed_mps, float(np.interp(s, *bends)))
        # An obstacle whose rear is behind the own rear axle is not one to follow.
        ahead = np.isfinite(gap_m) & (others.rear_m[step] > s)
        gap_wanted = drive.minimum_gap_m + np.maximum(
            v * drive.headway_s
            + v
            * (v - others.speed_mps[step][ahead])
            / (2.0 * np.sqrt(drive.acceleration_mps2 * drive.deceleration_mps2)),
            0.0,
        )
        crowding = float(np.max((gap_wanted / np.maximum(gap_m[ahead], 0.1)) ** 2, initial=0.0))
        a = drive.acceleration_mps2 * (1.0 - (v / target) ** drive.exponent - crowding)
        # Too fast for a bend alone is no reason to brake harder than comfortably.
        floor = -scene.vehicle.max_deceleration_mps2 if crowding > 1.0 else -drive.deceleration_mps2
        v_next = max(v + max(a, floor) * PLAN_DT_S, 0.0)
        s += 0.5 * (v + v_next) * PLAN_DT_S
        v = v_next
        way.append(s)
        speeds.append(v)
    return np.array(way), np.array(speeds)


def _bend_speed(path: Array, drive: IdmParameters) -> tuple[Array, Array]:
    """Return arc lengths [P] and the highest speed [P] that lets the driver slow down in time."""
    s = arc_lengths(path)
    yaw = np.unwrap(path[:, 2])
    # Over 4 m: curvature between neighbouring points of a drawn centreline is mostly noise.
    turn = np.abs(np.interp(s + 2.0, s, yaw) - np.interp(s - 2.0, s, yaw)) / 4.0
    highest = np.sqrt(drive.lateral_acceleration_mps2 / np.maximum(turn, 1e-6))
    highest = np.clip(highest, 1.0, drive.target_speed_mps)
    for i in range(len(s) - 2, -1, -1):
        slowed = np.sqrt(highest[i + 1] ** 2 + 2.0 * drive.acceleration_mps2 * (s[i + 1] - s[i]))
        highest[i] = min(highest[i], slowed)
    return s, highest


def _obstacles(scene: Scene, path: Array) -> _Obstacles:
    """Carry all agents seen now on at their velocity and find where they block the path."""
    seen = _within_reach(scene, path)
    lights = [light for light in scene.red_lights if light.t_on_s <= 0.0 <= light.t_off_s]
    steps = np.arange(_STEPS)[:, None, None, None] * PLAN_DT_S
    half_m = 0.5 * scene.vehicle.width_m + _SIDE_MARGIN_M
    rear = np.full((_STEPS, len(seen) + len(lights)), np.inf)
    speed = np.zeros((_STEPS, len(seen) + len(lights)))
    if seen:
        state = np.array([agent.states[0] for agent in seen])
        boxes = np.array(
            [
                box_corners(x, y, yaw, agent.length_m, agent.width_m)
                for agent, (x, y, yaw) in zip(seen, state[:, :3], strict=True)
            ]
        )
        corners = boxes[None] + steps * state[None, :, None, 3:5]
        s, aside = project_on_polyline(corners.reshape(-1, 2), path)
        s, aside = (values.reshape(corners.shape[:3]) for values in (s, aside))
        blocks = (aside.min(axis=2) < half_m) & (aside.max(axis=2) > -half_m)
        rear[:, : len(seen)] = np.where(blocks, s.min(axis=2), np.inf)
        yaw = np.interp(s.min(axis=2), arc_lengths(path), np.unwrap(path[:, 2]))
        along = state[:, 3] * np.cos(yaw) + state[:, 4] * np.sin(yaw)
        speed[:, : len(seen)] = np.maximum(along, 0.0)
    for index, light in enumerate(lights, start=len(seen)):
        s, aside = project_on_polyline(light.ring, path)
        if aside.min() < half_m and aside.max() > -half_m:
            rear[:, index] = s.min()
    return _Obstacles(rear, speed)


def _within_reach(scene: Scene, path: Array) -> list[Agent]:
    """Return the agents seen now that can come near the path at all: most of a city cannot."""
    seen = [agent for agent in scene.agents if agent.valid[0]]
    if not seen:
        return []
    state = np.array([agent.states[0] for agent in seen])
    half_s = 0.5 * _STEPS * PLAN_DT_S
    _, away_m = project_on_polyline(state[:, :2] + half_s * state[:, 3:], path)
    size_m = np.array([agent.length_m + agent.width_m for agent in seen])
    reach_m = half_s * np.hypot(state[:, 3], state[:, 4]) + size_m + 5.0
    return [agent for agent, near in zip(seen, np.abs(away_m) < reach_m, strict=True) if near]


def _on_path(scene: Scene, path: Array, way_m: Array, offset_m: float, merge_m: float) -> Array:
    """Return poses [S, 3], world: along the path, the offset and heading of the start fading."""
    s = arc_lengths(path)
    share = np.clip((way_m - way_m[0]) / merge_m, 0.0, 1.0)
    fade = 1.0 - share * share * (3.0 - 2.0 * share)
    slope = -6.0 * share * (1.0 - share) / merge_m * offset_m
    yaw = np.interp(way_m, s, np.unwrap(path[:, 2]))
    x, y = (np.interp(way_m, s, path[:, k]) for k in (0, 1))
    off = fade * offset_m
    heading = yaw + np.arctan(slope)
    start_error = (scene.ego.yaw_rad - heading[0] + np.pi) % (2.0 * np.pi) - np.pi
    return np.stack(
        [x - off * np.sin(yaw), y + off * np.cos(yaw), heading + fade * start_error], axis=-1
    )


def _extended(line: Array, ahead_m: float) -> Array:
    """Go straight on beyond the end, so that a fast driver does not run out of path."""
    x, y, yaw = line[-1]
    end = [x + ahead_m * np.cos(yaw), y + ahead_m * np.sin(yaw), yaw]
    return np.vstack([line, end])
