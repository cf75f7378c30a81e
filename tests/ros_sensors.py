"""A vehicle's sensors on the graph: one moment of the sample drive, again and again.

The vehicle goes straight on at one speed and sees the same pictures and the same cloud in each
period, so a planner on its trail is content for as long as nobody breaks anything.  Messages are
serialized once; what goes out is their bytes with another stamp.

As a program it is some of the sensors in a process of its own:
`python ros_sensors.py BAG NAME...`
"""

import heapq
import struct
import sys
import threading
import time
from typing import NamedTuple

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from diff_planner.config import InputsConfig
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.cdr import stamp_ns, with_stamp_shifted
from diff_planner.data.typestore import typestore
from diff_planner.ros.message_classes import message_class
from message_factories import make_odometry

TICK_S = 0.02
TICKS_A_SWEEP = 5
SPEED_MPS = 8.5
_MARK = 123456.789
"""Stands in the odometry's bytes where x goes."""
_QOS = {
    "sensor": QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT),
    "reliable": QoSProfile(depth=10),
    "latched": QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
}


class Sensor(NamedTuple):
    """One topic: its type, and the message that is sent again and again."""

    topic: str
    msgtype: str
    data: bytes
    qos: str


def load_sensors(bag):
    """The sensors of a bag by name, in the order in which they are sent."""
    inputs = InputsConfig()
    names = {inputs.tf_static: "tf_static"}
    for name, camera in inputs.cameras.items():
        names[camera.info], names[camera.image] = f"{name}_info", name
    names[inputs.lidar.topic] = "lidar"
    with BagReader(bag) as reader:
        first = {}
        for raw in reader.raw_messages(names):
            first.setdefault(raw.topic, raw)
    marked = make_odometry(position=(_MARK, 0.0, 0.0), vx=SPEED_MPS, frame_id="map")
    odometry = bytes(typestore().serialize_cdr(marked, "nav_msgs/msg/Odometry"))
    sensors = {
        "odometry": Sensor(inputs.odometry.topic, "nav_msgs/msg/Odometry", odometry, "reliable")
    }
    for topic, name in names.items():
        raw = first[topic]
        sensors[name] = Sensor(
            topic, raw.msgtype, raw.data, "latched" if name == "tf_static" else "sensor"
        )
    return sensors


# Faults: each takes a message of now and says what is sent instead: (seconds from now, bytes).


def silent(data):
    return []


def late(delay_s):
    return lambda data: [(delay_s, data)]


def shifted(offset_s):
    """Stamps of a clock that is off."""
    return lambda data: [(0.0, with_stamp_shifted(data, round(offset_s * 1e9)))]


def doubled(data):
    return [(0.0, data), (0.001, data)]


def swapped(period_s):
    """Every other message comes after the one that follows it."""
    is_held = [False]

    def send(data):
        is_held[0] = not is_held[0]
        return [(1.2 * period_s if is_held[0] else 0.0, data)]

    return send


def replaced(other):
    """Another message, with the stamp of this one."""
    return lambda data: [(0.0, with_stamp_shifted(other, stamp_ns(data) - stamp_ns(other)))]


class Sensors(threading.Thread):
    """Publishes all sensors on time until `close`."""

    def __init__(self, context, sensors, *, is_simulated=False, sim_start_ns=10**18):
        super().__init__(name="sensors", daemon=True)
        self.sensors = sensors
        self.lock = threading.Lock()
        self._node = rclpy.create_node("sensors", context=context)
        self._publishers = {}
        for name in sensors:
            self.connect(name)
        self._clock = None
        if is_simulated:
            self._clock = self._node.create_publisher(Clock, "/clock", 1)
        self._begin_ns = time.monotonic_ns()
        present_ns = sim_start_ns if is_simulated else time.time_ns()
        self.offset_ns = present_ns - self._begin_ns
        """Of the clock that everybody has, to the steady one."""
        self.has_clock = is_simulated
        self._faults = {}
        self._later = []
        self._numbers = iter(range(10**9))
        self._is_paused = self._is_closed = False

    def connect(self, name, *, topic=None, msgtype=None, qos=None):
        """Advertise a topic; anything but the sensor's own may be asked for."""
        sensor = self.sensors[name]
        self._publishers[name] = self._node.create_publisher(
            message_class(msgtype or sensor.msgtype),
            topic or sensor.topic,
            qos or _QOS[sensor.qos],
        )
        if sensor.qos == "latched":
            self._publishers[name].publish(sensor.data)

    def disconnect(self, name):
        """Withdraw a publisher."""
        with self.lock:
            self._node.destroy_publisher(self._publishers.pop(name))

    def now_ns(self):
        """The present by everybody's clock."""
        return time.monotonic_ns() + self.offset_ns

    def break_(self, *names, fault):
        """From now on a sensor sends what `fault` makes of its messages."""
        with self.lock:
            self._faults.update(dict.fromkeys(names, fault))

    def heal(self):
        """All sensors are as they should be, and sending; what was delayed is lost."""
        with self.lock:
            self._is_paused = False
            self._faults.clear()
            self._later.clear()

    def pause(self, is_paused=True):
        """Send nothing at all."""
        with self.lock:
            self._is_paused = is_paused

    def run(self):
        tick, begin_s = 0, time.monotonic()
        while not self._is_closed:
            with self.lock:
                if not self._is_paused:
                    self._send(tick)
            tick += 1
            due_s = begin_s + tick * TICK_S
            while (left_s := due_s - time.monotonic()) > 0.0:
                time.sleep(min(left_s, 0.005))
                with self.lock:
                    self._send_later()

    def close(self):
        self._is_closed = True
        self.join()
        self._node.destroy_node()

    def _send(self, tick):
        now_ns = self.now_ns()
        if self._clock is not None and self.has_clock:
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(now_ns, 10**9)
            self._clock.publish(message)
        for name, sensor in self.sensors.items():
            if name == "odometry" or (tick % TICKS_A_SWEEP == 0 and name != "tf_static"):
                self._give(name, self._message(name, sensor.data, now_ns))

    def _message(self, name, data, now_ns):
        data = with_stamp_shifted(data, now_ns - stamp_ns(data))
        if name == "odometry":
            x_m = SPEED_MPS * (time.monotonic_ns() - self._begin_ns) * 1e-9
            data = data.replace(struct.pack("<d", _MARK), struct.pack("<d", x_m))
        return data

    def _give(self, name, data):
        fault = self._faults.get(name)
        for delay_s, sent in [(0.0, data)] if fault is None else fault(data):
            if delay_s:
                entry = (time.monotonic() + delay_s, next(self._numbers), name, sent)
                heapq.heappush(self._later, entry)
            else:
                self._publish(name, sent)

    def _send_later(self):
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, name, data = heapq.heappop(self._later)
            self._publish(name, data)

    def _publish(self, name, data):
        if name in self._publishers:
            self._publishers[name].publish(data)


def main(bag, *names):
    rclpy.init()
    loaded = load_sensors(bag)
    sensors = Sensors(None, {name: loaded[name] for name in names})
    sensors.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
