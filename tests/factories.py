"""Small valid values for tests; each takes what the test is about and fills in the rest."""

import numpy as np

from diff_planner.geometry import inverse_se3, se3
from diff_planner.scene.schema import (
    Agent,
    AgentClass,
    MapPolygon,
    PolygonType,
    RedLight,
    Scene,
    SceneEgo,
)
from diff_planner.types import (
    CameraCalibration,
    CameraFrame,
    EgoState,
    LidarSweep,
    NavCommand,
    PlannerInput,
)

STAMP_NS = 1_700_000_000_000_000_000


def make_ego(**changes):
    values = {
        "stamp_ns": STAMP_NS,
        "frame_id": "odom",
        "odom_SE3_ego": np.eye(4),
        "vx_mps": 8.0,
        "vy_mps": 0.0,
        "yaw_rate_radps": 0.0,
        "ax_mps2": 0.0,
        "ay_mps2": 0.0,
    }
    return EgoState(**{**values, **changes})


def make_calibration(
    yaw_deg=0.0,
    *,
    hw=(120, 200),
    focal_px=100.0,
    model="none",
    distortion=(),
    position_m=(1.6, 0.0, 1.5),
):
    """A camera at `position_m` of base_link that looks along `yaw_deg`, level."""
    yaw = np.deg2rad(yaw_deg)
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    ego_SE3_camera = se3(np.column_stack([right, down, forward]), position_m)
    height, width = hw
    return CameraCalibration(
        frame_id=f"camera_{yaw_deg:g}",
        width_px=width,
        height_px=height,
        intrinsics=np.array(
            [
                [focal_px, 0.0, 0.5 * (width - 1)],
                [0.0, focal_px, 0.5 * (height - 1)],
                [0.0, 0.0, 1.0],
            ]
        ),
        distortion_model=model,
        distortion=np.array(distortion, dtype=np.float64),
        camera_SE3_ego=inverse_se3(ego_SE3_camera),
    )


def make_camera(name="front", image=None, **calibration):
    calibrated = make_calibration(**calibration)
    if image is None:
        shape = (calibrated.height_px, calibrated.width_px, 3)
        image = np.full(shape, 128, dtype=np.uint8)
    return CameraFrame(name=name, stamp_ns=STAMP_NS, image=image, calibration=calibrated)


def make_triple(**calibration):
    """Cameras left, front and right, 55 degrees apart."""
    yaws_deg = {"left": 55.0, "front": 0.0, "right": -55.0}
    return {name: make_camera(name, yaw_deg=yaw, **calibration) for name, yaw in yaws_deg.items()}


def make_sweep(points=None):
    """A sweep of flat ground, or of the points given [N, 3]."""
    if points is None:
        x, y = np.meshgrid(np.arange(-20.0, 40.0), np.arange(-20.0, 20.0))
        points = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    return LidarSweep(stamp_ns=STAMP_NS, points=np.asarray(points, dtype=np.float32))


def make_planner_input(**changes):
    values = {
        "stamp_ns": STAMP_NS,
        "ego": make_ego(),
        "cameras": make_triple(),
        "lidar": make_sweep(),
        "nav_command": NavCommand.LANE_FOLLOW,
    }
    return PlannerInput(**{**values, **changes})


def make_scene(**changes):
    """A straight road along +x at 8 m/s, with a car 30 m ahead, all fields filled."""
    steps = np.arange(51) * 0.1
    car = np.zeros((51, 5))
    car[:, 0], car[:, 3] = 30.0 + 5.0 * steps, 5.0
    ring = np.array([[-50.0, -2.0], [200.0, -2.0], [200.0, 2.0], [-50.0, 2.0]])
    future = np.zeros((50, 3))
    future[:, 0] = 8.0 * steps[1:]
    values = {
        "token": "straight",
        "ego": SceneEgo(0.0, 0.0, 0.0, vx_mps=8.0),
        "agents": (Agent("car", AgentClass.VEHICLE, 4.5, 1.9, car, np.ones(51, dtype=np.bool_)),),
        "map_polygons": (
            MapPolygon(PolygonType.LANE, "lane", ring),
            MapPolygon(PolygonType.ROADBLOCK, "block", ring),
        ),
        "route_lane_ids": frozenset({"lane"}),
        "centerline": np.column_stack([np.arange(-50.0, 200.0), np.zeros((250, 2))]),
        "red_lights": (RedLight("light", ring[:3] + np.array([100.0, 0.0]), 0.0, 2.5),),
        "past": np.column_stack([8.0 * np.arange(-15, 1) / 10.0, np.zeros((16, 2))]),
        "past_times_s": np.arange(-15, 1) / 10.0,
        "past_motion": np.tile([8.0, 0.0, 0.0, 0.0, 0.0, 0.0], (16, 1)),
        "human": future,
        "human_times_s": steps[1:],
        "reference": np.column_stack([4.0 * np.arange(1, 9), np.zeros((8, 2))]),
        "log": "drive",
        "time_s": 1.5,
        "notes": {"ego": "made by hand"},
    }
    return Scene(**{**values, **changes})
