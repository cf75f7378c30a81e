"""The health of inputs while there is no cycle: asked for on the watchdog's thread."""

import pytest

from diff_planner.config import StreamConfig
from diff_planner.data.input_health import presence
from diff_planner.data.synchronizer import Counts


class Arriving(Counts):
    """Its first message comes between two looks at it."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name == "newest_ns" and value is None:
            self.received += 1
            self.note(5_000_000_000)
        return value


@pytest.mark.parametrize("others", [{}, {"lidar": Counts()}])
def test_a_message_that_comes_while_the_health_is_told_does_no_harm(others):
    counts = {"odometry": Arriving(), **others}
    streams = {name: StreamConfig(topic=f"/{name}") for name in counts}
    first, second = presence(streams, counts, {}), presence(streams, counts, {})
    assert first[0].age_s == -1.0
    assert second[0].age_s == 0.0
    assert second[0].is_present
