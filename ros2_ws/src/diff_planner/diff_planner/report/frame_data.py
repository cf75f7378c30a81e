"""A frame as the page's script reads it: plain numbers and packed text."""

from __future__ import annotations

from typing import Any

import numpy as np

from diff_planner.config import PlannerConfig
from diff_planner.report.driven_path import DrivenPath
from diff_planner.report.frame import Frame, Picture, ground_runs
from diff_planner.report.packing import CM_PER_M, pack_int16
from diff_planner.report.wording import fault_sentences, reject_names
from diff_planner.types import Candidates, FloatArray, StateIndex, Trajectory

DISTANCE_AT_S = (1.0, 2.0, 4.0)
_SUBSTEPS = 4
"""Points put between two points of a line, so that it is cut close to a picture's edge."""


def frame_data(
    frame: Frame, path: DrivenPath, config: PlannerConfig, start_ns: int
) -> dict[str, Any]:
    """Return what the page needs to draw one frame."""
    output = frame.output
    # Without ego motion the plan stands in base_link itself and no driven path can be placed.
    is_placed = output.frame_id != config.inputs.base_frame
    no_path = (np.zeros(0), np.zeros((0, 3)))
    times, driven = path.around(frame.stamp_ns, output.odom_SE3_ego) if is_placed else no_path
    plan = output.trajectory
    half_width_m = 0.5 * config.vehicle.width_m
    return {
        "index": frame.index,
        "t_s": round((frame.stamp_ns - start_ns) / 1e9, 3),
        "stamp_ns": str(frame.stamp_ns),  # beyond 2^53: not a number in JavaScript
        "source": output.source.name,
        "state": output.state.name,
        "reason": output.reason,
        "faults": fault_sentences(output.faults),
        "missing": list(frame.missing),
        "speed_mps": None if frame.speed_mps is None else round(frame.speed_mps, 2),
        "plan": {
            "xy": pack_int16(plan.states[:, : StateIndex.YAW], CM_PER_M),
            "speed_mps": _finite(plan.states[:, StateIndex.SPEED]),
            "dt_s": plan.dt_s,
        },
        "candidates": _candidates(output.candidates),
        "points": frame.points,
        "obstacle_count": frame.obstacle_count,
        "driven": {
            "past": pack_int16(driven[times <= 0.01, :2], CM_PER_M),
            "future": pack_int16(driven[times >= -0.01, :2], CM_PER_M),
        },
        "distance_m": _distances(plan, times, driven),
        "cameras": {
            name: _picture(picture, plan, driven, half_width_m)
            for name, picture in frame.pictures.items()
        },
    }


def _candidates(candidates: Candidates | None) -> dict[str, Any] | None:
    if candidates is None:
        return None
    rank = np.empty(len(candidates.order), dtype=np.int64)
    rank[candidates.order] = np.arange(len(candidates.order))
    # Every second point (0.2 s) draws the same line at half the size.
    xy = candidates.states[:, ::2, : StateIndex.YAW]
    return {
        "xy": pack_int16(xy, CM_PER_M),
        "steps": xy.shape[1],
        "score": _finite(candidates.scores),
        "rank": (rank + 1).tolist(),
        "end_speed_mps": _finite(candidates.states[:, -1, StateIndex.SPEED]),
        "rejects": [reject_names(int(bits)) for bits in candidates.reject_bits],
        "selected": int(candidates.selected),
    }


def _distances(plan: Trajectory, times: FloatArray, driven: FloatArray) -> list[dict[str, float]]:
    """Return how far plan and drive lie apart after some seconds, where both reach."""
    rows = []
    for at_s in DISTANCE_AT_S:
        if not len(times) or at_s > times[-1] + 1e-6 or at_s > plan.times_s[-1] + 1e-6:
            continue
        planned = [np.interp(at_s, plan.times_s, plan.states[:, column]) for column in (0, 1)]
        real = [np.interp(at_s, times, driven[:, column]) for column in (0, 1)]
        distance = float(np.hypot(planned[0] - real[0], planned[1] - real[1]))
        if np.isfinite(distance):
            rows.append({"at_s": at_s, "distance_m": round(distance, 2)})
    return rows


def _picture(
    picture: Picture, plan: Trajectory, driven: FloatArray, half_width_m: float
) -> dict[str, Any]:
    return {
        "jpeg": picture.jpeg,
        "width": picture.width_px,
        "height": picture.height_px,
        "lidar": picture.lidar,
        "plan": ground_runs(picture, _ribbon(plan, half_width_m)),
        "driven": ground_runs(picture, [_dense(driven)]) if len(driven) > 1 else [],
    }


def _ribbon(plan: Trajectory, half_width_m: float) -> list[FloatArray]:
    """Return the two edges [N, 3] of the strip of ground that the vehicle's width sweeps."""
    x, y, yaw = (plan.states[:, column] for column in (StateIndex.X, StateIndex.Y, StateIndex.YAW))
    edges = []
    for side in (half_width_m, -half_width_m):
        edge = np.stack([x - side * np.sin(yaw), y + side * np.cos(yaw), np.zeros_like(x)], axis=1)
        edges.append(_dense(edge))
    return edges


def _dense(line: FloatArray) -> FloatArray:
    """Put points between the points of a line [N, 3]."""
    if len(line) < 2:
        return line
    at = np.linspace(0, len(line) - 1, (len(line) - 1) * _SUBSTEPS + 1)
    steps = np.arange(len(line))
    return np.stack([np.interp(at, steps, axis) for axis in line.T], axis=1)


def _finite(values: FloatArray) -> list[float | None]:
    return [round(float(v), 3) if np.isfinite(v) else None for v in values]
