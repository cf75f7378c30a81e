"""A ROS domain that nobody else on this machine is in, for demos and tests.

Two graphs in one domain hear each other: a node then plans on another bag's messages, and no error
says so.
"""

from __future__ import annotations

import random
import socket

from diff_planner.errors import MissingInputError

LOWEST, HIGHEST = 1, 101
"""0 is everybody's; higher ones meet the ports that Linux gives to programs."""


def first_port(domain_id: int) -> int:
    """Return the UDP port of the first participant of a domain, as DDS-RTPS prescribes."""
    return 7400 + 250 * domain_id + 10


def is_free(domain_id: int) -> bool:
    """Return whether no participant on this machine is in a domain."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", first_port(domain_id)))
        except OSError:
            return False
    return True


def free_domain_id() -> int:
    """Return a random domain that is free now.

    Raises:
        MissingInputError: none is.
    """
    candidates = list(range(LOWEST, HIGHEST + 1))
    random.SystemRandom().shuffle(candidates)
    for domain_id in candidates:
        if is_free(domain_id):
            return domain_id
    raise MissingInputError(
        f"every ROS domain from {LOWEST} to {HIGHEST} is in use on this machine; set ROS_DOMAIN_ID"
    )
