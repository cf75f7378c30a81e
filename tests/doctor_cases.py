"""Spoil a rig of rig_bags, and read what the doctor says of it."""

import dataclasses
import re

from diff_planner.data import doctor
from rig_bags import change, restamped, stamp_of, write_rig


def examine(rig, tmp_path, config=None):
    return doctor.examine(write_rig(rig, tmp_path / "bag.mcap"), config)


def said(report, level, pattern):
    """Return whether a finding of this level matches; show all of them when not."""
    texts = [finding.text for finding in report.of_level(level)]
    found = [text for text in texts if re.search(pattern, text)]
    assert found, f"no {level.value} says {pattern!r}:\n{doctor.render(report)}"
    return True


def restamp(rig, topic, stamp_of_message):
    """Replace stamps by `stamp_of_message(index, stamp_ns)`; log times stay."""
    change(rig, topic, lambda i, t, m: (t, restamped(m, stamp_of_message(i, stamp_of(m)))))


def replace_messages(rig, topic, **fields):
    change(rig, topic, lambda _, t, m: (t, dataclasses.replace(m, **fields)))
