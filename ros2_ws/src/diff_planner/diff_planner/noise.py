"""Random numbers of a planning cycle: a function of (seed, stamp, name) and of nothing else.

The generator is counter-based (Philox 4x64-10; Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", SC 2011): the key is (seed, stamp), each named draw has a counter range of its own.
So a draw depends neither on how many cycles came before nor on the order or presence of others.
Only numpy's raw 64-bit words are used, which numpy keeps stable; numbers are made of them here,
since numpy may change how its own `normal` consumes words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from diff_planner.config import ConfigModel

_WORD = 2**64


class NoiseSpec(ConfigModel):
    """One random input of a network."""

    name: str = Field(min_length=1)
    shape: tuple[PositiveInt, ...]
    distribution: Literal["normal", "uniform"] = Field(
        description="normal: mean 0, deviation 1; uniform: [0, 1)."
    )


def draw(specs: Sequence[NoiseSpec], seed: int, stamp_ns: int) -> dict[str, NDArray[np.float32]]:
    """Draw every random input of one cycle.

    The float64 results are rounded to float32, which hides the last-bit differences that `log`
    and `cos` have between numpy builds.

    Args:
        specs: what the model's card asks for.
        seed: of the run.
        stamp_ns: of the cycle.

    Returns:
        float32 arrays by name, of the specs' shapes.
    """
    return {spec.name: _draw_one(spec, seed, stamp_ns) for spec in specs}


def _draw_one(spec: NoiseSpec, seed: int, stamp_ns: int) -> NDArray[np.float32]:
    count = int(np.prod(spec.shape))
    if spec.distribution == "uniform":
        # Rounding 53 bits to float32 could give 1.0, outside [0, 1): take the 24 bits it holds.
        words = _words(spec.name, seed, stamp_ns, count)
        values = (words >> np.uint64(40)) * 2.0**-24
    else:
        values = _normals(_words(spec.name, seed, stamp_ns, 2 * count))
    return values.astype(np.float32).reshape(spec.shape)


def _words(name: str, seed: int, stamp_ns: int, count: int) -> NDArray[np.uint64]:
    """Return 64-bit words [count]; the name picks the upper half of the counter."""
    digest = hashlib.sha256(name.encode()).digest()
    upper = [int.from_bytes(digest[start : start + 8], "little") for start in (0, 8)]
    key = np.array([seed % _WORD, stamp_ns % _WORD], dtype=np.uint64)
    counter = np.array([0, 0, *upper], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def _normals(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return standard normals [N] of words [2 N] (Box and Muller 1958, the cosine half)."""
    fractions = (words >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log(1.0 - fractions[0::2]))  # (0, 1]: log of 0 cannot come
    normals: NDArray[np.float64] = radius * np.cos(2.0 * np.pi * fractions[1::2])
    return normals
