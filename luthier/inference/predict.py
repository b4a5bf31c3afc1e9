"""From inputs to predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from luthier.placement.placed import Placed
from luthier.tasks.task import Task


@torch.inference_mode()
def predict(
    placed: Placed, task: Task[Any], batches: Iterable[Tensor], top: int
) -> Iterator[dict[str, Any]]:
    """One JSON-ready prediction for each row of `batches`, in order.

    Args:
        placed: The network, where it runs.
        task: What it does.
        batches: Inputs as the network reads them, `(B, *shape)` each.
        top: How many of the likeliest answers to give for each row.
    """
    placed.network.eval()
    for inputs in batches:
        with placed.autocast():
            output = placed.network(inputs.to(placed.device))
        yield from task.predict(output.float().cpu(), top)
