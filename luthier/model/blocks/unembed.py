"""Unembed: a score for each token of the vocabulary, at each position.

Dimension key, for the whole file:
    B  rows      T  positions      V  vocab      D  width
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size
from luthier.model.blocks.tokens import Tokens
from luthier.signal import Signal


class UnembedSpec(BlockSpec):
    """A score for each token: what a language model's loss reads.

    The language task adds it as the head; `model.head: tied` has it use the table of the tokens.
    """

    kind: Literal["unembed"] = "unembed"
    vocab: Size
    """Tokens that get a score."""
    bias: bool = False
    """Whether each token has a learned number added to its score."""
    tied: bool = False
    """Whether the weights are those of the tokens layer, and not its own."""
    softcap: float | None = Field(default=None, gt=0)
    """Scores are kept between ± this, by `softcap * tanh(score / softcap)`; none leaves them."""

    def build(self, signal: Signal) -> Unembed:
        """An `Unembed` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Unembed(self, signal)


class Unembed(nn.Module):
    """`x W^T (+ b)`, with W of its own or the table of the tokens.

    Args:
        spec: The vocabulary, and whose weights.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, T, V)`.

    Cost:
        Parameters: `V * D`, none where tied, plus `V` with a bias.
        FLOPs of one forward pass: `2 * V * D` a position.

    Source:
        Tied: Press and Wolf 2017, 1608.05859. Softcap: Gemma 2, section 2, 2408.00118.
    """

    def __init__(self, spec: UnembedSpec, signal: Signal) -> None:
        super().__init__()
        self.spec = spec
        own = nn.Linear(signal.width, spec.vocab, bias=spec.bias)
        # In a list, a module's weights are not this one's: until `tie`, they stand for a shape.
        self._tied: list[nn.Embedding] = []
        if spec.tied:
            self._tied = [nn.Embedding(spec.vocab, signal.width)]
            self.linear = None
            self.bias = own.bias if spec.bias else None
        else:
            self.linear = own
            self.bias = None

    def tie(self, tokens: Tokens) -> None:
        """Use the table of `tokens` from now on.

        Raises:
            ShapeError: If it is of another width or vocabulary.
        """
        wanted, got = self._tied[0].weight.shape, tokens.vectors.weight.shape
        if wanted != got:
            raise ShapeError(
                f"a tied head wants a table of {tuple(wanted)} (vocab, width), but that of the "
                f"tokens is {tuple(got)}; bring the last layer to the width of the tokens, or "
                "set head: auto"
            )
        self._tied = [tokens.vectors]

    @property
    def weight(self) -> Tensor:
        """`(V, D)`."""
        return self._tied[0].weight if self.linear is None else self.linear.weight

    @property
    def added(self) -> Tensor | None:
        """`(V,)`, added to the scores; none where nothing is."""
        return self.bias if self.linear is None else self.linear.bias

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The scores."""
        return self.capped(F.linear(x_BTD, self.weight, self.added))

    def capped(self, scores: Tensor) -> Tensor:
        """Scores within the cap, where there is one."""
        cap = self.spec.softcap
        return scores if cap is None else cap * (scores / cap).tanh()
