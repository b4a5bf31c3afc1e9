"""ModernBERT: an encoder with rotary positions and gated MLPs, whose layers mostly see a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec, Positive
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim
from luthier.model.families.dial import DEPTH, HEADS, WIDTH, up_to_multiple
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

_NORM: Block = {"kind": "layer_norm", "bias": False}


def _row(
    name: str, depth: int, width: int, heads: int, mlp_width: int, parameters: int
) -> Published:
    return Published(
        name=f"modernbert-{name}",
        settings={"depth": depth, "width": width, "heads": heads, "mlp_width": mlp_width},
        vocab=50_368,
        context=8192,
        parameters=parameters,
        source=f"answerdotai/ModernBERT-{name}",
    )


class ModernBertSpec(FamilySpec):
    """ModernBERT, an encoder: it fills in masked words, says what a text is, and tags its words.

    Warner et al. 2024, 2412.13663. Every third layer sees the whole text, from the first on; the
    others see 64 positions on each side. Published counts are of the layers alone.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "base": _row("base", 22, 768, 12, 1152, 149_014_272),
        "large": _row("large", 28, 1024, 16, 2624, 394_781_696),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        DEPTH,
        WIDTH,
        HEADS,
        Rule(
            "mlp_width",
            lambda s: up_to_multiple(1.5 * s["width"]),
            "1.5 times the width of {width}, as in the base size, up to a multiple of 64",
        ),
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "tags"

    kind: Literal["modernbert"] = "modernbert"
    depth: Size | Auto = "auto"
    """Layers, each an attention and an MLP."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    window: Size = 129
    """Positions that one sees in a local layer: as many on both sides, so that it is odd."""
    local_layers: Size = 2
    """Local layers between two that see all."""
    rotary_base: Positive = 160_000.0
    """The base of the angles that tell positions, in layers that see all."""
    local_rotary_base: Positive = 10_000.0
    """The base of the angles in local layers."""
    dropout: Share = 0.0
    """The share left out while training of what each half of a layer adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and for masked tokens and labels a dense layer with a norm."""
        here, everywhere = self._layer(s, local=True), self._layer(s, local=False)
        whole, rest = divmod(s["depth"] - 1, s["local_layers"] + 1)
        pattern = [*repeated(s["local_layers"], here), *everywhere]
        # What the first one reads is normalised already.
        first = [{**everywhere[0], "norm": "none"}, everywhere[1]]
        del first[0]["norm_bias"]
        return {
            "layers": [
                {"kind": "tokens", "width": s["width"]},
                _NORM,
                *first,
                *repeated(whole, pattern),
                *repeated(rest, here),
                _NORM,
            ],
            **self._behind(s),
        }

    def _layer(self, s: Values, *, local: bool) -> list[Block]:
        around = {"norm": "layer", "norm_bias": False, "dropout": s["dropout"]}
        attention = {
            "heads": s["heads"],
            "causal": False,
            "position": "rotary",
            "rotary_base": s["local_rotary_base"] if local else s["rotary_base"],
            "window": s["window"] if local else None,
            **around,
        }
        mlp = {"width": s["mlp_width"], "gated": True, "activation": "gelu", **around}
        return [block(AttentionSpec, attention), block(MlpSpec, mlp)]

    def _behind(self, s: Values) -> dict[str, Any]:
        dense = {"kind": "dense", "width": s["width"], "bias": False, "activation": "gelu"}
        if s["aim"] == "labels":
            return {"neck": [{"kind": "global_pool"}, dense, _NORM]}
        if s["aim"] in SCORES_TOKENS:
            return {"neck": [dense, _NORM], "head": {"tied": True, "bias": True}}
        return {}
