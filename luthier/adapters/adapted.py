"""Layers with an adapter beside their weights.

A layer becomes another class in place: it keeps its own weights, their names, and its identity,
so that whoever holds it (a tied head, a hook) goes on holding it. Whoever reads `layer.weight`
gets the weight with what the adapter adds; the layer itself computes both apart, where that is
cheaper.

Dimension key, for the whole file:
    D  width that is read      E  width that is given      R  rows of a weight      r  rank
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luthier.adapters.lora import LowRank
from luthier.adapters.new_rows import NewRows
from luthier.adapters.nf4 import Nf4, linear
from luthier.adapters.product import adapted_product
from luthier.model.blocks.conv import TimeConv
from luthier.model.blocks.recurrent import Lstm
from luthier.model.dropped import dropped

ADAPTERS = "adapters"
"""The attribute of a layer that holds its adapters: by adapter, then by weight."""
ACTIVE = "active"
"""The attribute that names the one that is used; None for none."""
ROWS = "rows"
"""The key of the rows of new tokens, among what an adapter brings to a layer."""
NF4 = "nf4"
"""The attribute of a layer that holds its weight in four bits."""


def is_made(name: str) -> bool:
    """Whether a weight of that name belongs to an adapter, or stands for one in four bits, and is
    none of the network's own."""
    parts = name.split(".")
    return ADAPTERS in parts or NF4 in parts


def base_weight(layer: nn.Module, name: str = "weight") -> Tensor:
    """The layer's own weight, without an adapter; of a quantised one, made from its four bits."""
    nf4 = quantised(layer)
    weight = layer._parameters[name] if nf4 is None else nf4.weight()
    assert weight is not None, f"the layer has no {name}"
    return weight


def weight_shape(layer: nn.Module, name: str = "weight") -> torch.Size:
    """The shape of that."""
    nf4 = quantised(layer)
    return base_weight(layer, name).shape if nf4 is None else torch.Size(nf4.shape)


def quantised(layer: nn.Module) -> Nf4 | None:
    """The layer's weight in four bits; None where it is whole."""
    found = layer._modules.get(NF4)
    assert found is None or isinstance(found, Nf4)
    return found


def quantise(layer: nn.Module) -> None:
    """Keeps the weight of a dense layer in four bits from now on."""
    adapt(layer)
    layer.add_module(NF4, Nf4(base_weight(layer).detach()))
    layer._parameters["weight"] = None


def active(layer: nn.Module, name: str = "weight") -> LowRank | None:
    """What the active adapter adds to a weight of the layer; None where it adds nothing."""
    chosen = layer.__dict__[ACTIVE]
    adapters = layer._modules[ADAPTERS]
    assert isinstance(adapters, nn.ModuleDict)
    if chosen is None or chosen not in adapters:
        return None
    own = adapters[chosen]
    assert isinstance(own, nn.ModuleDict)
    low = own._modules.get(name)
    assert low is None or isinstance(low, LowRank)
    return low


def active_rows(layer: nn.Module) -> NewRows | None:
    """The rows of new tokens that the active adapter brings; None where it brings none."""
    chosen = layer.__dict__[ACTIVE]
    adapters = layer._modules[ADAPTERS]
    assert isinstance(adapters, nn.ModuleDict)
    if chosen is None or chosen not in adapters:
        return None
    rows = adapters[chosen]._modules.get(ROWS)
    assert rows is None or isinstance(rows, NewRows)
    return rows


def effective(layer: nn.Module, name: str = "weight") -> Tensor:
    """The weight as the network uses it."""
    weight, low, rows = base_weight(layer, name), active(layer, name), active_rows(layer)
    if low is not None:
        weight = low.applied(weight)
    return weight if rows is None else rows.applied(weight)


class AdaptedLinear(nn.Linear):
    """`x W^T + scale * (x A^T) B^T + b`, without the sum of the matrices."""

    weight = property(effective)

    def forward(self, x: Tensor) -> Tensor:
        """`(…, D)` to `(…, E)`."""
        y, rows = self._adapted(x), active_rows(self)
        return y if rows is None else rows.scored(x, self.bias, y)

    def _adapted(self, x: Tensor) -> Tensor:
        low = active(self)
        if low is None:
            return self._own(x, self.bias)
        read = dropped(x, low.dropout) if self.training and low.dropout else None
        bias = self.bias if low.magnitude is None else None
        y = self._beside(low, x, bias, read)
        if low.magnitude is None:
            return y
        factor = low.factor(base_weight(self))
        assert factor is not None
        y = y * factor[:, 0]
        return y if self.bias is None else y + self.bias

    def _beside(self, low: LowRank, x: Tensor, bias: Tensor | None, read: Tensor | None) -> Tensor:
        """What the layer gives, and what the thin matrices add to it."""
        nf4 = quantised(self)
        weight = base_weight(self) if nf4 is None else nf4
        if isinstance(weight, Tensor) and weight.requires_grad:  # it moves whole besides
            thin = F.linear(x if read is None else read, low.down)
            return F.linear(x, weight, bias) + low.scale * F.linear(thin, low.up)
        return adapted_product(x, weight, bias, (low.down, low.up), low.scale, read)

    def _own(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """What the layer gives without an adapter."""
        nf4 = quantised(self)
        return F.linear(x, base_weight(self), bias) if nf4 is None else linear(x, nf4, bias)


class AdaptedEmbedding(nn.Embedding):
    """A table of which each row has a thin part: the rows that are looked up are made alone."""

    weight = property(effective)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(…)` whole numbers to `(…, D)`."""
        low, rows, weight = active(self), active_rows(self), base_weight(self)
        y = F.embedding(tokens, weight, self.padding_idx)
        if low is not None:
            y = y + low.scale * (F.embedding(tokens, low.up) @ low.down).to(y.dtype)
            factor = low.factor(weight)
            y = y if factor is None else y * factor
        return y if rows is None else rows.looked_up(tokens, y)


def _convolved(self: Any, x: Tensor) -> Tensor:
    """The sum of both kernels is one kernel; only where a share is dropped out they run apart."""
    low = active(self)
    if low is None or not (self.training and low.dropout):
        y: Tensor = self._conv_forward(x, self.weight, self.bias)
        return y
    weight, delta, bias = base_weight(self), low.delta(), self.bias
    factor = low.factor(weight)
    if factor is not None:
        weight, delta = weight * factor, delta * factor
    own: Tensor = self._conv_forward(x, weight, bias)
    added: Tensor = self._conv_forward(dropped(x, low.dropout), delta, None)
    return own + added


class AdaptedConv1d(nn.Conv1d):
    """A convolution over time, channels first."""

    weight = property(effective)
    forward = _convolved  # type: ignore[assignment]


class AdaptedConv2d(nn.Conv2d):
    """A convolution over images."""

    weight = property(effective)
    forward = _convolved  # type: ignore[assignment]


class AdaptedTimeConv(TimeConv):
    """A convolution over time, channels last."""

    weight = property(effective)
    forward = _convolved  # type: ignore[assignment]


def _transposed(self: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What torch's own method for convolutions is called with, for those that make larger."""
    product = F.conv_transpose1d if isinstance(self, nn.ConvTranspose1d) else F.conv_transpose2d
    where = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
    y: Tensor = product(x, weight, bias, *where)
    return y


class AdaptedConvTranspose1d(nn.ConvTranspose1d):
    """A convolution that makes a sequence longer, channels first."""

    weight = property(effective)
    _conv_forward = _transposed  # type: ignore[assignment]
    forward = _convolved  # type: ignore[assignment]


class AdaptedConvTranspose2d(nn.ConvTranspose2d):
    """A convolution that makes images larger."""

    weight = property(effective)
    _conv_forward = _transposed  # type: ignore[assignment]
    forward = _convolved  # type: ignore[assignment]


def _recurrent_weight(self: nn.Module, name: str) -> Any:
    """Torch's own kernels want whole weights, so they get the sums."""
    if name in self.__dict__.get("_parameters", ()):
        return effective(self, name)
    return nn.Module.__getattr__(self, name)


def _recurrent_weights(self: nn.RNNBase) -> list[Tensor]:
    return [getattr(self, name) for name in self._flat_weights_names]


def _kept_by_torch(self: nn.RNNBase, weights: list[Tensor]) -> None:
    """Torch keeps a list of the weights, which would be without the adapter's part."""


def _stay_apart(self: nn.RNNBase) -> None:
    """Sums do not lie side by side in memory, as cuDNN would have its weights."""


class AdaptedLstm(Lstm):
    """An LSTM with adapters of the matrices that read the input and the state."""

    __getattr__ = _recurrent_weight
    _flat_weights = property(_recurrent_weights, _kept_by_torch)
    flatten_parameters = _stay_apart


class AdaptedGru(nn.GRU):
    """The same of a GRU."""

    __getattr__ = _recurrent_weight
    _flat_weights = property(_recurrent_weights, _kept_by_torch)
    flatten_parameters = _stay_apart


class AdaptedRnn(nn.RNN):
    """The same of a plain RNN."""

    __getattr__ = _recurrent_weight
    _flat_weights = property(_recurrent_weights, _kept_by_torch)
    flatten_parameters = _stay_apart


ADAPTED: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Linear: AdaptedLinear,
    nn.Embedding: AdaptedEmbedding,
    nn.Conv1d: AdaptedConv1d,
    nn.Conv2d: AdaptedConv2d,
    nn.ConvTranspose1d: AdaptedConvTranspose1d,
    nn.ConvTranspose2d: AdaptedConvTranspose2d,
    TimeConv: AdaptedTimeConv,
    Lstm: AdaptedLstm,
    nn.GRU: AdaptedGru,
    nn.RNN: AdaptedRnn,
}
"""What can have an adapter, and what it becomes."""
PLAIN = {adapted: plain for plain, adapted in ADAPTED.items()}
RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


def adapt(layer: nn.Module) -> None:
    """Lets a layer have adapters; it computes what it did."""
    if type(layer) in PLAIN:
        return
    layer.__class__ = ADAPTED[type(layer)]
    layer.add_module(ADAPTERS, nn.ModuleDict())
    layer.__dict__[ACTIVE] = None


def weight_names(layer: nn.Module) -> list[str]:
    """The weights of a layer that can have an adapter: its matrices, and no biases."""
    if isinstance(layer, RECURRENT):
        return [name for name in layer._parameters if name.startswith("weight")]
    return ["weight"]


def set_weight(layer: nn.Module, name: str, weight: Tensor) -> None:
    """Makes `weight` the layer's own, whole."""
    if quantised(layer) is None:
        base_weight(layer, name).copy_(weight)
    else:
        layer._parameters[name] = nn.Parameter(weight)
        del layer._modules[NF4]


def restore(layer: nn.Module) -> None:
    """Makes a layer what it was before `adapt`, with the weights that it has now."""
    assert quantised(layer) is None, "a layer of other class cannot use four bits"
    layer.__class__ = PLAIN[type(layer)]
    del layer._modules[ADAPTERS]
    del layer.__dict__[ACTIVE]
    if isinstance(layer, nn.RNNBase):
        layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
