"""Results and scenes made up for the tests of the evaluation page."""

import numpy as np

from diff_planner.report.evaluation_figures import Run
from diff_planner.report.results import Metric, ResultHeader, ResultLine, Results
from diff_planner.report.scene_view import PlanView
from diff_planner.scene.schema import (
    Agent,
    AgentClass,
    MapPolygon,
    PolygonType,
    RedLight,
    Scene,
    SceneEgo,
)

TIMES_S = 0.5 * np.arange(1, 9)


def make_run(name, scores, key="pdms", **more):
    """A run with one score per scene; None is not evaluated; `more` are further metrics."""
    columns = {key: scores, **more}
    lines = []
    for i in range(len(scores)):
        metrics = {
            metric: Metric.missing("no map") if values[i] is None else Metric.of(values[i])
            for metric, values in columns.items()
        }
        lines.append(ResultLine(kind="scene", name=f"scene {i}", metrics=metrics))
    header = ResultHeader(command=f"diff-planner evaluate {name}", config={}, commit="abc", seed=0)
    return Run(name, Results(header, tuple(lines)))


def make_agent(name, x_m, y_m, *, kind=AgentClass.VEHICLE, speed_mps=0.0, steps=51):
    """A box that drives along the world's x axis."""
    states = np.zeros((steps, 5))
    states[:, 0] = x_m + speed_mps * 0.1 * np.arange(steps)
    states[:, 1] = y_m
    states[:, 3] = speed_mps
    return Agent(name, kind, 4.6, 1.9, states, np.ones(steps, dtype=bool))


def make_road_scene(token="scene 0", *, yaw_rad=0.0):
    """A straight road along the world's x axis with one lane each way."""
    ahead = np.linspace(-20.0, 100.0, 61)
    centerline = np.stack([ahead, np.zeros(61), np.zeros(61)], axis=-1)

    def lane(name, low, high):
        ring = np.array([[-20.0, low], [100.0, low], [100.0, high], [-20.0, high]])
        return MapPolygon(PolygonType.LANE, name, ring)

    drive = np.stack([6.0 * TIMES_S, np.zeros(8), np.zeros(8)], axis=-1)
    return Scene(
        token=token,
        ego=SceneEgo(0.0, 0.0, yaw_rad, 6.0),
        agents=(
            make_agent("lead", 25.0, 0.0, speed_mps=3.0),
            make_agent("cone", 15.0, -2.0, kind=AgentClass.TRAFFIC_CONE),
        ),
        map_polygons=(lane("own", -1.75, 1.75), lane("oncoming", 1.75, 5.25)),
        route_lane_ids=frozenset({"own"}),
        centerline=centerline,
        red_lights=(RedLight("light", np.array([[40.0, -2], [45, -2], [45, 2]]), 0.0, 2.0),),
        human=drive,
        human_times_s=TIMES_S,
        reference=drive * 0.9,
    )


def make_proposals(count=3):
    """Plans [K, 8, 3] that fan out to both sides."""
    side = np.linspace(-3.0, 3.0, count)[:, None] * (TIMES_S / 4.0) ** 2
    x = np.broadcast_to(6.0 * TIMES_S, side.shape)
    return np.stack([x, side, 0.1 * side], axis=-1)


def make_plan_view(count=3, **changes):
    """What one run did, the middle proposal chosen."""
    scores = np.linspace(0.0, 1.0, count)
    return PlanView(
        **{"proposals": make_proposals(count), "scores": scores, "chosen": count // 2} | changes
    )
