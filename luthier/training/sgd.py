"""Stochastic gradient descent, with momentum or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.spec import Spec
from luthier.training.groups import parameter_groups


class SgdSpec(Spec):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0)
    """The step size, before the schedule multiplies it."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """How much of the last step is taken again."""
    nesterov: bool = False
    """Whether the gradient counts as if it were taken after the momentum's step."""
    weight_decay: float = Field(default=0.0, ge=0)
    """How much of each weight is taken away at each step, times the learning rate; not of norms
    and biases."""
    coupled_decay: bool = False
    """Whether the decay is added to the gradient, as in torch.optim.SGD and in most published
    recipes: it then goes through the momentum, and is 1 / (1 - momentum) times as strong."""

    @model_validator(mode="after")
    def _used(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum, got momentum 0; wanted 0.9 or the like")
        if self.coupled_decay and not self.weight_decay:
            raise ValueError("coupled_decay would not be used: weight_decay is 0")
        return self

    def build(self, network: nn.Module) -> Sgd:
        """The optimizer of the network's trainable parameters."""
        return Sgd(self, parameter_groups(network, self.weight_decay))


class Sgd(torch.optim.SGD):
    """`v = momentum * v + g`, `w = w - learning_rate * (v + weight_decay * w)`.

    torch's own, fused; what it lacks is decay outside of the momentum.

    Source:
        Decoupled decay: Loshchilov and Hutter 2019, algorithm 1 (SGDW), 1711.05101; as in
        AdamW of torch, the decay is multiplied by the whole learning rate.
    """

    found_inf: Tensor | None = None
    """One where the step must change nothing; set where that is known on the device alone."""

    def __init__(self, spec: SgdSpec, groups: Iterable[dict[str, Any]]) -> None:
        groups = [
            {**group, "apart": 0.0}
            if spec.coupled_decay
            else {**group, "apart": group["weight_decay"], "weight_decay": 0.0}
            for group in groups
        ]
        super().__init__(
            groups,
            lr=spec.learning_rate,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            fused=True,
        )
        if spec.momentum:
            # torch makes them in the first step, and of garbage where that step is skipped.
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients; a parameter without one stays as it is."""
        assert closure is None, "the loop runs the network"
        keep: float | Tensor = 1.0 if self.found_inf is None else 1.0 - self.found_inf.double()
        for group in self.param_groups:
            if group["apart"]:
                moving = [p for p in group["params"] if p.grad is not None]
                torch._foreach_mul_(moving, 1.0 - group["lr"] * group["apart"] * keep)
        super().step()
