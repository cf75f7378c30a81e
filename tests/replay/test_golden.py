"""The plans of one second of the sample drive, held to those that were looked at and kept.

`make golden` (pytest with --update-golden) writes them anew after a change that was meant; look at
the page of `make demo` before keeping them.
"""

from pathlib import Path

import numpy as np
import pytest

from diff_planner.config import PlannerConfig
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.replay import Replay
from diff_planner.inference import load_backend
from diff_planner.planner import Planner
from diff_planner.resources import model_folder
from diff_planner.types import StateIndex

GOLDEN = Path(__file__).parents[1] / "golden" / "sample_plans.npz"
KEPT = [StateIndex.X, StateIndex.Y, StateIndex.YAW, StateIndex.SPEED]
# Plans of the untrained network do not depend on its arithmetic; what is left is the last digits of
# the least-squares fits, which differ between processors.
TOLERANCE = 1e-4


def plans_of(bag):
    backend = load_backend(model_folder("nano"), "openvino", threads=1)
    cycles = []
    with BagReader(bag) as reader:
        Replay(Planner(PlannerConfig(), backend), on_cycle=cycles.append).run(reader)
    backend.close()
    outputs = [cycle.output for cycle in cycles]
    return {
        "stamps_ns": np.array([cycle.stamp_ns for cycle in cycles]),
        "sources": np.array([int(output.source) for output in outputs]),
        "selected": np.array([output.candidates.selected for output in outputs]),
        "reject_bits": np.array([output.candidates.reject_bits for output in outputs]),
        "plans": np.array([output.trajectory.states[:, KEPT] for output in outputs]),
    }


def test_the_plans_of_the_sample_drive_are_those_that_were_kept(sample_bag, request):
    plans = plans_of(sample_bag)
    if request.config.getoption("--update-golden"):
        np.savez_compressed(GOLDEN, **plans)
        pytest.skip(f"--update-golden wrote {GOLDEN.name}")
    with np.load(GOLDEN) as kept:
        for name in ("stamps_ns", "sources", "selected", "reject_bits"):
            assert np.array_equal(plans[name], kept[name]), f"{name}: meant? then `make golden`"
        worst = np.abs(plans["plans"] - kept["plans"]).max()
    assert worst < TOLERANCE, f"plans moved by {worst:.2e} (m, rad, m/s): meant? then `make golden`"
