"""How much of an MCAP file is there: a walk over its outer records.

Apart from the reader, which wants whole files: this says where a broken one breaks off.
Record layout: mcap.dev/spec (opcode uint8, length uint64, content; little-endian).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _MESSAGE, _CHUNK = 0x02, 0x05, 0x06


@dataclass(frozen=True)
class McapExtent:
    """What of an MCAP file is whole."""

    is_mcap: bool
    """The file begins as MCAP files do."""
    is_whole: bool
    """It also ends as they do."""
    whole_bytes: int
    """Bytes up to the end of the last whole record."""
    total_bytes: int
    first_ns: int | None
    """Log time of the first message, None when no message is whole."""
    last_ns: int | None
    """Log time of the last message in a whole record."""


def scan(path: Path) -> McapExtent:
    """Walk over the outer records of a file; reads their heads only.

    Raises:
        OSError: the file cannot be read.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return McapExtent(False, False, 0, total, None, None)
        position, opcode = len(_MAGIC), 0
        times: list[tuple[int, int]] = []
        while opcode != _FOOTER:
            head = file.read(9)
            if len(head) < 9:
                break
            opcode, length = struct.unpack("<BQ", head)
            if position + 9 + length > total:
                break
            span = _times(opcode, file.read(min(length, 22)))
            times = [*times[:1], span] if span else times  # the first and the newest
            position += 9 + length
            file.seek(position)
        is_whole = opcode == _FOOTER and file.read(len(_MAGIC)) == _MAGIC
    first_ns, last_ns = (times[0][0], times[-1][1]) if times else (None, None)
    return McapExtent(True, is_whole, position, total, first_ns, last_ns)


def _times(opcode: int, content: bytes) -> tuple[int, int] | None:
    """Return first and last log time of a message or chunk record from its first bytes."""
    if opcode == _CHUNK and len(content) >= 16:
        first_ns, last_ns = struct.unpack_from("<QQ", content)
        return (first_ns, last_ns) if last_ns else None  # 0, 0: a chunk without messages
    if opcode == _MESSAGE and len(content) >= 14:
        (log_ns,) = struct.unpack_from("<Q", content, 6)
        return log_ns, log_ns
    return None
