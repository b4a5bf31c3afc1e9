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


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters of `network` in up to two groups, for a torch optimizer.

    `decayed`: weights of two or more dimensions. `undecayed`: biases, whatever belongs to a
    norm, and all else that has one dimension; to pull a scale towards zero is not to make a
    network simpler.
    """
    norms = {id(p) for module in network.modules() if isinstance(module, NORMS)
             for p in module.parameters(recurse=False)}  # fmt: skip
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert trainable, "the network has no parameter to train"
    decayed = [p for p in trainable if p.ndim >= 2 and id(p) not in norms]
    undecayed = [p for p in trainable if p.ndim < 2 or id(p) in norms]
    groups = [
        {"name": "decayed", "params": decayed, "weight_decay": weight_decay},
        {"name": "undecayed", "params": undecayed, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
