"""From messages to `PlannerInput`: what the node and the replay feed, unchanged.

Messages are kept raw until a cycle needs them: decoding is the expensive part, and most messages
of a 30 Hz camera are never used.  One bad input makes that input absent, with its reason in the
health; only without ego motion there is no cycle.
"""

from __future__ import annotations

import functools
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_planner.config import InputsConfig, VehicleConfig
from diff_planner.data import decode
from diff_planner.data.calibration import StaticTransforms
from diff_planner.data.camera_calibrations import Calibrations
from diff_planner.data.decode import Odometry
from diff_planner.data.ego_history import EgoHistory, motion
from diff_planner.data.input_health import (
    HealthLog,
    Unusable,
    fault_of,
    guarded,
    presence,
    sentence,
    union,
)
from diff_planner.data.input_streams import (
    ACCELERATION,
    COMMAND,
    LATCHED,
    LIDAR,
    ODOMETRY,
    OPTIONAL,
    ROUTE,
    configured_streams,
    names_by_topic,
)
from diff_planner.data.synchronizer import Counts, Match, Sample, Synchronizer
from diff_planner.errors import InputError, NonFiniteInputError
from diff_planner.geometry import Array, inverse_se3
from diff_planner.safety.collision import is_own
from diff_planner.types import (
    CameraFrame,
    EgoState,
    FaultBit,
    InputHealth,
    LidarSweep,
    Message,
    NavCommand,
    PlannerInput,
    Route,
)

_SELF_MARGIN_M = 0.15
"""Around the vehicle's box, as the collision rule has it by default."""


@dataclass(frozen=True)
class MissedCycle:
    """An anchor for which there is no ego motion, so that nothing can be planned."""

    stamp_ns: int
    faults: FaultBit
    reason: str
    health: tuple[InputHealth, ...]


class InputAssembler:
    """Collects the configured topics and gives one `PlannerInput` for each anchor message.

    Cameras, LiDAR, odometry and acceleration are matched by stamp.  The navigation command and
    the route are latched: the newest one counts until the next, a command no longer than its own
    `valid_for_s`.  These two and the acceleration are optional: their absence is no fault.
    """

    def __init__(self, inputs: InputsConfig, vehicle: VehicleConfig) -> None:
        """Prepare.

        Args:
            inputs: topics, anchor and tolerances.
            vehicle: its box is cut out of a sweep that has to be moved.

        Raises:
            ConfigError: one topic is configured for two inputs.
        """
        self._inputs = inputs
        self._vehicle = vehicle
        self._streams = configured_streams(inputs)
        self._names = names_by_topic(inputs, self._streams)
        self.topics: tuple[str, ...] = (
            *self._names,
            *sorted({camera.info for camera in inputs.cameras.values()}),
            inputs.tf_static,
        )
        """Every topic that `add` wants to see."""
        self.transforms = StaticTransforms()
        self._synchronizer = Synchronizer(
            inputs.anchor,
            {name: round(self._streams[name].tolerance_s * 1e9) for name in self._matched},
            round(inputs.sync_wait_s * 1e9),
            round(inputs.period_s * 1e9),
            round(inputs.max_anchor_age_s * 1e9),
        )
        self._counts = {
            name: self._synchronizer.counts.get(name, Counts()) for name in self._streams
        }
        self._infos: dict[str, Any] = {}
        self._latched: dict[str, Any] = {}
        self._calibrations = Calibrations()
        self._rejected: dict[str, Unusable] = {}
        """By input: why its newest message did not even become a sample."""
        self._transform_fault = ""  # of the last one that could not be used
        self._newest_cloud: Sample | None = None
        self._history = EgoHistory()

    @property
    def last_ego(self) -> EgoState | None:
        """Motion at the newest valid odometry's stamp, None before the first."""
        newest = self._history.newest
        return None if newest is None else self._history.ego_at(newest, newest.stamp_ns)

    def presence(self) -> tuple[InputHealth, ...]:
        """Return the health of every input while there is no cycle to judge it in."""
        missing = {
            name: f"{name}: no CameraInfo on {camera.info} yet"
            for name, camera in self._inputs.cameras.items()
            if camera.info not in self._infos
        }
        return presence(self._streams, self._counts, missing)

    def newest_sweep(self) -> LidarSweep | None:
        """Return the LiDAR sweep that came last, to judge a fallback plan by.

        In base_link at its own stamp.  None where there is none that can be used; the health of
        the cycles says why.
        """
        if self._newest_cloud is None:
            return None
        with suppress(InputError, Unusable):
            return LidarSweep(
                self._newest_cloud.stamp_ns, *self._points(self._newest_cloud.payload)
            )
        return None

    def add(self, topic: str, message: Message, now_ns: int) -> None:
        """Take a message; never raises on what is in it.

        Args:
            topic: one of `topics`; others are ignored.
            message: of rosbags or rclpy.
            now_ns: when it arrived: log time in a replay, else the steady clock.
        """
        if topic == self._inputs.tf_static:
            self._add_transforms(message)
        name = self._names.get(topic)
        if name is None:
            self._infos[topic] = message
        elif name in LATCHED:
            self._counts[name].received += 1
            self._latched[name] = message
        else:
            self._add_sample(name, message, now_ns)

    def match(self, now_ns: int, *, is_newest_wanted: bool = False) -> Match | None:
        """Return the messages of the oldest cycle that is ready, not decoded, or None.

        Args:
            now_ns: the present, on the clock of `add`.
            is_newest_wanted: of the newest one that is ready; those before it are dropped.
        """
        return self._synchronizer.take(now_ns, is_newest_wanted=is_newest_wanted)

    @property
    def is_pending(self) -> bool:
        """Tell that an anchor waits for its cycle."""
        return self._synchronizer.is_pending

    @property
    def dropped_anchors(self) -> int:
        """Anchor messages since start for which there was or will be no cycle."""
        return self._counts[self._inputs.anchor].dropped

    def take_one(self, now_ns: int) -> PlannerInput | MissedCycle | None:
        """Return the oldest cycle that is ready, or None."""
        match = self.match(now_ns)
        return None if match is None else self.assemble(match)

    def take(self, now_ns: int) -> list[PlannerInput | MissedCycle]:
        """Return all cycles that are ready, oldest first."""
        cycles = []
        while (cycle := self.take_one(now_ns)) is not None:
            cycles.append(cycle)
        return cycles

    def reset(self, *, is_same_time: bool = False) -> None:
        """Forget all messages but the calibration, and in the same time the navigation's."""
        self._synchronizer.reset()
        self._history.clear()
        self._newest_cloud = None
        self._rejected.clear()
        if not is_same_time:
            self._latched.clear()

    @property
    def _matched(self) -> list[str]:
        return [name for name in self._streams if name not in LATCHED]

    def _add_transforms(self, message: Message) -> None:
        try:
            guarded("tf2_msgs/TFMessage", lambda: self.transforms.add(message))
        except InputError as error:
            self._transform_fault = str(error)

    def _add_sample(self, name: str, message: Message, now_ns: int) -> None:
        """Hand a message to the synchronizer; odometry decoded, for the history needs all of it."""
        try:
            stamp_ns = guarded("a message with a header", lambda: decode.stamp_ns(message))
            payload = self._odometry(message) if name == ODOMETRY else message
        except InputError as error:
            counts = self._counts[name]
            counts.received += 1
            counts.dropped += 1
            self._rejected[name] = Unusable(fault_of(error), sentence(name, error))
            return
        self._rejected.pop(name, None)
        if name == LIDAR:
            self._newest_cloud = Sample(stamp_ns, message, now_ns)
        self._synchronizer.push(name, stamp_ns, payload, now_ns)

    def _odometry(self, message: Message) -> Odometry:
        frame = self._inputs.base_frame
        odometry = guarded("nav_msgs/Odometry", lambda: decode.decode_odometry(message, frame))
        self._history.add(odometry)
        return odometry

    def assemble(self, match: Match) -> PlannerInput | MissedCycle:
        """Decode what was matched; each input on its own."""
        rates_hz = {self._inputs.anchor: 1.0 / self._inputs.period_s}
        stamps = self._stamps(match)
        health = HealthLog(self._streams, self._counts, stamps, match.stamp_ns, rates_hz)
        jumped = FaultBit.CLOCK_JUMP if match.is_after_jump else FaultBit.NONE
        measured = health.take_optional(ACCELERATION, lambda: self._acceleration(match))
        motion_now = health.take(ODOMETRY, lambda: self._ego(match, measured))
        if motion_now is None:
            for name in self._streams:
                health.note_presence(name, is_needed=name not in OPTIONAL)
            found = health.entries()
            faults = jumped | union(found)
            return MissedCycle(match.stamp_ns, faults, health.reason(ODOMETRY), found)
        odometry, ego = motion_now
        taken = {
            name: health.take(name, functools.partial(self._camera, name, match))
            for name in self._inputs.cameras
        }
        lidar = None
        if LIDAR in self._streams:
            lidar = health.take(LIDAR, lambda: self._lidar(match, odometry))
        command = health.take_optional(COMMAND, lambda: self._command(match))
        route = health.take_optional(ROUTE, lambda: self._route(ego))
        found = health.entries()
        return PlannerInput(
            stamp_ns=match.stamp_ns,
            ego=ego,
            cameras={name: frame for name, frame in taken.items() if frame is not None},
            lidar=lidar,
            nav_command=NavCommand.UNKNOWN if command is None else command,
            route=route,
            health=found,
            faults=jumped | union(found),
        )

    def _stamps(self, match: Match) -> dict[str, int]:
        """Return the stamp of each input that has a message for this cycle."""
        stamps = {name: s.stamp_ns for name, s in match.samples.items() if s is not None}
        for name, message in self._latched.items():
            with suppress(InputError):  # its decoder says what is wrong with it
                stamps[name] = guarded("a header", functools.partial(decode.stamp_ns, message))
        return stamps

    def _sample(self, name: str, match: Match) -> Sample:
        """Return the matched sample of an input, or say why there is none."""
        sample = match.samples[name]
        if sample is not None:
            return sample
        if rejected := self._rejected.get(name):
            raise rejected
        topic, tolerance_s = self._streams[name].topic, self._streams[name].tolerance_s
        newest_ns = self._synchronizer.newest_ns(name)
        if newest_ns is None:
            raise Unusable(FaultBit.INPUT_MISSING, f"{name}: no message on {topic}")
        age_s = (match.stamp_ns - newest_ns) / 1e9
        if age_s > tolerance_s:
            raise Unusable(
                FaultBit.INPUT_STALE,
                f"{name}: newest message on {topic} is {age_s:.3f} s old, "
                f"allowed {tolerance_s:g} s",
            )
        raise Unusable(
            FaultBit.SYNC,
            f"{name}: no message on {topic} within {tolerance_s:g} s of the anchor's stamp, "
            f"the newest is {-age_s:.3f} s ahead",
        )

    def _ego(self, match: Match, measured: tuple[float, float] | None) -> tuple[Odometry, EgoState]:
        """Return the odometry nearest to the anchor, and the motion carried to its stamp."""
        odometry = self._sample(ODOMETRY, match).payload
        assert isinstance(odometry, Odometry)  # _add_sample puts nothing else in
        return odometry, self._history.ego_at(odometry, match.stamp_ns, measured)

    def _acceleration(self, match: Match) -> tuple[float, float] | None:
        sample = match.samples.get(ACCELERATION)
        if sample is None:
            return None
        return guarded(
            "geometry_msgs/AccelWithCovarianceStamped",
            lambda: decode.decode_acceleration(sample.payload, self._inputs.base_frame),
        )

    def _camera(self, name: str, match: Match) -> CameraFrame:
        sample = self._sample(name, match)
        message: Any = sample.payload
        info = self._infos.get(self._inputs.cameras[name].info)
        if info is None:
            raise Unusable(
                FaultBit.CAMERA_INFO,
                f"{name}: no CameraInfo on {self._inputs.cameras[name].info}",
            )
        image = guarded(
            "sensor_msgs/Image or CompressedImage", lambda: decode.decode_image(message)
        )
        frame_id = guarded("a frame_id", lambda: message.header.frame_id or info.header.frame_id)
        ego_SE3_camera = self._lookup(name, frame_id)
        is_rectified = "image_rect" in self._inputs.cameras[name].image
        calibration = self._calibrations.take(
            name, info, image.shape[:2], ego_SE3_camera, is_rectified=is_rectified
        )
        return CameraFrame(name, sample.stamp_ns, image, calibration)

    def _lookup(self, name: str, frame_id: str) -> Array:
        try:
            return self.transforms.lookup(self._inputs.base_frame, frame_id)
        except InputError as error:
            why = f"; {self._transform_fault}" if self._transform_fault else ""
            raise Unusable(FaultBit.TF, f"{name}: {error}{why}") from None

    def _lidar(self, match: Match, odometry: Odometry) -> LidarSweep:
        sample = self._sample(LIDAR, match)
        points, dropped = self._points(sample.payload)
        if sample.stamp_ns != match.stamp_ns:
            # What the vehicle sees of itself moves with it: carried, it would stand in its way.
            points = points[~is_own(points, self._vehicle, _SELF_MARGIN_M)]
            # Where the vehicle stood at the sweep, seen from where it stands at the anchor.
            at_anchor = motion(odometry, match.stamp_ns - odometry.stamp_ns)
            at_sweep = motion(odometry, sample.stamp_ns - odometry.stamp_ns)
            points = _moved(inverse_se3(at_anchor) @ at_sweep, points)
        return LidarSweep(match.stamp_ns, points, dropped)

    def _points(self, message: Message) -> tuple[NDArray[np.float32], int]:
        """Return the points [N, 3] of a cloud in base_link at its stamp, and how many it lost."""
        points, dropped = guarded("sensor_msgs/PointCloud2", lambda: decode.decode_points(message))
        if not len(points):
            if dropped:
                raise NonFiniteInputError(f"all {dropped} points are NaN or infinite")
            raise InputError("the sweep has 0 points")
        return _moved(self._lookup(LIDAR, message.header.frame_id), points), dropped

    def _command(self, match: Match) -> NavCommand | None:
        message = self._latched.get(COMMAND)
        if message is None:
            return None
        return guarded(
            "diff_planner_msgs/NavCommand",
            lambda: decode.decode_nav_command(message, match.stamp_ns),
        )

    def _route(self, ego: EgoState) -> Route | None:
        message = self._latched.get(ROUTE)
        if message is None:
            return None
        frame_id = guarded("diff_planner_msgs/Route", lambda: message.header.frame_id)
        odom_SE3_route = self.transforms.lookup(ego.frame_id, frame_id)
        return guarded(
            "diff_planner_msgs/Route",
            lambda: decode.decode_route(
                message, np.asarray(ego.odom_SE3_ego, np.float64), odom_SE3_route
            ),
        )


def _moved(dst_SE3_src: Array, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points [N, 3] in another frame, in their own precision."""
    matrix = dst_SE3_src.astype(np.float32)
    return points @ matrix[:3, :3].T + matrix[:3, 3]
