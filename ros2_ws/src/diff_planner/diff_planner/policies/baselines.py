"""Constant velocity, the logged human and the IDM driver, each as one proposal of eight poses.

A driver that a scene does not allow answers with a sentence instead of poses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diff_planner.geometry import poses_seen_from
from diff_planner.policies.idm import idm_driver
from diff_planner.scene.schema import Scene
from diff_planner.types import HORIZON_STEPS, NETWORK_DT_S

Array = NDArray[np.float64]
TIMES_S = np.arange(1, HORIZON_STEPS + 1) * NETWORK_DT_S
"""[8] when the poses of a proposal are reached."""


def constant_velocity(scene: Scene) -> Array | str:
    """Go straight on at the present speed: poses [8, 3], ego frame."""
    poses = np.zeros((HORIZON_STEPS, 3))
    poses[:, 0] = scene.ego.vx_mps * TIMES_S
    return poses


def logged_human(scene: Scene) -> Array | str:
    """Drive as the human did: the logged future each 0.5 s, linear between poses [8, 3]."""
    if scene.human is None or scene.human_times_s is None:
        return scene.notes.get("human", "the scene has no logged future")
    if scene.human_times_s[-1] < TIMES_S[-1] - 1e-9:
        return (
            f"the logged future ends after {scene.human_times_s[-1]:.1f} s, "
            f"{TIMES_S[-1]:.1f} s are needed"
        )
    times_s = np.concatenate([[0.0], scene.human_times_s])
    poses = np.concatenate([scene.ego.pose[None], scene.human])
    poses[:, 2] = np.unwrap(poses[:, 2])
    resampled = np.stack([np.interp(TIMES_S, times_s, poses[:, k]) for k in range(3)], axis=-1)
    return poses_seen_from(scene.ego.pose, resampled)


def with_reference(scene: Scene) -> Scene:
    """Give a scene without a reference the IDM driver's plan as one, and note it.

    Progress is then measured against this plan: compare such scores with our own numbers only.
    """
    if scene.reference is not None:
        return scene
    plan = idm_driver(scene)
    if isinstance(plan, str):
        return replace(scene, notes={**scene.notes, "reference": f"none: {plan}"})
    notes = {**scene.notes, "reference": "the plan of the IDM driver along the centreline"}
    return replace(scene, reference=plan, notes=notes)


BASELINES: dict[str, Callable[[Scene], Array | str]] = {
    "constant_velocity": constant_velocity,
    "human": logged_human,
    "idm": idm_driver,
}
"""By the name that tables and results carry."""
