"""Attention: every position reads the others.

Dimension key, for the whole file:
    B  rows              T  positions of the input      S  positions read, earlier ones included
    D  width             H  query heads                 K  key/value heads
    E  width of a head   R  distances
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.attend import Sight, attend
from luthier.model.block import Share, Size
from luthier.model.blocks.norm import divisor
from luthier.model.blocks.position import Alibi, Relative
from luthier.model.blocks.rotary import BASE, Rotary
from luthier.model.blocks.rotary_scaling import RotaryScaling
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.cache import KeyValues
from luthier.model.rms_norm import RmsNorm
from luthier.model.stream import State, Stream, Streamed
from luthier.signal import Signal

Position = Literal["none", "rotary", "alibi", "relative"]
HeadNorm = Literal["none", "rms", "layer"]
Buckets = Annotated[int, Field(ge=4, le=4096)]
Positive = Annotated[float, Field(gt=0)]


class AttentionSpec(SublayerSpec):
    """Every position takes in what it finds at others, in several heads.

    With its norm and its residual: the half of a Transformer's layer; `mlp` is the other half.
    """

    kind: Literal["attention"] = "attention"
    heads: Size
    """Query heads."""
    kv_heads: Size | None = None
    """Key/value heads, a divisor of `heads`; none means as many. 1 is multi-query attention."""
    head_width: Size | None = None
    """The width of a head; none means the width by the heads."""
    causal: bool = True
    """Whether a position is kept from seeing later ones; false for what reads a whole text, as
    BERT."""
    window: Size | None = None
    """Positions that one sees at most, its own included: the last ones where causal, else as many
    on both sides, so that the number is odd. None for all."""
    position: Position = "none"
    """What tells how far apart positions are: nothing (the tokens layer may); turned queries and
    keys (rotary); a penalty that grows with the distance (alibi); a learned number for each
    distance (relative, as in T5)."""
    rotary_base: Positive = BASE
    """The base of rotary's angles; larger ones suit longer texts."""
    rotary_share: float = Field(default=1.0, gt=0, le=1)
    """The share of a head's features that rotary turns, the first ones."""
    rotary_scaling: RotaryScaling | None = None
    """How rotary's angles are made smaller for texts that are longer than those of the training
    before; none leaves them."""
    relative_buckets: Buckets = 32
    """Buckets that relative has learned numbers for."""
    relative_reach: Size = 128
    """The distance from which on all share relative's last bucket."""
    qk_norm: HeadNorm = "none"
    """A norm of each head's queries and keys, before they are turned; its epsilon is
    `norm_epsilon`."""
    bias: bool | Literal["qkv", "not_key"] = False
    """Whether the four layers add learned numbers; qkv: all but the last one, as in Qwen 2;
    not_key: all but that of the keys, as in Whisper."""
    scale: Positive | None = None
    """What scores are multiplied by; none means one by the root of the width of a head."""
    softcap: Positive | None = None
    """Scores are kept between ± this, by `softcap * tanh(score / softcap)`; none leaves them."""
    attention_dropout: Share = 0.0
    """The share of the weights, with which values are taken in, left out while training."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        check_heads(self.heads, self.kv_heads)
        for wanted in ("rotary", "relative"):
            if self.position != wanted:
                names = [name for name in type(self).model_fields if name.startswith(f"{wanted}_")]
                self.refuse(names, f"position: {wanted}", f"position: {self.position}")
        if self.window is not None and not self.causal and self.window % 2 == 0:
            raise ValueError(
                f"window: got {self.window}, wanted an odd number where causal is false: a "
                f"position, and as many on both sides; {self.window + 1} is one"
            )
        single = self.relative_buckets // (2 if self.causal else 4)
        if self.position == "relative" and self.relative_reach <= single:
            raise ValueError(
                f"relative_reach: got {self.relative_reach}, wanted more than {single}, the "
                "distances that have a bucket of their own"
            )
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with an `Attention` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        attention = Attention(self, signal.width)
        return Sublayer(self, attention, signal, (attention.out,))

    def widths(self, width: int) -> tuple[int, int]:
        """Of a head, and of the part of it that rotary turns, for an input of `width`."""
        own = width_of_head(self.kind, self.heads, self.head_width, width)
        turned = int(own * self.rotary_share)
        if self.position == "rotary" and (turned < 2 or turned % 2):
            raise ShapeError(
                f"{self.kind} turns {turned} of the {own} features of a head, wanted an even "
                "number; change head_width or rotary_share"
            )
        return own, turned


class Attention(Streamed):
    """Multi-head attention with shared key/value heads (grouped-query attention).

    Each of the H query heads takes a mean of the values at the positions that it may see,
    weighted by `softmax(q k^T * scale)`. Groups of `H / K` query heads share one key/value head,
    which divides what must be remembered by that factor.

    Positions see their own document alone, and count from its start. With a state, keys and values
    of earlier positions are read from it.

    Args:
        spec: The heads, what they see, and what tells them where.
        width: D.

    Shape:
        `(B, T, D)` to the same.

    Raises:
        ShapeError: If the heads do not divide the width; in a pass with a state, where not
            causal.

    Cost:
        Parameters: `D * E * (2 * H + 2 * K)`, plus biases, norms and relative's table.
        FLOPs of one forward pass: two a weight and position, and the products; see `attend`.
        State: `2 * K * E` elements a position, of a window too.

    Source:
        Vaswani et al. 2017, section 3.2, 1706.03762. Shared heads: Ainslie et al. 2023,
        2305.13245. Norms of queries and keys: Henry et al. 2020, 2010.04245, with the learned
        scale of a norm instead of one number. Softcap: Gemma 2, 2408.00118.

    Example:
        >>> attention = Attention(AttentionSpec(heads=8, kv_heads=2, position="rotary"), 64)
        >>> attention(torch.zeros(3, 10, 64)).shape
        torch.Size([3, 10, 64])
    """

    def __init__(self, spec: AttentionSpec, width: int) -> None:
        super().__init__()
        self.head_width, turned = spec.widths(width)
        self.causal = spec.causal
        self.dropout = spec.attention_dropout
        self.sight = Sight(
            causal=spec.causal, window=spec.window, scale=spec.scale, softcap=spec.softcap
        )
        inside, kv_inside = (n * self.head_width for n in (spec.heads, spec.kv_heads or spec.heads))
        self.query = nn.Linear(width, inside, bias=bool(spec.bias))
        self.key = nn.Linear(width, kv_inside, bias=spec.bias in (True, "qkv"))
        self.value = nn.Linear(width, kv_inside, bias=bool(spec.bias))
        self.query_norm = _head_norm(spec, self.head_width)
        self.key_norm = _head_norm(spec, self.head_width)
        self.rotary = (
            Rotary(turned, spec.rotary_base, spec.rotary_scaling)
            if spec.position == "rotary"
            else None
        )
        self.distance = _distance(spec)
        self.out = nn.Linear(inside, width, bias=spec.bias in (True, "not_key"))
        self.joined: nn.Module | None = None
        """Query, key and value in one product, where a placement has joined them."""

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What each position takes in."""
        q_BHTE, k_BKSE, v_BKSE = self.project(x_BTD, stream)
        layout = None if stream is None else stream.layout
        hidden_BS: Tensor | None = None
        if stream is not None and stream.state is not None:
            k_BKSE, v_BKSE = self._remembered(k_BKSE, v_BKSE, stream, stream.state)
            q_BHTE = q_BHTE.to(k_BKSE.dtype)
            hidden_BS = _padding(stream, stream.state, k_BKSE)
        bias_HR: Tensor | None = None
        if self.distance is not None:
            reach = k_BKSE.shape[2] if layout is None else layout.longest
            bias_HR = self.distance(reach, x_BTD.device)
        y_BHTE = attend(
            q_BHTE,
            k_BKSE,
            v_BKSE,
            self.sight,
            bias_HR=bias_HR,
            layout=layout,
            hidden_BS=hidden_BS,
            dropout=self.dropout if self.training else 0.0,
        )
        y_BTD: Tensor = self.out(y_BHTE.transpose(1, 2).flatten(2))
        return y_BTD

    def project(self, x_BTD: Tensor, stream: Stream | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the input, turned to their places."""
        if self.joined is None:
            qkv = (self.query(x_BTD), self.key(x_BTD), self.value(x_BTD))
        else:
            sizes = (self.query.out_features, self.key.out_features, self.value.out_features)
            qkv = self.joined(x_BTD).split(sizes, -1)
        q_BTHE, k_BTKE, v_BTKE = (in_heads(x, self.head_width) for x in qkv)
        q_BTHE, k_BTKE = normed(self.query_norm, q_BTHE), normed(self.key_norm, k_BTKE)
        if self.rotary is not None:
            angles = self.rotary.angles(stream, x_BTD.shape[1], q_BTHE)
            q_BTHE, k_BTKE = (self.rotary.turned(x, angles) for x in (q_BTHE, k_BTKE))
        return q_BTHE.transpose(1, 2), k_BTKE.transpose(1, 2), v_BTKE.transpose(1, 2)

    def _remembered(
        self, k_BKTE: Tensor, v_BKTE: Tensor, stream: Stream, state: State
    ) -> tuple[Tensor, Tensor]:
        """The keys and values of all positions so far."""
        if not self.causal:
            raise ShapeError(
                "attention with causal: false sees later positions, which are not there yet "
                "where a text is read piece by piece; set causal: true, or read it whole"
            )
        assert self.name, "only a block in a network can remember"
        kept = state.blocks.get(self.name)
        if kept is None:
            kept = KeyValues.for_rows_like(k_BKTE, state.capacity)
        stream.handed_on[self.name] = kept
        assert isinstance(kept, KeyValues)
        return kept.read_on(k_BKTE, v_BKTE, state.time)


def in_heads(x_BTD: Tensor, width: int) -> Tensor:
    """The features in heads of `width`: `(B, T, heads, width)`."""
    return x_BTD.view(*x_BTD.shape[:-1], -1, width)


def check_heads(heads: int, kv_heads: int | None) -> None:
    """Refuses key/value heads that query heads cannot share evenly.

    Raises:
        ValueError: In words.
    """
    if kv_heads is not None and heads % kv_heads:
        raise ValueError(
            f"kv_heads: got {kv_heads}, wanted a divisor of the {heads} heads, such as "
            f"{divisor(heads, min(kv_heads, heads))}"
        )


def width_of_head(kind: str, heads: int, head_width: int | None, width: int) -> int:
    """The width of a head.

    Args:
        kind: Of the block, for the message.
        heads: Query heads.
        head_width: If it is given.
        width: Of the input.

    Raises:
        ShapeError: If the heads do not divide the width.
    """
    if head_width is not None:
        return head_width
    if width % heads:
        raise ShapeError(
            f"{kind} has {heads} heads, which do not divide the width of {width}; use "
            f"{divisor(width, min(heads, width))}, or give a head_width"
        )
    return width // heads


def _head_norm(spec: AttentionSpec, width: int) -> nn.Module:
    match spec.qk_norm:
        case "none":
            return nn.Identity()
        case "rms":
            return RmsNorm(width, eps=spec.norm_epsilon or 1e-6)
        case "layer":
            return nn.LayerNorm(width, eps=spec.norm_epsilon or 1e-5)


def normed(norm: nn.Module, x_BTHE: Tensor) -> Tensor:
    """Heads behind their norm. Under autocast in the type of its weight: torch has a fast norm for
    that."""
    if not isinstance(norm, nn.RMSNorm | nn.LayerNorm):
        return x_BTHE
    y_BTHE: Tensor = norm(x_BTHE.to(norm.weight.dtype))
    return y_BTHE.to(x_BTHE.dtype)


def _distance(spec: AttentionSpec) -> nn.Module | None:
    if spec.position == "alibi":
        return Alibi(spec.heads)
    if spec.position == "relative":
        return Relative(spec.heads, spec.relative_buckets, spec.relative_reach, causal=spec.causal)
    return None


def _padding(stream: Stream, state: State, k_BKSE: Tensor) -> Tensor | None:
    """True before a row's first position, for all that was read; none where no row has padding."""
    if not any(state.begins):
        return None
    hidden_BS: Tensor | None = stream.shared.get("padding")
    if hidden_BS is None:
        begins_B = torch.tensor(state.begins, device=k_BKSE.device)
        hidden_BS = torch.arange(k_BKSE.shape[2], device=k_BKSE.device) < begins_B[:, None]
        stream.shared["padding"] = hidden_BS
    return hidden_BS
