"""A CNN over words: filters of several sizes side by side, and the largest value of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from luthier.model.block import Share, Size
from luthier.model.blueprint import Aim
from luthier.model.families.encoder import dropout
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.model.initialize import InitializeSpec
from luthier.spec import Auto, Many


class TextCnnSpec(FamilySpec):
    """The CNN of Kim 2014 (1408.5882): it says what a text is, fast and with few weights.

    For `classify` the largest value of each filter over all positions; for `tag` the values at
    each position; for `language` filters that reach back only. The published count is of Kim's
    CNN-rand on its largest set of words, without a head, and by formula: the paper gives none.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "kim": Published(
            name="text_cnn-kim",
            settings={"width": 300, "channels": 100},
            vocab=18_765,
            context=56,
            parameters=5_989_800,
            source="Kim 2014, section 3.1 and table 1 (MR: 18,765 words); by formula",
        )
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("width", lambda _: 300, "as in Kim 2014"),
        Rule("channels", lambda s: max(1, s["width"] // 3), "a third of the width, as in Kim 2014"),
    )
    SHOWN: ClassVar[Aim] = "labels"

    kind: Literal["text_cnn"] = "text_cnn"
    width: Size | Auto = "auto"
    """The width of the tokens' vectors."""
    channels: Size | Auto = "auto"
    """Filters of each size."""
    kernels: Many[Size] = (3, 4, 5)
    """How many positions a filter reads: the sizes that stand side by side."""
    dropout: Share = 0.5
    """The share left out behind the filters while training."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    @field_validator("kernels")
    @classmethod
    def _some(cls, kernels: tuple[Size, ...]) -> tuple[Size, ...]:
        if not kernels:
            raise ValueError("got none of them; wanted one or more, such as [3, 4, 5]")
        return kernels

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and what a task needs behind them."""
        conv = {
            "kind": "conv",
            "channels": s["channels"],
            "padding": "causal" if s["aim"] == "next_token" else "same",
            "activation": "relu",
        }
        pool = [{"kind": "global_pool", "reduce": "max"}] if s["aim"] == "labels" else []
        filters = [[{**conv, "kernel": kernel}] for kernel in s["kernels"]]
        side_by_side = [{"kind": "parallel", "branches": filters}]
        return {
            "layers": [
                {"kind": "tokens", "width": s["width"]},
                *(side_by_side if len(filters) > 1 else filters[0]),
            ],
            "neck": [*pool, *dropout(s)],
        }
