"""TLC, traffic light compliance: does the ego's box touch a stretch of lane while it is red?"""

from __future__ import annotations

import numpy as np

from diff_planner.metrics.boxes import Boxes, meets_ring
from diff_planner.metrics.ego_track import EgoTrack
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.metrics.subscores import SubScores
from diff_planner.types import PLAN_DT_S, PLAN_POINTS

_TIMES_S = np.arange(PLAN_POINTS) * PLAN_DT_S
_TIME_TOLERANCE_S = 1e-6


def score_traffic_light(ego: EgoTrack, scene: PreparedScene) -> SubScores:
    """Return 1, or 0 where a red stretch is touched, for each proposal.

    Not evaluated where nobody recorded the lights.
    """
    if not scene.scene.are_red_lights_known:
        return SubScores.missing(len(ego), "the scene's traffic lights are not known")
    scores = np.ones(len(ego))
    x, y = ego.centre
    reach = float(np.hypot(0.5 * ego.vehicle.length_m, 0.5 * ego.vehicle.width_m))
    for index, light in enumerate(scene.scene.red_lights):
        low, high = scene.red_lights.low[index] - reach, scene.red_lights.high[index] + reach
        is_near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        is_before = light.t_on_s - _TIME_TOLERANCE_S > _TIMES_S
        is_after = light.t_off_s + _TIME_TOLERANCE_S < _TIMES_S
        is_near &= ~(is_before | is_after)
        is_near &= (scores > 0.0)[:, None]
        if is_near.any():
            boxes = Boxes(**{name: value[is_near] for name, value in vars(ego.boxes).items()})
            hit = meets_ring(boxes, scene.red_lights.rings[index])
            scores[np.nonzero(is_near)[0][hit]] = 0.0
    return SubScores(scores)
