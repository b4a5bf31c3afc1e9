"""A network, measured on a split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from luthier.data.examples import Examples
from luthier.errors import DataError, DivergedError
from luthier.metrics.interval import Metric, mean
from luthier.metrics.ratio import ratio
from luthier.placement.placed import Placed
from luthier.tasks.task import Columns, Task


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured on a split."""

    headline: str
    """The metric that counts most: a key of `metrics`."""
    metrics: Mapping[str, Metric]
    """The task's metrics, the headline first."""
    loss: Metric
    """The task's own loss, the mean over the targets."""
    details: Mapping[str, Any]
    """What stands behind the metrics, JSON-ready, as the task gives it."""
    columns: Columns
    """What was said of each example, in their order: `id`, `name`, `loss` and the task's own."""
    seconds: float
    """What reading and running the network took."""
    samples: Mapping[str, str] = field(default_factory=dict)
    """What a network that writes wrote after each prompt."""
    notes: tuple[str, ...] = ()
    """What a reader of the values should know."""


@torch.inference_mode()
def evaluate(
    placed: Placed,
    task: Task[Any],
    examples: Examples[Any],
    *,
    batch_rows: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run the network over every example, and measure.

    The network is left as it was found, in training mode or not.

    Args:
        placed: The network, where it runs.
        task: What it does.
        examples: The split; read in order, as epoch 0 sees it.
        batch_rows: Examples at a time: memory and speed, not the result. None means as many as
            the examples say.
        progress: Called after each batch with the examples done and their total.

    Raises:
        DataError: If the split is empty.
        DivergedError: If the network gives losses that are not finite.
    """
    total, batch_rows = len(examples), batch_rows or examples.at_once
    if not total:
        raise DataError("got a split with no examples; wanted at least one to measure on")
    began = time.perf_counter()
    pieces: list[Columns] = []
    with _evaluating(placed.network):
        for start in range(0, total, batch_rows):
            stop = min(start + batch_rows, total)
            pieces.append(_decoded(placed, task, examples, np.arange(start, stop)))
            if progress is not None:
                progress(stop, total)
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    columns["name"] = np.array([examples.name(row) for row in range(total)])
    _must_be_finite(columns["loss"])
    return Evaluation(
        headline=task.headline,
        metrics=task.metrics(columns),
        loss=_mean_loss(columns),
        details=task.details(columns),
        columns=columns,
        seconds=time.perf_counter() - began,
    )


def _decoded(placed: Placed, task: Task[Any], examples: Examples[Any], ids: np.ndarray) -> Columns:
    batch = task.collate(examples.read(ids, epoch=0)).to(placed.device)
    with placed.autocast():
        return task.judge(placed.network, batch)


def _mean_loss(columns: Columns) -> Metric:
    """The mean over the targets, of which an example may have several."""
    targets = columns.get("targets")
    if targets is None:
        return mean(columns["loss"])
    return ratio(columns["loss"] * targets, targets)


def _must_be_finite(losses: np.ndarray) -> None:
    bad = int((~np.isfinite(losses)).sum())
    if bad:
        raise DivergedError(
            f"the network's loss is not finite on {bad} of {len(losses)} examples: its training "
            "has diverged; take an earlier checkpoint, or train with a lower learning rate"
        )


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module is in the mode it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
