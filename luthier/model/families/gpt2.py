"""GPT-2: learned positions, layer norms before each half, biases, an ungated MLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.families.decoder import behind
from luthier.model.families.dial import DEPTH, HEADS, MLP_WIDTH, POSITIONS, WIDTH
from luthier.model.families.family import FamilySpec, Published, Rule, Values, block, repeated
from luthier.spec import Auto


def _row(name: str, depth: int, width: int, heads: int, parameters: int) -> Published:
    settings = {
        "depth": depth,
        "width": width,
        "heads": heads,
        "mlp_width": 4 * width,
        "positions": 1024,
    }
    return Published(
        name=f"gpt2-{name}",
        settings=settings,
        vocab=50_257,
        context=1024,
        parameters=parameters,
        source=f"openai-community/gpt2{'' if name == 'small' else f'-{name}'}",
    )


class Gpt2Spec(FamilySpec):
    """GPT-2, a decoder that writes texts.

    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; its table 2 counts
    117M, 345M, 762M and 1542M, the released weights are what is counted here. What each half of a
    layer adds begins smaller by the root of their number, as there.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "small": _row("small", 12, 768, 12, 124_439_808),
        "medium": _row("medium", 24, 1024, 16, 354_823_168),
        "large": _row("large", 36, 1280, 20, 774_030_080),
        "xl": _row("xl", 48, 1600, 25, 1_557_611_200),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (DEPTH, WIDTH, HEADS, MLP_WIDTH, POSITIONS)
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")

    kind: Literal["gpt2"] = "gpt2"
    depth: Size | Auto = "auto"
    """Layers, each an attention and an MLP."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    positions: Size | Auto | None = "auto"
    """Places that have a learned vector; null for as many as the context of the data."""
    dropout: Share = 0.1
    """The share left out while training: of the tokens' vectors, of the attention's weights and
    of what each half of a layer adds. 0 suits data that is read once."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        both = {"norm": "layer", "bias": True, "dropout": s["dropout"]}
        attention = {"heads": s["heads"], **both, "attention_dropout": s["dropout"]}
        mlp = {"width": s["mlp_width"], "activation": "gelu_tanh", **both}
        tokens = {
            "width": s["width"],
            "position": "learned",
            "positions": s["positions"],
            "dropout": s["dropout"],
        }
        return {
            "layers": [
                block(TokensSpec, tokens),
                *repeated(s["depth"], [block(AttentionSpec, attention), block(MlpSpec, mlp)]),
                {"kind": "layer_norm"},
            ],
            **behind(s, tied=True),
        }
