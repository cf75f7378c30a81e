"""The node at its real rate over DDS: the bench, shorter and with room for a busy machine."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.ros import dds
from node_speed import Bounds, measure_bag, measure_rig

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# The bench's bounds are for a machine that does nothing else; of the ages only the median says
# something on one that does.
BUSY = Bounds(0.85, most_rate_error=0.1)
MEDIAN_MS = 100.0


def assert_planned(figures):
    assert figures.missed(BUSY) == [], figures
    assert figures.input_to_output_ms[0] < MEDIAN_MS, figures
    assert figures.before_nominal < 50, figures


def test_the_sample_bag_is_planned_in_real_time(tmp_path):
    bag = tmp_path / "sample.mcap"
    make_sample_bag(bag)
    figures = measure_bag(bag, loops=2)
    assert_planned(figures)


@pytest.mark.realdata
def test_a_recorded_drive_is_planned_in_real_time(real_data):
    figures = measure_bag(real_data / "bags/kitti_drive_0001", loops=2)
    assert_planned(figures)


def test_a_raw_rig_is_planned():
    if problem := dds.check_shared_memory(processes=3).problem:
        pytest.skip(problem)
    figures = measure_rig(seconds=10.0)
    assert_planned(figures)
