"""Gemma: norms on both sides of each half of a layer, and most layers see a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec, Positive
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.families.decoder import behind, heads
from luthier.model.families.dial import DECODER
from luthier.model.families.family import (
    Block,
    FamilySpec,
    Published,
    Rule,
    Values,
    block,
    repeated,
)
from luthier.spec import Auto

_NUMBERS = ("depth", "width", "heads", "kv_heads", "head_width", "mlp_width")


def _gemma2(
    name: str, numbers: tuple[int, ...], parameters: int, scale: float = 256**-0.5
) -> Published:
    more = {
        "window": 4096,
        "local_layers": 1,
        "rotary_base": 10_000.0,
        "local_rotary_base": 10_000.0,
        "scale": scale,
        "qk_norm": False,
        "softcap": 50.0,
        "head_softcap": 30.0,
    }
    return Published(
        name=f"gemma-2-{name}",
        settings={**dict(zip(_NUMBERS, numbers, strict=True)), **more},
        vocab=256_000,
        context=8192,
        parameters=parameters,
        source=f"google/gemma-2-{name}",
    )


def _gemma3(name: str, numbers: tuple[int, ...], parameters: int) -> Published:
    more = {
        "window": 512,
        "local_layers": 5,
        "rotary_base": 1e6,
        "local_rotary_base": 10_000.0,
        "scale": 256**-0.5,
        "qk_norm": True,
        "softcap": None,
        "head_softcap": None,
    }
    return Published(
        name=f"gemma-3-{name}",
        settings={**dict(zip(_NUMBERS, numbers, strict=True)), **more},
        vocab=262_144,
        context=32_768,
        parameters=parameters,
        source=f"google/gemma-3-{name}-pt",
    )


class GemmaSpec(FamilySpec):
    """Gemma 2, and the Gemmas 3 that read texts alone: decoders that write texts.

    Gemma Team 2024, 2408.00118, and 2025, 2503.19786. Their norms multiply by (1 + w) where ours
    multiply by w: as many weights and the same function, with another number for it. Without a
    size it is a Gemma 3.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "3-1b": _gemma3("1b", (26, 1152, 4, 1, 256, 6912), 999_885_952),
        "3-270m": _gemma3("270m", (18, 640, 4, 1, 256, 2048), 268_098_176),
        "2-2b": _gemma2("2b", (26, 2304, 8, 4, 256, 9216), 2_614_341_888),
        "2-9b": _gemma2("9b", (42, 3584, 16, 8, 256, 14_336), 9_241_705_984),
        "2-27b": _gemma2("27b", (46, 4608, 32, 16, 128, 36_864), 27_227_128_320, 144**-0.5),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        *DECODER,
        Rule("window", lambda _: 512, "as in Gemma 3 1B"),
        Rule("local_layers", lambda _: 5, "as in Gemma 3"),
        Rule("rotary_base", lambda _: 1e6, "as in Gemma 3, for layers that see all"),
        Rule(
            "local_rotary_base", lambda _: 10_000.0, "as in Gemma 3, for layers that see a window"
        ),
        Rule("scale", lambda _: None, "one by the root of the width of a head"),
        Rule("qk_norm", lambda _: True, "as in Gemma 3"),
        Rule("softcap", lambda _: None, "Gemma 3 has norms of queries and keys instead"),
        Rule("head_softcap", lambda _: None, "as in Gemma 3"),
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"head_softcap"})

    kind: Literal["gemma"] = "gemma"
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
    window: Size | Auto = "auto"
    """The last positions that each one sees in a local layer, its own included."""
    local_layers: Size | Auto = "auto"
    """Local layers before each one that sees all."""
    rotary_base: Positive | Auto = "auto"
    """The base of the angles that tell positions, in layers that see all."""
    local_rotary_base: Positive | Auto = "auto"
    """The base of the angles in local layers."""
    scale: Positive | Auto | None = "auto"
    """What the attention's scores are multiplied by; null for one by the root of the width of a
    head."""
    qk_norm: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether each head's queries and keys are normalised, as in Gemma 3."""
    softcap: Positive | Auto | None = "auto"
    """The cap of the attention's scores, as in Gemma 2; null for none."""
    head_softcap: Positive | Auto | None = "auto"
    """The cap of a language model's scores of tokens, as in Gemma 2; null for none."""
    dropout: Share = 0.0
    """The share left out while training of what each half of a layer adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers; those left over behind the last whole pattern are local."""
        here, alone = self._layer(s, local=True), self._layer(s, local=False)
        whole, rest = divmod(s["depth"], s["local_layers"] + 1)
        pattern = [*repeated(s["local_layers"], here), *alone]
        return {
            "layers": [
                {"kind": "tokens", "width": s["width"], "scale": "sqrt_width"},
                *repeated(whole, pattern),
                *repeated(rest, here),
                {"kind": "rms_norm"},
            ],
            **behind(s, tied=True, softcap=s["head_softcap"]),
        }

    def _layer(self, s: Values, *, local: bool) -> list[Block]:
        around = {"norm_place": "both", "dropout": s["dropout"]}
        usual = s["head_width"] ** -0.5
        attention = {
            **heads(s),
            "position": "rotary",
            "rotary_base": s["local_rotary_base"] if local else s["rotary_base"],
            "window": s["window"] if local else None,
            "qk_norm": "rms" if s["qk_norm"] else "none",
            "scale": None if s["scale"] == usual else s["scale"],
            "softcap": s["softcap"],
            **around,
        }
        mlp = {"width": s["mlp_width"], "gated": True, "activation": "gelu_tanh", **around}
        return [block(AttentionSpec, attention), block(MlpSpec, mlp)]
