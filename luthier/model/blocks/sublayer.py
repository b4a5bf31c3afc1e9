"""Sublayer: what stands around an attention or an MLP, the norm and the way past it.

Dimension key, for the whole file:
    B  rows      T  positions      D  width
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from luthier.model.block import BlockSpec, Share
from luthier.model.blocks.dropout import DropPath
from luthier.model.blocks.norm import Epsilon, LayerNormSpec, RmsNormSpec
from luthier.model.dropped import Dropout
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal

PlaceNorm = Literal["none", "rms", "layer"]
"""A norm of each position by itself. Batch and group norm are none: they look at other texts, or
at what comes later."""


class SublayerSpec(BlockSpec):
    """What an attention, an MLP and their like have in common: one step of a Transformer."""

    norm: PlaceNorm = "rms"
    """The norm of the sublayer."""
    norm_place: Literal["pre", "post", "both"] = "pre"
    """pre normalises what the sublayer reads; post what is left after the addition, as in the
    first Transformer and BERT; both what it reads and what it adds, as in Gemma 2."""
    norm_epsilon: Epsilon | None = None
    """Added to the mean square or the variance; none means 1e-6 for rms, 1e-5 for layer."""
    norm_bias: bool = True
    """Whether a layer norm adds a learned number to each feature."""
    residual: bool = True
    """Whether the input is added to the output."""
    residual_scale: float = 1.0
    """What the output is multiplied by before the addition."""
    dropout: Share = 0.0
    """The share of the output's values left out while training."""
    drop_path: Share = 0.0
    """The probability that a text (of a batch of other things, a sample) skips the sublayer while
    training."""

    @model_validator(mode="after")
    def _around_is_used(self) -> Self:
        if self.norm == "none":
            self.refuse(("norm_place", "norm_epsilon"), "a norm", "norm: none")
        if self.norm != "layer":
            self.refuse(("norm_bias",), "norm: layer", f"norm: {self.norm}")
        if not self.residual:
            self.refuse(("residual_scale", "drop_path"), "residual: true", "residual: false")
        return self

    def refuse(self, names: Iterable[str], wanted: str, got: str) -> None:
        """Refuses settings that are given, but would not be used.

        Args:
            names: The settings.
            wanted: What they belong to: `position: rotary`.
            got: What there is: `position: none`.
        """
        for name in names:
            if name in self.model_fields_set:
                raise ValueError(f"{name} belongs to {wanted}, not to {got}; leave it out")

    def norm_of(self, width: int) -> nn.Module:
        """The norm of vectors of `width`; an identity for none."""
        signal = Signal("vector", (width,))
        if self.norm == "none":
            return nn.Identity()
        spec = RmsNormSpec() if self.norm == "rms" else LayerNormSpec(bias=self.norm_bias)
        if self.norm_epsilon is not None:
            spec = spec.model_copy(update={"epsilon": self.norm_epsilon})
        return spec.build(signal)


class Sublayer(Streamed):
    """`x + scale * f(norm(x))`, or with its norm at another place.

    Args:
        spec: The norm, the residual and what is left out at random.
        inner: f; it keeps the width.
        signal: What f reads.
        writes: The modules inside of f whose weights its output is a multiple of, if their bias
            is too: the last ones. Some first values change them; see `InitializeSpec`.

    Shape:
        As the input.

    Source:
        Pre: Xiong et al. 2020, 2002.04745. Post: Vaswani et al. 2017, 1706.03762. Both: Gemma 2,
        2408.00118, where the second norm is before the addition.
    """

    def __init__(
        self, spec: SublayerSpec, inner: nn.Module, signal: Signal, writes: Sequence[nn.Linear]
    ) -> None:
        super().__init__()
        place = spec.norm_place
        self.residual = spec.residual
        self.scale = spec.residual_scale
        self.norm_last = place == "post"
        self.norm_before = nn.Identity() if place == "post" else spec.norm_of(signal.width)
        self.inner = inner
        self.norm_after = nn.Identity() if place == "pre" else spec.norm_of(signal.width)
        self.dropout = Dropout(spec.dropout)
        self.drop_path = DropPath(spec.drop_path)
        # A tuple: a module that is an attribute would have its weights a second time.
        self._writes = tuple(writes)

    @property
    def writes(self) -> tuple[nn.Module, ...]:
        """What the size of the addition depends on: its last weights, or the norm behind them."""
        between = not self.norm_last and not isinstance(self.norm_after, nn.Identity)
        return (self.norm_after,) if between else self._writes

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The input and what the sublayer adds to it."""
        y: Tensor = through(self.inner, self.norm_before(x), stream)
        if not self.norm_last:
            y = self.norm_after(y)
        y = self.dropout(y)
        if self.residual:
            y = through(self.drop_path, y, stream)
            y = torch.add(x, y, alpha=self.scale)
        return self.norm_after(y) if self.norm_last else y
