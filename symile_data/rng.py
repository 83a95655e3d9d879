"""Named, counter-based random streams: the only source of randomness in builders and loaders.

A stream is identified by a seed and a name ("m3/train/image", ...). Its numbers are the output of the Philox 4x64-10
generator (Salmon et al., SC 2011; numpy's `Philox`) under a key made from both, and row `i` of a stream owns a fixed
range of the counter. So any process can draw any rows, in any order, and get the same values, whatever the number of
workers, the size of chunks or earlier draws.

Two methods return the same numbers: `Stream.rows` for a contiguous range (numpy's generator, about 1 ns per number)
and `Stream.at` for scattered row ids (the same function on arrays).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

WORDS_PER_BLOCK = 4  # Philox 4x64 makes four 64-bit words for one counter value

_MASK32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_CHUNK = 1 << 14  # rows handled at a time in `at`, so that the temporaries stay in cache

Uint64Array = npt.NDArray[np.uint64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stream:
    """The random numbers named `name` under `seed`.

    Args:
        seed: Any integer; the user's `--seed`.
        name: The purpose of the numbers. Different names give independent streams.

    >>> stream = Stream(0, "example")
    >>> bool((stream.rows(10, 12, 3) == stream.at(np.array([10, 11]), 3)).all())
    True
    """

    seed: int
    name: str
    _key: tuple[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"{self.seed}\x00{self.name}".encode()).digest()
        key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
        object.__setattr__(self, "_key", key)

    def rows(self, start: int, stop: int, width: int) -> FloatArray:
        """Return the uniform numbers of rows `start` to `stop - 1`.

        Returns:
            (stop - start, width) float64 in [0, 1).
        """
        blocks = _blocks(width)
        bits = np.random.Philox(key=np.array(self._key, dtype=np.uint64))
        bits.advance(start * blocks)
        raw = bits.random_raw((stop - start) * blocks * WORDS_PER_BLOCK).reshape(stop - start, blocks * WORDS_PER_BLOCK)
        return _to_unit(raw[:, :width])

    def at(self, row_ids: npt.NDArray[np.integer], width: int) -> FloatArray:
        """Return the uniform numbers of arbitrary rows, equal to those of `rows`.

        Args:
            row_ids: (N,) non-negative integers, any order, repeats allowed.

        Returns:
            (N, width) float64 in [0, 1).
        """
        blocks = _blocks(width)
        out = np.empty((len(row_ids), blocks, WORDS_PER_BLOCK), dtype=np.uint64)
        # numpy increments the counter before its first output, hence from 1.
        numbers = np.arange(1, blocks + 1, dtype=np.uint64)
        step = max(1, _CHUNK // max(blocks, 1))
        for start in range(0, len(row_ids), step):
            first = np.asarray(row_ids[start : start + step]).astype(np.uint64) * np.uint64(blocks)
            words = _philox((first[:, None] + numbers).ravel(), self._key)
            for lane, values in enumerate(words):
                out[start : start + step, :, lane] = values.reshape(-1, blocks)
        return _to_unit(out.reshape(len(row_ids), blocks * WORDS_PER_BLOCK)[:, :width])

    def generator(self, row: int = 0) -> np.random.Generator:
        """Return a numpy generator for one row of the stream, for draws of an unknown number of values.

        Rows are 2**64 counter values apart, so generators of different rows never overlap.
        """
        counter = np.array([0, row + 1, 0, 0], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=np.array(self._key, dtype=np.uint64), counter=counter))

    def integer(self) -> int:
        """Return one integer in [0, 2**63), as a seed for another library.

        >>> Stream(0, "a").integer() != Stream(0, "b").integer()
        True
        """
        return self._key[0] & (2**63 - 1)


def below(uniform: FloatArray, bound: int | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Map uniform numbers in [0, 1) to integers in [0, bound); `bound` broadcasts.

    >>> below(np.array([0.0, 0.5, 0.999]), 10).tolist()
    [0, 5, 9]
    """
    return (uniform * bound).astype(np.int64)


def _blocks(width: int) -> int:
    return -(-width // WORDS_PER_BLOCK)


def _to_unit(raw: Uint64Array) -> FloatArray:
    """Convert the top 53 bits to a float in [0, 1), as numpy's `random()` does."""
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _philox(counter: Uint64Array, key: tuple[int, int]) -> tuple[Uint64Array, ...]:
    """Compute Philox 4x64-10 for arrays of counters (counter, 0, 0, 0)."""
    c0, c1, c2, c3 = counter, np.zeros_like(counter), np.zeros_like(counter), np.zeros_like(counter)
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + _WEYL[0]) % 2**64, (k1 + _WEYL[1]) % 2**64
    return c0, c1, c2, c3


def _multiply(values: Uint64Array, factor: int) -> tuple[Uint64Array, Uint64Array]:
    """Return the high and low 64 bits of the 128-bit product, from four 32-bit products."""
    a1, a0 = values >> _SHIFT32, values & _MASK32
    b1, b0 = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    cross = a1 * b0 + (a0 * b0 >> _SHIFT32)
    middle = (cross & _MASK32) + a0 * b1
    high = a1 * b1 + (cross >> _SHIFT32) + (middle >> _SHIFT32)
    return high, values * np.uint64(factor)
