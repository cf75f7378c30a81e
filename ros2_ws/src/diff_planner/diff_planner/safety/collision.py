"""COLLISION: the swept vehicle meets what the LiDAR sees standing there, network or not.

Ground is taken off (`ground.py`); what stands above it at the height of a vehicle, and is more
than a stray return, is an obstacle; every pose of a plan is tested with the vehicle's box.

Obstacles are taken to stay where the sweep saw them.  One that moves along ahead is met only if the
plan reaches its present place within the horizon, that is, with a time gap below the horizon.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import SafetyConfig, VehicleConfig
from diff_planner.errors import InputError, MissingInputError
from diff_planner.geometry import constant_twist, inverse_se3, se3_from_yaw, transform_points
from diff_planner.safety.bits import bits_where
from diff_planner.safety.context import SafetyContext
from diff_planner.safety.ground import height_above_ground
from diff_planner.types import PLAN_DT_S, EgoState, LidarSweep, RejectBit, StateIndex

Array = NDArray[np.float64]

_CLUMP_CELL_M = 0.4
"""Returns within a cell of each other support one another."""
_FULL_SUPPORT_M = 10.0
"""Up to here an obstacle must have the configured number of returns; farther they thin out."""
_MIN_SUPPORT = 2
"""One return alone is noise at any range."""
_LOW_SHARE = 0.5
"""Returns from this share of the least height on count as support: the foot of a low thing."""
_THIN_CELL_M = 0.1
"""Of the obstacle returns in a cell one is tested; below the footprint's margin."""
_FARTHEST_M = 250.0
"""Farther than any plan reaches.  Some drivers report no return as a point kilometres away; a grid
that held it would not fit into memory."""
_POSE_SPACING_M = 0.3
"""Poses nearer to the last tested one than this are not tested."""


def check_collision(states: Array, context: SafetyContext) -> NDArray[np.uint32]:
    """Judge candidates [M, N, 7] against this cycle's sweep.

    Raises:
        MissingInputError: there is no sweep.  Nothing can pass a rule that sees nothing.
    """
    if context.lidar is None:
        raise MissingInputError("collision rule: expected a LiDAR sweep, got none")
    horizon = round(context.config.collision_horizon_s / PLAN_DT_S) + 1
    poses = states[:, :horizon, : StateIndex.YAW + 1]
    margin_m = context.config.collision_margin_m
    points = carried(context.lidar, context.ego, context.vehicle, margin_m).points
    obstacles = obstacle_points(points, context.vehicle, context.config)
    is_hit = _meets(poses, obstacles[:, :2], context.vehicle, context.config)
    return bits_where(is_hit, RejectBit.COLLISION)


def is_blocked(
    poses: Array, lidar: LidarSweep, vehicle: VehicleConfig, config: SafetyConfig
) -> bool:
    """Say whether the vehicle meets something on its way along poses.

    Args:
        poses: [N, 3] x, y, yaw of the rear axle at 0.1 s, in base_link at the sweep's stamp; only
            those within `collision_horizon_s` are looked at.
        lidar: one sweep.
        vehicle: its box.
        config: margins and thresholds.

    Raises:
        InputError: `poses` is not [N, 3] or not finite.
    """
    poses = np.asarray(poses, dtype=np.float64)
    if poses.ndim != 2 or poses.shape[1] != 3 or not np.isfinite(poses).all():
        raise InputError(f"collision rule: expected finite poses [N, 3], got {poses.shape}")
    horizon = round(config.collision_horizon_s / PLAN_DT_S) + 1
    obstacles = obstacle_points(lidar.points, vehicle, config)
    return bool(_meets(poses[None, :horizon], obstacles[:, :2], vehicle, config)[0])


def obstacle_points(
    points: NDArray[np.floating], vehicle: VehicleConfig, config: SafetyConfig
) -> Array:
    """Return the points [K, 3] of a sweep [N, 3] in base_link that belong to obstacles.

    Dropped are returns from the vehicle itself (its box and margin, any height), from the ground,
    from what the vehicle passes below, from beyond 250 m, and stray ones without enough others
    beside them.
    """
    others = np.asarray(points, dtype=np.float64)
    is_near = _within(others, -_FARTHEST_M, _FARTHEST_M)
    others = others[is_near & ~is_own(others, vehicle, config.collision_margin_m)]
    height = height_above_ground(others)
    is_above = (height >= _LOW_SHARE * config.obstacle_min_height_m) & (
        height <= config.obstacle_max_height_m
    )
    above, height = others[is_above], height[is_above]
    is_standing = height >= config.obstacle_min_height_m
    return above[is_standing & _is_supported(above, config.collision_min_points)]


def is_own(
    points: NDArray[np.floating], vehicle: VehicleConfig, margin_m: float
) -> NDArray[np.bool_]:
    """Say which points [N, 3] of base_link lie in the vehicle's box and margin, at any height.

    Nearer than the margin, returns from the own body cannot be told from others.
    """
    x, y = points[:, 0], points[:, 1]
    return np.asarray(
        (x > -vehicle.rear_m - margin_m)
        & (x < vehicle.front_m + margin_m)
        & (np.abs(y) < 0.5 * vehicle.width_m + margin_m)
    )


def _is_supported(points: Array, min_points: int) -> NDArray[np.bool_]:
    """Say which points [K, 3] have enough returns around them, themselves counted.

    The number of returns from one thing falls with the square of the distance; so does what is
    asked for, down to two.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.bool_)
    cell = np.floor(points[:, :2] / _CLUMP_CELL_M).astype(np.int64)
    cell -= cell.min(axis=0) - 1  # a free rim all around
    count = np.zeros(cell.max(axis=0) + 2, dtype=np.int64)
    np.add.at(count, (cell[:, 0], cell[:, 1]), 1)
    rows = count[:-2] + count[1:-1] + count[2:]
    around = np.zeros_like(count)
    around[1:-1, 1:-1] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    squared = np.maximum((points[:, :2] ** 2).sum(axis=1), _FULL_SUPPORT_M**2)
    needed = np.maximum(min_points * _FULL_SUPPORT_M**2 / squared, min(_MIN_SUPPORT, min_points))
    return np.asarray(around[cell[:, 0], cell[:, 1]] >= needed)


def carried(
    lidar: LidarSweep, ego: EgoState, vehicle: VehicleConfig, margin_m: float
) -> LidarSweep:
    """Return the sweep in base_link at the ego's stamp, by the ego's present twist.

    A camera may be the anchor, or the sweep an old one: a few hundredths of a second off is, at
    speed, more than the margin.  Returns from the own vehicle are dropped first: they move with it,
    and carried they would stand before its bumper.
    """
    elapsed_s = (ego.stamp_ns - lidar.stamp_ns) * 1e-9
    if elapsed_s == 0.0:
        return lidar
    pose = constant_twist(ego.speed_mps, ego.yaw_rate_radps, np.array([elapsed_s]))[0]
    stamp_SE3_sweep = inverse_se3(se3_from_yaw(*pose))
    others = lidar.points[~is_own(lidar.points, vehicle, margin_m)]
    points = transform_points(stamp_SE3_sweep, others.astype(np.float64))
    return LidarSweep(ego.stamp_ns, points.astype(np.float32), lidar.dropped_nonfinite)


def _meets(
    poses: Array, obstacles: Array, vehicle: VehicleConfig, config: SafetyConfig
) -> NDArray[np.bool_]:
    """Say for each row of poses [M, N, 3] whether the box there holds an obstacle [K, 2]."""
    half_length = 0.5 * vehicle.length_m + config.collision_margin_m
    half_width = 0.5 * vehicle.width_m + config.collision_margin_m
    radius = np.hypot(half_length, half_width)
    reach = radius + abs(vehicle.rear_axle_to_center_m)
    everywhere = poses[:, :, :2].reshape(-1, 2)
    thinned = _thinned(obstacles)
    if len(everywhere):  # what no plan comes near is looked at once, not by each plan
        near_any = _within(thinned, everywhere.min(axis=0) - reach, everywhere.max(axis=0) + reach)
        thinned = thinned[near_any]
    is_hit = np.zeros(len(poses), dtype=np.bool_)
    for row, plan in enumerate(poses):
        tested = _spaced(plan)
        forward = np.stack([np.cos(tested[:, 2]), np.sin(tested[:, 2])])  # [2, P]
        left = np.stack([-forward[1], forward[0]])
        centre = tested[:, :2].T + vehicle.rear_axle_to_center_m * forward
        low, high = centre.min(axis=1) - radius, centre.max(axis=1) + radius
        near = thinned[_within(thinned, low, high)]
        along = np.abs(near @ forward - (centre * forward).sum(axis=0))  # [K', P]
        across = np.abs(near @ left - (centre * left).sum(axis=0))
        is_hit[row] = ((along <= half_length) & (across <= half_width)).any()
    return is_hit


def _within(points: Array, low: float | Array, high: float | Array) -> NDArray[np.bool_]:
    """Say which points [K, >= 2] lie in a box of x and y, its border included.

    By columns: numpy's all(axis=1) over two columns takes several times longer.
    """
    (low_x, low_y), (high_x, high_y) = np.broadcast_to(low, 2), np.broadcast_to(high, 2)
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y))


def _spaced(plan: Array) -> Array:
    """Return those poses [P, 3] of a plan [N, 3] that are a little apart, first and last always."""
    way = np.cumsum(np.hypot(np.diff(plan[:, 0]), np.diff(plan[:, 1])))
    mark = np.floor(np.concatenate([[0.0], way]) / _POSE_SPACING_M)
    is_kept = np.ones(len(plan), dtype=np.bool_)
    is_kept[1:-1] = mark[1:-1] != mark[:-2]
    return plan[is_kept]


def _thinned(obstacles: Array) -> Array:
    """Return one obstacle [K', 2] of each small cell."""
    if len(obstacles) == 0:
        return obstacles
    cell = np.floor((obstacles - obstacles.min(axis=0)) / _THIN_CELL_M).astype(np.int64)
    key = cell[:, 0] * (int(cell[:, 1].max()) + 1) + cell[:, 1]
    return obstacles[np.unique(key, return_index=True)[1]]
