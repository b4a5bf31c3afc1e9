"""What the predictions of a language model are worth.

All functions read the same columns, one entry a row: `targets` (tokens that were to be
predicted), `nats` (the sum of their losses), `correct` (how many of them were the likeliest
token), and perhaps `bytes` (of the text that they stand for, in UTF-8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from luthier.metrics.interval import Metric
from luthier.metrics.ratio import ratio, share

LARGEST = 700.0
"""The exponential of more would be no number."""


def language_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """The metrics of a language model, the loss first.

    `loss` (nats a token, the mean over all targets), `perplexity` (its exponential),
    `bits_per_byte` (where there are bytes; the same loss for each byte of the text, which can be
    compared between tokenizers that know all of it) and `accuracy` (the share of targets that were
    the likeliest token).

    An unknown token flatters its tokenizer: it is easily predicted, says nothing of which word or
    character it stands for, and counts the bytes of that all the same.

    Example:
        >>> columns = {
        ...     "targets": np.array([10, 20]),
        ...     "nats": np.array([11.0, 22.0]),
        ...     "correct": np.array([7, 11]),
        ...     "bytes": np.array([40, 80]),
        ... }
        >>> {name: round(metric.value, 3) for name, metric in language_metrics(columns).items()}
        {'loss': 1.1, 'perplexity': 3.004, 'bits_per_byte': 0.397, 'accuracy': 0.6}
    """
    nats, targets = columns["nats"], columns["targets"]
    loss = ratio(nats, targets, floor=0.0)
    metrics = {"loss": loss, "perplexity": loss.mapped(_exponential)}
    if "bytes" in columns:
        metrics["bits_per_byte"] = ratio(nats / math.log(2), columns["bytes"], floor=0.0)
    return metrics | {"accuracy": share(columns["correct"], targets)}


def _exponential(x: float) -> float:
    return math.exp(min(x, LARGEST))
