"""Lion: steps of the same length for every weight, with one running mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.spec import Spec
from luthier.training.groups import SAME, Group, Rates, parameter_groups


class LionSpec(Spec):
    """The sign of a mean of gradients: half of Adam's memory.

    Wants a learning rate three to ten times smaller than AdamW's, and a weight decay as much
    larger.
    """

    kind: Literal["lion"] = "lion"
    learning_rate: float = Field(default=1e-4, gt=0)
    """The length of the step, before the schedule multiplies it."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """The share of the running mean in the direction of the step."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """The decay of the running mean."""
    weight_decay: float = Field(default=0.1, ge=0)
    """How much of each weight is taken away at each step, times the learning rate; not of norms
    and biases."""

    def build(self, network: nn.Module, rates: Rates = SAME) -> Lion:
        """The optimizer of the network's trainable parameters."""
        return Lion(self, parameter_groups(network, self.weight_decay, rates))


class Lion(torch.optim.Optimizer):
    """`w = w - learning_rate * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)`.

    Afterwards `m = beta2 * m + (1 - beta2) * g`.

    Source:
        Chen et al. 2023, program 1, 2302.06675.
    """

    found_inf: Tensor | None = None
    """One where the step must change nothing; set where that is known on the device alone."""

    def __init__(self, spec: LionSpec, groups: Iterable[Group]) -> None:
        super().__init__(
            list(groups), {"lr": spec.learning_rate, "betas": (spec.beta1, spec.beta2)}
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["mean"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients; a parameter without one stays as it is."""
        assert closure is None, "the loop runs the network"
        keep: float | Tensor = 1.0 if self.found_inf is None else 1.0 - self.found_inf.double()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            means = [self.state[p]["mean"] for p in weights]
            gradients = usable([p.grad for p in weights], means, self.found_inf)
            moves = torch._foreach_lerp(means, gradients, 1 - group["betas"][0])
            torch._foreach_sign_(moves)
            torch._foreach_mul_(moves, group["lr"] * keep)
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"] * keep)
            torch._foreach_sub_(weights, moves)
            torch._foreach_lerp_(means, gradients, 1 - group["betas"][1])


def usable(gradients: list[Tensor], means: list[Tensor], found_inf: Tensor | None) -> list[Tensor]:
    """`gradients`, or the running means in their place where the step is to be skipped.

    A mean that moves towards itself stays as it is, to the bit.
    """
    if found_inf is None:
        return gradients
    skip = found_inf.bool()
    return [torch.where(skip, m, g) for g, m in zip(gradients, means, strict=True)]
