"""BART: a Transformer that reads a text whole and writes another of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import Aim
from luthier.model.families.dial import DEPTH, HEADS, MLP_WIDTH, WIDTH
from luthier.model.families.family import (
    Block,
    FamilySpec,
    Published,
    Rule,
    Values,
    block,
    repeated,
)
from luthier.model.initialize import InitializeSpec
from luthier.spec import Auto

CONTEXT, PLACES = 1024, 1026
"""The longest text, and the vectors of places that the published ones have on each side."""


def _row(name: str, depth: int, width: int, parameters: int) -> Published:
    return Published(
        name=f"bart-{name}",
        settings={
            "depth": depth,
            "width": width,
            "heads": width // 64,
            "mlp_width": 4 * width,
            "positions": PLACES,
        },
        vocab=50_265,
        context=CONTEXT,
        parameters=parameters,
        source=f"facebook/bart-{name}",
    )


class BartSpec(FamilySpec):
    """Lewis et al. 2019, 1910.13461: learned places, post-norm layers, one table of tokens for
    both sides and for the scores; as many layers that read as layers that write.

    Published counts are of 1026 places on each side, of which the original does not use the first
    two; ours count from the first.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "base": _row("base", 6, 768, 139_420_416),
        "large": _row("large", 12, 1024, 406_291_456),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        DEPTH,
        WIDTH,
        HEADS,
        MLP_WIDTH,
        Rule("positions", lambda _: CONTEXT, "as in the published ones"),
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "pairs"

    kind: Literal["bart"] = "bart"
    depth: Size | Auto = "auto"
    """Layers of the encoder, and as many of the decoder."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    positions: Size | Auto = "auto"
    """Places of a text that have a learned vector, on each side."""
    dropout: Share = 0.1
    """The share left out while training: of the tokens' vectors and of what each part of a layer
    adds."""
    initialize: InitializeSpec = Field(default_factory=lambda: InitializeSpec(scheme="normal"))
    """The weights before the first step."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers of both, or for a task without a decoder those of the encoder."""
        encoder = encoder_of(s)
        if s["aim"] != "pairs":
            pool = [{"kind": "global_pool"}] if s["aim"] == "labels" else []
            return {"layers": encoder, "neck": pool}
        return {"encoder": encoder, "decoder": decoder_of(s), "head": "tied"}


def encoder_of(s: Values) -> list[Block]:
    """The layers that read.

    Args:
        s: The settings of the family; of the attentions and the MLPs too where they have others
            (`attention_dropout`, `inside_dropout`, `activation`), and the `scale` of the tokens.
    """
    read, _, half = _parts(s)
    return [_tokens(s), *repeated(s["depth"], [{**read, "causal": False}, half])]


def decoder_of(s: Values) -> list[Block]:
    """The layers that write; see `encoder_of`."""
    return [_tokens(s), *repeated(s["depth"], list(_parts(s)))]


def _tokens(s: Values) -> Block:
    settings = {
        "width": s["width"],
        "position": "learned",
        "positions": s["positions"],
        "scale": s.get("scale", "none"),
        "norm": "layer",
        "dropout": s["dropout"],
    }
    return block(TokensSpec, settings)


def _parts(s: Values) -> tuple[Block, Block, Block]:
    """Attention that reads backwards, cross-attention, MLP."""
    around = {"norm": "layer", "norm_place": "post", "bias": True, "dropout": s["dropout"]}
    attention = {
        "heads": s["heads"],
        "attention_dropout": s.get("attention_dropout", 0.0),
        **around,
    }
    mlp = {
        "width": s["mlp_width"],
        "activation": s.get("activation", "gelu"),
        "inside_dropout": s.get("inside_dropout", 0.0),
        **around,
    }
    return (
        block(AttentionSpec, attention),
        block(CrossAttentionSpec, attention),
        block(MlpSpec, mlp),
    )
