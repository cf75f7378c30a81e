"""The node in lock-step makes the plans of the offline replay: count, sources and numbers."""

import itertools
import json

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from diff_planner.cli import main
from diff_planner.commands.replay_ros import use_own_domain
from diff_planner.config import InputsConfig
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.sample_bag import make_sample_bag
from tampering import rewrite, shift_stamp

pytestmark = pytest.mark.ros

LIDAR = InputsConfig().lidar.topic
ODOMETRY = InputsConfig().odometry.topic
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def sample_bag(tmp_path_factory):
    """One second of the synthetic drive."""
    path = tmp_path_factory.mktemp("sample") / "sample.mcap"
    make_sample_bag(path, seed=0, duration_s=1.0)
    return path


@pytest.fixture
def own_domain(monkeypatch):
    """A random domain of this machine only; the environment is as before afterwards."""
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "")
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("RMW_FASTRTPS_USE_QOS_FROM_XML", "0")
    use_own_domain()


def plans_of(path):
    with BagReader(path) as reader:
        return [m.message for m in reader.messages(["/planning/trajectory"])]


def statuses_of(path):
    with BagReader(path) as reader:
        return [m.message for m in reader.messages(["/planning/status"])]


def stamp_of(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def told_in(bag):
    """What the statuses said."""
    return {(s.plan_id, s.state, s.fault_bits, s.reason) for s in statuses_of(bag)}


def numbers_of(plan):
    """[N, 11] every number of a plan's points."""
    return np.array([
        [p.pose.position.x, p.pose.position.y, p.pose.position.z,
         p.pose.orientation.x, p.pose.orientation.y, p.pose.orientation.z, p.pose.orientation.w,
         p.longitudinal_velocity_mps, p.acceleration_mps2, p.heading_rate_rps,
         p.front_wheel_angle_rad]
        for p in plan.points
    ])  # fmt: skip


def replay_both(bag, folder, *options):
    """Replay offline and through the node; return the two bags of plans."""
    offline, node = folder / "offline.mcap", folder / "node.mcap"
    ros = ["--ros", "--with-node", "--lock-step", "--json", str(folder / "node.json")]
    words = [str(option) for option in options]
    assert main(["replay", str(bag), "--out", str(offline), *words]) == 0
    assert main(["replay", str(bag), "--out", str(node), *ros, *words]) == 0
    return offline, node


def assert_same_plans(offline, node):
    ours, theirs = plans_of(offline), plans_of(node)
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert (b.plan_id, stamp_of(b), b.source) == (a.plan_id, stamp_of(a), a.source)
        assert b.header.frame_id == a.header.frame_id
        assert np.abs(numbers_of(b) - numbers_of(a)).max() <= TOLERANCE
    assert told_in(offline) <= told_in(node)
    return theirs


def test_the_sample_drive_gives_the_plans_of_the_offline_replay(sample_bag, tmp_path, own_domain):
    plans = assert_same_plans(*replay_both(sample_bag, tmp_path))
    assert len(plans) == 10
    figures = json.loads((tmp_path / "node.json").read_text())
    assert figures["planned_share"] == 1.0
    assert figures["lost_plans"] == 0


def test_a_drive_with_faults_gives_the_same_fallbacks(sample_bag, tmp_path, own_domain):
    """The LiDAR is gone for 0.5 s, and the odometry of 0.2 s comes with the stamps of before."""
    sweeps, odometries = itertools.count(), itertools.count()

    def change(topic, message, log_time_ns):
        if topic == LIDAR and 3 <= next(sweeps) < 8:
            return []
        if topic == ODOMETRY and 10 <= next(odometries) < 20:
            shift_stamp(message, -300_000_000)
        return [(topic, message, log_time_ns)]

    bag = rewrite(sample_bag, tmp_path / "faulty.mcap", change)
    plans = assert_same_plans(*replay_both(bag, tmp_path))
    assert len({plan.source for plan in plans}) >= 2


def test_a_part_of_a_drive_gives_the_same_plans(sample_bag, tmp_path, own_domain):
    options = ["--start", "0.35", "--duration", "0.4", "--seed", "5"]
    plans = assert_same_plans(*replay_both(sample_bag, tmp_path, *options))
    assert len(plans) == 4


def test_a_second_loop_of_the_bag_gives_the_plans_of_the_first(sample_bag, tmp_path, own_domain):
    """The clock jumps back, and the node forgets what it knew."""
    path = tmp_path / "plans.mcap"
    ros = ["--ros", "--with-node", "--lock-step", "--loops", "2"]
    figures = tmp_path / "figures.json"
    words = ["replay", str(sample_bag), "--out", str(path), *ros, "--json", str(figures)]
    assert main(words) == 0
    assert json.loads(figures.read_text())["lost_plans"] == 0
    plans = sorted(plans_of(path), key=lambda plan: plan.plan_id)
    assert [plan.plan_id for plan in plans] == list(range(1, 21))
    first, second = plans[:10], plans[10:]
    for a, b in zip(first, second, strict=True):
        assert (stamp_of(a), a.source) == (stamp_of(b), b.source)
        assert np.abs(numbers_of(b) - numbers_of(a)).max() <= TOLERANCE


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count"), [("kitti_drive_0001", 108), ("nuscenes_scene_0006", 40)]
)
def test_a_recorded_drive_gives_the_plans_of_the_offline_replay(
    real_data, name, count, tmp_path, own_domain
):
    plans = assert_same_plans(*replay_both(real_data / "bags" / name, tmp_path))
    assert len(plans) == count
