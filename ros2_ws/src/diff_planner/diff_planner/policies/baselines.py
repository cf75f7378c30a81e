"""Constant velocity, the logged human and the IDM driver, each as one proposal of eight poses.

A driver that a scene does not allow answers with a sentence instead of poses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diff_planner.errors import InputError
from diff_planner.policies.idm import idm_driver
from diff_planner.scene.future import PROPOSAL_TIMES_S, proposal_from_poses
from diff_planner.scene.schema import Scene
from diff_planner.types import HORIZON_STEPS

Array = NDArray[np.float64]


def constant_velocity(scene: Scene) -> Array | str:
    """Go straight on at the present speed: poses [8, 3], ego frame."""
    poses = np.zeros((HORIZON_STEPS, 3))
    poses[:, 0] = scene.ego.vx_mps * PROPOSAL_TIMES_S
    return poses


def logged_human(scene: Scene) -> Array | str:
    """Drive as the human did: the logged future each 0.5 s, linear between poses [8, 3]."""
    if scene.human is None or scene.human_times_s is None:
        return scene.notes.get("human", "the scene has no logged future")
    try:
        return proposal_from_poses(scene.ego.pose, scene.human_times_s, scene.human)
    except InputError as error:
        return f"the logged future is too short: {error}"


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
