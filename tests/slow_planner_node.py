"""The planner node's own program with a network that takes its time and says when it begins."""

import sys
import time

from diff_planner.inference import load_backend
from diff_planner.ros import model_service, planner_node
from faulty_backend import FaultyBackend

CYCLE_S = 0.06
BEGINS = "the network begins"


def load_slow_backend(*args):
    backend = FaultyBackend(load_backend(*args))

    def take_time(proposals):
        print(BEGINS, flush=True)
        time.sleep(CYCLE_S)
        return proposals

    backend.fault = take_time
    return backend


if __name__ == "__main__":
    model_service.load_backend = load_slow_backend
    sys.exit(planner_node.main())
