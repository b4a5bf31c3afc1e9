"""What LSTM and GRU networks have in common: a text, or a series, is read into a state."""

from __future__ import annotations

from typing import Any, Literal

from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.recurrent import RecurrentSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import SCORES_TOKENS
from luthier.model.families.encoder import dropout
from luthier.model.families.family import Rule, Values, block

WIDTH = 256
RECURRENT_RULES = (
    Rule("depth", lambda s: 1 if s["aim"] == "labels" else 2, "1 for labels, 2 for more"),
    Rule("width", lambda _: WIDTH, "enough for some ten thousand texts"),
    Rule(
        "dropout",
        lambda s: 0.2 if s["aim"] in (*SCORES_TOKENS, "forecast") else 0.5,
        "0.5 where texts with labels are read many times, 0.2 for a language or a series",
    ),
    Rule(
        "bidirectional",
        lambda s: s["aim"] not in ("next_token", "forecast"),
        "both ways, unless it shall write texts or forecast",
    ),
    Rule(
        "tied",
        lambda s: s["aim"] == "pairs" or not s["bidirectional"],
        "where it gives as much as it reads",
    ),
)


def recurrent_page(cell: Literal["lstm", "gru"], s: Values) -> dict[str, Any]:
    """The layers, and what a task needs behind them.

    What says what a text is are the largest values of all its positions (Conneau et al. 2017,
    1705.02364). Of pairs, the state of the decoder looks at all states of the encoder, and what it
    finds is added to it (Luong et al. 2015, 1508.04025, section 3.1, with scaled products).

    Args:
        cell: Of the network.
        s: `width`, `depth`, `bidirectional`, `tied`, `dropout`, `aim`.
    """
    network = {
        "cell": cell,
        "width": s["width"],
        "depth": s["depth"],
        "bidirectional": s["bidirectional"],
        "dropout": s["dropout"] if s["depth"] > 1 else 0.0,
    }
    if s["aim"] == "forecast":
        layers = [block(RecurrentSpec, {**network, "gives": "last"})]
        return {"layers": layers, "neck": dropout(s)}
    pool = [{"kind": "global_pool", "reduce": "max"}] if s["aim"] == "labels" else []
    scores = {"tied": True, "bias": True} if s["tied"] else {"bias": True}
    if s["aim"] == "pairs":
        tokens = block(TokensSpec, {"width": s["width"], "dropout": s["dropout"]})
        attention = {
            "heads": 1,
            "source_width": 2 * s["width"] if s["bidirectional"] else None,
            "norm": "layer",
            "bias": True,
        }
        return {
            "encoder": [tokens, block(RecurrentSpec, network), *dropout(s)],
            "decoder": [
                tokens,
                block(RecurrentSpec, {**network, "bidirectional": False}),
                block(CrossAttentionSpec, attention),
                {"kind": "layer_norm"},
                *dropout(s),
            ],
            "head": scores,
        }
    return {
        "layers": [
            block(TokensSpec, {"width": s["width"], "dropout": s["dropout"]}),
            block(RecurrentSpec, network),
        ],
        "neck": [*pool, *dropout(s)],
        "head": scores if s["aim"] in SCORES_TOKENS else None,
    }
