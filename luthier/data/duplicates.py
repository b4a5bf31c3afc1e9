"""Pictures that are there twice: equal ones, and ones that only look equal.

Dimension key, for the whole file:
    N  pictures      H  height      W  width      C  channels      P  pixels of a thumbnail
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from luthier.data.collection import Rows
from luthier.data.image import Pixels
from luthier.data.split import digests

HASH_ROWS, HASH_COLUMNS = 8, 8
BANDS = 3
"""Two hashes that differ in fewer bits than there are bands agree in one band at least."""
THUMBNAIL = 16
LEAST_CORRELATION = 0.995
LARGEST_RUN = 256
"""Hashes that agree in a band are compared with each other up to this many, else with the next."""
CHUNK = 4096
PAIRS_AT_ONCE = 2**20
_BITS_OF_BYTE = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)


def equal_groups(images: Pixels) -> Rows:
    """`(N,)`: a number for each picture; equal for pictures that are equal in every pixel."""
    return np.unique(digests(images), return_inverse=True)[1]


def near_pairs(images: Pixels) -> Rows:
    """`(pairs, 2)`: pictures that look the same, each pair once, the lower number first.

    A difference hash (is a place brighter than its left neighbour? 8 x 8 times) finds candidates
    that differ in fewer than `BANDS` bits; they count if their thumbnails are correlated by
    `LEAST_CORRELATION`. So another brightness, size or compression does not hide a copy.
    Pictures of one single value are left out. Equal pictures are pairs, too.

    Cost:
        About N log N; a set with very many alike pictures is compared by neighbours only.
    """
    hashes, thumbnails, varied = _prints(images)
    found = []
    for left, right in _candidates(hashes, varied):
        for start in range(0, len(left), PAIRS_AT_ONCE):
            a, b = left[start : start + PAIRS_AT_ONCE], right[start : start + PAIRS_AT_ONCE]
            close = _bits_set(hashes[a] ^ hashes[b]) < BANDS
            a, b = a[close], b[close]
            alike = np.einsum("np,np->n", thumbnails[a], thumbnails[b]) >= LEAST_CORRELATION
            found.append(np.stack([a[alike], b[alike]], axis=1))
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _prints(images: Pixels) -> tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.bool_]]:
    """Hashes, thumbnails `(N, P)` of mean 0 and length 1, and whether a picture varies."""
    hashes, thumbnails, varied = [], [], []
    for start in range(0, len(images), CHUNK):
        grey = torch.from_numpy(np.ascontiguousarray(images[start : start + CHUNK]))
        grey_N1HW = grey.to(torch.float32).mean(dim=3)[:, None]
        small = F.adaptive_avg_pool2d(grey_N1HW, (HASH_ROWS, HASH_COLUMNS + 1))
        bits = (small[..., 1:] > small[..., :-1]).flatten(1).numpy()
        hashes.append(np.packbits(bits, axis=1).view(np.uint64)[:, 0])
        flat = F.adaptive_avg_pool2d(grey_N1HW, THUMBNAIL).flatten(1)
        flat = flat - flat.mean(dim=1, keepdim=True)
        length = flat.norm(dim=1, keepdim=True)
        varied.append((length[:, 0] > 0).numpy())
        thumbnails.append((flat / length.clamp_min(1e-12)).numpy())
    return np.concatenate(hashes), np.concatenate(thumbnails), np.concatenate(varied)


def _candidates(
    hashes: NDArray[np.uint64], varied: NDArray[np.bool_]
) -> Iterator[tuple[Rows, Rows]]:
    """Pairs whose hashes agree in a band of bits."""
    # Neighbouring bits often agree (an empty margin); strewn over the bands they tell more.
    strewn = np.argsort(np.arange(64) * 37 % 64)
    rows = np.flatnonzero(varied)
    for positions in np.array_split(strewn, BANDS):
        mask = np.uint64(sum(1 << int(position) for position in positions))
        key = hashes[rows] & mask
        ordered = rows[np.lexsort((hashes[rows], key))]
        keys = hashes[ordered] & mask
        _, lengths = np.unique(keys, return_counts=True)
        reach = np.minimum(np.repeat(lengths, lengths), LARGEST_RUN)
        for distance in range(1, int(reach.max(initial=1))):
            near = np.flatnonzero(
                (keys[distance:] == keys[:-distance]) & (reach[distance:] > distance)
            )
            if len(near):
                yield ordered[near], ordered[near + distance]


def _bits_set(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    counts: NDArray[np.uint8] = _BITS_OF_BYTE[values.view(np.uint8).reshape(-1, 8)].sum(
        axis=1, dtype=np.uint8
    )
    return counts
