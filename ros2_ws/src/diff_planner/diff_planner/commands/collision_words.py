"""Says in a sentence with whom, when and how a scored plan collides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.metrics.boxes import Boxes, separation
from diff_planner.scene.schema import Agent, Scene
from diff_planner.types import PLAN_DT_S

Array = NDArray[np.float64]


def explain_collision(scene: Scene, states: Array, step: int) -> str:
    """Return who is touched at a step of a simulated trajectory, and whether the log says so too.

    Args:
        scene: the moment.
        states: [41, 11] simulated, world.
        step: of 0.1 s, at which a collision counted.
    """
    logged = _logged_pose(scene, step)
    touched = [
        (agent, depth)
        for agent in scene.agents
        if step < len(agent.states)
        and agent.valid[step]
        and (depth := -_gap(scene.vehicle, states[step, :3], agent, step)) >= 0.0
    ]
    if not touched:
        return f"at {step * PLAN_DT_S:.1f} s, but no agent's box is touched there"
    words = []
    for agent, depth in touched:
        text = f"{agent.agent_class.value} {agent.id!r} by {depth:.2f} m"
        if logged is not None:
            gap = _gap(scene.vehicle, logged, agent, step)
            text += (
                f" (the recorded boxes overlap by {-gap:.2f} m at that time)"
                if gap <= 0.0
                else f" (only in simulation: the recorded boxes are {gap:.2f} m apart)"
            )
        if agent.valid[0] and _gap(scene.vehicle, scene.ego.pose, agent, 0) <= 0.0:
            text += ", overlapping the ego already at 0 s"
        words.append(text)
    speed = float(states[step, 3])
    return f"at {step * PLAN_DT_S:.1f} s and {speed:.1f} m/s touches " + "; ".join(words)


def _gap(vehicle: VehicleConfig, pose: Array, agent: Agent, step: int) -> float:
    """Return the signed separation of the ego's box at a rear axle pose and an agent's box."""
    # Relative to the ego: world coordinates may be millions of metres.
    x, y, yaw = agent.states[step, :3]
    offset = vehicle.rear_axle_to_center_m
    ego = _box(
        offset * np.cos(pose[2]),
        offset * np.sin(pose[2]),
        pose[2],
        vehicle.length_m,
        vehicle.width_m,
    )
    other = _box(x - pose[0], y - pose[1], yaw, agent.length_m, agent.width_m)
    return float(separation(ego, other))


def _box(x: float, y: float, yaw: float, length_m: float, width_m: float) -> Boxes:
    numbers = (x, y, np.cos(yaw), np.sin(yaw), 0.5 * length_m, 0.5 * width_m)
    return Boxes(*(np.array(number, dtype=np.float64) for number in numbers))


def _logged_pose(scene: Scene, step: int) -> Array | None:
    """Return the human's pose [3] at a step; None where it is not logged."""
    time_s = step * PLAN_DT_S
    if step == 0:
        return scene.ego.pose
    if scene.human is None or scene.human_times_s is None or time_s > scene.human_times_s[-1]:
        return None
    times = np.concatenate([[0.0], scene.human_times_s])
    poses = np.concatenate([scene.ego.pose[None], scene.human])
    poses[:, 2] = np.unwrap(poses[:, 2])
    return np.array([np.interp(time_s, times, poses[:, k]) for k in range(3)])
