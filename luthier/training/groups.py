"""Which parameters the weight decay reaches."""

from __future__ import annotations

from typing import Any

from torch import nn

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


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters of `network` in groups, for a torch optimizer.

    `decayed` are its weights, `undecayed` its biases and norms: to pull a scale towards zero is
    not to make a network simpler. Without decay all are one group, for each costs time in each
    step.
    """
    weights, rest = weights_and_rest(network)
    if not weight_decay:
        return [{"name": "undecayed", "params": weights + rest, "weight_decay": 0.0}]
    groups = [
        {"name": "decayed", "params": weights, "weight_decay": weight_decay},
        {"name": "undecayed", "params": rest, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
