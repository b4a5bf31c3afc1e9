"""A network that is used, and no longer learns: weights rounded once, and laid out for that.

Training keeps weights in float32 and rounds them at each use, for autocast. A text that is
written reads all of them for every token: there the rounding would cost most of the time.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.model.blocks.attention import Attention
from luthier.model.blocks.conv import Conv, TimeConv
from luthier.model.blocks.cross_attention import CrossAttention
from luthier.model.blocks.dense import Dense
from luthier.model.blocks.linear_recurrence import LinearRecurrence
from luthier.model.blocks.mlp import Mlp
from luthier.model.blocks.recurrent import Lstm, Recurrent
from luthier.model.blocks.sublayer import Sublayer
from luthier.model.blocks.unembed import Unembed
from luthier.model.chain import Chain
from luthier.placement.device import DTYPES, Precision
from luthier.placement.fixed_blocks import FixedAttention, FixedMlp, FixedSublayer
from luthier.placement.fixed_linear import (
    CastLinear,
    Curve,
    HalfLinear,
    Int8Linear,
    PackedLinear,
    joined,
)
from luthier.placement.placed import Placed
from luthier.spec import Auto

Weights = Precision | Literal["int8"]
"""How weights are kept for inference."""
WEIGHTS: tuple[Weights, ...] = ("fp32", "bf16", "int8")


def for_inference(placed: Placed, weights: Weights | Auto = "auto") -> Placed:
    """The network for inference; `placed` stays as it is, and can go on learning.

    It computes what `placed` does, up to the rounding of sums. With int8, the weights of linear
    layers are rounded to 8 bits, with a scale for each output. What an adapter learned is added
    first; weights that it keeps in four bits stay so. Norms, tables of tokens, GRUs, the routers of
    experts and the layers of modules that are not luthier's keep the weights that they have, which
    both networks share.

    Args:
        placed: A network where it runs.
        weights: fp32, bf16 or int8; auto takes the type that `placed` computes in.

    Raises:
        InputError: If there is no such kind, or the device has no such arithmetic.

    Cost:
        A copy of the weights in the new type, beside the old ones.
    """
    own: Precision = "fp32" if placed.precision == torch.float32 else "bf16"
    chosen: Weights = own if weights == "auto" else weights
    if chosen not in WEIGHTS:
        raise InputError(f'weights: got "{chosen}"; wanted auto, {", ".join(WEIGHTS)}')
    _must_suit(chosen, placed.device)
    precision: Precision = "fp32" if chosen == "fp32" else "bf16"
    with torch.no_grad():
        network = _Rewriter(chosen, placed.device).copied(placed.network)
    return replace(placed, network=network.eval(), precision=DTYPES[precision])


class Readied:
    """A network for inference, made once for each kind of weights, and anew where these changed.

    Args:
        placed: The network, where it runs.
    """

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._made: dict[str, tuple[Placed, list[tuple[int, int]]]] = {}

    def with_weights(self, weights: Weights | Auto) -> Placed:
        """The network with its weights kept so.

        Raises:
            InputError: If there is no such kind, or the device has no such arithmetic.
        """
        network = self._placed.network
        tensors = (*network.parameters(), *network.buffers())
        # Tensors of torch's inference mode have no version, and cannot be changed outside of it.
        versions = [(id(t), 0 if t.is_inference() else t._version) for t in tensors]
        made, then = self._made.get(weights, (None, []))
        if made is None or versions != then:
            made = for_inference(self._placed, weights)
            self._made[weights] = made, versions
        return made


def _must_suit(weights: Weights, device: torch.device) -> None:
    others = "fp32" if device.type == "mps" else "bf16 or fp32"
    if weights == "int8" and device.type != "cpu":
        raise InputError(
            f'weights: got "int8", which luthier has for the CPU alone, but this runs on '
            f"{device.type}; wanted {others}"
        )
    if weights == "bf16" and device.type == "mps":
        raise InputError(f'weights: got "bf16", which luthier does not use on mps; wanted {others}')


class _Rewriter:
    """Copies modules, and puts layers for inference in the place of some."""

    def __init__(self, weights: Weights, device: torch.device) -> None:
        self.weights = weights
        self.device = device
        self.copies: dict[int, nn.Module] = {}

    def copied(self, module: nn.Module) -> nn.Module:
        """A copy of the module and those in it. Weights that stay are the same tensors."""
        if id(module) not in self.copies:
            self.copies[id(module)] = self._copied(module)
        return self.copies[id(module)]

    def _copied(self, module: nn.Module) -> nn.Module:
        if isinstance(module, Unembed):
            return _Scores(module, self._fixed(module.weight, module.added))
        if isinstance(module, Mlp) and _whole(module):
            return self._mlp(module)
        own = copy.copy(module)
        own._parameters = dict(module._parameters)
        own._buffers = dict(module._buffers)
        own._modules = {
            name: child if child is None else self.copied(child)
            for name, child in module._modules.items()
        }
        if isinstance(own, Chain):
            own.__dict__.pop("forward", None)  # one for training alone
        for name, layer in self._others(module).items():
            setattr(own, name, layer)
        if isinstance(own, Attention) and FixedAttention.usable(own, self.device):
            return own if own.joined is None else FixedAttention(own)
        return FixedSublayer(own) if isinstance(own, Sublayer) else own

    def _others(self, module: nn.Module) -> dict[str, nn.Module]:
        """What takes the place of a module's layers, by name."""
        match module:
            case Attention() if _whole(module):
                qkv = joined((module.query, module.key, module.value))
                return {"joined": self._fixed(*qkv), "out": self._of(module.out)}
            case Attention() | CrossAttention() | Dense() | LinearRecurrence() | Mlp():
                children = module._modules.items()
                linear = {n: m for n, m in children if isinstance(m, nn.Linear) and _whole(m)}
                return {name: self._of(layer) for name, layer in linear.items()}
            case Conv() if type(module.conv) in (nn.Conv2d, TimeConv):
                return self._rounded("conv", module.conv)
            case Recurrent() if type(module.rnn) is Lstm:
                return self._rounded("rnn", module.rnn)
        return {}

    def _mlp(self, mlp: Mlp) -> FixedMlp:
        """Its curve belongs to the product before it, where that can do it."""
        down = self._of(mlp.down)
        if mlp.gate is not None:
            up = self._fixed(*joined((mlp.gate, mlp.up)))
            return FixedMlp(up, self.copied(mlp.activation), down, gated=True)
        name = _curve(mlp.activation)
        up = self._of(mlp.up, name)
        does_it = name != "none" and isinstance(up, PackedLinear | HalfLinear)
        return FixedMlp(up, None if does_it else self.copied(mlp.activation), down, gated=False)

    def _rounded(self, name: str, layer: nn.Module) -> dict[str, nn.Module]:
        """A layer whose weights autocast would round at each use."""
        if self.weights == "fp32":
            return {}
        return {name: copy.deepcopy(layer).to(torch.bfloat16).requires_grad_(False)}

    def _of(self, layer: nn.Linear, curve: Curve = "none") -> nn.Module:
        return self._fixed(layer.weight, layer.bias, curve)

    def _fixed(self, weight: Tensor, bias: Tensor | None, curve: Curve = "none") -> nn.Module:
        """The layer for these weights; it does the curve if it can."""
        if self.weights == "int8":
            return Int8Linear(weight, bias)
        dtype = DTYPES[self.weights]
        if self.weights == "fp32":  # more bits stay
            dtype = torch.promote_types(weight.dtype, dtype)
        if dtype == torch.bfloat16 and HalfLinear.usable(weight, self.device):
            return HalfLinear(weight, bias, curve)
        if PackedLinear.usable(dtype, self.device):
            return PackedLinear(weight, bias, dtype, curve)
        return CastLinear(weight, bias, dtype)


class _Scores(nn.Module):
    """An unembed with another product.

    Args:
        unembed: For its softcap.
        product: With its weights, which may be those of the tokens.
    """

    def __init__(self, unembed: Unembed, product: nn.Module) -> None:
        super().__init__()
        self.product = product
        self.capped = unembed.capped

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The scores."""
        scores: Tensor = self.capped(self.product(x_BTD))
        return scores


def _whole(module: nn.Module) -> bool:
    """Whether the weights of its linear layers are there as they are: an adapter may keep them in
    four bits, which must not become more."""
    linear = (layer for layer in module.modules() if isinstance(layer, nn.Linear))
    return all(layer._parameters.get("weight") is not None for layer in linear)


def _curve(activation: nn.Module) -> Curve:
    """The name of an activation; none for one that no product does."""
    match activation:
        case nn.ReLU():
            return "relu"
        case nn.GELU(approximate="none"):
            return "gelu"
        case nn.GELU(approximate="tanh"):
            return "gelu_tanh"
        case nn.SiLU():
            return "silu"
    return "none"
