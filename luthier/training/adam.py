"""Adam, and AdamW: Adam with weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.spec import Spec
from luthier.training.groups import SAME, Group, Rates, parameter_groups


class AdamSpec(Spec):
    """Steps of about the same length for every weight, whatever the size of its gradient.

    Without weight decay, which does not do in Adam what it says: see AdamW.

    Source:
        Kingma and Ba 2015, algorithm 1, 1412.6980.
    """

    kind: Literal["adam"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    """The step size, before the schedule multiplies it."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """The decay of the gradient's running mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """The decay of the squared gradient's running mean."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Added to the root of the second, so that nothing is divided by zero."""

    def build(self, network: nn.Module, rates: Rates = SAME) -> Adam:
        """The optimizer of the network's trainable parameters."""
        groups = parameter_groups(network, 0.0, rates)
        return Adam(groups, self.learning_rate, (self.beta1, self.beta2), self.epsilon)


class AdamWSpec(Spec):
    """Adam, with a weight decay that its division does not touch.

    Source:
        Loshchilov and Hutter 2019, algorithm 2, 1711.05101; as in torch, the decay is multiplied
        by the whole learning rate.
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    """The step size, before the schedule multiplies it."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """The decay of the gradient's running mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """The decay of the squared gradient's running mean."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Added to the root of the second, so that nothing is divided by zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """How much of each weight is taken away at each step, times the learning rate; not of norms
    and biases."""

    def build(self, network: nn.Module, rates: Rates = SAME) -> Adam:
        """The optimizer of the network's trainable parameters."""
        groups = parameter_groups(network, self.weight_decay, rates)
        return Adam(groups, self.learning_rate, (self.beta1, self.beta2), self.epsilon)


class Adam(torch.optim.Optimizer):
    """torch's fused kernel of AdamW, without the bookkeeping of `torch.optim.AdamW` around it.

    On a CPU a small network feels that; the result is the same.

    Args:
        groups: The parameters, with the decay of each group.
        learning_rate: The step size.
        betas: The decay of both running means.
        epsilon: Added to the root of the second.
    """

    found_inf: Tensor | None = None
    """One where the step must change nothing; set where that is known on the device alone."""

    def __init__(
        self,
        groups: Iterable[Group],
        learning_rate: float,
        betas: tuple[float, float],
        epsilon: float,
    ) -> None:
        super().__init__(list(groups), {"lr": learning_rate})
        self._beta1, self._beta2 = betas
        self._epsilon = epsilon
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients; a parameter without one stays as it is."""
        assert closure is None, "the loop runs the network"
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        states = [self.state[p] for p in weights]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1 if self.found_inf is None else 1 - self.found_inf)
        torch._fused_adamw_(
            weights,
            [p.grad for p in weights],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=self._beta1,
            beta2=self._beta2,
            weight_decay=group["weight_decay"],
            eps=self._epsilon,
            amsgrad=False,
            maximize=False,
            found_inf=self.found_inf,
        )
