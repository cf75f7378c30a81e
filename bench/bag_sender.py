"""Plays a bag in real time, loop after loop with stamps that go on, to a planner node.

Waits until the node is active, plays, and prints one JSON line: what was sent, how punctually.

    python bench/bag_sender.py BAG --topics TOPIC ... [--loops 10] [--seconds S] [--gap 0.1]
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor

from diff_planner.data.bag_reader import BagReader
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.ros.bag_player import BagPlayer
from diff_planner.ros.memory import keep_large_blocks
from diff_planner.ros.node_contact import NodeContact


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--topics", nargs="+", required=True)
    parser.add_argument("--loops", type=int, default=10)
    parser.add_argument("--seconds", type=float, help="of each loop; default: all")
    parser.add_argument("--gap", type=float, default=0.1, help="seconds between two loops")
    arguments = parser.parse_args()
    keep_large_blocks()
    rclpy.init()
    node, executor = rclpy.create_node("bag_sender"), SingleThreadedExecutor()
    executor.add_node(node)
    with BagReader(arguments.bag) as reader:
        schedule = PlaySchedule(
            reader,
            arguments.topics,
            duration_s=arguments.seconds,
            loops=arguments.loops,
            continuous=True,
            loop_gap_s=arguments.gap,
        )
        player = BagPlayer(node, schedule)
        contact = NodeContact(node, executor)
        contact.wait_until_active()
        contact.wait_until_matched(player.publishers)
        used = resource.getrusage(resource.RUSAGE_SELF)
        report = player.play(wait_after_s=0.2)
        after = resource.getrusage(resource.RUSAGE_SELF)
        player.close()
        contact.close()
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(
        json.dumps(
            {
                "messages": dict(report.messages),
                "wall_s": report.wall_s,
                "late_ms": report.late_ms,
                "cpu_share": cpu_s / report.wall_s,
            }
        ),
        flush=True,
    )
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
