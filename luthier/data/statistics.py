"""Means and standard deviations of pixels."""

from __future__ import annotations

import numpy as np

from luthier.data.collection import Rows
from luthier.data.image import MeanStd, Pixels

MOST_VALUES = 2**26
DECIMALS = 4


def mean_std(images: Pixels, rows: Rows) -> tuple[MeanStd, int]:
    """The mean and the standard deviation of each channel, pixels counted from 0 to 1.

    Counted in whole numbers, so that it does not matter how the rows are cut up; over at most
    `MOST_VALUES` values, of rows spread evenly. A channel that never changes gets a standard
    deviation of 1.

    Returns:
        The figures, rounded to `DECIMALS` places as a recipe would hold them, and the rows.
    """
    step = -(-len(rows) * images[0].size // MOST_VALUES)
    chosen = rows[::step]
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for row_block in np.array_split(chosen, -(-len(chosen) // 256)):
        block = images[row_block].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel], minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    variance = counts @ values**2 / counts.sum(axis=1) - mean**2
    std = np.sqrt(variance.clip(0)).round(DECIMALS)
    std[std == 0] = 1.0
    figures = MeanStd(mean=tuple(mean.round(DECIMALS).tolist()), std=tuple(std.tolist()))
    return figures, len(chosen)
