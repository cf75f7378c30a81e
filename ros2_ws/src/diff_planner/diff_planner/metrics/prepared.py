"""A scene made ready for scoring: everything as arrays in the frame of the ego at t = 0.

Done once for a scene, however many proposals are scored on it.  In the ego's frame scores do not
depend on where in the world a scene lies, and coordinates stay small enough for full precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import points_seen_from, poses_seen_from
from diff_planner.metrics.boxes import Boxes
from diff_planner.metrics.polygons import Polygons
from diff_planner.metrics.tracker import SimIndex
from diff_planner.scene.schema import Agent, PolygonType, Scene

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STOPPED_MPS = 0.05
"""At or below this an agent, or the ego, counts as standing in the collision rules."""
_LANES = (PolygonType.LANE, PolygonType.LANE_CONNECTOR)
_DRIVABLE = (
    PolygonType.ROADBLOCK,
    PolygonType.INTERSECTION,
    PolygonType.DRIVABLE,
    PolygonType.CAR_PARK,
)


@dataclass(frozen=True)
class PreparedAgents:
    """The boxes of N agents through time, and what they were when they first appeared."""

    boxes: Boxes
    """[N, S] at 0.1 s; sizes [N, 1]."""
    is_there: Mask
    """[N, S] False where an agent was not seen."""
    is_standing: Mask
    """[N] static by nature, or not faster than `STOPPED_MPS` when first seen."""
    is_road_user: Mask
    """[N] vehicle, pedestrian or bicycle."""

    def __len__(self) -> int:
        """N."""
        return len(self.is_standing)

    @property
    def samples(self) -> int:
        """S: how many samples all agents have."""
        return self.is_there.shape[1]

    def where(self, keep: Mask) -> PreparedAgents:
        """Return the agents [N] that are to be kept."""
        boxes = Boxes(**{name: value[keep] for name, value in vars(self.boxes).items()})
        return PreparedAgents(
            boxes, self.is_there[keep], self.is_standing[keep], self.is_road_user[keep]
        )


@dataclass(frozen=True)
class PreparedScene:
    """A scene in the frame of its ego at t = 0."""

    scene: Scene
    initial: Array
    """[11] the ego's state at t = 0, columns of `SimIndex`."""
    agents: PreparedAgents
    lanes: Polygons
    """Lanes and lane connectors."""
    is_route_lane: Mask
    """[R] which of `lanes` the route follows."""
    drivable: Polygons
    """Road blocks, intersections, car parks and drivable areas."""
    intersections: Polygons
    red_lights: Polygons
    centerline: Array | None
    """[P, 2]."""
    reference: Array | None
    """[8, 3] proposal in ego frame."""

    @classmethod
    def of(cls, scene: Scene) -> PreparedScene:
        """Make a scene ready."""
        ego = scene.ego
        initial = np.zeros(len(SimIndex))
        initial[SimIndex.VX], initial[SimIndex.VY] = ego.vx_mps, ego.vy_mps
        initial[SimIndex.AX], initial[SimIndex.AY] = ego.ax_mps2, ego.ay_mps2
        initial[SimIndex.STEER], initial[SimIndex.YAW_RATE] = ego.steer_rad, ego.yaw_rate_radps
        lanes = scene.polygons(*_LANES)
        pose = ego.pose
        centerline = None
        if scene.centerline is not None:
            centerline = points_seen_from(pose, scene.centerline[:, :2])
        return cls(
            scene=scene,
            initial=initial,
            agents=_prepared_agents(scene.agents, pose),
            lanes=_local(pose, [lane.ring for lane in lanes]),
            is_route_lane=np.array([lane.id in scene.route_lane_ids for lane in lanes], np.bool_),
            drivable=_local(pose, [area.ring for area in scene.polygons(*_DRIVABLE)]),
            intersections=_local(
                pose, [area.ring for area in scene.polygons(PolygonType.INTERSECTION)]
            ),
            red_lights=_local(pose, [light.ring for light in scene.red_lights]),
            centerline=centerline,
            reference=scene.reference,
        )


def prepared(scene: Scene | PreparedScene) -> PreparedScene:
    """Return the scene made ready, where it is not yet."""
    return scene if isinstance(scene, PreparedScene) else PreparedScene.of(scene)


def _local(pose: Array, rings: list[Array]) -> Polygons:
    if not rings:
        return Polygons.of([])
    corners = points_seen_from(pose, np.concatenate(rings))
    return Polygons.of(np.split(corners, np.cumsum([len(ring) for ring in rings])[:-1]))


def _prepared_agents(agents: tuple[Agent, ...], pose: Array) -> PreparedAgents:
    samples = min((len(agent.states) for agent in agents), default=0)
    count = len(agents)
    states = np.zeros((count, samples, 5))
    is_there = np.zeros((count, samples), dtype=np.bool_)
    for row, agent in enumerate(agents):
        states[row] = agent.states[:samples]
        is_there[row] = agent.valid[:samples]
    local = poses_seen_from(pose, states[..., :3])
    sizes = np.array([(agent.length_m, agent.width_m) for agent in agents]).reshape(count, 2)
    rows = np.arange(count)
    first = np.argmax(is_there, axis=1) if samples else np.zeros(count, dtype=np.intp)
    velocity = states[rows, first, 3:] if samples else np.zeros((count, 2))
    is_static = np.array([agent.agent_class.is_static for agent in agents], dtype=np.bool_)
    return PreparedAgents(
        boxes=Boxes(
            local[..., 0],
            local[..., 1],
            np.cos(local[..., 2]),
            np.sin(local[..., 2]),
            0.5 * sizes[:, :1],
            0.5 * sizes[:, 1:],
        ),
        is_there=is_there,
        is_standing=is_static | (np.hypot(velocity[:, 0], velocity[:, 1]) <= STOPPED_MPS),
        is_road_user=~is_static,
    )
