"""The Fast DDS profile at work: raw images arrive, and loopback only is loopback only."""

import ipaddress
import json
import os
import random
import subprocess
import sys

import pytest

from dds_transport import JUDGED, run_variant, variants
from diff_planner.ros import dds

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# Prints the addresses that a node's UDP sockets are bound to.
SOCKETS = """
import json, os, pathlib
import rclpy
rclpy.init()
node = rclpy.create_node("probe")
links = []
for entry in pathlib.Path("/proc/self/fd").iterdir():
    try:
        links.append(os.readlink(entry))
    except OSError:
        pass
rows = [line.split() for line in pathlib.Path("/proc/self/net/udp").read_text().splitlines()[1:]]
print(json.dumps([row[1].split(":")[0] for row in rows if f"socket:[{row[9]}]" in links]))
node.destroy_node()
rclpy.shutdown()
"""


def bound_addresses(environment):
    done = subprocess.run(
        [sys.executable, "-c", SOCKETS],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "ROS_DOMAIN_ID": str(random.randint(1, 101)), **environment},
    )
    assert done.returncode == 0, done.stderr
    hexadecimal = json.loads(done.stdout.splitlines()[-1])
    return {ipaddress.ip_address(int.from_bytes(bytes.fromhex(h), "little")) for h in hexadecimal}


@pytest.fixture
def room():
    """Skip where the segments of two processes do not fit."""
    if problem := dds.check_shared_memory().problem:
        pytest.skip(problem)


@pytest.mark.usefixtures("room")
def test_raw_images_of_a_whole_rig_arrive_with_the_profile():
    result = run_variant(JUDGED, variants()[JUDGED], seconds=8.0)
    assert {stream.sent for stream in result.streams.values()} == {80}
    # The bench's bound is 1 % of a minute; a machine that others use may stall for a moment.
    assert result.worst_loss <= 0.05, result.streams


def test_without_the_profile_most_raw_images_are_lost():
    result = run_variant("default", variants()["default"], seconds=4.0)
    # Otherwise the test above shows nothing, and the profile is not needed any more.
    assert result.worst_loss > 0.2, result.streams


def test_with_loopback_only_no_socket_is_bound_to_another_interface():
    assert bound_addresses(dds.environment(loopback_only=True)) == {
        ipaddress.ip_address("127.0.0.1")
    }
    # So that it is known that the test could see another one.
    other = bound_addresses(dds.environment(present={}))
    assert ipaddress.ip_address("0.0.0.0") in other
