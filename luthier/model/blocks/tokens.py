"""Tokens: a learned vector for each token, with its place in the text.

Dimension key, for the whole file:
    B  rows      T  positions      V  vocab      C  context      D  width
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Share, Size
from luthier.model.blocks.norm import NormName, norm
from luthier.model.dropped import Dropout
from luthier.model.stream import Stream, Streamed, longest, positions, through
from luthier.signal import Signal

SINUSOID_BASE = 10_000.0


class TokensSpec(BlockSpec):
    """A learned vector for each token: the first layer of a network that reads text.

    Rotary, ALiBi and relative positions belong to the attention; see its `position`.
    """

    kind: Literal["tokens"] = "tokens"
    width: Size
    """The size of the vectors: the width of the network."""
    position: Literal["none", "learned", "sinusoidal"] = "none"
    """What tells a token's place by an added vector: nothing; one learned for each place up to the
    context; or sines and cosines, which have no weights."""
    positions: Size | None = None
    """The places that learned vectors are kept for; none means the context of the data."""
    types: int = Field(default=0, ge=0, le=16)
    """Kinds of text that get a learned vector each: 2 for pairs, as in BERT; 0 for none."""
    scale: Literal["none", "sqrt_width"] = "none"
    """sqrt_width multiplies a token's vector by the root of the width, as the first Transformer
    and Gemma do."""
    norm: NormName = "none"
    """The norm behind the sum of the vectors."""
    token_dropout: Share = 0.0
    """The share of tokens whose vectors are left out whole while training, so that no answer hangs
    on a single word."""
    dropout: Share = 0.0
    """The share of values left out while training."""

    def build(self, signal: Signal) -> Tokens:
        """A `Tokens` for `signal`."""
        if signal.form != "tokens":
            raise ShapeError(
                f"tokens reads tokens, but gets {signal}; leave it out: what it gets are numbers"
            )
        return Tokens(self, signal)


class Tokens(Streamed):
    """`dropout(norm(scale * table[token] + position + type))`.

    Args:
        spec: The width, and what is added to a token's vector.
        signal: Tokens `(T,)`, with their vocab.

    Shape:
        `(B, T)` whole numbers to `(B, T, width)`.

    Cost:
        Parameters: `V * D`, plus `C * D` with learned positions and `types * D`.
        FLOPs: none; a row of a table is read.

    Source:
        Token dropout: Iyyer et al. 2015, "Deep Unordered Composition", section 3.
        Vaswani et al. 2017, sections 3.4 and 3.5, 1706.03762; the sines come before the cosines
        here, as in the authors' code, and not in turn. Types: Devlin et al. 2019, section 3.

    Example:
        >>> import torch
        >>> tokens = TokensSpec(width=8, position="learned").build(Signal.tokens(16, vocab=50))
        >>> tokens(torch.zeros(2, 16, dtype=torch.int64)).shape
        torch.Size([2, 16, 8])
    """

    def __init__(self, spec: TokensSpec, signal: Signal) -> None:
        super().__init__()
        assert signal.vocab, "tokens without a vocab"
        self.spec = spec
        self.context = spec.positions or signal.shape[0]
        if self.context < signal.shape[0] and spec.position == "learned":
            raise ShapeError(
                f"tokens has {self.context} learned positions, but gets {signal}; set "
                f"data.context to {self.context} or less"
            )
        self.scale = math.sqrt(spec.width) if spec.scale == "sqrt_width" else 1.0
        self.table: nn.Embedding | None = nn.Embedding(signal.vocab, spec.width)
        # In a list, a module's weights are not this one's.
        self._borrowed: list[Tokens] = []
        learned = spec.position == "learned"
        self.places = nn.Embedding(self.context, spec.width) if learned else None
        self.types = nn.Embedding(spec.types, spec.width) if spec.types else None
        self.norm = norm(spec.norm, Signal("sequence", (*signal.shape, spec.width)))
        self.dropout = Dropout(spec.dropout)

    @property
    def vectors(self) -> nn.Embedding:
        """The table: its own, or that of other tokens."""
        table = self._borrowed[0].table if self._borrowed else self.table
        assert table is not None
        return table

    def borrow(self, other: Tokens) -> None:
        """Uses the table of `other` from now on, and has none of its own.

        Raises:
            ShapeError: If it is of another width or vocabulary.
        """
        wanted, got = self.vectors.weight.shape, other.vectors.weight.shape
        if wanted != got:
            raise ShapeError(
                f"tokens wants a table of {tuple(wanted)} (vocab, width), but that of the encoder "
                f"is {tuple(got)}; make them equal, or set share_tokens: false"
            )
        self._borrowed, self.table = [other], None

    def forward(self, x_BT: Tensor, stream: Stream | None = None) -> Tensor:
        """The vectors of the tokens."""
        y_BTD: Tensor = self.vectors(x_BT)
        if self.training and self.spec.token_dropout:
            kept_BT1 = torch.rand((*x_BT.shape, 1), device=x_BT.device) >= self.spec.token_dropout
            y_BTD = y_BTD * (kept_BT1.to(y_BTD.dtype) / (1 - self.spec.token_dropout))
        if self.scale != 1.0:
            y_BTD = y_BTD * self.scale
        if self.spec.position != "none":
            y_BTD = y_BTD + self._places(stream, y_BTD)
        if self.types is not None:
            types_BT = None if stream is None else stream.types_BT
            y_BTD = y_BTD + self.types(torch.zeros_like(x_BT) if types_BT is None else types_BT)
        finished: Tensor = self.dropout(through(self.norm, y_BTD, stream))
        return finished

    def _places(self, stream: Stream | None, y_BTD: Tensor) -> Tensor:
        time = y_BTD.shape[1]
        places = positions(stream, time, y_BTD.device)
        if self.places is None:
            return sinusoids(places, self.spec.width).to(y_BTD.dtype)
        last = longest(stream, time)
        if last > self.context:
            raise ShapeError(
                f"tokens has learned {self.context} positions, but gets a text of {last} tokens; "
                "give shorter texts"
            )
        vectors: Tensor = self.places(places)
        return vectors


def sinusoids(places: Tensor, width: int) -> Tensor:
    """A vector for each place: sines of falling frequencies, then cosines. `(*places, width)`."""
    half = (width + 1) // 2
    steps = torch.arange(half, device=places.device, dtype=torch.float64) / max(half - 1, 1)
    angles = places[..., None].double() * SINUSOID_BASE**-steps
    return torch.cat([angles.sin(), angles.cos()], -1)[..., :width].float()
