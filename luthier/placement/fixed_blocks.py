"""The halves of a Transformer for inference: the same sums, with little between them.

Of a small network a token costs one or two milliseconds, and calls of modules, each with its
checks for hooks and modes, once were half of that.

Dimension key, for the whole file:
    B  rows      D  width      E  width of a head
    H  query heads      K  key/value heads      G  query heads of one key/value head
    S  positions read      X  `H + 2 * K`
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from luthier.model.blocks.attention import Attention, normed
from luthier.model.blocks.sublayer import Sublayer
from luthier.model.cache import KeyValues
from luthier.model.one_query import attend_one
from luthier.model.rms_norm import RmsNorm
from luthier.model.stream import State, Stream, Streamed

Call = Callable[..., Tensor]


class FixedSublayer(Streamed):
    """A sublayer that leaves nothing out at random.

    Args:
        sublayer: With its norms, and what it is around.
    """

    def __init__(self, sublayer: Sublayer) -> None:
        super().__init__()
        self.inner = sublayer.inner
        self.residual, self.scale = sublayer.residual, sublayer.scale
        self.before = _norm(sublayer.norm_before)
        self.after = _norm(sublayer.norm_after)
        self.norm_last = sublayer.norm_last
        self.call = called(self.inner)
        self.reads_stream = isinstance(self.inner, Streamed)

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The input and what the sublayer adds to it."""
        y = x if self.before is None else self.before(x)
        y = self.call(y, stream) if self.reads_stream else self.call(y)
        if self.after is not None and not self.norm_last:
            y = self.after(y)
        if self.residual:
            y = x + y if self.scale == 1 else torch.add(x, y, alpha=self.scale)
        return self.after(y) if self.after is not None and self.norm_last else y


class FixedMlp(nn.Module):
    """An MLP: gate and up in one product, or the curve in the product before it.

    Args:
        up: Of the MLP; where gated, the gate's outputs first, then its own.
        activation: None where `up` does it.
        down: Of the MLP.
        gated: Whether there is a gate.
    """

    def __init__(
        self, up: nn.Module, activation: nn.Module | None, down: nn.Module, *, gated: bool
    ) -> None:
        super().__init__()
        self.up, self.activation, self.down = up, activation, down
        self.gated = gated
        self.read, self.write = called(up), called(down)

    def forward(self, x: Tensor) -> Tensor:
        """Each position through the layers."""
        inside = self.read(x)
        if self.gated:
            assert self.activation is not None
            gate, inside = inside.chunk(2, -1)
            inside = self.activation(gate) * inside
        elif self.activation is not None:
            inside = self.activation(inside)
        return self.write(inside)


class FixedAttention(Streamed):
    """An attention that reads one more token of each row in a few operations, else as it does.

    Args:
        attention: With its products joined.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        assert attention.joined is not None
        self.general = attention
        self.name = attention.name
        self.width = attention.head_width
        self.heads = attention.query.out_features // self.width
        self.shared = attention.key.out_features // self.width
        self.plain = isinstance(attention.query_norm, nn.Identity)
        self.read, self.write = called(attention.joined), called(attention.out)

    @staticmethod
    def usable(attention: Attention, device: torch.device) -> bool:
        """Whether its scores are what the kernel for one query makes: no window, bias or cap."""
        sight = attention.sight
        everything = sight.causal and sight.window is None and sight.softcap is None
        return everything and attention.distance is None and device.type == "cpu"

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What each position takes in."""
        state = None if stream is None else stream.state
        kept = None if state is None else state.blocks.get(self.name)
        if stream is None or state is None or kept is None or x_BTD.shape[1] != 1:
            return self.general(x_BTD, stream)  # type: ignore[no-any-return]
        assert isinstance(kept, KeyValues)
        q_BH1E, k_BK1E, v_BK1E = self._heads(x_BTD, stream)
        keys_BKSE, values_BKSE = kept.read_on(k_BK1E, v_BK1E, state.time)
        stream.handed_on[self.name] = kept
        rows, dtype = len(x_BTD), keys_BKSE.dtype
        q_BKGE = q_BH1E.to(dtype).reshape(rows, self.shared, -1, self.width)
        mask = _shown(stream, state, keys_BKSE) if state.begins else None
        y_BKGE = attend_one(q_BKGE, keys_BKSE, values_BKSE, mask, self.general.sight.scale)
        return self.write(y_BKGE.reshape(rows, 1, -1))

    def _heads(self, x_B1D: Tensor, stream: Stream) -> tuple[Tensor, Tensor, Tensor]:
        """The token's queries, keys and values, turned to their places."""
        x_B1XE = self.read(x_B1D).view(len(x_B1D), 1, -1, self.width)
        general, heads, shared = self.general, self.heads, self.shared
        if not self.plain:
            q, k, v = torch.split_with_sizes(x_B1XE, (heads, shared, shared), 2)
            q, k = normed(general.query_norm, q), normed(general.key_norm, k)
            x_B1XE = torch.cat([q, k, v], 2)
        if general.rotary is not None:
            turning, v = torch.split_with_sizes(x_B1XE, (heads + shared, shared), 2)
            turned = general.rotary.turned(turning, general.rotary.angles(stream, 1, x_B1XE))
            q, k = torch.split_with_sizes(turned, (heads, shared), 2)
            return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        x_BX1E = x_B1XE.transpose(1, 2)
        q, k, v = torch.split_with_sizes(x_BX1E, (heads, shared, shared), 1)
        return q, k, v


def _shown(stream: Stream, state: State, keys_BKSE: Tensor) -> Tensor:
    """What is added to the scores of one query, `(B, 1, 1, S)`: it sees no padding. Made once for
    all layers."""
    rows, time = keys_BKSE.shape[0], keys_BKSE.shape[2]
    key = ("shown", keys_BKSE.dtype)
    if key not in stream.shared:
        begins_B1 = torch.tensor(state.begins)[:, None]
        added_BS = keys_BKSE.new_zeros(rows, time)
        added_BS.masked_fill_(torch.arange(time) < begins_B1, -math.inf)
        stream.shared[key] = added_BS[:, None, None]
    shown: Tensor = stream.shared[key]
    return shown


def called(module: nn.Module) -> Call:
    """The module, or if nobody listens to its calls, what they come to."""
    listened = module._forward_hooks or module._forward_pre_hooks
    return module if listened else module.forward


def _norm(norm: nn.Module) -> Call | None:
    """A norm as one operation, in the type of its weight; none for none."""
    if isinstance(norm, nn.Identity):
        return None
    if norm._forward_hooks or norm._forward_pre_hooks:
        return norm
    if type(norm) is nn.LayerNorm:
        shape, weight, bias, epsilon = norm.normalized_shape, norm.weight, norm.bias, norm.eps
        dtype = weight.dtype
        return lambda x: torch.layer_norm(x.to(dtype), shape, weight, bias, epsilon)
    if type(norm) is RmsNorm:
        shape, weight, rms_epsilon = norm.normalized_shape, norm.weight, norm.eps
        dtype = weight.dtype
        return lambda x: torch.rms_norm(x.to(dtype), shape, weight, rms_epsilon)
    return norm.forward
