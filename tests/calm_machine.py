"""Bounds of time on a machine that others use too: judged again where somebody else had the cores.

A whole process may stand still while others compute, which tells nothing about it.  So what misses
a bound once is tried once more.  It is tried more often only where the kernel says that threads
waited for a core during the attempt (pressure stall information; a graph of ours alone makes some
0.06), and after a wait for a calmer moment.  No bound is ever loosened.
"""

import time
from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")
_BUSY_SHARE = 0.25
_CALM_WITHIN_S = 30.0
_WINDOW_S = 0.5
_TRIES = 5


def in_a_calm_moment(attempt, heal=lambda: None):
    """Return what `attempt` returns; after an AssertionError heal and try again, as said above."""
    for tries in range(1, _TRIES + 1):
        begin_s, waited_s = time.monotonic(), _waited_s()
        try:
            return attempt()
        except AssertionError as error:
            share = (_waited_s() - waited_s) / (time.monotonic() - begin_s)
            print(f"attempt {tries}, threads waited for a core {share:.0%} of the time: {error}")
            if tries == _TRIES or (tries > 1 and share < _BUSY_SHARE):
                raise
        _wait_for_calm()
        heal()
    return None


def _waited_s():
    """Seconds since the start of the machine in which some thread waited for a core."""
    try:
        some = _PRESSURE.read_text().splitlines()[0]
    except OSError:  # no Linux, or a kernel that does not tell
        return 0.0
    return int(some.rpartition("=")[2]) * 1e-6


def _wait_for_calm():
    end_s = time.monotonic() + _CALM_WITHIN_S
    while time.monotonic() < end_s:
        waited_s = _waited_s()
        time.sleep(_WINDOW_S)
        if (_waited_s() - waited_s) / _WINDOW_S < _BUSY_SHARE:
            return
