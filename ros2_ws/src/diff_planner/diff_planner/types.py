"""The values that cross module borders: what goes into a planning cycle and what comes out.

Everything is a frozen value of numpy arrays and plain numbers, checked where it is made.
Frames: `base_link` is the rear axle on the ground, x forward, y left, yaw counter-clockwise
(REP-103, REP-105).  Time: integer nanoseconds.  Transforms are named `dst_SE3_src`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import ContractError, InputError

FloatArray = NDArray[np.floating]
Message: TypeAlias = Any
"""A ROS message, of rosbags or of rclpy: both have the fields of the .msg file as attributes."""
HORIZON_STEPS = 8
"""T: poses that the network gives, one each 0.5 s (4 s)."""
NETWORK_DT_S = 0.5
PLAN_DT_S = 0.1
"""Spacing of a published plan; point 0 is t = 0 at the stamp."""
PLAN_POINTS = 41
ROUTE_POINTS = 20


class NavCommand(enum.IntEnum):
    """What the route asks for next; values as in diff_planner_msgs/NavCommand."""

    UNKNOWN = 0
    LANE_FOLLOW = 1
    STRAIGHT = 2
    LEFT = 3
    RIGHT = 4
    CHANGE_LEFT = 5
    CHANGE_RIGHT = 6
    STOP = 7


class Source(enum.IntEnum):
    """Who made a plan; values as in diff_planner_msgs/Trajectory."""

    UNKNOWN = 0
    DIFFUSION = 1
    HOLD_LAST = 2
    FALLBACK_STOP = 3
    EMERGENCY_STOP = 4
    REPLAY = 5


class PlannerState(enum.IntEnum):
    """The state that the status message carries."""

    UNKNOWN = 0
    UNCONFIGURED = 1
    BUILDING_ENGINE = 2
    WARMING_UP = 3
    WAITING_INPUT = 4
    NOMINAL = 5
    DEGRADED = 6
    FALLBACK = 7
    ESTOP = 8
    FAULT = 9


class RejectBit(enum.IntFlag):
    """Why a candidate was refused; values as in diff_planner_msgs/CandidateSet."""

    NONFINITE = 1
    CURVATURE = 2
    LAT_ACC = 4
    LON_ACC = 8
    JERK = 16
    STEER_RATE = 32
    DISCONTINUITY = 64
    TOO_SHORT = 128
    REVERSE = 256
    COLLISION = 512
    OFF_ROAD = 1024


class FaultBit(enum.IntFlag):
    """What is wrong with a cycle; values as in diff_planner_msgs/PlannerStatus."""

    NONE = 0
    INPUT_MISSING = 1
    INPUT_STALE = 2
    SYNC = 4
    TF = 8
    CAMERA_INFO = 16
    NONFINITE_IN = 32
    NONFINITE_OUT = 64
    INFEASIBLE = 128
    DISCONTINUOUS = 256
    DEADLINE = 512
    MODEL = 1024
    GPU = 2048
    QOS = 4096
    CLOCK_JUMP = 8192
    ESTOP_INPUT = 16384
    STAMP_ESTIMATED = 32768


class StateIndex(enum.IntEnum):
    """Columns of `Trajectory.states`."""

    X = 0
    Y = 1
    YAW = 2
    SPEED = 3
    ACCELERATION = 4
    CURVATURE = 5
    HEADING_RATE = 6


STATE_LAYOUT = "x,y,yaw,v,a,kappa,yaw_rate"
"""Names of the columns above, as CandidateSet carries them (m, m, rad, m/s, m/s2, 1/m, rad/s)."""


def _require_shape(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    wrong = array.ndim != len(shape) or any(
        want is not None and want != got for want, got in zip(shape, array.shape, strict=False)
    )
    if wrong:
        wanted = tuple("any" if want is None else want for want in shape)
        raise InputError(f"{name}: expected shape {wanted}, got {array.shape}")


@dataclass(frozen=True)
class CameraCalibration:
    """A pinhole or fisheye camera: how a point of `base_link` falls on its picture."""

    frame_id: str
    width_px: int
    height_px: int
    intrinsics: FloatArray
    """K [3, 3], px, for a picture of width_px x height_px."""
    distortion_model: str
    """none, plumb_bob (also with k3), rational_polynomial or equidistant (fisheye)."""
    distortion: FloatArray
    """[D] coefficients in OpenCV's order; empty for "none"."""
    camera_SE3_ego: FloatArray
    """[4, 4]: base_link to the optical frame (z forward, x right, y down)."""

    def __post_init__(self) -> None:
        """Check shapes."""
        _require_shape("CameraCalibration.intrinsics", self.intrinsics, (3, 3))
        _require_shape("CameraCalibration.camera_SE3_ego", self.camera_SE3_ego, (4, 4))


@dataclass(frozen=True)
class CameraFrame:
    """One picture of one camera."""

    name: str
    stamp_ns: int
    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    calibration: CameraCalibration

    def __post_init__(self) -> None:
        """Check shape and type."""
        _require_shape(f"camera {self.name}: image", self.image, (None, None, 3))
        if self.image.dtype != np.uint8:
            raise InputError(f"camera {self.name}: expected uint8 pixels, got {self.image.dtype}")


@dataclass(frozen=True)
class LidarSweep:
    """One sweep, in base_link at the sweep's stamp; finite points only."""

    stamp_ns: int
    points: NDArray[np.float32]
    """[N, 3] x, y, z in metres."""
    dropped_nonfinite: int = 0
    """Points of the message that were NaN or infinite and are not in `points` (REP-117)."""

    def __post_init__(self) -> None:
        """Check shape."""
        _require_shape("LidarSweep.points", self.points, (None, 3))


@dataclass(frozen=True)
class EgoState:
    """Motion of base_link at `stamp_ns`."""

    stamp_ns: int
    frame_id: str
    """The odometry's frame (`odom` or `map`)."""
    odom_SE3_ego: FloatArray
    """[4, 4] float64 pose of base_link in `frame_id`."""
    vx_mps: float
    vy_mps: float
    yaw_rate_radps: float
    ax_mps2: float
    ay_mps2: float
    is_acceleration_derived: bool = False
    """True when no acceleration came in and it was differentiated from odometry."""

    def __post_init__(self) -> None:
        """Check shape and that every number is finite."""
        _require_shape("EgoState.odom_SE3_ego", self.odom_SE3_ego, (4, 4))
        numbers = [self.vx_mps, self.vy_mps, self.yaw_rate_radps, self.ax_mps2, self.ay_mps2]
        if not (np.isfinite(self.odom_SE3_ego).all() and np.isfinite(numbers).all()):
            raise InputError(f"ego state at {self.stamp_ns} ns is not finite: {numbers}")

    @property
    def speed_mps(self) -> float:
        """Signed speed along x; reverse is negative."""
        return self.vx_mps


@dataclass(frozen=True)
class Route:
    """Where to go: points of the route ahead."""

    points: FloatArray
    """[P, 2] x, y in base_link at the cycle's stamp, ordered along the route."""

    def __post_init__(self) -> None:
        """Check shape."""
        _require_shape("Route.points", self.points, (None, 2))


@dataclass(frozen=True)
class InputHealth:
    """What the synchronizer found of one input in one cycle."""

    name: str
    topic: str
    is_present: bool
    age_s: float
    """Stamp distance to the anchor (positive: older); NaN when absent."""
    max_age_s: float
    fault: FaultBit = FaultBit.NONE
    reason: str = ""
    received: int = 0
    """Messages since start."""
    dropped: int = 0
    """Of these, messages that were late, doubled or could not be used."""
    rate_hz: float = -1.0
    """From stamps over the last seconds; -1 where nobody measures it."""
    expected_rate_hz: float = -1.0
    """From the configuration; -1 where nothing is expected."""


@dataclass(frozen=True)
class PlannerInput:
    """All that one cycle sees; a missing sensor is absent here and named in `health`."""

    stamp_ns: int
    """The anchor sensor's stamp; the plan carries it."""
    ego: EgoState
    """Motion at `stamp_ns` (odometry nearest to the stamp, carried to it)."""
    cameras: Mapping[str, CameraFrame]
    """By configured camera name."""
    lidar: LidarSweep | None
    nav_command: NavCommand = NavCommand.UNKNOWN
    route: Route | None = None
    health: tuple[InputHealth, ...] = ()
    faults: FaultBit = FaultBit.NONE


@dataclass(frozen=True)
class ModelInputs:
    """What the network reads; contracts.md, "Model inputs"."""

    camera: NDArray[np.uint8]
    """[3, H, W] RGB."""
    lidar: NDArray[np.uint8]
    """[C, 256, 256] counts 0..5; first axis grows with x, second with y."""
    status: NDArray[np.float32]
    """[S] command one-hot, vx, vy, ax, ay."""
    route: NDArray[np.float32]
    """[20, 2] metres in base_link."""
    route_mask: NDArray[np.float32]
    """[20] 1 where `route` holds a point."""
    camera_mask: NDArray[np.float32]
    """[3] 1 where that third of the picture (left, front, right) was seen by a camera."""
    lidar_mask: NDArray[np.float32]
    """[1] 1 when there was a sweep."""

    def as_dict(self) -> dict[str, NDArray[np.generic]]:
        """Return the tensors by their contract name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Proposals:
    """What the network gives: M trajectories in base_link at the stamp."""

    poses: NDArray[np.float32]
    """[M, T, 3] x, y, yaw at 0.5 s steps, the first at t = 0.5 s."""
    scores: NDArray[np.float32]
    """[M] raw logits; higher is better."""

    def __post_init__(self) -> None:
        """Check shapes.  Values may be non-finite: the safety rules judge them."""
        shape_ok = self.poses.ndim == 3 and self.poses.shape[1:] == (HORIZON_STEPS, 3)
        if not shape_ok or self.scores.shape != self.poses.shape[:1]:
            raise ContractError(
                f"proposals: expected poses [M, {HORIZON_STEPS}, 3] and scores [M], "
                f"got {self.poses.shape} and {self.scores.shape}"
            )


@dataclass(frozen=True)
class Trajectory:
    """A plan in base_link at `stamp_ns`: point k is at t = k * dt_s, point 0 at the stamp."""

    stamp_ns: int
    source: Source
    states: NDArray[np.float64]
    """[N, 7] columns of `StateIndex`; poses of the rear axle."""
    dt_s: float = PLAN_DT_S

    def __post_init__(self) -> None:
        """Check shape."""
        _require_shape("Trajectory.states", self.states, (None, len(StateIndex)))

    @property
    def times_s(self) -> NDArray[np.float64]:
        """[N] seconds after the stamp."""
        return np.arange(len(self.states), dtype=np.float64) * self.dt_s


@dataclass(frozen=True)
class Candidates:
    """Every proposal of a cycle with what was thought of it."""

    states: NDArray[np.float64]
    """[M, N, 7] refined to 0.1 s, base_link at the stamp."""
    scores_raw: NDArray[np.float32]
    """[M] logits of the network."""
    scores: NDArray[np.float32]
    """[M] softmax of the logits, 0..1."""
    reject_bits: NDArray[np.uint32]
    """[M] `RejectBit`s; 0 passed."""
    order: NDArray[np.int64]
    """[M] indices, preferred first."""
    selected: int = -1
    """Index of the chosen one, -1 for none."""


@dataclass(frozen=True)
class PlannerOutput:
    """One labelled plan and why it is this one.  `timing_ms` is the only wall-clock figure."""

    trajectory: Trajectory
    odom_SE3_ego: FloatArray
    """[4, 4] pose of base_link in `frame_id` at the stamp, to carry the plan there."""
    frame_id: str
    plan_id: int
    state: PlannerState
    faults: FaultBit
    reason: str
    candidates: Candidates | None = None
    health: tuple[InputHealth, ...] = ()
    seed: int = 0
    timing_ms: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def source(self) -> Source:
        """Who made the plan."""
        return self.trajectory.source
