"""Cross-attention: every position reads a source, such as what an encoder gives.

Dimension key, for the whole file:
    B  rows              T  positions of the input      D  width
    N  documents         S  positions of the source     E  width of a head
    H  query heads       K  key/value heads
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.attend import Sight, attend
from luthier.model.block import Share, Size
from luthier.model.blocks.attention import check_heads, in_heads, width_of_head
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.stream import OfSources, Stream, Streamed
from luthier.signal import Signal


class CrossAttentionSpec(SublayerSpec):
    """Every position takes in what it finds in a source: in a translation, in the text to
    translate. Stands between an attention and an MLP."""

    kind: Literal["cross_attention"] = "cross_attention"
    heads: Size
    """Query heads."""
    kv_heads: Size | None = None
    """Key/value heads, a divisor of `heads`; none means as many."""
    head_width: Size | None = None
    """The width of a head; none means the width by the heads."""
    source_width: Size | None = None
    """The width of the source; none means that of the input."""
    bias: bool | Literal["not_key"] = False
    """Whether the four layers add learned numbers; not_key: all but that of the keys."""
    scale: Annotated[float, Field(gt=0)] | None = None
    """What scores are multiplied by; none means one by the root of the width of a head."""
    attention_dropout: Share = 0.0
    """The share of the weights, with which values are taken in, left out while training."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        check_heads(self.heads, self.kv_heads)
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with a `CrossAttention` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        attention = CrossAttention(self, signal.width)
        return Sublayer(self, attention, signal, (attention.out,))


@dataclass(frozen=True)
class SourceKeys(OfSources):
    """Keys and values of a source, one document a row. What is remembered of it.

    Attributes:
        keys_NKSE: Keys.
        values_NKSE: Values.
        hidden_NS: True for padding; none where there is none.
    """

    keys_NKSE: Tensor
    values_NKSE: Tensor
    hidden_NS: Tensor | None

    def of_sources(self, sources: Sequence[int]) -> SourceKeys:
        """Of some of the sources; the same where they are all, in their order."""
        if list(sources) == list(range(self.count)):
            return self
        rows, hidden = list(sources), self.hidden_NS
        return SourceKeys(
            self.keys_NKSE[rows], self.values_NKSE[rows], None if hidden is None else hidden[rows]
        )

    @property
    def count(self) -> int:
        """N."""
        return len(self.keys_NKSE)


class CrossAttention(Streamed):
    """Multi-head attention whose keys and values are those of `stream.source_BSD`.

    Document n of the input reads document n of the source, all of it. With a state, the keys and
    values of the source are made once; where rows have a source together, for all of them.

    Args:
        spec: The heads, and how wide the source is.
        width: D.

    Shape:
        `(B, T, D)` to the same, beside a source `(B', S, source_width)`.

    Raises:
        ShapeError: If the heads do not divide the width; in a pass, if there is no source, or one
            of another width or of other documents.

    Cost:
        Parameters: `2 * D * E * H + 2 * source_width * E * K`, plus biases.
        FLOPs of one forward pass: two a weight and position, and the products; see `attend`.
        State: `2 * K * E` elements a position of the source.

    Source:
        Vaswani et al. 2017, section 3.2.3, 1706.03762.
    """

    def __init__(self, spec: CrossAttentionSpec, width: int) -> None:
        super().__init__()
        self.head_width = width_of_head(spec.kind, spec.heads, spec.head_width, width)
        self.source_width = spec.source_width or width
        self.dropout = spec.attention_dropout
        self.sight = Sight(causal=False, scale=spec.scale)
        inside, kv_inside = (n * self.head_width for n in (spec.heads, spec.kv_heads or spec.heads))
        self.query = nn.Linear(width, inside, bias=bool(spec.bias))
        self.key = nn.Linear(self.source_width, kv_inside, bias=spec.bias is True)
        self.value = nn.Linear(self.source_width, kv_inside, bias=bool(spec.bias))
        self.out = nn.Linear(inside, width, bias=bool(spec.bias))

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What each position takes in of the source."""
        source = self._source(x_BTD, stream)
        layout = None if stream is None else stream.layout
        q_BTD = self.query(x_BTD)
        q_NTD = q_BTD if layout is None else layout.documents_apart(q_BTD)
        beams = 1 if stream is None or stream.state is None else stream.state.beams
        if beams > 1:
            # Rows with one source are more queries of it, as more positions would be.
            q_NTD = q_NTD.reshape(-1, beams * q_NTD.shape[1], q_NTD.shape[2])
        if len(q_NTD) != len(source.keys_NKSE):
            raise ShapeError(
                f"cross_attention reads {len(q_NTD)} texts, but the source has "
                f"{len(source.keys_NKSE)}; give one for each"
            )
        y_NHTE = attend(
            self._heads(q_NTD),
            source.keys_NKSE,
            source.values_NKSE,
            self.sight,
            hidden_BS=source.hidden_NS,
            dropout=self.dropout if self.training else 0.0,
        )
        y_NTD = y_NHTE.transpose(1, 2).flatten(2)
        if beams > 1:
            y_NTD = y_NTD.reshape(*x_BTD.shape[:2], -1)
        y_BTD: Tensor = self.out(y_NTD if layout is None else layout.together(y_NTD))
        return y_BTD

    def _source(self, x_BTD: Tensor, stream: Stream | None) -> SourceKeys:
        """The keys and values of the source, from the state where they are there."""
        state = None if stream is None else stream.state
        kept = None if state is None else state.blocks.get(self.name)
        if kept is None:
            kept = self._keys(_given(x_BTD, stream, self.source_width), stream)
        assert isinstance(kept, SourceKeys)
        if stream is not None and state is not None:
            assert self.name, "only a block in a network can remember"
            stream.handed_on[self.name] = kept
        return kept

    def _keys(self, source_BSD: Tensor, stream: Stream | None) -> SourceKeys:
        layout = None if stream is None else stream.source_layout
        k_BSD, v_BSD = self.key(source_BSD), self.value(source_BSD)
        if layout is None or layout.full:
            return SourceKeys(self._heads(k_BSD), self._heads(v_BSD), None)
        k_NSD, v_NSD = (layout.documents_apart(x_BSD) for x_BSD in (k_BSD, v_BSD))
        return SourceKeys(self._heads(k_NSD), self._heads(v_NSD), ~layout.present_NL)

    def _heads(self, x_BTD: Tensor) -> Tensor:
        """`(B, T, heads * E)` to `(B, heads, T, E)`."""
        return in_heads(x_BTD, self.head_width).transpose(1, 2)


def _given(x_BTD: Tensor, stream: Stream | None, width: int) -> Tensor:
    """The source of a pass.

    On the meta device any will do: there is none yet where a network is built. It is taken to
    be as long as the input, for what it costs.
    """
    source_BSD = None if stream is None else stream.source_BSD
    if source_BSD is None and x_BTD.is_meta:
        return torch.empty(*x_BTD.shape[:2], width, dtype=x_BTD.dtype, device=x_BTD.device)
    if source_BSD is None:
        raise ShapeError(
            "cross_attention reads a source beside its input, but there is none; use it in the "
            "decoder of a task that has an encoder, or leave it out"
        )
    if source_BSD.shape[-1] != width:
        raise ShapeError(
            f"cross_attention reads a source of width {width}, but gets one of "
            f"{source_BSD.shape[-1]}; set source_width to it"
        )
    return source_BSD
