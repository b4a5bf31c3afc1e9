"""Qwen: a Llama with biases on queries, keys and values (2.5), or with norms of them (3)."""

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

EPSILON = 1e-6

_NUMBERS = ("depth", "width", "heads", "kv_heads", "mlp_width")


def _qwen25(
    name: str, numbers: tuple[int, ...], parameters: int, *, vocab: int = 151_936
) -> Published:
    of_size = dict(zip(_NUMBERS, numbers, strict=True))
    more = {"tied": of_size["width"] <= 2048, "qkv_bias": True, "qk_norm": False}
    return Published(
        name=f"qwen2.5-{name}",
        settings={**of_size, "rotary_base": 1e6, **more},
        vocab=vocab,
        context=32_768,
        parameters=parameters,
        source=f"Qwen/Qwen2.5-{name.upper()}",
    )


def _qwen3(name: str, numbers: tuple[int, ...], parameters: int) -> Published:
    of_size = dict(zip(_NUMBERS, numbers, strict=True))
    more = {"tied": of_size["width"] <= 2560, "qkv_bias": False, "qk_norm": True}
    return Published(
        name=f"qwen3-{name}",
        settings={**of_size, "head_width": 128, "rotary_base": 1e6, **more},
        vocab=151_936,
        context=40_960,
        parameters=parameters,
        source=f"Qwen/Qwen3-{name.upper()}",
    )


class QwenSpec(FamilySpec):
    """Qwen 2.5 and 3: decoders that write texts.

    Qwen Team 2024, 2412.15115, and 2025, 2505.09388. Without a size it is a Qwen 3.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "3-0.6b": _qwen3("0.6b", (28, 1024, 16, 8, 3072), 596_049_920),
        "3-1.7b": _qwen3("1.7b", (28, 2048, 16, 8, 6144), 1_720_574_976),
        "3-4b": _qwen3("4b", (36, 2560, 32, 8, 9728), 4_022_468_096),
        "3-8b": _qwen3("8b", (36, 4096, 32, 8, 12_288), 8_190_735_360),
        "3-14b": _qwen3("14b", (40, 5120, 40, 8, 17_408), 14_768_307_200),
        "3-32b": _qwen3("32b", (64, 5120, 64, 8, 25_600), 32_762_123_264),
        "2.5-0.5b": _qwen25("0.5b", (24, 896, 14, 2, 4864), 494_032_768),
        "2.5-1.5b": _qwen25("1.5b", (28, 1536, 12, 2, 8960), 1_543_714_304),
        "2.5-3b": _qwen25("3b", (36, 2048, 16, 2, 11_008), 3_085_938_688),
        "2.5-7b": _qwen25("7b", (28, 3584, 28, 4, 18_944), 7_615_616_512, vocab=152_064),
        "2.5-14b": _qwen25("14b", (48, 5120, 40, 8, 13_824), 14_770_033_664, vocab=152_064),
        "2.5-32b": _qwen25("32b", (64, 5120, 40, 8, 27_648), 32_763_876_352, vocab=152_064),
        "2.5-72b": _qwen25("72b", (80, 8192, 64, 8, 29_568), 72_706_203_648, vocab=152_064),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        *DECODER,
        Rule("rotary_base", lambda _: 10_000.0, "enough for contexts of some thousand tokens"),
        Rule("qkv_bias", lambda _: False, "as in Qwen 3"),
        Rule("qk_norm", lambda s: not s["qkv_bias"], "Qwen 3 has norms instead of biases"),
        TIED,
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"tied"})

    kind: Literal["qwen"] = "qwen"
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
    rotary_base: Positive | Auto = "auto"
    """The base of the angles that tell positions; larger ones suit longer texts."""
    qkv_bias: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether queries, keys and values add learned numbers, as in Qwen 2.5."""
    qk_norm: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether each head's queries and keys are normalised, as in Qwen 3."""
    tied: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether the head of a language model uses the table of the tokens."""
    dropout: Share = 0.0
    """The share left out while training of what each half of a layer adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        more = {
            "bias": "qkv" if s["qkv_bias"] else False,
            "qk_norm": "rms" if s["qk_norm"] else "none",
        }
        return {
            "layers": rotary_layers(s, more, EPSILON),
            **behind(s, tied=s["tied"]),
        }
