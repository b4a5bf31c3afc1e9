"""Layers that stay at first, and move from some step on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


class Thaw:
    """Frees one layer after the other: a function of the step, so that any step can be the first.

    Args:
        network: Whose layers.
        layers: Their weights, in the order in which they are freed.
        every_steps: How many steps each waits for the one before it.

    Source:
        Howard and Ruder 2018 (ULMFiT), section 3.3, 1801.06146.
    """

    def __init__(
        self, network: nn.Module, layers: Sequence[Sequence[nn.Parameter]], every_steps: int
    ) -> None:
        self._network = network
        self._layers = layers
        self._every_steps = every_steps
        self._free: int | None = None

    def at(self, step: int) -> None:
        """Lets move what moves in the step of that number, from 0, and nothing else of these."""
        free = min(step // self._every_steps, len(self._layers))
        if free == self._free:
            return
        self._free = free
        for number, weights in enumerate(self._layers):
            for weight in weights:
                weight.requires_grad_(number < free)
        self._network.train()  # a norm measures as long as its weights move
