"""What a network that compares answers is worth.

All functions read the same columns, one entry a row: `loss`; of pairs `better` and `worse`, what
their answers are worth to the network; of single answers `reward` and `good`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from luthier.metrics.interval import Z95, Metric, mean, wilson


def preference_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """Of pairs `accuracy`, `margin` and `loss`; of single answers `loss`, and `margin` where there
    are good and bad ones.

    A pair whose answers are worth the same is half right: so a network that has not moved from
    where it began has an accuracy of a half, as guessing has.

    Example:
        >>> columns = {
        ...     "loss": np.array([0.5, 0.9]),
        ...     "better": np.array([1.0, 0.0]),
        ...     "worse": np.array([0.0, 0.5]),
        ... }
        >>> found = preference_metrics(columns)
        >>> found["accuracy"].value, found["margin"].value
        (0.5, 0.25)
    """
    loss = {"loss": mean(columns["loss"], floor=0.0)}
    if "better" in columns:
        margins = columns["better"] - columns["worse"]
        return {"accuracy": _accuracy(margins), "margin": mean(margins), **loss}
    good = columns["good"].astype(bool)
    rewards = columns["reward"]
    if good.all() or not good.any():
        return loss
    return {**loss, "margin": _difference(rewards[good], rewards[~good])}


def _accuracy(margins: np.ndarray) -> Metric:
    ties = int((margins == 0).sum())
    found = wilson(int((margins > 0).sum()) + ties // 2, len(margins))
    if ties % 2 == 0:
        return found
    value = float(((margins > 0) + 0.5 * (margins == 0)).mean())
    return Metric(value=value, low=found.low, high=found.high, n=found.n)


def _difference(first: np.ndarray, second: np.ndarray) -> Metric:
    """Of two means, with ± 1.96 standard errors around it (Welch)."""
    value = float(first.mean() - second.mean())
    n = len(first) + len(second)
    if min(len(first), len(second)) < 2:
        return Metric(value=value, low=None, high=None, n=n)
    half = Z95 * math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return Metric(value=value, low=value - half, high=value + half, n=n)
