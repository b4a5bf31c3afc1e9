"""What decoders have in common: layers that read forwards only, and what stands behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.norm import RmsNormSpec
from luthier.model.blueprint import SCORES_TOKENS
from luthier.model.families.family import Block, Values, block, repeated


def rotary_layers(s: Values, more: Mapping[str, Any], epsilon: float) -> list[Block]:
    """The layers of a Llama and its like.

    Args:
        s: `width`, `depth`, `heads`, `kv_heads`, `head_width`, `mlp_width`, `rotary_base`,
            `dropout`.
        more: Of each attention.
        epsilon: Of all norms; 1e-6 is a norm's own.
    """
    around = {"norm_epsilon": None if epsilon == 1e-6 else epsilon, "dropout": s["dropout"]}
    attention = block(AttentionSpec, {**heads(s), "position": "rotary", **more, **around})
    mlp = block(MlpSpec, {"width": s["mlp_width"], "gated": True, **around})
    return [
        {"kind": "tokens", "width": s["width"]},
        *repeated(s["depth"], [attention, mlp]),
        block(RmsNormSpec, {"epsilon": epsilon}),
    ]


def heads(s: Values) -> dict[str, Any]:
    """The heads of an attention; what follows from the others is left out."""
    return {
        "heads": s["heads"],
        "kv_heads": None if s["kv_heads"] == s["heads"] else s["kv_heads"],
        "head_width": None if s["heads"] * s["head_width"] == s["width"] else s["head_width"],
        "rotary_base": s["rotary_base"],
    }


def behind(s: Values, *, tied: bool, softcap: float | None = None) -> dict[str, Any]:
    """Neck and head of a network that reads forwards only.

    Args:
        s: `aim`.
        tied: Whether a language model's head uses the table of the tokens.
        softcap: Of a language model's scores.
    """
    if s["aim"] == "labels":
        # The last position is the only one that has read the whole text.
        return {"neck": [{"kind": "global_pool", "reduce": "last"}]}
    if s["aim"] not in SCORES_TOKENS:
        return {}
    if softcap is not None:
        return {"head": {"tied": tied, "softcap": softcap}}
    return {"head": "tied"} if tied else {}
