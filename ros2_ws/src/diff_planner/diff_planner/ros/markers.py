"""A plan for people's eyes: nav_msgs/Path, and markers of all candidates for RViz and Foxglove.

Pure functions of the plan.  Markers keep their ids from cycle to cycle, each message begins by
deleting those of the one before, and each marker lives 0.3 s: nothing lingers when a cycle has
fewer candidates or the planner stops.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import VehicleConfig
from diff_planner.data.encode import MakeMessage, header
from diff_planner.data.encode_status import shortened
from diff_planner.types import Candidates, FloatArray, Message, PlannerOutput, Source, StateIndex

Color = tuple[float, float, float, float]
"""Red, green, blue, alpha, each 0..1."""

LIFETIME_NS = 300_000_000
SOURCE_COLORS: dict[Source, Color] = {
    Source.UNKNOWN: (0.60, 0.60, 0.60, 1.0),
    Source.DIFFUSION: (0.34, 0.71, 0.91, 1.0),
    Source.HOLD_LAST: (0.90, 0.62, 0.00, 1.0),
    Source.FALLBACK_STOP: (0.87, 0.56, 0.73, 1.0),
    Source.EMERGENCY_STOP: (1.00, 0.51, 0.28, 1.0),
    Source.REPLAY: (0.18, 0.76, 0.60, 1.0),
}
"""As on the replay's page, readable with any kind of colour vision and on a dark ground."""
REFUSED_COLOR: Color = (0.55, 0.55, 0.55, 0.35)
_WORST_COLOR, _BEST_COLOR = (0.16, 0.36, 0.33, 0.6), (0.35, 1.00, 0.70, 0.9)
_LINE_STRIP, _LINE_LIST, _TEXT_VIEW_FACING = 4, 5, 9
_ADD, _DELETE_ALL = 0, 3
_EVERY = 2
"""Of a candidate's points every second is drawn (0.2 s): half the work, the same picture."""
_FOOTPRINT_EVERY = 10
_TEXT_BYTES = 160


@dataclass(frozen=True)
class _Shape:
    """What distinguishes one marker from another."""

    namespace: str
    number: int
    kind: int
    color: Color
    width_m: float
    """Of the line; of a text its height."""
    points: FloatArray
    """[N, 3] in the frame of the header."""
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    text: str = ""


def plan_path(make: MakeMessage, trajectory: Message) -> Message:
    """Return nav_msgs/Path of a diff_planner_msgs/Trajectory.

    Args:
        make: message factory.
        trajectory: as published; its poses are used as they are.

    Returns:
        The same poses in the same frame, each stamped with the time at which it is to be reached.
    """
    stamp = trajectory.header.stamp
    begin_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    frame_id = trajectory.header.frame_id
    poses = []
    for point in trajectory.points:
        after = point.time_from_start
        at_ns = begin_ns + after.sec * 1_000_000_000 + after.nanosec
        poses.append(
            make(
                "geometry_msgs/msg/PoseStamped",
                header=header(make, at_ns, frame_id),
                pose=point.pose,
            )
        )
    return make("nav_msgs/msg/Path", header=header(make, begin_ns, frame_id), poses=poses)


def candidate_markers(
    make: MakeMessage,
    output: PlannerOutput,
    frame_id: str,
    frame_SE3_ego: FloatArray,
    *,
    vehicle: VehicleConfig | None = None,
) -> Message:
    """Return visualization_msgs/MarkerArray of a cycle.

    Namespaces: `candidates` (accepted: the brighter the better the score; refused: grey, thin),
    `plan` (thick, coloured by source), `state` (source and reason in words), and with `vehicle`
    `footprint` (its outline each second along the plan).

    Args:
        make: message factory.
        output: the plan; its numbers are finite, those of candidates may be anything.
        frame_id: frame of the markers.
        frame_SE3_ego: [4, 4] base_link at the stamp in that frame.
        vehicle: to draw its outline.
    """
    shapes: list[_Shape] = []
    if output.candidates is not None:
        shapes.extend(_candidate_shapes(output.candidates, frame_SE3_ego))
    color = SOURCE_COLORS[output.source]
    states = output.trajectory.states
    points = _to_frame(states[:, :2], frame_SE3_ego, height_m=0.10)
    shapes.append(_Shape("plan", 0, _LINE_STRIP, color, 0.25, points))
    if vehicle is not None:
        outline = _footprints(states[::_FOOTPRINT_EVERY], vehicle)
        points = _to_frame(outline, frame_SE3_ego, height_m=0.10)
        shapes.append(_Shape("footprint", 0, _LINE_LIST, color, 0.05, points))
    shapes.append(_state_shape(output, color, frame_SE3_ego))
    base = _Base(make, header(make, output.trajectory.stamp_ns, frame_id))
    nothing = _Shape("", 0, _ADD, REFUSED_COLOR, 0.0, np.zeros((0, 3)))
    markers = [base.marker(nothing, _DELETE_ALL), *(base.marker(shape) for shape in shapes)]
    return make("visualization_msgs/msg/MarkerArray", markers=markers)


def _candidate_shapes(candidates: Candidates, frame_SE3_ego: FloatArray) -> Iterable[_Shape]:
    """Yield every candidate that can be drawn but the chosen one, which is the plan."""
    xy = candidates.states[:, ::_EVERY, :2]
    is_drawn = np.asarray(np.isfinite(xy).all(axis=(1, 2)))
    scores = np.nan_to_num(candidates.scores.astype(np.float64), posinf=0.0, neginf=0.0)
    best = max(float(scores.max(initial=0.0)), 1e-9)
    for k in range(len(xy)):
        if not is_drawn[k] or k == candidates.selected:
            continue
        is_refused = bool(candidates.reject_bits[k])
        color = REFUSED_COLOR if is_refused else _score_color(float(scores[k]) / best)
        points = _to_frame(xy[k], frame_SE3_ego, height_m=0.02 if is_refused else 0.05)
        width_m = 0.03 if is_refused else 0.08
        yield _Shape("candidates", k, _LINE_STRIP, color, width_m, points)


def _score_color(share: float) -> Color:
    """Return the colour of a score that is this share, 0..1, of the best one."""
    r, g, b, a = (
        low + share * (high - low) for low, high in zip(_WORST_COLOR, _BEST_COLOR, strict=True)
    )
    return r, g, b, a


def _state_shape(output: PlannerOutput, color: Color, frame_SE3_ego: FloatArray) -> _Shape:
    """Return the words above the vehicle."""
    x, y, z = (float(value) for value in frame_SE3_ego[:3, 3])
    words = f"{output.source.name}: {output.reason}" if output.reason else output.source.name
    return _Shape(
        namespace="state",
        number=0,
        kind=_TEXT_VIEW_FACING,
        color=color,
        width_m=0.8,
        points=np.zeros((0, 3)),
        position=(x, y, z + 3.0),
        text=shortened(words, _TEXT_BYTES),
    )


def _to_frame(xy: FloatArray, frame_SE3_ego: FloatArray, height_m: float) -> NDArray[np.float64]:
    """Return points [N, 2] of base_link in the markers' frame [N, 3], a little above the ground."""
    xyz = np.column_stack([xy, np.full(len(xy), height_m)])
    return xyz @ frame_SE3_ego[:3, :3].T + frame_SE3_ego[:3, 3]


def _footprints(states: FloatArray, vehicle: VehicleConfig) -> NDArray[np.float64]:
    """Return the vehicle's outline at each state [N, 7] as pairs of line ends [8 N, 2]."""
    half_m = 0.5 * vehicle.width_m
    front_m, rear_m = vehicle.front_m, -vehicle.rear_m
    corners = np.array([[front_m, half_m], [rear_m, half_m], [rear_m, -half_m], [front_m, -half_m]])
    ends = corners[[0, 1, 1, 2, 2, 3, 3, 0]]
    yaw = states[:, StateIndex.YAW]
    rotation = np.moveaxis(
        np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]), 2, 0
    )
    turned = ends @ rotation.transpose(0, 2, 1)  # [N, 8, 2]
    return (turned + states[:, None, :2]).reshape(-1, 2)


class _Base:
    """What all markers of a message share."""

    def __init__(self, make: MakeMessage, stamp: Message) -> None:
        """Make the parts that are the same in each marker once."""
        self._make = make
        none = np.zeros(0, np.uint8)
        no_header = header(make, 0, "")
        picture = make("sensor_msgs/msg/CompressedImage", header=no_header, format="", data=none)
        seconds, nanosec = divmod(LIFETIME_NS, 1_000_000_000)
        self._shared: dict[str, Any] = {
            "header": stamp,
            "lifetime": make("builtin_interfaces/msg/Duration", sec=seconds, nanosec=nanosec),
            "frame_locked": False,
            "colors": [],
            "texture_resource": "",
            "texture": picture,
            "uv_coordinates": [],
            "mesh_resource": "",
            "mesh_file": make("visualization_msgs/msg/MeshFile", filename="", data=none),
            "mesh_use_embedded_materials": False,
        }

    def marker(self, shape: _Shape, action: int = _ADD) -> Message:
        """Return visualization_msgs/Marker."""
        make = self._make
        x, y, z = shape.position
        r, g, b, a = shape.color
        pose = make(
            "geometry_msgs/msg/Pose",
            position=make("geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        )
        is_text = shape.kind == _TEXT_VIEW_FACING
        width_m = shape.width_m  # a line has its width in x, a text its height in z
        return make(
            "visualization_msgs/msg/Marker",
            ns=shape.namespace,
            id=shape.number,
            type=shape.kind,
            action=action,
            pose=pose,
            scale=make(
                "geometry_msgs/msg/Vector3",
                x=0.0 if is_text else width_m,
                y=0.0,
                z=width_m if is_text else 0.0,
            ),
            color=make("std_msgs/msg/ColorRGBA", r=r, g=g, b=b, a=a),
            points=[
                make("geometry_msgs/msg/Point", x=px, y=py, z=pz)
                for px, py, pz in shape.points.tolist()
            ],
            text=shape.text,
            **self._shared,
        )
