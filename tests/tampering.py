"""Bags with a fault in them: the sample bag rewritten message by message."""

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.bag_writer import BagWriter


def rewrite(source, target, change):
    """Write `source` to `target` with each message replaced by what `change` gives.

    `change(topic, message, log_time_ns)` returns a list of (topic, message, log_time_ns).
    """
    with BagReader(source) as reader, BagWriter(target) as writer:
        for name, topic in reader.topics.items():
            writer.add_topic(name, topic.msgtype, latched=name == "/tf_static")
        for m in reader.messages():
            for topic, message, log_time_ns in change(m.topic, m.message, m.log_time_ns):
                writer.write(topic, message, log_time_ns)
    return target


def without(*topics):
    """Return a change that leaves out topics whose name ends with one of `topics`."""

    def change(topic, message, log_time_ns):
        return [] if topic.endswith(topics) else [(topic, message, log_time_ns)]

    return change


def on(suffix, edit):
    """Return a change that lets `edit(message)` alter the messages of topics ending in suffix."""

    def change(topic, message, log_time_ns):
        if topic.endswith(suffix):
            edit(message)
        return [(topic, message, log_time_ns)]

    return change


def shift_stamp(message, offset_ns):
    """Move a message's header stamp."""
    stamp = message.header.stamp
    total = stamp.sec * 10**9 + stamp.nanosec + offset_ns
    stamp.sec, stamp.nanosec = divmod(total, 10**9)
