"""From inputs to predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from luthier.data.prepared import Inputs
from luthier.placement.placed import Placed
from luthier.tasks.task import Task


@torch.inference_mode()
def predict(
    placed: Placed, task: Task[Any], inputs: Inputs, given: Sequence[Any], top: int
) -> Iterator[dict[str, Any]]:
    """One JSON-ready prediction for each input, in order: `input`, and what the task says of it.

    Args:
        placed: The network, where it runs.
        task: What it does.
        inputs: Makes samples of what is given.
        given: Pictures, texts, or files and folders of them.
        top: How many of the likeliest answers to give for each.

    Raises:
        DataError: If an input cannot be read; names it.
    """
    placed.network.eval()
    items = inputs.listed(given)
    for start in range(0, len(items), inputs.at_once):
        some = items[start : start + inputs.at_once]
        batch = task.collate(inputs.samples(some, start)).to(placed.device)
        with placed.autocast():
            said = task.predict(placed.network, batch, top)
        for index, (item, prediction) in enumerate(zip(some, said, strict=True), start):
            yield {"input": inputs.named(item, index), **prediction}
