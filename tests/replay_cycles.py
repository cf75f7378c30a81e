"""A synthetic drive for tests of the replay page: cycles with candidates, pictures and points."""

import numpy as np

from diff_planner.data.replay_types import ReplayCycle, ReplaySummary
from diff_planner.geometry import constant_twist, se3_from_yaw
from diff_planner.types import (
    Candidates,
    FaultBit,
    InputHealth,
    PlannerOutput,
    PlannerState,
    RejectBit,
    Source,
    StateIndex,
    Trajectory,
)
from factories import STAMP_NS, make_camera, make_ego, make_planner_input, make_sweep

SPEED_MPS = 8.0
YAW_RATE_RADPS = 0.1
TIMES_S = np.arange(41) * 0.1


def make_states(speed_mps=SPEED_MPS, yaw_rate_radps=YAW_RATE_RADPS):
    """[41, 7] of an arc at constant speed."""
    states = np.zeros((41, len(StateIndex)))
    states[:, :3] = constant_twist(speed_mps, yaw_rate_radps, TIMES_S)
    states[:, StateIndex.SPEED] = speed_mps
    states[:, StateIndex.HEADING_RATE] = yaw_rate_radps
    return states


def make_candidates(count=12, *, selected=5):
    """A fan of arcs; the outer ones are refused, one is not finite."""
    rates = np.linspace(-0.35, 0.35, count)
    states = np.stack([make_states(yaw_rate_radps=rate) for rate in rates])
    bits = np.zeros(count, dtype=np.uint32)
    bits[np.abs(rates) > 0.25] = RejectBit.LAT_ACC | RejectBit.COLLISION
    states[0, 10:] = np.nan
    bits[0] = RejectBit.NONFINITE
    if selected < 0:
        bits[bits == 0] = RejectBit.COLLISION
    scores = np.exp(-np.abs(rates - YAW_RATE_RADPS)).astype(np.float32)
    return Candidates(
        states=states,
        scores_raw=scores,
        scores=scores / scores.sum(),
        reject_bits=bits,
        order=np.argsort(-scores),
        selected=selected,
    )


def make_pose(t_s):
    """odom_SE3_ego of the synthetic drive after `t_s`."""
    x, y, yaw = constant_twist(SPEED_MPS, YAW_RATE_RADPS, np.array([t_s]))[0]
    return se3_from_yaw(x, y, yaw)


def make_box_sweep():
    """Flat ground with a box of points ahead on the left."""
    x, y = np.meshgrid(np.arange(-30.0, 60.0, 0.8), np.arange(-30.0, 30.0, 0.8))
    ground = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    y, z = np.meshgrid(np.arange(4.0, 6.0, 0.1), np.arange(0.0, 1.6, 0.1))
    box = np.column_stack([np.full(y.size, 15.0), y.ravel(), z.ravel()])
    return make_sweep(np.concatenate([ground, box]))


def make_picture(height, width):
    """Sky, ground and a gradient, so that a decoded picture can be told from an empty one."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[: height // 2] = (150, 180, 210)
    image[height // 2 :] = (90, 90, 85)
    image[:, :, 1] += np.linspace(0, 40, width).astype(np.uint8)
    return image


def make_cycle(index, *, source=Source.DIFFUSION, period_s=0.1, cameras=("left", "front", "right")):
    """One cycle; a fallback one has refused candidates and the watchdog's none at all."""
    t_s = index * period_s
    stamp_ns = STAMP_NS + round(t_s * 1e9)
    yaws_deg = {"left": 55.0, "front": 0.0, "right": -55.0}
    pictures = {
        name: make_camera(
            name, make_picture(270, 480), yaw_deg=yaws_deg[name], hw=(270, 480), focal_px=260.0
        )
        for name in cameras
    }
    ego = make_ego(stamp_ns=stamp_ns, odom_SE3_ego=make_pose(t_s), vx_mps=SPEED_MPS)
    health = (
        InputHealth("lidar", "/lidar", True, 0.0, 0.06),
        InputHealth("front", "/front", "front" in cameras, 0.01, 0.06, reason="late <b>"),
    )
    planner_input = make_planner_input(
        stamp_ns=stamp_ns, ego=ego, cameras=pictures, lidar=make_box_sweep(), health=health
    )
    is_diffusion = source == Source.DIFFUSION
    output = PlannerOutput(
        trajectory=Trajectory(stamp_ns, source, make_states(SPEED_MPS if is_diffusion else 6.0)),
        odom_SE3_ego=ego.odom_SE3_ego,
        frame_id=ego.frame_id,
        plan_id=index,
        state=PlannerState.NOMINAL if is_diffusion else PlannerState.FALLBACK,
        faults=FaultBit.NONE if is_diffusion else FaultBit.INFEASIBLE,
        reason="" if is_diffusion else "no candidate passed: </script><b>12 of 12</b> refused",
        candidates=make_candidates(selected=5 if is_diffusion else -1),
        health=health,
        timing_ms={
            "decode": 3.0, "features": 4.0, "inference": 20.0 + index % 3, "refine": 2.0,
            "safety": 5.0, "total": 35.0 + index % 3,
        },
    )  # fmt: skip
    return ReplayCycle(index, stamp_ns, planner_input, output)


def make_watchdog_cycle(index, *, period_s=0.1):
    """A plan that no input led to: no pictures, no candidates, in base_link."""
    stamp_ns = STAMP_NS + round(index * period_s * 1e9)
    output = PlannerOutput(
        trajectory=Trajectory(stamp_ns, Source.EMERGENCY_STOP, make_states(0.0)),
        odom_SE3_ego=np.eye(4),
        frame_id="base_link",
        plan_id=index,
        state=PlannerState.FALLBACK,
        faults=FaultBit.INPUT_MISSING,
        reason="no cycle for 0.2 s: anchor 'lidar' is silent",
    )
    return ReplayCycle(index, stamp_ns, None, output)


def make_ego_path(cycles, *, period_s=0.1):
    """The driven poses of the synthetic drive, one for each cycle."""
    return [(STAMP_NS + round(i * period_s * 1e9), make_pose(i * period_s)) for i in range(cycles)]


def make_summary(**changes):
    values = {
        "bag": "drive.mcap",
        "bag_duration_s": 2.0,
        "cycles": 20,
        "anchors": 19,
        "complete_anchors": 18,
        "missed": 0,
        "watchdog": 1,
        "sources": {"DIFFUSION": 16, "HOLD_LAST": 3, "EMERGENCY_STOP": 1},
        "candidates": 228,
        "rejected": {"NONFINITE": 19, "LAT_ACC": 40, "COLLISION": 61},
        "candidates_without_diffusion": 36,
        "rejected_without_diffusion": {"COLLISION": 30, "LAT_ACC": 6, "NONFINITE": 3},
        "reasons": {"no candidate passed": 3, "anchor 'lidar' is silent": 1},
        "rate_hz": 10.0,
        "stage_ms": {
            "total": (36.0, 38.0, 40.0),
            "inference": (21.0, 23.0, 24.0),
            "decode": (3.0, 3.5, 4.0),
        },
        "model_name": "nano",
        "model_sha256": "ab" * 32,
        "is_trained": False,
        "training": "untrained: it returns its anchors",
        "backend": "openvino",
        "precision": "f32",
        "seed": 0,
        "config_yaml": "inputs:\n  period_s: 0.1\n",
        "command": "diff-planner replay drive.mcap",
        "wall_s": 1.0,
        "cpu_s": 1.2,
    }
    return ReplaySummary(**{**values, **changes})
