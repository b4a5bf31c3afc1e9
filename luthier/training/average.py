"""A moving average of the weights: smoother than the weights, and often better."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """`average = decay * average + (1 - decay) * weight`, after each step.

    In the first steps the decay is smaller, `(1 + step) / (10 + step)`, so that the initial
    weights are soon forgotten. The running statistics of batch norms are averaged as well.

    Args:
        network: Whose weights; the average begins as a copy of them.
        decay: Between 0 and 1. About the last `1 / (1 - decay)` steps count.
        still: The names of weights that do not move, and need no average.

    Source:
        Polyak and Juditsky 1992; the rule for the first steps is that of TensorFlow's
        `ExponentialMovingAverage`.
    """

    def __init__(
        self, network: nn.Module, decay: float, still: Collection[str] = frozenset()
    ) -> None:
        self.decay = decay
        self._live = {
            name: tensor
            for name, tensor in network.state_dict(keep_vars=True).items()
            if tensor.is_floating_point() and name not in still
        }
        self.tensors: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in self._live.items()
        }
        """The averages, by the names of the weights."""

    @torch.no_grad()
    def update(self, step: int, keep: Tensor | None = None) -> None:
        """Moves the averages towards the weights.

        Args:
            step: The step that was just taken, the first being 0.
            keep: One, or zero where the averages shall stay; set where that is known on the
                device alone. None means one.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        averages = list(self.tensors.values())
        weights = list(self._live.values())
        if keep is None:
            torch._foreach_lerp_(averages, weights, share)
            return
        moves = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(moves, keep * share)
        torch._foreach_add_(averages, moves)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the averages as its weights, while inside."""
        averages = list(self.tensors.values())
        weights = list(self._live.values())
        with torch.no_grad():
            before = [weight.detach().clone() for weight in weights]
            torch._foreach_copy_(weights, averages)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(weights, before)
