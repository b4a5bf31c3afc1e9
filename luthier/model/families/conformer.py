"""Conformer: attention for what is far, convolution for what is near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.gated_conv import GatedConvSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blueprint import Aim
from luthier.model.families.dial import heads_for
from luthier.model.families.encoder import dropout
from luthier.model.families.family import FamilySpec, Published, Rule, Values, block, repeated
from luthier.model.initialize import InitializeSpec
from luthier.signal import Signal
from luthier.spec import Auto


class ConformerSpec(FamilySpec):
    """The encoder of Gulati et al. 2020 (2005.08100): a quarter of the frames, then layers of half
    an MLP, attention, convolution and half an MLP.

    Positions are told by turned queries and keys (rotary) in place of Transformer-XL's table. The
    paper's sizes are small 144 x 16, medium 256 x 16 and large 512 x 17 (width x depth), with a
    decoder that CTC has no use for: their published counts are of other networks.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("width", lambda _: 144, "as in the paper's small one"),
        Rule("depth", lambda s: max(2, round(s["width"] / 36)), "a quarter of the paper's"),
        Rule("heads", lambda s: heads_for(s["width"]), "each about 64 wide"),
    )
    SHOWN: ClassVar[Aim] = "transcripts"
    READS: ClassVar[Signal | None] = Signal("sequence", (1000, 80))

    kind: Literal["conformer"] = "conformer"
    width: Size | Auto = "auto"
    """The width of the network."""
    depth: Size | Auto = "auto"
    """How many layers there are."""
    heads: Size | Auto = "auto"
    """Query heads of an attention."""
    kernel: Size = 31
    """Frames that a convolution reads; odd."""
    dropout: Share = 0.1
    """The share of values left out while training."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and what a task needs behind them."""
        around = {"norm": "layer", "dropout": s["dropout"]}
        half = block(
            MlpSpec,
            {**around, "residual_scale": 0.5, "activation": "silu", "bias": True},
        )
        attention = block(
            AttentionSpec,
            {
                **around,
                "heads": s["heads"],
                "causal": False,
                "position": "rotary",
                "bias": True,
                "attention_dropout": s["dropout"],
            },
        )
        near = block(GatedConvSpec, {**around, "kernel": s["kernel"]})
        layer = [half, attention, near, half, {"kind": "layer_norm"}]
        front = {
            "kind": "subsample",
            "channels": [max(8, s["width"] // 4)] * 2,
            "width": s["width"],
        }
        pool = [{"kind": "global_pool"}] if s["aim"] == "labels" else []
        return {
            "layers": [front, *dropout(s), *repeated(s["depth"], layer)],
            "neck": pool,
        }
