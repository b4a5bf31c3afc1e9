"""Adam, and AdamW: Adam with weight decay. torch's own, fused."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from luthier.spec import Spec
from luthier.training.groups import parameter_groups


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

    def build(self, network: nn.Module) -> torch.optim.Adam:
        """The optimizer of the network's trainable parameters."""
        adam = torch.optim.Adam(
            parameter_groups(network, 0.0),
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )
        make_state(adam)
        return adam


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

    def build(self, network: nn.Module) -> torch.optim.AdamW:
        """The optimizer of the network's trainable parameters."""
        adamw = torch.optim.AdamW(
            parameter_groups(network, self.weight_decay),
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,
        )
        make_state(adamw)
        return adamw


def make_state(adam: torch.optim.Adam) -> None:
    """Makes the state that torch would make in the first step.

    So that what a checkpoint must hold is known before one is loaded.
    """
    for group in adam.param_groups:
        for parameter in group["params"]:
            adam.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
