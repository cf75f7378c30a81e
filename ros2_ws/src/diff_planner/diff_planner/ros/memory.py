"""How the process keeps memory: what would otherwise take its time in the middle of a cycle.

By default glibc gives the memory of a freed camera image back to the system and asks for it again
with the next image; the kernel then has to clear and map a thousand pages, a few times for each
image (middleware, message, pixels).  bench/dds_transport.py measures what that costs.  And Python's
collector looks at every object there is, now and then.
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""
LARGEST_BLOCK_BYTES = 32 * 2**20
"""Blocks up to this size stay in the process when freed; the most that glibc takes."""
KEPT_BYTES = 256 * 2**20
"""Freed memory above this, at the end of the heap, goes back to the system."""


def keep_large_blocks() -> bool:
    """Let freed blocks of the size of images be used again instead of returned to the system.

    To be called first thing in main(), before rclpy.init.  Costs up to KEPT_BYTES of memory that
    is not in use, in practice that of the images in flight.

    Returns:
        False where the C library is not glibc: nothing is changed then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl and macOS have none
        return False
    done = [
        mallopt(_M_MMAP_THRESHOLD, LARGEST_BLOCK_BYTES),
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES),
    ]
    return all(done)


def settle_heap() -> None:
    """Take all that is alive now from the collector's work, once the planner is configured.

    A full collection looks at every module, message class and decoder: 30 ms and more, in whatever
    cycle it happens to begin.  Afterwards it looks only at what was made since: next to nothing.
    What an earlier configuration has left behind is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
