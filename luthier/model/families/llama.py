"""Llama: rotary positions, RMS norms, gated MLPs, shared key/value heads, no biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import Positive
from luthier.model.blocks.rotary_scaling import RotaryScaling
from luthier.model.families.decoder import behind, rotary_layers
from luthier.model.families.dial import DECODER, TIED
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.spec import Auto

EPSILON = 1e-5


def _settings(depth: int, width: int, heads: int, kv_heads: int, mlp_width: int) -> dict[str, Any]:
    return {
        "depth": depth,
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "mlp_width": mlp_width,
    }


def _llama2(name: str, settings: dict[str, Any], parameters: int) -> Published:
    return Published(
        name=f"llama-2-{name}",
        settings={**settings, "rotary_base": 10_000.0, "rotary_scaling": None, "tied": False},
        vocab=32_000,
        context=4096,
        parameters=parameters,
        source=f"meta-llama/Llama-2-{name}-hf",
    )


def _llama3(name: str, settings: dict[str, Any], parameters: int, factor: int = 0) -> Published:
    """Version 3 has no scaling of the angles, 3.1 a factor of 8, 3.2 one of 32 and is tied."""
    scaling = {"kind": "llama3", "factor": float(factor)} if factor else None
    more = {"rotary_base": 500_000.0, "rotary_scaling": scaling, "tied": factor == 32}
    return Published(
        name=f"llama-{name}",
        settings={**settings, **more},
        vocab=128_256,
        context=131_072 if factor else 8192,
        parameters=parameters,
        source=f"meta-llama/Llama-{name.upper()}",
    )


def _smollm2(name: str, settings: dict[str, Any], base: float, parameters: int) -> Published:
    return Published(
        name=f"smollm2-{name}",
        settings={**settings, "rotary_base": base, "rotary_scaling": None, "tied": True},
        vocab=49_152,
        context=8192,
        parameters=parameters,
        source=f"HuggingFaceTB/SmolLM2-{name.upper()}",
    )


_8B, _70B = _settings(32, 4096, 32, 8, 14_336), _settings(80, 8192, 64, 8, 28_672)


class LlamaSpec(FamilySpec):
    """Llama 2 and 3, and SmolLM2, which is one: decoders that write texts.

    Touvron et al. 2023, 2307.09288; Dubey et al. 2024, 2407.21783. Features are turned in pairs
    as in Hugging Face's weights; see `Rotary`.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "3.2-1b": _llama3("3.2-1b", _settings(16, 2048, 32, 8, 8192), 1_235_814_400, 32),
        "3.2-3b": _llama3("3.2-3b", _settings(28, 3072, 24, 8, 8192), 3_212_749_824, 32),
        "3.1-8b": _llama3("3.1-8b", _8B, 8_030_261_248, 8),
        "3.1-70b": _llama3("3.1-70b", _70B, 70_553_706_496, 8),
        "3-8b": _llama3("3-8b", _8B, 8_030_261_248),
        "3-70b": _llama3("3-70b", _70B, 70_553_706_496),
        "2-7b": _llama2("7b", _settings(32, 4096, 32, 32, 11_008), 6_738_415_616),
        "2-13b": _llama2("13b", _settings(40, 5120, 40, 40, 13_824), 13_015_864_320),
        "2-70b": _llama2("70b", _70B, 68_976_648_192),
        "smollm2-135m": _smollm2("135m", _settings(30, 576, 9, 3, 1536), 1e5, 134_515_008),
        "smollm2-360m": _smollm2("360m", _settings(32, 960, 15, 5, 2560), 1e5, 361_821_120),
        "smollm2-1.7b": _smollm2("1.7b", _settings(24, 2048, 32, 32, 8192), 1.3e5, 1_711_376_384),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        *DECODER,
        Rule("rotary_base", lambda _: 10_000.0, "as in Llama 2; longer contexts want a larger one"),
        Rule("rotary_scaling", lambda _: None, "nothing was trained on a shorter context before"),
        TIED,
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    OF_SCORES: ClassVar[frozenset[str]] = frozenset({"tied"})

    kind: Literal["llama"] = "llama"
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
    rotary_scaling: RotaryScaling | Auto | None = "auto"
    """How the angles are made smaller for texts longer than those of a training before."""
    tied: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether the head of a language model uses the table of the tokens."""
    dropout: Share = 0.0
    """The share left out while training of what each half of a layer adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        more = {"rotary_scaling": s["rotary_scaling"]}
        return {
            "layers": rotary_layers(s, more, EPSILON),
            **behind(s, tied=s["tied"]),
        }
