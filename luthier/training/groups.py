"""Which parameters the weight decay reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

Group = dict[str, Any]
"""Parameters, and what an optimizer does to them: as torch has them."""

Rates = Mapping[nn.Parameter, float]
"""What the learning rate of a weight is multiplied by; 1 of those that are not named."""
SAME: Rates = {}
RATE = "rate"
"""The key of that number in a group; the loop multiplies."""

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.modules.instancenorm._InstanceNorm,
)


def weights_and_rest(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable parameters of `network`: its weights, and its biases and norms.

    A weight has two or more dimensions and does not belong to a norm.
    """
    norms = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, NORMS)
        for parameter in module.parameters(recurse=False)
    }
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trainable, "the network has no parameter to train"
    weights = [p for p in trainable if p.ndim >= 2 and id(p) not in norms]
    rest = [p for p in trainable if p.ndim < 2 or id(p) in norms]
    return weights, rest


def parameter_groups(network: nn.Module, weight_decay: float, rates: Rates = SAME) -> list[Group]:
    """The trainable parameters of `network` in groups, for a torch optimizer.

    `decayed` are its weights, `undecayed` its biases and norms: to pull a scale towards zero is
    not to make a network simpler. Without decay all are one group, for each costs time in each
    step.
    """
    weights, rest = weights_and_rest(network)
    if not weight_decay:
        return grouped("undecayed", weights + rest, 0.0, rates)
    return grouped("decayed", weights, weight_decay, rates) + grouped("undecayed", rest, 0.0, rates)


def grouped(
    name: str, parameters: list[nn.Parameter], weight_decay: float, rates: Rates = SAME
) -> list[Group]:
    """The parameters as one group for each rate and type of number, the highest rate first.

    A fused kernel takes one type.
    """
    groups: dict[tuple[float, torch.dtype], Group] = {}
    for parameter in parameters:
        rate = rates.get(parameter, 1.0)
        empty = {"name": name, "params": [], "weight_decay": weight_decay, RATE: rate}
        groups.setdefault((rate, parameter.dtype), empty)["params"].append(parameter)
    return sorted(groups.values(), key=lambda group: -group[RATE])
