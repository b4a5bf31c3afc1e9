"""The weights before the first step.

Each tensor is drawn from a generator of its own, seeded by the seed of the run and the tensor's
name: changing one layer leaves the first weights of the others as they were.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

import torch
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.model.blocks.residual import Residual
from luthier.model.blocks.unembed import Unembed
from luthier.spec import Spec

Scheme = Literal[
    "torch",
    "kaiming_uniform",
    "kaiming_normal",
    "glorot_uniform",
    "glorot_normal",
    "lecun_normal",
    "orthogonal",
    "normal",
]

NORMAL_STD = 0.02
PRELU_SLOPE = 0.25

_WEIGHED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_CONSTANTS: dict[tuple[type[nn.Module], str], float] = {
    **{(norm, "weight"): 1.0 for norm in _NORMS},
    **{(norm, "bias"): 0.0 for norm in _NORMS},
    **{(norm, "running_mean"): 0.0 for norm in _NORMS[:2]},
    **{(norm, "running_var"): 1.0 for norm in _NORMS[:2]},
    **{(norm, "num_batches_tracked"): 0.0 for norm in _NORMS[:2]},
    (nn.PReLU, "weight"): PRELU_SLOPE,
    (Unembed, "bias"): 0.0,
}


class InitializeSpec(Spec):
    """How the weights are drawn before the first step."""

    scheme: Scheme = "torch"
    """How the weights of dense layers and convolutions are drawn.

    torch: uniform in ± 1 / sqrt(fan-in), biases too; PyTorch's own. kaiming: variance
    2 / fan-in, for relu. glorot (also called Xavier): 2 / (fan-in + fan-out); Keras's own is
    glorot_uniform. lecun: 1 / fan-in, for selu. orthogonal: rows or columns of a rotation.
    normal: spread 0.02. All but torch begin with biases of zero."""
    zero_residuals: bool = False
    """Whether the last norm inside each residual begins at zero, so that each of them begins as
    its shortcut alone; helps deep networks with large batches (1706.02677, section 5.1)."""


def materialize(
    network: nn.Module,
    *,
    seed: int,
    spec: InitializeSpec,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> None:
    """Gives a network from the meta device its memory, and a first value for every tensor.

    The values depend on `seed`, the names and the shapes alone: not on the device, nor on the
    order of the layers, and in another dtype they are the same, rounded.

    Args:
        network: As `blueprint.build` made it; changed in place.
        seed: Of the run.
        spec: How to draw.
        device: Where the tensors shall live.
        dtype: Of all floating-point tensors.

    Raises:
        InputError: If `spec` asks for what the network does not have.
        AssertionError: If there is no rule for some tensor.
    """
    network.to(dtype).to_empty(device=device)
    for prefix, module in network.named_modules():
        tensors = [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]
        for own_name, tensor in tensors:
            name = f"{prefix}.{own_name}" if prefix else own_name
            with torch.no_grad():
                tensor.copy_(_first_value(module, own_name, name, seed, spec.scheme))
    if spec.zero_residuals:
        _zero_residuals(network)


def generator_for(seed: int, name: str) -> torch.Generator:
    """The generator of the tensor called `name`."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _first_value(module: nn.Module, own_name: str, name: str, seed: int, scheme: Scheme) -> Tensor:
    """The value that a tensor begins with, in float32 on the CPU."""
    for kind in type(module).__mro__:
        constant = _CONSTANTS.get((kind, own_name))
        if constant is not None:
            return torch.tensor(constant)
    if isinstance(module, nn.Embedding):
        return torch.empty(tuple(module.weight.shape)).normal_(
            std=NORMAL_STD, generator=generator_for(seed, name)
        )
    assert isinstance(module, _WEIGHED), f"no rule gives {name} of {type(module)} a first value"
    generator = generator_for(seed, name)
    if own_name == "bias":
        bias = torch.zeros(tuple(getattr(module, own_name).shape))
        bound = 1 / math.sqrt(math.prod(module.weight.shape[1:])) if scheme == "torch" else 0.0
        return bias.uniform_(-bound, bound, generator=generator)
    assert own_name == "weight", f"no rule gives {name} of {type(module)} a first value"
    shape = tuple(module.weight.shape)
    if scheme == "torch" or not isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return _drawn(torch.empty(shape), scheme, generator)
    # A transposed convolution keeps (in, out / groups, …); the schemes want (out, in / groups, …).
    groups = module.groups
    flipped = torch.empty(groups * shape[1], shape[0] // groups, *shape[2:])
    drawn = _drawn(flipped, scheme, generator)
    return drawn.view(groups, -1, *drawn.shape[1:]).transpose(1, 2).flatten(0, 1)


def _drawn(weight: Tensor, scheme: Scheme, generator: torch.Generator) -> Tensor:
    """A weight `(out, in, …)` drawn by `scheme`."""
    init = nn.init
    match scheme:
        case "torch":
            return init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
        case "kaiming_uniform":
            return init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
        case "kaiming_normal":
            return init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        case "glorot_uniform":
            return init.xavier_uniform_(weight, generator=generator)
        case "glorot_normal":
            return init.xavier_normal_(weight, generator=generator)
        case "lecun_normal":
            return init.kaiming_normal_(weight, nonlinearity="linear", generator=generator)
        case "orthogonal":
            return init.orthogonal_(weight, generator=generator)
        case "normal":
            return init.normal_(weight, std=NORMAL_STD, generator=generator)


def _zero_residuals(network: nn.Module) -> None:
    found = False
    for residual in network.modules():
        if isinstance(residual, Residual):
            norms = [module for module in residual.layers.modules() if isinstance(module, _NORMS)]
            if norms:
                nn.init.zeros_(norms[-1].weight)
                found = True
    if not found:
        raise InputError(
            "model.initialize.zero_residuals: got true, but no residual has a norm inside; leave "
            "it out"
        )
