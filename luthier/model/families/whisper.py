"""Whisper: a Transformer that reads half a minute of sound and writes what is said in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

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
from luthier.signal import Signal
from luthier.spec import Auto

ENGLISH, MANY_LANGUAGES, WITH_CANTONESE = 51_864, 51_865, 51_866
"""Tokens of the models for English alone, of the others, and of the third large one."""
FRAMES, BINS, MORE_BINS, POSITIONS = 3000, 80, 128, 448
"""Of half a minute of sound, a hundred a second; of a frame, and of one of the third large model;
of a text."""


def _row(
    name: str, depth: int, width: int, heads: int, parameters: int, vocab: int = MANY_LANGUAGES
) -> Published:
    bins = MORE_BINS if vocab == WITH_CANTONESE else BINS
    return Published(
        name=f"whisper-{name}",
        settings={
            "depth": depth,
            "width": width,
            "heads": heads,
            "mlp_width": 4 * width,
            "positions": POSITIONS,
        },
        vocab=vocab,
        context=POSITIONS,
        parameters=parameters,
        source=f"openai/whisper-{name}",
        reads=Signal("sequence", (FRAMES, bins)),
    )


class WhisperSpec(FamilySpec):
    """Radford et al. 2022, 2212.04356: two convolutions halve the frames, sines tell their places;
    then as many layers that read as layers that write.

    Reads log-mel features of 30 seconds; shorter sounds are filled up with silence
    (`data.fill_seconds: 30`). Published counts are without the sines, which are no weights.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "tiny": _row("tiny", 4, 384, 6, 37_184_640),
        "base": _row("base", 6, 512, 8, 71_825_920),
        "small": _row("small", 12, 768, 12, 240_582_912),
        "medium": _row("medium", 24, 1024, 16, 762_321_920),
        "large-v3": _row("large-v3", 32, 1280, 20, 1_541_570_560, WITH_CANTONESE),
        "tiny.en": _row("tiny.en", 4, 384, 6, 37_184_256, ENGLISH),
        "base.en": _row("base.en", 6, 512, 8, 71_825_408, ENGLISH),
        "small.en": _row("small.en", 12, 768, 12, 240_582_144, ENGLISH),
        "medium.en": _row("medium.en", 24, 1024, 16, 762_320_896, ENGLISH),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (
        DEPTH,
        WIDTH,
        HEADS,
        MLP_WIDTH,
        Rule("positions", lambda _: POSITIONS, "as in the published ones"),
    )
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "pairs"
    READS: ClassVar[Signal | None] = Signal("sequence", (FRAMES, BINS))

    kind: Literal["whisper"] = "whisper"
    depth: Size | Auto = "auto"
    """Layers of the encoder, and as many of the decoder."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    positions: Size | Auto = "auto"
    """Places of a text that have a learned vector."""
    dropout: Share = 0.0
    """The share of what each part of a layer adds that is left out while training."""

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
            (`attention_dropout`, `inside_dropout`, `activation`).
    """
    front = {"kind": "conv", "channels": s["width"], "kernel": 3, "padding": 1}
    read, _, half = _halves(s)
    return [
        {**front, "activation": "gelu"},
        {**front, "stride": 2, "activation": "gelu"},
        {"kind": "places"},
        *repeated(s["depth"], [{**read, "causal": False}, half]),
        {"kind": "layer_norm"},
    ]


def decoder_of(s: Values) -> list[Block]:
    """The layers that write; see `encoder_of`."""
    tokens = {"width": s["width"], "position": "learned", "positions": s["positions"]}
    return [
        block(TokensSpec, {**tokens, "dropout": s["dropout"]}),
        *repeated(s["depth"], list(_halves(s))),
        {"kind": "layer_norm"},
    ]


def _halves(s: Values) -> tuple[Block, Block, Block]:
    """Attention that reads backwards, cross-attention, MLP."""
    around = {"norm": "layer", "dropout": s["dropout"]}
    attention = {
        "heads": s["heads"],
        # A number added to all keys changes no weight of an attention.
        "bias": "not_key",
        "attention_dropout": s.get("attention_dropout", 0.0),
        **around,
    }
    mlp = {
        "width": s["mlp_width"],
        "activation": s.get("activation", "gelu"),
        "bias": True,
        "inside_dropout": s.get("inside_dropout", 0.0),
        **around,
    }
    return (
        block(AttentionSpec, attention),
        block(CrossAttentionSpec, attention),
        block(MlpSpec, mlp),
    )
