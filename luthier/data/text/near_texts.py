"""Texts that are nearly the same.

Dimension key, for the whole file:
    N  texts      S  shingles of all texts      H  hashes of a text
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import Rows
from luthier.data.randomness import uniforms
from luthier.data.text.rows.ragged import offsets_of

SHINGLE = 5
"""Characters that stand together."""
HASHES = 64
BAND = 4
"""Hashes of a band. Texts that agree in all hashes of one band are compared."""
LEAST_ALIKE = 0.8
"""Shared shingles over all shingles of both."""
LIKELY = 0.7
"""As the hashes have it, from where it is looked at closely."""
LARGEST_RUN = 32
"""Texts that agree in a band are compared with as many others as this."""
MOST_CHARACTERS = 20_000_000
"""Of all texts, up to which this takes seconds."""

Hashes = NDArray[np.uint64]


def near_pairs(texts: Sequence[str]) -> Rows:
    """`(pairs, 2)`: texts that share nearly all of their shingles, the lower number first.

    Equal texts are pairs, too. Texts of fewer than `SHINGLE` characters are left out.

    Source:
        Broder 1997 (On the resemblance and containment of documents); bands as in Leskovec et
        al. (Mining of Massive Datasets), section 3.4.

    Cost:
        `HASHES` operations for each character, and N log N for each band.

    Example:
        >>> near_pairs(["the cat sat on the old mat.", "a dog", "the cat sat on the old mat"])
        array([[0, 2]])
    """
    long = [row for row, text in enumerate(texts) if len(text) >= SHINGLE]
    found = [np.empty((0, 2), dtype=np.int64)]
    if not long:
        return found[0]
    least = _least_hashes([texts[row] for row in long])
    for left, right in _candidates(least):
        likely = (least[left] == least[right]).mean(axis=1) >= LIKELY
        found.append(np.stack([left[likely], right[likely]], axis=1))
    pairs: Rows = np.array(long)[np.unique(np.sort(np.concatenate(found), axis=1), axis=0)]
    alike = [_alike(texts[a], texts[b]) >= LEAST_ALIKE for a, b in pairs]
    kept: Rows = pairs[np.array(alike, dtype=bool)]
    return kept


def _least_hashes(texts: Sequence[str]) -> Hashes:
    """`(N, H)`: the least of all shingles by each of the hash functions."""
    lengths = np.array([len(text) - SHINGLE + 1 for text in texts])
    characters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    shingles = np.zeros(len(characters) - SHINGLE + 1, dtype=np.uint64)
    for place in range(SHINGLE):
        end = len(characters) - SHINGLE + 1 + place
        shingles = shingles * np.uint64(0x100000001B3) + characters[place:end]
    starts = offsets_of(lengths + SHINGLE - 1)[:-1]
    # Shingles that reach into the next text are left out by the even places of reduceat.
    edges = np.stack([starts, starts + lengths], axis=1).ravel()
    edges = edges[:-1] if edges[-1] == len(shingles) else edges
    factors = (uniforms(0, 0, np.arange(HASHES), "near texts", 1)[:, 0] * 2.0**53).astype(np.uint64)
    least = np.empty((len(texts), HASHES), dtype=np.uint64)
    for number, factor in enumerate(factors):
        mixed = (shingles ^ (shingles >> np.uint64(29))) * (factor * np.uint64(2) + np.uint64(1))
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        least[:, number] = np.minimum.reduceat(mixed, edges)[::2]
    return least


def _candidates(least: Hashes) -> Iterator[tuple[Rows, Rows]]:
    """Pairs that agree in a band."""
    for start in range(0, HASHES, BAND):
        band = least[:, start : start + BAND]
        order = np.lexsort(band.T)
        ordered = band[order]
        for distance in range(1, min(LARGEST_RUN, len(order))):
            agree = np.flatnonzero((ordered[distance:] == ordered[:-distance]).all(axis=1))
            if not len(agree):
                break
            yield order[agree], order[agree + distance]


def _alike(one: str, other: str) -> float:
    a, b = _shingles(one), _shingles(other)
    return len(a & b) / len(a | b)


def _shingles(text: str) -> set[str]:
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}
