"""The message files by themselves: they parse, come back as written, agree with types.py."""

import re

import numpy as np
import pytest

from diff_planner import types
from diff_planner.data.encode_status import HealthState
from msgs.samples import NAMES, PACKAGE, constants, full_name, make_typestore, sample

# Autoware's TrajectoryPoint, field for field: a bridge is a rename.
TRAJECTORY_POINT = [
    ("time_from_start", "builtin_interfaces/Duration"),
    ("pose", "geometry_msgs/Pose"),
    ("longitudinal_velocity_mps", "float32"),
    ("lateral_velocity_mps", "float32"),
    ("acceleration_mps2", "float32"),
    ("heading_rate_rps", "float32"),
    ("front_wheel_angle_rad", "float32"),
    ("rear_wheel_angle_rad", "float32"),
]
FIELD = re.compile(r"^([\w/]+(?:<=\d+)?(?:\[[^\]]*\])?)\s+([a-z]\w*)\s*$")
# Scalars without a unit: names, counts, shares, flags, identifiers.
UNITLESS = {
    "confidence",
    "drop_ratio",
    "score",
    "score_raw",
    "states",
}


@pytest.fixture(scope="module")
def store():
    return make_typestore()


def definition_files():
    return sorted([*PACKAGE.glob("msg/*.msg"), *PACKAGE.glob("srv/*.srv")])


def fields_of(path):
    """Yield (type, name, is commented) of each field; a comment covers the lines right below it."""
    is_commented = False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            is_commented = True
        elif not line.strip() or line == "---":
            is_commented = False
        elif match := FIELD.match(line):
            yield match[1], match[2], is_commented


@pytest.mark.parametrize("name", NAMES)
def test_a_message_comes_back_as_it_was_written(store, name):
    message = sample(store, full_name(name), np.random.default_rng(7))
    data = store.serialize_cdr(message, full_name(name))
    again = store.serialize_cdr(store.deserialize_cdr(data, full_name(name)), full_name(name))
    assert bytes(again) == bytes(data)
    assert repr(store.deserialize_cdr(data, full_name(name))) == repr(message)


@pytest.mark.parametrize(
    ("enumeration", "message", "prefix"),
    [
        (types.Source, "Trajectory", "SOURCE_"),
        (types.RejectBit, "CandidateSet", "REJECT_"),
        (types.PlannerState, "PlannerStatus", "STATE_"),
        (types.FaultBit, "PlannerStatus", "FAULT_"),
        (types.NavCommand, "NavCommand", ""),
        (HealthState, "InputHealth", "STATE_"),
    ],
)
def test_constants_equal_the_enumerations_of_the_core(store, enumeration, message, prefix):
    members = {
        name: int(value) for name, value in enumeration.__members__.items() if name != "NONE"
    }
    assert constants(store, message, prefix) == members


def test_trajectory_point_is_autowares_field_for_field():
    fields = [(name, kind) for kind, name, _ in fields_of(PACKAGE / "msg" / "TrajectoryPoint.msg")]
    assert fields == TRAJECTORY_POINT


def test_every_message_for_one_moment_begins_with_a_header(store):
    without = {"InputHealth", "Object", "TrafficLight", "TrajectoryPoint"}
    first = {name: store.fielddefs[full_name(name)][1][0][0] for name in NAMES}
    assert {name for name, field in first.items() if field != "header"} == without


@pytest.mark.parametrize("path", definition_files(), ids=lambda path: path.stem)
def test_every_field_is_explained(path):
    bare = [name for _, name, is_commented in fields_of(path) if not is_commented]
    assert not bare


@pytest.mark.parametrize("path", definition_files(), ids=lambda path: path.stem)
def test_every_real_number_carries_its_unit_in_its_name(path):
    units = ("_m", "_s", "_ms", "_mps", "_mps2", "_rad", "_rps", "_radps", "_hz")
    bare = [
        name
        for kind, name, _ in fields_of(path)
        if kind.startswith("float") and name not in UNITLESS and not name.endswith(units)
    ]
    assert not bare
