"""Stochastic gradient descent, with momentum or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.spec import Spec
from luthier.training.groups import SAME, Group, Rates, parameter_groups


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

    def build(self, network: nn.Module, rates: Rates = SAME) -> Sgd:
        """The optimizer of the network's trainable parameters."""
        return Sgd(self, parameter_groups(network, self.weight_decay, rates))


class Sgd(torch.optim.Optimizer):
    """`v = momentum * v + g`, `w = w - learning_rate * (v + weight_decay * w)`.

    torch's fused kernel, with decay outside of the momentum, which `torch.optim.SGD` lacks.

    Source:
        Decoupled decay: Loshchilov and Hutter 2019, algorithm 1 (SGDW), 1711.05101; as in
        AdamW of torch, the decay is multiplied by the whole learning rate.
    """

    found_inf: Tensor | None = None
    """One where the step must change nothing; set where that is known on the device alone."""

    def __init__(self, spec: SgdSpec, groups: Iterable[Group]) -> None:
        super().__init__(list(groups), {"lr": spec.learning_rate})
        self._spec = spec
        if spec.momentum:
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients; a parameter without one stays as it is."""
        assert closure is None, "the loop runs the network"
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        spec, decay = self._spec, group["weight_decay"]
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        if decay and not spec.coupled_decay:
            keep: float | Tensor = 1.0 if self.found_inf is None else 1.0 - self.found_inf.double()
            torch._foreach_mul_(weights, 1.0 - group["lr"] * decay * keep)
        torch._fused_sgd_(
            weights,
            [p.grad for p in weights],
            [self.state[p]["momentum_buffer"] for p in weights] if spec.momentum else [],
            weight_decay=decay if spec.coupled_decay else 0.0,
            momentum=spec.momentum,
            lr=group["lr"],
            dampening=0.0,
            nesterov=spec.nesterov,
            maximize=False,
            is_first_step=False,
            found_inf=self.found_inf,
        )
