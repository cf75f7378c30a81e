"""Moments made by hand in which one rule of the scores decides."""

from pathlib import Path

import numpy as np

from diff_planner.scene.load import load_golden
from diff_planner.scene.schema import Agent, AgentClass, MapPolygon, PolygonType, SceneEgo
from factories import make_scene

SPEED_MPS = 8.0


def rectangle(x0, x1, y0, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)


def agent(name, x, y, *, speed=0.0, yaw=0.0, kind=AgentClass.VEHICLE, samples=51, size=(4.5, 1.9)):
    """An agent at constant velocity along its heading."""
    way = speed * 0.1 * np.arange(samples)
    states = np.zeros((samples, 5))
    states[:, 0], states[:, 1] = x + way * np.cos(yaw), y + way * np.sin(yaw)
    states[:, 2] = yaw
    states[:, 3], states[:, 4] = speed * np.cos(yaw), speed * np.sin(yaw)
    return Agent(name, kind, *size, states, np.ones(samples, dtype=np.bool_))


def two_lane_road():
    """A road along +x with two lanes of 4 m and one road block around both."""
    return (
        MapPolygon(PolygonType.LANE, "lane", rectangle(-50.0, 200.0, -2.0, 2.0)),
        MapPolygon(PolygonType.LANE, "left", rectangle(-50.0, 200.0, 2.0, 6.0)),
        MapPolygon(PolygonType.ROADBLOCK, "block", rectangle(-50.0, 200.0, -2.0, 6.0)),
    )


def scene(*agents, speed=SPEED_MPS, **changes):
    """A moment on the two-lane road, in the right lane, nothing red."""
    values = {
        "agents": agents,
        "ego": SceneEgo(0.0, 0.0, 0.0, vx_mps=speed),
        "map_polygons": two_lane_road(),
        "red_lights": (),
        **changes,
    }
    return make_scene(**values)


def straight(speed=SPEED_MPS, y=0.0):
    """One proposal [1, 8, 3] along +x at constant speed; drifts aside to y."""
    t = 0.5 * np.arange(1, 9)
    aside = y * np.minimum(t / 3.0, 1.0)
    yaw = np.where(t < 3.0, np.arctan2(y / 3.0, max(speed, 1e-9)), 0.0) if speed else 0.0 * t
    return np.stack([speed * t, aside, yaw], axis=-1)[None]


def golden_cases():
    """The rich golden scenes with their candidates, by name."""
    path = Path(__file__).parent / "golden" / "pdm" / "rich" / "scenes.json"
    return {case.scene.token: case for case in load_golden(path)}


def wild(case, seed, count=12):
    """Candidates of a scene, disturbed beyond what a planner would do."""
    rng = np.random.default_rng(seed)
    chosen = case.candidates[rng.integers(0, len(case.candidates), count)]
    return chosen + rng.normal(0.0, [3.0, 1.5, 0.3], chosen.shape)
