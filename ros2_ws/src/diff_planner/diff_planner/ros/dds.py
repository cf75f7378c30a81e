"""Fast DDS for sensors: a profile whose shared memory holds the images of the rig.

Fast DDS's own segment is smaller than one camera image, so most images sent through it are lost.
The segment that counts is the sender's: the profile belongs to whoever publishes images and clouds
(camera drivers, the player of a bag); a node that only receives them needs none, and may have one.
A launch file gives it to its processes, everyone else to a child process:

    Node(..., additional_env=dds.environment())
    subprocess.Popen(..., env={**os.environ, **dds.environment()})

An engineer with other sensors makes a profile of their size (`python -m diff_planner.ros.dds`) and
names it in FASTRTPS_DEFAULT_PROFILES_FILE: environment() keeps a profile that is named already.
Other middlewares do not read any of this.

Every process (every participant) takes the whole segment from /dev/shm when it starts.  One that
is killed (SIGKILL) leaves its segment there until `fastdds shm clean` or a restart of the machine;
its ports are taken over by the next process.  After SIGINT and SIGTERM nothing is left.

ROS_DOMAIN_ID works as always.  ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST is honoured as well: rmw
adds its own transports beside those of the profile, at the cost of a second small segment, and
finds nodes of this machine only, though it listens on every interface.  environment(
loopback_only=True) is for tests: its sockets are bound to 127.0.0.1, without multicast.

No import but the standard library's: launch files read this under the system's Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from diff_planner.errors import OutputError
from diff_planner.resources import config_file

PROFILE, LOOPBACK_PROFILE = "fastdds.xml", "fastdds_loopback.xml"
"""The checked-in profiles for the default rig, made by `write_profile`."""
DEFAULT_SEGMENT_BYTES = 128 * 2**20
IN_FLIGHT = 8
"""Cycles of the whole rig that the segment holds; two were lossless while nothing else ran."""
LEAST_IN_FLIGHT = 2
"""With fewer, a reader that is late by one cycle loses messages."""
SHARED_MEMORY = Path("/dev/shm")
# rmw reads the first up to Jazzy (Fast DDS 2), the second from Kilted on (Fast DDS 3).
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_MIB = 2**20
_ALLOCATED_PER_SEGMENT_BYTE = 1.05
"""Measured 1.047: Fast DDS adds a table of buffers to the segment."""
_PORT_QUEUE = 512
_MAX_MESSAGE_BYTES = 8 * _MIB

_LOOPBACK_TRANSPORT = """
        <interfaceWhiteList>
          <address>127.0.0.1</address>
        </interfaceWhiteList>"""
# An empty unicast locator keeps Fast DDS from listening to multicast; peers are asked directly.
_LOOPBACK_DISCOVERY = """
        <builtin>
          <metatrafficUnicastLocatorList>
            <locator/>
          </metatrafficUnicastLocatorList>
          <initialPeersList>
            <locator>
              <udpv4>
                <address>127.0.0.1</address>
              </udpv4>
            </locator>
          </initialPeersList>
        </builtin>"""
_TEMPLATE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Written by `python -m diff_planner.ros.dds`; what it is for and what it costs: ros/dds.py. -->
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>sensors_shm</transport_id>
        <type>SHM</type>
        <maxMessageSize>{max_message_bytes}</maxMessageSize>
        <segment_size>{segment_bytes}</segment_size>
        <port_queue_capacity>{port_queue}</port_queue_capacity>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>sensors_udp</transport_id>
        <type>UDPv4</type>
        <!-- Processes of this machine that are found without multicast. -->
        <maxInitialPeersRange>32</maxInitialPeersRange>{transport}
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="sensors" is_default_profile="true">
      <rtps>{discovery}
        <userTransports>
          <transport_id>sensors_shm</transport_id>
          <transport_id>sensors_udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


class RawCamera(NamedTuple):
    """The size of one camera's messages."""

    width_px: int
    height_px: int
    channels: int = 3
    """Bytes a pixel."""

    @property
    def message_bytes(self) -> int:
        """Of one image."""
        return self.width_px * self.height_px * self.channels


DEFAULT_CAMERAS = (RawCamera(1600, 900),) * 3
DEFAULT_CLOUD_BYTES = 35_000 * 16
"""35,000 points of x, y, z and intensity."""


def required_segment_bytes(
    cameras: Sequence[RawCamera] = DEFAULT_CAMERAS,
    cloud_bytes: int = DEFAULT_CLOUD_BYTES,
    in_flight: int = IN_FLIGHT,
) -> int:
    """Return the size of the segment for a rig whose sensors publish from one process.

    Args:
        cameras: with raw images; compressed ones need a tenth and fit anyhow.
        cloud_bytes: of one sweep.
        in_flight: messages of each sensor that may be on their way at once.

    Returns:
        Bytes, in steps of 32 MiB.
    """
    cycle_bytes = sum(camera.message_bytes for camera in cameras) + cloud_bytes
    step = 32 * _MIB
    return max(1, -(-cycle_bytes * in_flight // step)) * step


def profile_text(segment_bytes: int = DEFAULT_SEGMENT_BYTES, *, loopback_only: bool = False) -> str:
    """Return a profile as XML: shared memory of that size, and UDP for other machines.

    Args:
        segment_bytes: of each process.
        loopback_only: bind to 127.0.0.1 and find nodes of this machine only.
    """
    return _TEMPLATE.format(
        max_message_bytes=min(_MAX_MESSAGE_BYTES, segment_bytes),
        segment_bytes=segment_bytes,
        port_queue=_PORT_QUEUE,
        transport=_LOOPBACK_TRANSPORT if loopback_only else "",
        discovery=_LOOPBACK_DISCOVERY if loopback_only else "",
    )


def write_profile(
    path: Path, segment_bytes: int = DEFAULT_SEGMENT_BYTES, *, loopback_only: bool = False
) -> None:
    """Write `profile_text` to a file.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.write_text(profile_text(segment_bytes, loopback_only=loopback_only), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"profile {path} cannot be written: {error.strerror}") from error


def environment(
    profile: Path | None = None,
    *,
    loopback_only: bool = False,
    present: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the variables to set in the environment of processes that publish sensors.

    Args:
        profile: a file made by `write_profile`; None: the checked-in one for the default rig, or
            what `present` names already.
        loopback_only: for tests: `profile` is one of loopback only too.
        present: the environment to add to; None: this process's.

    Returns:
        Only what is to be set, for additional_env of a launch action or {**os.environ, ...}.

    Raises:
        ConfigError: the checked-in profile is not installed.
    """
    present = os.environ if present is None else present
    if profile is None and not loopback_only:
        named = next((present[name] for name in PROFILE_VARIABLES if present.get(name)), None)
        profile = Path(named) if named else None
    if profile is None:
        profile = config_file(LOOPBACK_PROFILE if loopback_only else PROFILE)
    found = dict.fromkeys(PROFILE_VARIABLES, str(profile))
    # With "1" rmw would take queue lengths and more from the profile, which has none.
    found["RMW_FASTRTPS_USE_QOS_FROM_XML"] = "0"
    if loopback_only:
        # LOCALHOST would add a transport that listens on every interface.
        found["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
    return found


class SharedMemory(NamedTuple):
    """What there is of shared memory, and what is needed."""

    path: Path
    exists: bool
    size_bytes: int
    free_bytes: int
    segment_bytes: int
    processes: int

    @property
    def needed_bytes(self) -> int:
        """For the segments of all processes."""
        return round(self.processes * self.segment_bytes * _ALLOCATED_PER_SEGMENT_BYTE)

    @property
    def problem(self) -> str | None:
        """What is wrong and what to do, in one sentence; None when all is well."""
        if not self.exists:
            return (
                f"{self.path} does not exist: Fast DDS will send images over UDP and lose most of "
                "them; mount a tmpfs there"
            )
        if self.free_bytes >= self.needed_bytes:
            return None
        fitting = int(self.free_bytes / self.processes / _ALLOCATED_PER_SEGMENT_BYTE)
        fitting -= fitting % _MIB
        return (
            f"{self.path} has {self.free_bytes // _MIB} of {self.size_bytes // _MIB} MiB free and "
            f"{-(-self.needed_bytes // _MIB)} MiB are needed ({self.processes} x "
            f"{self.segment_bytes // _MIB} MiB): without them Fast DDS sends images over UDP and "
            "loses most; remove what killed processes left (fastdds shm clean), give a container "
            f"more (docker run --shm-size={_round_up_mib(self.needed_bytes)}m), or "
            f"{_smaller(fitting)}"
        )


def check_shared_memory(
    segment_bytes: int = DEFAULT_SEGMENT_BYTES, processes: int = 2, path: Path = SHARED_MEMORY
) -> SharedMemory:
    """Look whether the segments of `processes` processes fit; see SharedMemory.problem."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return SharedMemory(path, False, 0, 0, segment_bytes, processes)
    return SharedMemory(path, True, usage.total, usage.free, segment_bytes, processes)


def _smaller(segment_bytes: int) -> str:
    """Say what a smaller segment would do, by the default rig."""
    least = required_segment_bytes(in_flight=LEAST_IN_FLIGHT)
    if segment_bytes >= least:
        return (
            f"write a profile with --segment-mib {segment_bytes // _MIB}, which holds fewer cycles "
            "of the sensors: a reader that is late loses messages sooner"
        )
    return (
        f"compress the images: the {segment_bytes // _MIB} MiB that fit hold less than "
        f"{LEAST_IN_FLIGHT} cycles of three raw 1600 x 900 cameras"
    )


def _round_up_mib(size_bytes: int) -> int:
    return -(-size_bytes // (64 * _MIB)) * 64


def main() -> None:
    """Write a profile for a rig and say whether its shared memory is there."""
    parser = argparse.ArgumentParser(description="Write a Fast DDS profile for raw sensors.")
    parser.add_argument("path", type=Path)
    parser.add_argument(
        "--camera", action="append", metavar="WIDTHxHEIGHT[xCHANNELS]", help="for each raw camera"
    )
    parser.add_argument("--cloud-bytes", type=int, default=DEFAULT_CLOUD_BYTES)
    parser.add_argument("--segment-mib", type=int, help="instead of what the rig needs")
    parser.add_argument("--loopback-only", action="store_true")
    arguments = parser.parse_args()
    cameras: Sequence[RawCamera] = DEFAULT_CAMERAS
    if arguments.camera:
        try:
            cameras = tuple(RawCamera(*map(int, text.split("x"))) for text in arguments.camera)
        except (TypeError, ValueError):
            parser.error(f"--camera: expected such as 1600x900, got {arguments.camera}")
    segment_bytes = required_segment_bytes(cameras, arguments.cloud_bytes)
    if arguments.segment_mib:
        segment_bytes = arguments.segment_mib * _MIB
    write_profile(arguments.path, segment_bytes, loopback_only=arguments.loopback_only)
    print(f"{arguments.path}: {segment_bytes // _MIB} MiB for each process that publishes")
    if problem := check_shared_memory(segment_bytes).problem:
        print(f"warning: {problem}")


if __name__ == "__main__":
    main()
