"""Matching by stamp: nearest within tolerance, waiting, order, duplicates and clock jumps."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff_planner.data.synchronizer import Counts, Synchronizer

MS = 1_000_000
S = 1_000 * MS
T0 = 1_000 * S
STREAMS = {"camera": 60 * MS, "odometry": 60 * MS}
LEAD_MS = 250


def make(wait_ms=50, period_ms=100, streams=None):
    return Synchronizer("lidar", streams or STREAMS, wait_ms * MS, period_ms * MS, LEAD_MS * MS)


def feed(synchronizer, *events):
    """Push (stream, stamp ms after T0, arrival ms after T0) and return what comes out."""
    found = []
    for stream, stamp_ms, now_ms in events:
        stamp_ns, now_ns = T0 + stamp_ms * MS, T0 + now_ms * MS
        synchronizer.push(stream, stamp_ns, f"{stream}@{stamp_ms}", now_ns)
        found += drain(synchronizer, now_ns)
    return found


def drain(synchronizer, now_ns):
    found = []
    while (match := synchronizer.take(now_ns)) is not None:
        found.append(match)
    return found


def payloads(match):
    return {name: sample and sample.payload for name, sample in match.samples.items()}


def test_the_nearest_message_of_each_stream_is_matched():
    (match,) = feed(
        make(),
        ("camera", -40, 0),
        ("odometry", -10, 1),
        ("lidar", 0, 2),
        ("odometry", 5, 6),
        ("camera", 10, 12),
    )
    assert match.stamp_ns == T0
    assert payloads(match) == {"lidar": "lidar@0", "camera": "camera@10", "odometry": "odometry@5"}


def test_of_two_equally_near_messages_the_older_one_is_taken():
    (match,) = feed(
        make(streams={"camera": 60 * MS}), ("camera", -10, 0), ("lidar", 0, 1), ("camera", 10, 11)
    )
    assert payloads(match)["camera"] == "camera@-10"


def test_a_message_outside_of_the_tolerance_is_not_matched():
    (match,) = feed(
        make(), ("camera", -61, 0), ("lidar", 0, 1), ("odometry", 0, 2), ("camera", 61, 62)
    )
    assert payloads(match) == {"lidar": "lidar@0", "camera": None, "odometry": "odometry@0"}


def test_a_cycle_waits_for_the_other_streams_but_no_longer_than_told():
    synchronizer = make(wait_ms=50)
    assert feed(synchronizer, ("camera", -5, 0), ("lidar", 0, 10), ("odometry", 3, 20)) == []
    assert synchronizer.take(T0 + 59 * MS) is None
    match = synchronizer.take(T0 + 60 * MS)
    assert payloads(match)["camera"] == "camera@-5"


def test_a_stream_is_not_waited_for_when_its_next_message_would_be_farther_away():
    synchronizer = make(streams={"camera": 60 * MS})
    feed(synchronizer, ("camera", -230, -225), ("camera", -130, -125), ("camera", -30, -25))
    (match,) = feed(synchronizer, ("lidar", 0, 5))
    assert payloads(match)["camera"] == "camera@-30"
    feed(synchronizer, ("camera", 55, 60))  # 45 ms before the next anchor: the next may be nearer
    assert feed(synchronizer, ("lidar", 100, 105)) == []


def test_a_silent_stream_is_waited_for_only_at_first():
    synchronizer = make(streams={"camera": 60 * MS})
    assert feed(synchronizer, ("lidar", 0, 0)) == []
    feed(synchronizer, *[("lidar", k * 100, k * 100) for k in range(1, 11)])
    (match,) = feed(synchronizer, ("lidar", 1100, 1100))[-1:]
    assert match.stamp_ns == T0 + 1100 * MS  # at once, not 50 ms later


def test_messages_that_arrive_in_another_order_give_the_same_match():
    events = [("camera", -2, 0), ("odometry", -1, 0), ("camera", 3, 4), ("odometry", 1, 4)]
    later = [("lidar", 0, 5)]
    reordered = [events[k] for k in (3, 0, 2, 1)]
    assert [payloads(m) for m in feed(make(), *events, *later)] == [
        payloads(m) for m in feed(make(), *reordered, *later)
    ]


def test_a_doubled_stamp_is_replaced_and_counted():
    synchronizer = make(streams={"camera": 60 * MS})
    synchronizer.push("camera", T0, "first", T0)
    synchronizer.push("camera", T0, "second", T0)
    synchronizer.push("lidar", T0, "anchor", T0)
    assert payloads(synchronizer.take(T0))["camera"] == "second"
    assert (synchronizer.counts["camera"].received, synchronizer.counts["camera"].dropped) == (2, 1)


def test_a_doubled_anchor_gives_one_cycle_and_does_not_wait_anew():
    synchronizer = make()
    feed(synchronizer, ("lidar", 0, 0), ("lidar", 0, 40))
    assert len(drain(synchronizer, T0 + 50 * MS)) == 1
    feed(synchronizer, ("lidar", 0, 60))
    assert drain(synchronizer, T0 + 200 * MS) == []
    assert synchronizer.counts["lidar"].dropped == 2


def test_an_anchor_older_than_the_last_cycle_is_dropped_and_counted():
    synchronizer = make()
    feed(synchronizer, ("lidar", 100, 100))
    assert len(drain(synchronizer, T0 + 200 * MS)) == 1
    feed(synchronizer, ("lidar", 0, 201))
    assert drain(synchronizer, T0 + 400 * MS) == []
    assert synchronizer.counts["lidar"].dropped == 1


def test_anchors_that_arrive_out_of_order_come_out_in_order():
    synchronizer = make()
    feed(synchronizer, ("lidar", 100, 100), ("lidar", 0, 101))
    found = drain(synchronizer, T0 + 300 * MS)
    assert [m.stamp_ns for m in found] == [T0, T0 + 100 * MS]


def test_an_anchor_that_came_late_does_not_hold_up_the_newer_one():
    synchronizer = make(wait_ms=50)
    feed(synchronizer, ("lidar", 100, 0), ("lidar", 0, 40))
    found = drain(synchronizer, T0 + 50 * MS)
    assert [m.stamp_ns for m in found] == [T0, T0 + 100 * MS]


def test_when_a_newer_anchor_is_ready_the_older_ones_come_out_before_it():
    synchronizer = make(wait_ms=500)
    found = feed(
        synchronizer,
        ("lidar", 0, 0),
        ("lidar", 100, 100),
        ("camera", 100, 101),
        ("odometry", 100, 102),
    )
    assert [m.stamp_ns for m in found] == [T0, T0 + 100 * MS]
    assert payloads(found[0])["camera"] is None


def test_a_clock_that_jumps_back_starts_anew_and_says_so():
    synchronizer = make()
    feed(synchronizer, ("camera", 0, 0), ("odometry", 0, 0), ("lidar", 0, 0))
    back = -60_000
    found = feed(
        synchronizer,
        ("camera", back, 100),  # jumped before the anchor did
        ("lidar", back, 101),
        ("odometry", back, 102),
        ("camera", back + 100, 200),
        ("odometry", back + 100, 200),
        ("lidar", back + 100, 201),
    )
    assert [m.stamp_ns for m in found] == [T0 + back * MS, T0 + (back + 100) * MS]
    assert [m.is_after_jump for m in found] == [True, False]
    assert payloads(found[0])["camera"] == f"camera@{back}"
    assert payloads(found[0])["odometry"] == f"odometry@{back}"


def test_one_stamp_far_in_the_future_does_not_stop_the_planner_for_long():
    synchronizer = make(streams={"camera": 60 * MS})
    found = feed(
        synchronizer,
        ("camera", 3_600_000, 0),
        ("camera", 100, 99),
        ("lidar", 100, 100),
        ("camera", 200, 199),
        ("lidar", 3_600_000, 200),
        ("camera", 300, 299),
        ("lidar", 300, 300),
        ("camera", 301, 301),
    )
    found += drain(synchronizer, T0 + 400 * MS)
    assert [m.stamp_ns for m in found if m.samples["camera"]] == [T0 + 100 * MS, T0 + 300 * MS]


def test_buffers_stay_small():
    synchronizer = make(streams={"imu": 10 * MS})
    for k in range(5_000):
        synchronizer.push("imu", T0 + k * MS, k, T0 + k * MS)
    for k in range(5_000):
        synchronizer.push("lidar", T0 + k * MS, k, T0)
    assert len(synchronizer._buffers["imu"].stamps) <= 64
    assert len(synchronizer._pending.stamps) <= 64
    assert synchronizer.counts["lidar"].dropped >= 4_900


@pytest.mark.parametrize("ahead_ms", [350, 1000, 1900])
def test_a_stream_whose_clock_runs_ahead_is_never_matched_with_what_it_said_long_ago(ahead_ms):
    synchronizer = make(streams={"camera": 60 * MS})
    for now_ms in range(0, 4000, 100):
        feed(synchronizer, ("camera", now_ms + ahead_ms, now_ms))
        synchronizer.push("lidar", T0 + now_ms * MS, "lidar", T0 + now_ms * MS)
        (match,) = drain(synchronizer, T0 + (now_ms + 50) * MS)
        assert payloads(match)["camera"] is None, now_ms


def test_while_the_anchor_is_silent_no_more_is_kept_than_it_could_still_match():
    synchronizer = make(streams={"camera": 60 * MS})
    for now_ms in range(0, 3000, 33):
        feed(synchronizer, ("camera", now_ms, now_ms))
    kept = synchronizer._buffers["camera"].stamps
    span_ms = (kept[-1] - kept[0]) / MS
    assert LEAD_MS + 60 <= span_ms <= LEAD_MS + 60 + 50 + 100
    (match,) = feed(synchronizer, ("lidar", 2970 - LEAD_MS, 2970), ("lidar", 2970, 3100))[:1]
    assert payloads(match)["camera"] is not None


def test_after_a_cycle_nothing_is_kept_that_no_later_anchor_can_match():
    """Two seconds of raw pictures would be gigabytes."""
    synchronizer = make()
    for ms in (-500, -100, -70, -50, 0):
        feed(synchronizer, ("camera", ms, 1000 + ms))
    feed(synchronizer, ("odometry", -900, 900), ("odometry", 0, 1001))
    (match,) = feed(synchronizer, ("lidar", 0, 1002))
    assert payloads(match)["camera"] == "camera@0"
    kept = {name: [s - T0 for s in b.stamps] for name, b in synchronizer._buffers.items()}
    assert kept == {"camera": [-50 * MS, 0], "odometry": [0]}


def test_of_a_stream_that_stopped_the_newest_stamp_is_kept_for_the_reason():
    synchronizer = make()
    feed(synchronizer, ("camera", -900, 0), ("camera", -800, 1))
    feed(synchronizer, ("odometry", 0, 2), ("lidar", 0, 3))
    (match,) = drain(synchronizer, T0 + 100 * MS)
    assert match.samples["camera"] is None
    assert synchronizer.newest_ns("camera") == T0 - 800 * MS


def test_the_newest_cycle_that_is_ready_may_be_asked_for_alone():
    synchronizer = make(streams={"camera": 60 * MS})
    for ms in (0, 100, 200, 300):
        for stream in ("camera", "lidar"):
            if (stream, ms) != ("camera", 300):
                synchronizer.push(stream, T0 + ms * MS, ms, T0 + ms * MS)
    match = synchronizer.take(T0 + 301 * MS, is_newest_wanted=True)
    assert match.stamp_ns == T0 + 200 * MS
    assert synchronizer.counts["lidar"].dropped == 2
    assert synchronizer.take(T0 + 301 * MS, is_newest_wanted=True) is None
    assert synchronizer.is_pending  # the last one still waits for its picture
    match = synchronizer.take(T0 + 351 * MS, is_newest_wanted=True)
    assert (match.stamp_ns, match.samples["camera"]) == (T0 + 300 * MS, None)


def test_a_match_knows_when_its_anchor_and_its_last_message_arrived():
    (match,) = feed(make(), ("odometry", 0, 5), ("lidar", 0, 7), ("camera", 10, 30))
    assert (match.arrival_ns, match.last_arrival_ns) == (T0 + 7 * MS, T0 + 30 * MS)


def test_rates_are_measured_by_stamps_over_the_last_seconds():
    counts = Counts()
    assert counts.rate_hz == -1.0
    for k in range(100):
        counts.note(T0 + k * 50 * MS)
        counts.note(T0 + k * 50 * MS)  # a doubled one is no second one
    assert counts.rate_hz == pytest.approx(20.0)
    for k in range(1, 100):
        counts.note(T0 + 99 * 50 * MS + k * 100 * MS)
    assert counts.rate_hz == pytest.approx(10.0)
    assert len(counts.recent_ns) <= 31


def test_after_a_jump_back_the_rate_is_measured_anew():
    counts = Counts()
    for k in range(10):
        counts.note(T0 + k * 100 * MS)
    counts.note(T0 + 880 * MS)  # out of order: passed over
    assert counts.rate_hz == pytest.approx(10.0)
    counts.note(T0 - 5 * S)
    assert counts.rate_hz == -1.0
    counts.note(T0 - 5 * S + 200 * MS)
    assert counts.rate_hz == pytest.approx(5.0)
    assert counts.newest_ns == T0 - 5 * S + 200 * MS


def test_a_reset_forgets_messages_and_stamps_but_not_counts():
    synchronizer = make()
    feed(synchronizer, ("lidar", 1000, 0))
    drain(synchronizer, T0 + S)
    feed(synchronizer, ("camera", 0, 1000), ("lidar", 2000, 1001))
    synchronizer.reset()
    assert drain(synchronizer, T0 + 10 * S) == []
    feed(synchronizer, ("lidar", 1000, 10_001))
    (match,) = drain(synchronizer, T0 + 11 * S)
    assert match.stamp_ns == T0 + S
    assert not match.is_after_jump
    assert synchronizer.counts["lidar"].received == 3


def test_at_10_hz_with_jitter_every_anchor_is_matched_completely():
    rng = random.Random(3)
    events = []
    for k in range(100):
        events += [("lidar", k * 100, k * 100 + 30)]
        stamp = k * 100 + rng.randint(-45, 45)
        events += [("camera", stamp, stamp + rng.randint(5, 30))]
        events += [("odometry", k * 100 + j, k * 100 + j + 2) for j in range(0, 100, 10)]
    events.sort(key=lambda event: event[2])
    synchronizer = make(wait_ms=80)
    found = feed(synchronizer, *events) + drain(synchronizer, T0 + 60 * S)
    assert [m.stamp_ns for m in found] == [T0 + k * 100 * MS for k in range(100)]
    assert all(all(m.samples.values()) for m in found)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["lidar", "camera", "odometry"]),
        st.one_of(st.integers(0, 3_000), st.integers(-(10**7), 10**7)),
        st.integers(0, 300),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(events=EVENTS)
def test_whatever_comes_stamps_rise_strictly_until_a_reported_jump(events):
    synchronizer = make()
    now_ms, found = 0, []
    for stream, stamp_ms, elapsed_ms in events:
        now_ms += elapsed_ms
        found += feed(synchronizer, (stream, stamp_ms, now_ms))
    found += drain(synchronizer, T0 + (now_ms + 1_000) * MS)
    for before, after in itertools.pairwise(found):
        assert after.stamp_ns > before.stamp_ns or after.is_after_jump
    for match in found:
        for name, sample in match.samples.items():
            if sample is not None:
                assert abs(sample.stamp_ns - match.stamp_ns) <= STREAMS.get(name, 0)
    anchors = sum(stream == "lidar" for stream, _, _ in events)
    assert len(found) + synchronizer.counts["lidar"].dropped == anchors


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.randoms(use_true_random=False))
def test_arrival_order_within_the_wait_does_not_change_what_is_matched(seed):
    stamps = [("lidar", 0), ("camera", -20), ("camera", 15), ("odometry", -4), ("odometry", 6)]
    seed.shuffle(stamps)
    synchronizer = make(wait_ms=50)
    for index, (stream, stamp_ms) in enumerate(stamps):
        synchronizer.push(stream, T0 + stamp_ms * MS, stamp_ms, T0 + index * MS)
    match = synchronizer.take(T0 + 100 * MS)
    assert payloads(match) == {"lidar": 0, "camera": 15, "odometry": -4}


@pytest.mark.parametrize("period_ms", [100, 500])
def test_a_gap_of_the_anchor_is_not_a_jump(period_ms):
    synchronizer = make(period_ms=period_ms)
    found = feed(synchronizer, ("lidar", 0, 0), ("lidar", 60_000, 60_000))
    found += drain(synchronizer, T0 + 61 * S)
    assert [m.is_after_jump for m in found] == [False, False]
