"""What has arrived and nobody has looked at: bounded, in order, never waited for in vain."""

import threading
import time

from diff_planner.ros.inbox import Arrival, Inbox


def arrival(topic, number):
    return Arrival(topic, "std_msgs/msg/String", bytes([number]), number)


def numbers(inbox):
    return [entry.arrival_ns for entry in inbox.drain()]


def test_messages_come_out_in_the_order_in_which_they_came_across_topics():
    inbox = Inbox({"a": 5, "b": 5})
    for number, topic in enumerate("abbaab"):
        inbox.put(arrival(topic, number))
    assert numbers(inbox) == [0, 1, 2, 3, 4, 5]
    assert numbers(inbox) == []


def test_of_too_many_on_one_topic_the_newest_stay_and_the_others_are_counted():
    inbox = Inbox({"pictures": 2, "odometry": 3})
    inbox.put(arrival("odometry", 0))
    for number in range(1, 6):
        inbox.put(arrival("pictures", number))
    assert numbers(inbox) == [0, 4, 5]
    assert inbox.dropped == {"pictures": 3, "odometry": 0}


def test_a_wait_ends_with_a_message_that_is_there_or_comes():
    inbox = Inbox({"a": 1})
    inbox.put(arrival("a", 0))
    begin_s = time.monotonic()
    inbox.wait(10.0)
    inbox.drain()
    threading.Timer(0.05, inbox.put, [arrival("a", 1)]).start()
    inbox.wait(10.0)
    assert time.monotonic() - begin_s < 5.0
    assert numbers(inbox) == [1]


def test_a_wait_ends_in_time_and_by_a_wake_that_came_before_it():
    inbox = Inbox({"a": 1})
    begin_s = time.monotonic()
    inbox.wait(0.05)
    assert time.monotonic() - begin_s >= 0.05
    inbox.wake()
    inbox.wait(10.0)
    assert time.monotonic() - begin_s < 5.0
    inbox.drain()  # the wake is used up
    begin_s = time.monotonic()
    inbox.wait(0.05)
    assert time.monotonic() - begin_s >= 0.05


def test_nothing_is_lost_between_a_thread_that_puts_and_one_that_drains():
    inbox = Inbox({"a": 10_000})
    putting = threading.Thread(
        target=lambda: [inbox.put(arrival("a", k % 256)) for k in range(5000)]
    )
    putting.start()
    found = []
    while putting.is_alive():
        inbox.wait(0.01)
        found += numbers(inbox)
    found += numbers(inbox)
    assert found == [k % 256 for k in range(5000)]
