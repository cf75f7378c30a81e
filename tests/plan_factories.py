"""A planner's output for tests of what is made of it, and the way through CDR."""

import numpy as np

from diff_planner.data.typestore import typestore
from diff_planner.geometry import rotation_from_quaternion, se3
from diff_planner.types import (
    Candidates,
    FaultBit,
    PlannerOutput,
    PlannerState,
    RejectBit,
    Source,
    StateIndex,
    Trajectory,
)
from factories import STAMP_NS


def make_output(**changes):
    times = np.arange(41) * 0.1
    states = np.zeros((41, 7))
    states[:, StateIndex.X] = 5.0 * times
    states[:, StateIndex.Y] = 0.1 * times**2
    states[:, StateIndex.YAW] = 0.04 * times
    states[:, StateIndex.SPEED] = 5.0
    states[:, StateIndex.CURVATURE] = 0.008
    states[:, StateIndex.HEADING_RATE] = 0.04
    # A pose with roll, pitch and yaw: the frame of a real localisation.
    odom_SE3_ego = se3(rotation_from_quaternion(0.05, -0.03, 0.6, 0.8), [700.0, 1400.0, 3.0])
    candidates = Candidates(
        states=np.stack([states, states + 1.0]),
        scores_raw=np.array([1.0, 2.0], np.float32),
        scores=np.array([0.3, 0.7], np.float32),
        reject_bits=np.array([0, RejectBit.COLLISION | RejectBit.JERK], np.uint32),
        order=np.array([1, 0]),
        selected=0,
    )
    values = {
        "trajectory": Trajectory(STAMP_NS, Source.DIFFUSION, states),
        "odom_SE3_ego": odom_SE3_ego,
        "frame_id": "map",
        "plan_id": 7,
        "state": PlannerState.NOMINAL,
        "faults": FaultBit.NONE,
        "reason": "",
        "candidates": candidates,
    }
    return PlannerOutput(**{**values, **changes})


def through_cdr(message):
    name = message.__msgtype__
    return typestore().deserialize_cdr(typestore().serialize_cdr(message, name), name)
