"""Pictures that are there twice: equal ones, and ones that only look equal.

Dimension key, for the whole file:
    N  pictures      H  height      W  width      C  channels      P  pixels of a thumbnail
    K  places of a hash
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

HASH_SIDE = 8
HASH_BITS = HASH_SIDE * HASH_SIDE
BANDS = 4
"""Of each hash. Pictures that agree in all bits of one band are compared."""
MOST_BITS_APART = 8
"""Of both hashes together."""
THUMBNAIL = 16
LEAST_CORRELATION = 0.995
LARGEST_RUN = 64
"""Pictures that agree in a band are compared with as many others as this, the most alike first."""
CHUNK = 4096


def equal_groups(images: Pixels) -> Rows:
    """`(N,)`: a number for each picture; equal for pictures that are equal in every pixel."""
    return np.unique(digests(images), return_inverse=True)[1]


def near_pairs(images: Pixels) -> Rows:
    """`(pairs, 2)`: pictures that look the same, each pair once, the lower number first.

    Two difference hashes (where does it get clearly brighter from left to right, and from top to
    bottom? on 8 x 8 places) find candidates; these count if their thumbnails are correlated by
    `LEAST_CORRELATION`. So another brightness hardly ever hides a copy, and another size or a
    stronger compression seldom.
    Pictures of one single value are left out. Equal pictures are pairs, too.

    Cost:
        About N log N, since large runs of alike pictures are compared by neighbours only.
    """
    hashes_N2, thumbnails_NP, varied_N = _prints(images)
    rows = np.flatnonzero(varied_N)
    found = [np.empty((0, 2), dtype=np.int64)]
    for left, right in _candidates(hashes_N2, rows):
        alike = np.einsum("np,np->n", thumbnails_NP[left], thumbnails_NP[right])
        close = alike >= LEAST_CORRELATION
        found.append(np.stack([left[close], right[close]], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _prints(images: Pixels) -> tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.bool_]]:
    """Two hashes, a thumbnail of mean 0 and length 1, and whether a picture varies at all."""
    hashes, thumbnails, varied = [], [], []
    for start in range(0, len(images), CHUNK):
        block = torch.from_numpy(np.ascontiguousarray(images[start : start + CHUNK]))
        grey_N1HW = block.to(torch.float32).mean(dim=3)[:, None]
        wide = F.adaptive_avg_pool2d(grey_N1HW, (HASH_SIDE, HASH_SIDE + 1)).diff(dim=3)
        tall = F.adaptive_avg_pool2d(grey_N1HW, (HASH_SIDE + 1, HASH_SIDE)).diff(dim=2)
        steps_N2K = torch.stack([wide.flatten(1), tall.flatten(1)], dim=1)
        # Clearly brighter: in an even place noise alone would say which side is the brighter one.
        clear = steps_N2K > steps_N2K.square().mean(dim=2, keepdim=True).sqrt() / 2
        hashes.append(np.packbits(clear.numpy(), axis=2).view(np.uint64)[..., 0])
        flat = F.adaptive_avg_pool2d(grey_N1HW, THUMBNAIL).flatten(1)
        flat = flat - flat.mean(dim=1, keepdim=True)
        length = flat.norm(dim=1, keepdim=True)
        varied.append((length[:, 0] > 0).numpy())
        thumbnails.append((flat / length.clamp_min(1e-12)).numpy())
    return np.concatenate(hashes), np.concatenate(thumbnails), np.concatenate(varied)


def _candidates(hashes_N2: NDArray[np.uint64], rows: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows that agree in a band of one of their hashes, and nearly in all of both."""
    # Neighbouring bits often agree (an empty margin); strewn over the bands they tell more.
    strewn = np.arange(HASH_BITS) * 37 % HASH_BITS
    for which in (0, 1):
        for positions in np.array_split(strewn, BANDS):
            mask = np.uint64(sum(1 << int(position) for position in positions))
            own, other = hashes_N2[rows, which], hashes_N2[rows, 1 - which]
            order = np.lexsort((other, own, own & mask))
            own, other, ordered = own[order], other[order], rows[order]
            for distance in range(1, min(LARGEST_RUN, len(rows))):
                differing = own[distance:] ^ own[:-distance]
                agree = differing & mask == 0
                if not agree.any():
                    break
                apart = _bits_set(differing) + _bits_set(other[distance:] ^ other[:-distance])
                near = np.flatnonzero(agree & (apart <= MOST_BITS_APART))
                yield ordered[near], ordered[near + distance]


def _bits_set(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many bits of each number are 1.

    Source:
        Warren, Hacker's Delight, section 5-1: sums of pairs, of fours, of bytes.
    """
    values = values - ((values >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = np.uint64(0x3333333333333333)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
