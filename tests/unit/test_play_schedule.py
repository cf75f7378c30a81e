"""What a player sends and when, in one loop and in several."""

import itertools

import pytest

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.cdr import stamp_ns
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.data.typestore import typestore
from diff_planner.errors import BagError, MissingInputError
from message_factories import make_odometry, make_transforms

ODOMETRY, TF, TF_STATIC = "/odom", "/tf", "/tf_static"
TF_TYPE = "tf2_msgs/msg/TFMessage"
START_NS = 5_000_000_000_000
STEP_NS = 100_000_000
COUNT = 10
SPAN_NS = (COUNT - 1) * STEP_NS + 1
"""From the first message until nothing is played any more."""


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Ten odometry messages and transforms, a static transform with the first."""
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    transforms = make_transforms(("map", "odom", (0, 0, 0), (0, 0, 0, 1)))
    with BagWriter(path) as writer:
        writer.add_topic(TF_STATIC, TF_TYPE, latched=True)
        writer.add_topic(TF, TF_TYPE)
        writer.add_topic(ODOMETRY, "nav_msgs/msg/Odometry")
        writer.write(TF_STATIC, transforms, START_NS)
        for k in range(COUNT):
            writer.write(ODOMETRY, make_odometry(START_NS + k * STEP_NS), START_NS + k * STEP_NS)
            writer.write(TF, transforms, START_NS + k * STEP_NS)
    return path


@pytest.fixture
def schedule(bag):
    """Make schedules of the bag."""
    with BagReader(bag) as reader:
        yield lambda topics=(TF_STATIC, ODOMETRY, TF), **options: PlaySchedule(
            reader, topics, **options
        )


def of_topic(messages, topic):
    return [m for m in messages if m.topic == topic]


def test_one_loop_sends_every_message_at_its_log_time(schedule):
    whole = schedule()
    messages = list(whole.messages())
    assert len(messages) == 2 * COUNT + 1
    assert [m.clock_ns - START_NS for m in of_topic(messages, ODOMETRY)] == [
        k * STEP_NS for k in range(COUNT)
    ]
    assert all(m.due_ns == m.clock_ns - START_NS for m in messages)
    assert whole.start_ns == START_NS
    assert whole.end_ns == START_NS + SPAN_NS
    assert whole.duration_ns == SPAN_NS


def test_a_late_start_sends_the_static_transforms_of_before_first(schedule):
    late = schedule(start_s=0.45)
    messages = list(late.messages())
    assert messages[0].topic == TF_STATIC
    assert messages[0].clock_ns == late.start_ns == START_NS + 450_000_000
    assert messages[0].due_ns == 0
    assert len(of_topic(messages, ODOMETRY)) == 5


def test_a_duration_ends_the_play(schedule):
    short = schedule(start_s=0.1, duration_s=0.3)
    assert len(of_topic(short.messages(), ODOMETRY)) == 3
    assert short.end_ns == START_NS + 400_000_000


def test_a_duration_beyond_the_bag_ends_with_it(schedule):
    assert schedule(duration_s=100.0).end_ns == START_NS + SPAN_NS


def test_loops_repeat_the_stamps_and_the_clock_jumps_back(schedule):
    looped = schedule([ODOMETRY], loops=3)
    messages = list(looped.messages())
    stamps = [stamp_ns(m.data) for m in messages]
    assert stamps == 3 * stamps[:COUNT]
    assert [m.clock_ns for m in messages] == stamps
    dues = [m.due_ns for m in messages]
    assert dues == sorted(dues)
    assert dues[COUNT] == COUNT * STEP_NS
    assert looped.end_ns == START_NS + SPAN_NS


def test_continuous_loops_let_headers_transforms_and_clock_run_on(schedule):
    looped = schedule(loops=3, continuous=True, loop_gap_s=0.1)
    messages = list(looped.messages())
    odometry = of_topic(messages, ODOMETRY)
    stamps = [stamp_ns(m.data) for m in odometry]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {STEP_NS}
    assert [m.clock_ns for m in odometry] == stamps
    last = typestore().deserialize_cdr(of_topic(messages, TF)[-1].data, TF_TYPE).transforms[0]
    first = typestore().deserialize_cdr(of_topic(messages, TF)[0].data, TF_TYPE).transforms[0]
    moved_s = last.header.stamp.sec - first.header.stamp.sec
    assert moved_s == pytest.approx(2 * looped.loop_ns / 1e9, abs=1.0)
    assert looped.end_ns == START_NS + SPAN_NS + 2 * looped.loop_ns


def test_continuous_loops_of_a_part_follow_one_another_at_the_period_too(schedule):
    messages = schedule([ODOMETRY], loops=3, continuous=True, duration_s=0.4).messages()
    stamps = [stamp_ns(m.data) for m in messages]
    assert len(stamps) == 12
    assert {b - a for a, b in itertools.pairwise(stamps)} == {STEP_NS}


def test_continuous_loops_leave_the_static_transforms_as_they_are(schedule):
    static = of_topic(schedule(loops=2, continuous=True).messages(), TF_STATIC)
    assert static[0].data == static[1].data
    assert static[1].clock_ns > static[0].clock_ns


def test_topics_that_the_bag_has_not_are_left_out(schedule):
    assert schedule(["/nothing", ODOMETRY]).topics == [ODOMETRY]


def test_none_of_the_topics_in_the_bag_is_an_error_that_names_them(schedule):
    with pytest.raises(MissingInputError, match=r"\['/nothing'\]; it has .*'/odom'"):
        schedule(["/nothing"])


def test_a_start_behind_the_end_says_how_long_the_bag_lasts(schedule):
    with pytest.raises(BagError, match=r"nothing to play after 7 s; the bag lasts 0.9 s"):
        schedule(start_s=7.0)


def test_no_loop_at_all_is_refused(schedule):
    with pytest.raises(BagError, match="expected 1 or more, got 0"):
        schedule(loops=0)
