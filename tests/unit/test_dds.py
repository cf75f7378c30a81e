"""The Fast DDS profile for sensors: its size, the checked-in files, what is said of /dev/shm."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from diff_planner.errors import OutputError
from diff_planner.resources import config_file
from diff_planner.ros import dds

MIB = 2**20
NAMESPACE = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


def values(text, tag):
    return [element.text for element in ElementTree.fromstring(text).iter(NAMESPACE + tag)]


@pytest.mark.parametrize(
    ("name", "loopback_only"), [(dds.PROFILE, False), (dds.LOOPBACK_PROFILE, True)]
)
def test_the_checked_in_profile_is_what_the_code_writes(name, loopback_only):
    text = config_file(name).read_text(encoding="utf-8")
    assert text == dds.profile_text(loopback_only=loopback_only), (
        f"write it anew: python -m diff_planner.ros.dds config/{name}"
    )


def test_the_default_segment_is_that_of_the_default_rig():
    assert dds.required_segment_bytes() == dds.DEFAULT_SEGMENT_BYTES == 128 * MIB


def test_the_segment_holds_the_messages_in_flight_of_every_sensor():
    camera = dds.RawCamera(1920, 1080, 2)
    size = dds.required_segment_bytes([camera] * 6, cloud_bytes=2_000_000, in_flight=4)
    assert size >= 4 * (6 * 1920 * 1080 * 2 + 2_000_000)
    assert size % (32 * MIB) == 0


def test_a_rig_without_raw_sensors_still_gets_a_segment():
    assert dds.required_segment_bytes([], cloud_bytes=0) > 0


def test_a_profile_uses_its_own_transports_alone(tmp_path):
    path = tmp_path / "profile.xml"
    dds.write_profile(path, 48 * MIB)
    text = path.read_text(encoding="utf-8")
    assert values(text, "segment_size") == [str(48 * MIB)]
    assert values(text, "useBuiltinTransports") == ["false"]
    defined = values(text, "transport_id")
    assert sorted(defined[:2]) == sorted(defined[2:])
    assert values(text, "address") == []


def test_no_message_may_be_larger_than_the_segment():
    assert values(dds.profile_text(4 * MIB), "maxMessageSize") == [str(4 * MIB)]


def test_a_loopback_profile_names_no_address_but_the_loopback():
    assert set(values(dds.profile_text(loopback_only=True), "address")) == {"127.0.0.1"}


def test_a_profile_that_cannot_be_written_is_told_with_its_path(tmp_path):
    with pytest.raises(OutputError, match=r"missing/profile\.xml cannot be written: No such"):
        dds.write_profile(tmp_path / "missing" / "profile.xml")


def test_the_environment_names_the_checked_in_profile_for_old_and_new_versions():
    found = dds.environment(present={})
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        assert found[name] == str(config_file("fastdds.xml"))
    assert found["RMW_FASTRTPS_USE_QOS_FROM_XML"] == "0"
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in found


@pytest.mark.parametrize("name", dds.PROFILE_VARIABLES)
def test_a_profile_that_the_user_named_is_kept(name):
    found = dds.environment(present={name: "/etc/vehicle.xml"})
    assert {found[name] for name in dds.PROFILE_VARIABLES} == {"/etc/vehicle.xml"}


def test_a_profile_given_to_the_call_wins_over_the_named_one(tmp_path):
    path = tmp_path / "mine.xml"
    found = dds.environment(path, present={dds.PROFILE_VARIABLES[0]: "/etc/vehicle.xml"})
    assert found[dds.PROFILE_VARIABLES[0]] == str(path)


def test_loopback_only_is_not_widened_by_a_named_profile_or_by_rmw():
    present = {dds.PROFILE_VARIABLES[0]: "/etc/vehicle.xml"}
    found = dds.environment(loopback_only=True, present=present)
    assert found[dds.PROFILE_VARIABLES[0]] == str(config_file("fastdds_loopback.xml"))
    assert found["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


def memory(free_mib, segment_mib=128, processes=2):
    free = free_mib * MIB
    return dds.SharedMemory(dds.SHARED_MEMORY, True, free, free, segment_mib * MIB, processes)


def test_enough_shared_memory_is_no_problem():
    assert memory(269).problem is None


def test_the_table_of_buffers_counts_too():
    assert "needed" in memory(256).problem


def test_a_container_is_told_what_to_ask_for_and_what_a_smaller_segment_means():
    problem = memory(140).problem
    assert "/dev/shm has 140 of 140 MiB free and 269 MiB are needed (2 x 128 MiB)" in problem
    assert "--shm-size=320m" in problem
    assert "--segment-mib 66" in problem
    assert "loses messages sooner" in problem
    assert memory(140, segment_mib=66).problem is None


def test_where_not_even_two_cycles_fit_no_smaller_segment_is_proposed():
    problem = memory(64).problem
    assert "--segment-mib" not in problem
    assert "compress the images" in problem


def test_shared_memory_that_does_not_exist_is_told(tmp_path):
    found = dds.check_shared_memory(path=tmp_path / "shm")
    assert not found.exists
    assert "does not exist" in found.problem


def test_shared_memory_is_measured_where_it_is(tmp_path):
    found = dds.check_shared_memory(1, processes=1, path=tmp_path)
    assert found.exists
    assert 0 < found.free_bytes <= found.size_bytes
    assert found.problem is None


def run_module(*arguments):
    command = [sys.executable, "-m", "diff_planner.ros.dds", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_command_writes_the_profile_of_a_rig(tmp_path):
    path = tmp_path / "profile.xml"
    done = run_module(path, "--camera", "1920x1280", "--cloud-bytes", "1000000")
    assert done.returncode == 0, done.stderr
    assert "64 MiB" in done.stdout
    assert path.read_text(encoding="utf-8") == dds.profile_text(64 * MIB)


def test_the_command_says_how_a_camera_is_written(tmp_path):
    done = run_module(tmp_path / "profile.xml", "--camera", "wide")
    assert done.returncode == 2
    assert "expected such as 1600x900" in done.stderr
