"""The bag player over DDS, to plain subscribers and to a stand-in for the node."""

import itertools
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not on the path: tools/ros_env.sh")

from rclpy.qos import QoSProfile, ReliabilityPolicy

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter
from diff_planner.data.cdr import stamp_ns
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.errors import MissingInputError
from diff_planner.ros.bag_player import BagPlayer
from diff_planner.ros.domain import is_free
from diff_planner.ros.lock_step import LockStep
from diff_planner.ros.message_classes import message_class
from diff_planner.ros.node_contact import NodeContact
from message_factories import make_odometry, make_transforms
from player_graph import LATCHED, CountingNode, Listener, clock_ns, node_of, own_graph

pytestmark = pytest.mark.ros

ODOMETRY, STATIC = "/localization/kinematic_state", "/tf_static"
TYPES = {ODOMETRY: "nav_msgs/msg/Odometry"}
TF_TYPE = "tf2_msgs/msg/TFMessage"
START_NS = 5_000_000_000_000
STEP_NS = 20_000_000
COUNT = 20
END_NS = START_NS + (COUNT - 1) * STEP_NS + 1


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """0.4 s of odometry at 50 Hz, and a static transform where tf2_msgs is there."""
    path = tmp_path_factory.mktemp("bag") / "drive.mcap"
    transforms = make_transforms(("map", "odom", (0, 0, 0), (0, 0, 0, 1)))
    with BagWriter(path) as writer:
        writer.add_topic(STATIC, TF_TYPE, latched=True)
        writer.add_topic(ODOMETRY, TYPES[ODOMETRY])
        writer.write(STATIC, transforms, START_NS)
        for k in range(COUNT):
            stamp = START_NS + k * STEP_NS
            writer.write(ODOMETRY, make_odometry(stamp, vx=float(k)), stamp)
    return path


@pytest.fixture
def reader(bag):
    with BagReader(bag) as opened:
        yield opened


@pytest.fixture
def context():
    with own_graph() as made:
        yield made


@pytest.fixture
def player_node(context):
    """(node, executor) of the player."""
    with node_of(context, "bag_player") as made:
        yield made


def contact(player_node, **options):
    return NodeContact(*player_node, **{"timeout_s": 10.0, **options})


def matched(player, player_node):
    contact(player_node).wait_until_matched(player.publishers)
    return player


def in_lock_step(player, player_node):
    contact(player_node).wait_until_in_lock_step(player.publishers)
    return player


def test_every_message_arrives_as_the_bytes_of_the_bag(context, player_node, reader):
    with Listener(context, TYPES) as listener:
        player = matched(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        report = player.play(rate=2.0)
        listener.wait_for(lambda: len(listener.of(ODOMETRY)) == COUNT)
    assert listener.of(ODOMETRY) == [m.data for m in reader.raw_messages([ODOMETRY])]
    assert report.messages == {ODOMETRY: COUNT}
    assert f"sent {COUNT} messages in" in report.sentence()


def test_the_clock_begins_with_the_bag_never_falls_and_ends_after_the_wait(
    context, player_node, reader
):
    with Listener(context, TYPES) as listener:
        player = matched(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        player.play(rate=1.0, wait_after_s=0.05)
        listener.wait_for(lambda: clock_ns(listener.of("/clock")[-1]) >= END_NS + 50_000_000)
    clocks = [clock_ns(data) for data in listener.of("/clock")]
    assert clocks[0] == START_NS
    assert clocks == sorted(clocks)
    assert clocks[-1] == END_NS + 50_000_000
    # Between messages that are 20 ms apart the clock goes on: every 10 ms.
    assert len(clocks) >= 1.5 * COUNT
    assert {stamp_ns(data) for data in listener.of(ODOMETRY)} <= set(clocks)


@pytest.mark.parametrize("rate", [0.5, 4.0])
def test_the_rate_decides_how_long_it_takes(context, player_node, reader, rate):
    player = BagPlayer(player_node[0], PlaySchedule(reader, TYPES))
    report = player.play(rate=rate)
    bag_s = (END_NS - START_NS) / 1e9
    assert bag_s / rate <= report.wall_s < bag_s / rate + 0.3
    p50, p99, most = report.late_ms
    assert 0.0 <= p50 <= p99 <= most
    assert p50 < 20.0


def test_a_rate_that_is_no_speed_is_refused(player_node, reader):
    player = BagPlayer(player_node[0], PlaySchedule(reader, TYPES))
    with pytest.raises(MissingInputError, match="expected a number above 0, got 0"):
        player.play(rate=0.0)


def test_without_continuous_the_clock_jumps_back_with_each_loop(context, player_node, reader):
    schedule = PlaySchedule(reader, TYPES, loops=2, loop_gap_s=0.02)
    with Listener(context, TYPES) as listener:
        matched(BagPlayer(player_node[0], schedule), player_node).play(rate=4.0)
        listener.wait_for(lambda: len(listener.of(ODOMETRY)) == 2 * COUNT)
    clocks = [clock_ns(data) for data in listener.of("/clock")]
    falls = [(a, b) for a, b in itertools.pairwise(clocks) if b < a]
    assert len(falls) == 1
    assert falls[0][1] == START_NS


def test_continuous_loops_arrive_with_stamps_and_clock_that_run_on(context, player_node, reader):
    schedule = PlaySchedule(reader, TYPES, loops=3, continuous=True, loop_gap_s=STEP_NS / 1e9)
    with Listener(context, TYPES) as listener:
        matched(BagPlayer(player_node[0], schedule), player_node).play(rate=4.0)
        listener.wait_for(lambda: len(listener.of(ODOMETRY)) == 3 * COUNT)
    stamps = [stamp_ns(data) for data in listener.of(ODOMETRY)]
    assert {b - a for a, b in itertools.pairwise(stamps)} == {STEP_NS}
    clocks = [clock_ns(data) for data in listener.of("/clock")]
    assert clocks == sorted(clocks)


def test_a_subscriber_that_comes_late_gets_the_static_transforms(context, player_node, reader):
    pytest.importorskip("tf2_msgs.msg")
    topics = [STATIC, ODOMETRY]
    player = BagPlayer(player_node[0], PlaySchedule(reader, topics))
    player.play(rate=4.0)
    with Listener(context, {STATIC: TF_TYPE}, qos=LATCHED, name="late") as late:
        late.wait_for(lambda: len(late.of(STATIC)) == 1)


def test_topics_go_into_the_namespace_and_where_they_are_remapped_to(context, player_node, reader):
    moved, renamed = f"/car1{ODOMETRY}", "/somewhere/else"
    types = {moved: TYPES[ODOMETRY], renamed: TYPES[ODOMETRY]}
    with Listener(context, types) as listener:
        for options in ({"namespace": "car1"}, {"remap": {ODOMETRY: renamed}}):
            player = BagPlayer(player_node[0], PlaySchedule(reader, TYPES), **options)
            matched(player, player_node).play(rate=8.0)
            player.close()
        listener.wait_for(lambda: len(listener.of(moved)) == len(listener.of(renamed)) == COUNT)
    assert clock_ns(listener.of("/clock")[0]) == START_NS


def test_lock_step_sends_the_next_message_when_the_last_is_done_with(context, player_node, reader):
    with CountingNode(context, TYPES, answer_after_s=0.005) as node:
        player = in_lock_step(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        lock = LockStep(*player_node, "/diff_planner")
        report = player.play_in_lock_step(lock, wait_after_s=0.05)
    topics = [topic for topic, _, _ in node.received]
    assert topics == ["/clock", *["/clock", ODOMETRY] * COUNT, "/clock"]
    times = [arrived for _, _, arrived in node.received]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.005
    clocks = [clock_ns(data) for data in node.of("/clock")]
    sent = [START_NS + k * STEP_NS for k in range(COUNT)]
    assert clocks == [START_NS, *sent, END_NS + 50_000_000]
    assert report.late_ms is None


def test_lock_step_with_a_node_that_had_another_player_before(context, player_node, reader):
    with CountingNode(context, TYPES, before=57) as node:
        player = in_lock_step(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        player.play_in_lock_step(LockStep(*player_node, "/diff_planner"))
    assert len(node.of(ODOMETRY)) == COUNT


def test_lock_step_with_a_node_that_began_anew_after_its_last_player(context, player_node, reader):
    with CountingNode(context, TYPES, before=57, begins_anew=True) as node:
        player = in_lock_step(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        player.play_in_lock_step(LockStep(*player_node, "/diff_planner"))
    assert len(node.of(ODOMETRY)) == COUNT


def test_a_node_that_stops_to_answer_is_an_error_that_says_where(context, player_node, reader):
    with CountingNode(context, TYPES, is_silent_after=6):
        player = in_lock_step(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        lock = LockStep(*player_node, "/diff_planner", answer_s=0.3)
        with pytest.raises(MissingInputError) as caught:
            player.play_in_lock_step(lock)
    text = str(caught.value)
    assert f"did not answer within 0.3 s to message 7 of this player, on {ODOMETRY}" in text
    assert "done with 6 of them" in text
    assert "lock_step:=true and use_sim_time:=true" in text


def test_somebody_else_who_publishes_is_noticed(context, player_node, reader):
    with CountingNode(context, TYPES, answer_after_s=0.01) as node:
        player = in_lock_step(BagPlayer(player_node[0], PlaySchedule(reader, TYPES)), player_node)
        other = node.node.create_publisher(message_class(TYPES[ODOMETRY]), ODOMETRY, 10)
        lock = LockStep(*player_node, "/diff_planner")

        def disturb():
            other.publish(message_class(TYPES[ODOMETRY])())

        with pytest.raises(MissingInputError, match="does somebody else publish"):
            player.play_in_lock_step(lock, watch=disturb)


def test_a_topic_that_nobody_listens_to_is_named_in_time(context, player_node, reader):
    player = BagPlayer(player_node[0], PlaySchedule(reader, TYPES))
    begin_s = time.monotonic()
    with pytest.raises(MissingInputError, match=f"subscription to /clock, {ODOMETRY}"):
        contact(player_node, timeout_s=0.3).wait_until_matched(player.publishers)
    assert time.monotonic() - begin_s < 5.0


def test_a_node_that_may_lose_messages_is_not_taken_for_one_in_lock_step(
    context, player_node, reader
):
    hasty = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
    with Listener(context, TYPES, name="diff_planner", qos=hasty):
        player = BagPlayer(player_node[0], PlaySchedule(reader, TYPES))
        matched(player, player_node)
        with pytest.raises(MissingInputError, match="does it run with lock_step:=true"):
            contact(player_node, timeout_s=0.5).wait_until_in_lock_step(player.publishers)


def test_a_node_that_is_not_there_is_named_in_time(context, player_node):
    with pytest.raises(MissingInputError, match=r"waited 0.3 s for /car1/diff_planner to start"):
        contact(player_node, namespace="/car1", timeout_s=0.3).wait_until_active()


def test_a_wait_can_be_ended_from_outside(context, player_node):
    def node_died():
        raise MissingInputError("the node ended with code 3")

    with pytest.raises(MissingInputError, match="ended with code 3"):
        contact(player_node, watch=node_died).wait_until_active()


def test_a_type_that_is_not_installed_is_named_with_its_package():
    with pytest.raises(MissingInputError, match="type nobody_msgs/msg/Thing is not installed"):
        message_class("nobody_msgs/msg/Thing")
    with pytest.raises(MissingInputError, match="type std_msgs/msg/Thing is not installed"):
        message_class("std_msgs/msg/Thing")


def test_the_domain_of_a_graph_is_taken_while_it_lives():
    with own_graph() as context, node_of(context, "somebody"):
        domain_id = context.get_domain_id()
        assert not is_free(domain_id)
    assert is_free(domain_id)
