"""What BERT and RoBERTa have in common: post-norm layers that read a text whole."""

from __future__ import annotations

from typing import Any

from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import SCORES_TOKENS
from luthier.model.families.family import Block, Values, block, repeated


def encoder_page(s: Values, types: int, epsilon: float) -> dict[str, Any]:
    """The layers of a BERT, and what stands behind them.

    Behind them is for `language` the masked-token head: a dense layer, a norm, and scores by the
    table of the tokens with a bias; for `classify` the pooler: the first position through a dense
    layer; for `tag` nothing but dropout.

    Args:
        s: `width`, `depth`, `heads`, `mlp_width`, `positions`, `dropout`, `aim`.
        types: Kinds of text that have a vector each.
        epsilon: Of all norms; 1e-5 is a norm's own.
    """
    around = {
        "norm": "layer",
        "norm_place": "post",
        "norm_epsilon": None if epsilon == 1e-5 else epsilon,
        "bias": True,
        "dropout": s["dropout"],
    }
    attention = {
        "heads": s["heads"],
        "causal": False,
        "attention_dropout": s["dropout"],
        **around,
    }
    tokens = {
        "width": s["width"],
        "position": "learned",
        "positions": s["positions"],
        "types": types,
    }
    norm = block(LayerNormSpec, {"epsilon": epsilon})
    mlp = block(MlpSpec, {"width": s["mlp_width"], **around})
    return {
        "layers": [
            block(TokensSpec, tokens),
            norm,
            *dropout(s),
            *repeated(s["depth"], [block(AttentionSpec, attention), mlp]),
        ],
        **_behind(s, norm),
    }


def dropout(s: Values) -> list[Block]:
    """A dropout block, if anything is left out."""
    return [{"kind": "dropout", "rate": s["dropout"]}] if s["dropout"] else []


def _behind(s: Values, norm: Block) -> dict[str, Any]:
    dense = {"kind": "dense", "width": s["width"]}
    if s["aim"] == "labels":
        first = {"kind": "global_pool", "reduce": "first"}
        return {"neck": [first, {**dense, "activation": "tanh"}, *dropout(s)]}
    if s["aim"] in SCORES_TOKENS:
        neck = [{**dense, "activation": "gelu"}, norm]
        return {"neck": neck, "head": {"tied": True, "bias": True}}
    return {"neck": dropout(s)}
