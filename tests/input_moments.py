"""One moment of all inputs as messages, and what an assembler makes of it."""

import numpy as np

from diff_planner.config import InputsConfig, VehicleConfig
from diff_planner.data.assembler import InputAssembler
from message_factories import (
    STAMP_NS,
    make_acceleration,
    make_cloud,
    make_compressed,
    make_info,
    make_odometry,
    make_transforms,
)

MS = 1_000_000
NAMES = ("left", "front")
IMAGE = "/sensing/camera/{}/image_raw/compressed"
INFO = "/sensing/camera/{}/camera_info"
LIDAR, ODOMETRY = "/sensing/lidar/top/pointcloud", "/localization/kinematic_state"
ACCELERATION = "/localization/acceleration"
COMMAND, ROUTE = "/navigation/command", "/navigation/route"
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
UNIT = (0.0, 0.0, 0.0, 1.0)
POINTS = np.array([[10.0, 1.0, 0.5], [20.0, -2.0, 1.0]])
LIDAR_POSITION = np.array([1.0, 0.0, 2.0])
PICTURE = np.random.default_rng(0).integers(0, 255, (120, 200, 3), dtype=np.uint8)
TF_STATIC = make_transforms(
    ("base_link", "camera_left", (1.5, 0.5, 1.6), OPTICAL),
    ("base_link", "camera_front", (1.5, 0.0, 1.6), OPTICAL),
    ("base_link", "lidar", tuple(LIDAR_POSITION), UNIT),
)


def make_inputs(**changes):
    cameras = {n: {"image": IMAGE.format(n), "info": INFO.format(n)} for n in NAMES}
    return InputsConfig(**{"cameras": cameras, **changes})


def make_assembler(**changes):
    return InputAssembler(make_inputs(**changes), VehicleConfig())


def messages_at(stamp_ns=STAMP_NS, **changes):
    """Topic to message of one complete moment; `changes` by topic replace, None leaves out."""
    found = {"/tf_static": TF_STATIC, COMMAND: None, ROUTE: None}
    for name in NAMES:
        frame = {"stamp_ns": stamp_ns, "frame_id": f"camera_{name}"}
        found[INFO.format(name)] = make_info(**frame)
        found[IMAGE.format(name)] = make_compressed(PICTURE, **frame)
    found[ODOMETRY] = make_odometry(stamp_ns, vx=8.0)
    found[ACCELERATION] = make_acceleration(stamp_ns, ax=0.5)
    found[LIDAR] = make_cloud(POINTS, stamp_ns=stamp_ns)
    return {t: m for t, m in {**found, **changes}.items() if m is not None}


def run(assembler, messages, now_ns=STAMP_NS):
    """Feed one moment and return the cycles it gives, waiting as long as it takes."""
    found = []
    for topic, message in messages.items():
        assembler.add(topic, message, now_ns)
        found += assembler.take(now_ns)
    return found + assembler.take(now_ns + 500 * MS)


def one(changes=None, **config):
    (cycle,) = run(make_assembler(**config), messages_at(**(changes or {})))
    return cycle


def health_of(cycle, name):
    return next(entry for entry in cycle.health if entry.name == name)


def assert_absent(cycle, name, fault, sentence):
    entry = health_of(cycle, name)
    assert sentence in entry.reason
    assert f"{name}: {name}: " not in entry.reason
    assert entry.fault == fault
    assert cycle.faults & fault == fault
    assert not entry.is_present
    assert np.isnan(entry.age_s)


FRONT, FRONT_INFO = IMAGE.format("front"), INFO.format("front")


FRAME = {"frame_id": "camera_front"}
