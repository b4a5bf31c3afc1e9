"""Mistral: a Llama whose positions see a window of the last ones, or all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import Positive
from luthier.model.families.decoder import behind, rotary_layers
from luthier.model.families.dial import DECODER, TIED
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.spec import Auto

EPSILON = 1e-5

_7B = {"depth": 32, "width": 4096, "heads": 32, "kv_heads": 8, "mlp_width": 14_336, "tied": False}
_NEMO = {**_7B, "depth": 40, "width": 5120, "head_width": 128}


class MistralSpec(FamilySpec):
    """Mistral 7B and Nemo: decoders that write texts.

    Jiang et al. 2023, 2310.06825. A window costs less in long texts; of what lies before it, a
    position hears through the layers below.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "7b-v0.1": Published(
            name="mistral-7b-v0.1",
            settings={**_7B, "window": 4096, "rotary_base": 10_000.0},
            vocab=32_000,
            context=32_768,
            parameters=7_241_732_096,
            source="mistralai/Mistral-7B-v0.1",
        ),
        "7b-v0.3": Published(
            name="mistral-7b-v0.3",
            settings={**_7B, "window": None, "rotary_base": 1e6},
            vocab=32_768,
            context=32_768,
            parameters=7_248_023_552,
            source="mistralai/Mistral-7B-v0.3",
        ),
        "nemo-12b": Published(
            name="mistral-nemo-12b",
            settings={**_NEMO, "window": None, "rotary_base": 1e6},
            vocab=131_072,
            context=131_072,
            parameters=12_247_782_400,
            source="mistralai/Mistral-Nemo-Base-2407",
        ),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        *DECODER,
        Rule("window", lambda _: None, "every position sees all before it, as since v0.2"),
        Rule("rotary_base", lambda _: 10_000.0, "as in v0.1; longer contexts want a larger one"),
        TIED,
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"tied"})

    kind: Literal["mistral"] = "mistral"
    depth: Size | Auto = "auto"
    """Layers, each an attention and an MLP."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Query heads of each attention."""
    kv_heads: Size | Auto = "auto"
    """Key/value heads of each attention, a divisor of `heads`."""
    head_width: Size | Auto = "auto"
    """The width of a head."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    window: Size | Auto | None = "auto"
    """The last positions that each one sees, its own included; null for all."""
    rotary_base: Positive | Auto = "auto"
    """The base of the angles that tell positions; larger ones suit longer texts."""
    tied: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether the head of a language model uses the table of the tokens."""
    dropout: Share = 0.0
    """The share left out while training of what each half of a layer adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        return {
            "layers": rotary_layers(s, {"window": s["window"]}, EPSILON),
            **behind(s, tied=s["tied"]),
        }
