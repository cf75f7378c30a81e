"""Messages of every type filled with values that tell the fields apart, without ROS."""

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from contract.source_tree import REPOSITORY

PACKAGE = REPOSITORY / "ros2_ws" / "src" / "diff_planner_msgs"
NAMES = sorted(path.stem for path in (PACKAGE / "msg").glob("*.msg"))


def full_name(name):
    return f"diff_planner_msgs/msg/{name}"


def make_typestore():
    """Jazzy's messages and ours, read from the .msg files."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for name in NAMES:
        text = (PACKAGE / "msg" / f"{name}.msg").read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, full_name(name)))
    store.register(types)
    return store


def constants(store, name, prefix=""):
    """The constants of a message whose name begins with `prefix`, without it."""
    found, _ = store.fielddefs[full_name(name)]
    return {key.removeprefix(prefix): value for key, _, value in found if key.startswith(prefix)}


def _number(kind, rng):
    if kind == "string":
        return f"text {rng.integers(1000)}"
    if kind == "bool":
        return bool(rng.integers(2))
    if kind.startswith("float"):
        # Exact in 32 bits, so that the value read is the value written.
        return float(np.float32(rng.normal()))
    limits = np.iinfo(kind)
    return int(rng.integers(limits.min, limits.max, dtype=kind, endpoint=True))


def _value(store, descriptor, rng):
    node, details = descriptor
    if node == Nodetype.BASE:
        return _number(details[0], rng)
    if node == Nodetype.NAME:
        return sample(store, details, rng)
    element, size = details
    count = size if node == Nodetype.ARRAY else 3
    values = [_value(store, element, rng) for _ in range(count)]
    if element[0] == Nodetype.BASE and element[1][0] != "string":
        return np.array(values, dtype=element[1][0])
    return values


def sample(store, name, rng):
    """A message of the type `name` (package/msg/Name); every field has a value of its own."""
    _, fields = store.fielddefs[name]
    values = {field: _value(store, descriptor, rng) for field, descriptor in fields}
    return store.types[name](**values)
