"""A plain Transformer: to say what a text is and to tag its words, from scratch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim
from luthier.model.families.dial import DEPTH, HEADS, MLP_WIDTH, WIDTH
from luthier.model.families.encoder import dropout
from luthier.model.families.family import FamilySpec, Rule, Values, block, repeated
from luthier.spec import Auto


class TransformerSpec(FamilySpec):
    """The encoder of Vaswani et al. 2017 (1706.03762), with its norms before each half of a
    layer, which trains without a warm-up.

    It reads a text whole, and its positions are averaged; for `language` it reads forwards only.
    For `seq2seq` it has a decoder too, of as many layers.
    """

    RULES: ClassVar[tuple[Rule, ...]] = (
        DEPTH,
        WIDTH,
        HEADS,
        MLP_WIDTH,
        Rule("causal", lambda s: s["aim"] == "next_token", "only what writes texts is"),
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "labels"

    kind: Literal["transformer"] = "transformer"
    depth: Size | Auto = "auto"
    """Layers, each an attention and an MLP; of encoder and decoder, each of them."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    causal: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether a position is kept from seeing later ones; false to learn masked tokens."""
    position: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    """What tells a token's place: sines, a learned vector, or turned queries and keys."""
    activation: Literal["relu", "gelu"] = "relu"
    """The curve inside each MLP."""
    dropout: Share = 0.1
    """The share left out while training: of the tokens' vectors and of what each half of a layer
    adds."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and what a task needs behind them."""
        around = {"norm": "layer", "bias": True, "dropout": s["dropout"]}
        rotary = s["position"] == "rotary"
        attention = {
            "heads": s["heads"],
            "causal": s["causal"],
            "position": "rotary" if rotary else "none",
            **around,
        }
        tokens = {
            "width": s["width"],
            "position": "none" if rotary else s["position"],
            "scale": "sqrt_width" if s["aim"] == "pairs" else "none",
            "dropout": s["dropout"],
        }
        mlp = {"width": s["mlp_width"], "activation": s["activation"], **around}
        if s["aim"] == "pairs":
            cross = block(CrossAttentionSpec, {"heads": s["heads"], **around})
            first, last = block(TokensSpec, tokens), {"kind": "layer_norm"}
            read = block(AttentionSpec, attention)
            write = block(AttentionSpec, {**attention, "causal": True})
            half = block(MlpSpec, mlp)
            return {
                "encoder": [first, *repeated(s["depth"], [read, half]), last],
                "decoder": [first, *repeated(s["depth"], [write, cross, half]), last],
                "head": "tied",
                # As fairseq begins: of the same variance are tokens and sines, inputs and outputs.
                "initialize": {
                    "scheme": "glorot_uniform",
                    "token_spread": round(s["width"] ** -0.5, 4),
                },
            }
        pool = [{"kind": "global_pool"}, *dropout(s)] if s["aim"] == "labels" else []
        head = "tied" if s["aim"] in SCORES_TOKENS else None
        return {
            "layers": [
                block(TokensSpec, tokens),
                *repeated(s["depth"], [block(AttentionSpec, attention), block(MlpSpec, mlp)]),
                {"kind": "layer_norm"},
            ],
            "neck": pool,
            "head": head,
        }
