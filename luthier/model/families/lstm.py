"""LSTM networks: a state that gates write, keep and show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.model.families.recurrent import RECURRENT_RULES, recurrent_page
from luthier.model.initialize import InitializeSpec
from luthier.spec import Auto


def _zaremba(name: str, width: int, rate: float, parameters: int, counted: str) -> Published:
    return Published(
        name=f"lstm-{name}",
        settings={"depth": 2, "width": width, "dropout": rate, "tied": False},
        vocab=10_000,
        context=35,
        parameters=parameters,
        source="Zaremba et al. 2014, 1409.2329, for the Penn Treebank; counted as "
        f"{counted} in Merity et al. 2017, 1708.02182, table 1",
    )


class LstmSpec(FamilySpec):
    """An LSTM over the vectors of tokens, or over the values of series.

    For `language` it reads forwards, and writes texts; for `classify` and `tag` both ways; for
    `seq2seq` an encoder reads both ways, and a decoder with attention writes; for `forecast` a
    forecast is made from the state behind the last step. Torch's LSTM has two biases a gate where
    the published ones have one: 4 widths a layer more.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "medium": _zaremba("medium", 650, 0.5, 19_780_400, "20M"),
        "large": _zaremba("large", 1500, 0.65, 66_034_000, "66M"),
    }
    RULES: ClassVar[tuple[Rule, ...]] = RECURRENT_RULES
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"tied"})

    kind: Literal["lstm"] = "lstm"
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
        return recurrent_page("lstm", s)
