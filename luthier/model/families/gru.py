"""GRU networks: as an LSTM, with fewer gates."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.families.family import FamilySpec, Rule, Values
from luthier.model.families.recurrent import RECURRENT_RULES, recurrent_page
from luthier.model.initialize import InitializeSpec
from luthier.spec import Auto


class GruSpec(FamilySpec):
    """A GRU (Cho et al. 2014, 1406.1078) over the vectors of tokens, or over the
    values of series.

    For `language` it reads forwards, and writes texts; for `classify` and `tag` both ways. For
    `seq2seq` an encoder reads both ways, and a decoder with attention writes.
    """

    RULES: ClassVar[tuple[Rule, ...]] = RECURRENT_RULES
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"tied"})

    kind: Literal["gru"] = "gru"
    depth: Size | Auto = "auto"
    """Layers, of which each reads what the one before it gives."""
    width: Size | Auto = "auto"
    """The width of the tokens' vectors and of the state; where it reads both ways, of each
    state."""
    bidirectional: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether it also reads backwards; such a network cannot write texts."""
    tied: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether the head of a language model uses the table of the tokens."""
    dropout: Share | Auto = "auto"
    """The share of values left out while training: of the tokens' vectors, between the layers and
    behind them."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and what a task needs behind them."""
        return recurrent_page("gru", s)
