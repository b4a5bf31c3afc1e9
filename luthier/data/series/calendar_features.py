"""Where a time lies in its day, its week and its year, as points on a circle."""

from __future__ import annotations

import numpy as np

from luthier.data.series.timing import DAY, Step, Times

_YEAR_DAYS = 365.25
_CYCLES = (("day", DAY), ("week", 7 * DAY), ("year", round(_YEAR_DAYS * DAY)))
MONDAY = 4 * DAY
"""The first Monday after 1 January 1970, in microseconds."""


def cycles(step: Step) -> tuple[str, ...]:
    """The cycles that steps are short enough for: at least two steps in each."""
    if step.unit == "months":
        return ("year",) if step.count < 12 else ()
    if step.unit != "microseconds":
        return ()
    return tuple(name for name, length in _CYCLES if 2 * step.count <= length)


def names(step: Step) -> tuple[str, ...]:
    """The columns: two for each cycle."""
    return tuple(f"{cycle} ({wave})" for cycle in cycles(step) for wave in ("sin", "cos"))


def features(times: Times, step: Step) -> np.ndarray:
    """`(N, columns)` in [-1, 1]: the sine and the cosine of the place in each cycle.

    Example:
        >>> features(np.array([6 * 3600 * 1_000_000]), Step.parse("1h"))[:, :2].round(6).tolist()
        [[1.0, 0.0]]
    """
    lengths = dict(_CYCLES)
    waves = []
    for cycle in cycles(step):
        angle = 2 * np.pi * ((times - MONDAY) % lengths[cycle]) / lengths[cycle]
        if cycle == "year":
            years = times.astype("datetime64[us]").astype("datetime64[Y]")
            starts = years.astype("datetime64[us]").astype(np.int64)
            angle = 2 * np.pi * (times - starts) / lengths[cycle]
        waves += [np.sin(angle), np.cos(angle)]
    return np.stack(waves, 1) if waves else np.zeros((len(times), 0))
