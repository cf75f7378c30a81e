"""The inputs that a configuration asks for: names, topics, tolerances."""

from __future__ import annotations

from diff_planner.config import InputsConfig, StreamConfig
from diff_planner.errors import ConfigError

LIDAR, ODOMETRY, ACCELERATION = "lidar", "odometry", "acceleration"
COMMAND, ROUTE = "nav_command", "route"
LATCHED = (COMMAND, ROUTE)
"""The newest one counts until the next."""
OPTIONAL = (ACCELERATION, *LATCHED)
"""Their absence is no fault."""


def configured_streams(inputs: InputsConfig) -> dict[str, StreamConfig]:
    """Return topic and tolerance of every configured input by name."""
    streams = {
        name: StreamConfig(topic=camera.image, tolerance_s=camera.tolerance_s)
        for name, camera in inputs.cameras.items()
    }
    others = {
        LIDAR: inputs.lidar,
        ODOMETRY: inputs.odometry,
        ACCELERATION: inputs.acceleration,
        COMMAND: inputs.nav_command,
        ROUTE: inputs.route,
    }
    return streams | {name: stream for name, stream in others.items() if stream is not None}


def names_by_topic(inputs: InputsConfig, streams: dict[str, StreamConfig]) -> dict[str, str]:
    """Return the input's name of each topic.

    Raises:
        ConfigError: one topic is configured for two inputs.
    """
    names: dict[str, str] = {}
    for name, stream in streams.items():
        if stream.topic in names or stream.topic == inputs.tf_static:
            raise ConfigError(f"topic {stream.topic} is configured for two inputs")
        names[stream.topic] = name
    return names
