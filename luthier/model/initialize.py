"""The weights before the first step.

Each tensor is drawn from a generator of its own, seeded by the seed of the run and the tensor's
name: changing one layer leaves the first weights of the others as they were.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.model.blocks.crf import Crf
from luthier.model.blocks.linear_recurrence import Decay
from luthier.model.blocks.recurrent import Lstm
from luthier.model.blocks.residual import Residual
from luthier.model.blocks.reversible_norm import Affine
from luthier.model.blocks.sublayer import Sublayer
from luthier.model.blocks.tokens import Tokens
from luthier.model.blocks.transformers import Transformers
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
    (Affine, "weight"): 1.0,
    (Affine, "bias"): 0.0,
}


class InitializeSpec(Spec):
    """How the weights are drawn before the first step."""

    scheme: Scheme = "torch"
    """How the weights of dense layers and convolutions are drawn.

    torch: uniform in ± 1 / sqrt(fan-in), biases too; PyTorch's own. kaiming: variance
    2 / fan-in, for relu. glorot (also called Xavier): 2 / (fan-in + fan-out); Keras's own is
    glorot_uniform. lecun: 1 / fan-in, for selu. orthogonal: rows or columns of a rotation.
    normal: spread 0.02. All but torch begin with biases of zero, and with a rotation for what
    reads the state of a recurrent layer."""
    token_spread: float | None = Field(default=None, gt=0, le=10)
    """The spread of the first vectors of tokens; none means 0.02. Of an encoder and a decoder that
    multiply them by the root of the width, one by that root learns much faster."""
    zero_residuals: bool = False
    """Whether what each residual adds begins at zero, so that each of them begins as its shortcut
    alone: of a residual the last norm inside, of an attention or an MLP the last layer. Helps deep
    networks with large batches (1706.02677, section 5.1)."""
    residual_depth: bool = False
    """Whether what each of the N attentions, MLPs and their like adds begins smaller, by
    1 / sqrt(N), so that the sum does not grow with the depth, as in GPT-2."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.zero_residuals and self.residual_depth:
            raise ValueError(
                "residual_depth makes smaller what zero_residuals sets to zero; leave one out"
            )
        return self


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
    foreign = {
        name: module for name, module in network.named_modules() if isinstance(module, Transformers)
    }
    for name, module in foreign.items():
        module.begin(generator_for(seed, name))
    for prefix, module in network.named_modules():
        if any(prefix == name or prefix.startswith(f"{name}.") for name in foreign):
            continue
        tensors = [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]
        for own_name, tensor in tensors:
            name = f"{prefix}.{own_name}" if prefix else own_name
            with torch.no_grad():
                tensor.copy_(_first_value(module, own_name, name, seed, spec.scheme))
    if spec.token_spread is not None:
        _spread_tokens(network, spec.token_spread)
    if spec.zero_residuals:
        _zero_residuals(network)
    if spec.residual_depth:
        _shrink_residuals(network)


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
    if isinstance(module, Crf):
        return torch.empty(tuple(getattr(module, own_name).shape)).normal_(
            std=NORMAL_STD, generator=generator_for(seed, name)
        )
    if isinstance(module, Decay):
        return module.first_weight(generator_for(seed, name))
    if isinstance(module, nn.RNNBase):
        return _of_recurrent(module, own_name, generator_for(seed, name), scheme)
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


def _of_recurrent(
    module: nn.RNNBase, own_name: str, generator: torch.Generator, scheme: Scheme
) -> Tensor:
    """A tensor of a recurrent layer, which has those of all its gates below one another.

    As in Keras, all but torch's own scheme draw what reads the input as one matrix, and begin
    with a rotation for what reads the state: it neither grows nor fades.
    """
    width = dict(module.named_parameters())["weight_hh_l0"].shape[1]
    value = torch.zeros(tuple(getattr(module, own_name).shape))
    if scheme == "torch":
        bound = 1 / math.sqrt(width)
        value.uniform_(-bound, bound, generator=generator)
    elif own_name.startswith("weight"):
        _drawn(value, "orthogonal" if "_hh_" in own_name else scheme, generator)
    if isinstance(module, Lstm) and own_name.startswith("bias_ih"):
        value[width : 2 * width] += module.forget_bias
    return value


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


def _spread_tokens(network: nn.Module, spread: float) -> None:
    tables = [module.table for module in network.modules() if isinstance(module, Tokens)]
    if not tables:
        raise InputError(
            "model.initialize.token_spread: got a number, but the network reads no tokens; leave "
            "it out"
        )
    with torch.no_grad():
        for table in tables:
            if table is not None:
                table.weight *= spread / NORMAL_STD


def _zero_residuals(network: nn.Module) -> None:
    last = _writes(network)
    for residual in network.modules():
        if isinstance(residual, Residual):
            norms = [module for module in residual.layers.modules() if isinstance(module, _NORMS)]
            last += norms[-1:]
    if not last:
        raise InputError(
            "model.initialize.zero_residuals: got true, but there is neither a residual with a "
            "norm inside, nor an attention or MLP; leave it out"
        )
    for module in last:
        for tensor in module.parameters(recurse=False):
            nn.init.zeros_(tensor)


def _shrink_residuals(network: nn.Module) -> None:
    depth = sum(isinstance(part, Sublayer) and part.residual for part in network.modules())
    if not depth:
        raise InputError(
            "model.initialize.residual_depth: got true, but there is no attention or MLP with a "
            "residual; leave it out"
        )
    with torch.no_grad():
        for module in _writes(network):
            for tensor in module.parameters(recurse=False):
                tensor.mul_(depth**-0.5)


def _writes(network: nn.Module) -> list[nn.Module]:
    """What the sublayers add to their input is a multiple of the parameters of these."""
    return [
        module
        for part in network.modules()
        if isinstance(part, Sublayer) and part.residual
        for module in part.writes
    ]
