"""Random numbers without a state: a function of what they are for.

A value depends on (seed, epoch, row, stream, column) and on nothing else: not on the batch that a
row is in, on the thread that asks, or on what was drawn before. So an augmented sample is the same
after a resume, and for any number of workers.

Dimension key, for the whole file:
    B  rows      n  values drawn for a row
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: the increment of SplitMix64
_COLUMN_STEP = 0xD1342543DE82EF95


def uniforms(
    seed: int, epoch: int, ids: NDArray[np.int64], stream: str, n: int
) -> NDArray[np.float64]:
    """`n` uniform values in [0, 1) for each row.

    Args:
        seed: Of the run.
        epoch: From 0.
        ids: `(B,)` row numbers.
        stream: What the values are for; streams of different names are independent.
        n: Values a row.

    Returns:
        `(B, n)`.

    Source:
        The finalizer of SplitMix64, Steele et al. 2014 (Fast splittable pseudorandom number
        generators, section 4), used as a hash of a counter.

    Example:
        >>> whole = uniforms(7, 0, np.arange(5), "flip", 2)
        >>> bool((whole[3:4] == uniforms(7, 0, np.array([3]), "flip", 2)).all())
        True
    """
    columns = (np.arange(1, n + 1, dtype=np.uint64) * np.uint64(_COLUMN_STEP))[None, :]
    values = _mixed(_row_keys(seed, epoch, ids, stream)[:, None] ^ columns)
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(rows: int, seed: int, epoch: int, stream: str) -> NDArray[np.int64]:
    """The numbers 0 to `rows` - 1 in a random order.

    Sorted by hash, so that no version of a library can change it.

    Example:
        >>> sorted(permutation(4, seed=7, epoch=0, stream="order").tolist())
        [0, 1, 2, 3]
    """
    keys = _row_keys(seed, epoch, np.arange(rows, dtype=np.int64), stream)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _row_keys(seed: int, epoch: int, ids: NDArray[np.int64], stream: str) -> NDArray[np.uint64]:
    key = np.uint64(_key(seed, epoch, stream))
    return _mixed(ids.astype(np.uint64) * np.uint64(_STEP) + key)


@functools.lru_cache(maxsize=1024)
def _key(seed: int, epoch: int, stream: str) -> int:
    text = f"{seed}/{epoch}/{stream}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") & _MASK


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each 64-bit number as another one that looks unrelated (a bijection)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
