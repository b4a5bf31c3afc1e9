"""Sums over examples that are drawn anew.

Dimension key, for the whole file:
    N  examples      C  columns      D  different examples      R  resamples
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000
DRAWN_AT_ONCE = 2**22
"""Counts of one slice: 32 MiB."""


def drawn_sums(values_NC: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """The sum of each column over N examples drawn with replacement, many times: `(R, C)`.

    Examples with equal values are drawn as one, as often as there are of them: for small counts
    there are few different ones.

    Args:
        values_NC: Numbers for each example.
        seed: The same one, the same draws.
    """
    n = len(values_NC)
    assert n > 0, "a bootstrap of nothing"
    different_DC, counts_D = np.unique(values_NC, axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // len(counts_D))
    sums = [
        generator.multinomial(n, counts_D / n, size=min(at_once, RESAMPLES - start)) @ different_DC
        for start in range(0, RESAMPLES, at_once)
    ]
    return np.concatenate(sums).astype(np.float64)
