"""DistilBERT: BERT without types of text and without a pooler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.curves import CURVES, THEIR_CURVES
from luthier.interop.huggingface.encoder import (
    FIRST,
    POSITION_BUFFERS,
    Names,
    Sizes,
    dropout,
    encoder_design,
    is_tied,
    neck_dropout,
    sizes_of,
)
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.model.blueprint import Aim

EPSILON = 1e-12
"""Of all norms; no config says another."""
NAMES = Names(
    prefix="distilbert.",
    layer="transformer.layer",
    attention={
        "inner.query": "attention.q_lin",
        "inner.key": "attention.k_lin",
        "inner.value": "attention.v_lin",
        "inner.out": "attention.out_lin",
        "norm_after": "sa_layer_norm",
    },
    mlp={"inner.up": "ffn.lin1", "inner.down": "ffn.lin2", "norm_after": "output_layer_norm"},
    necks={
        "masked": ("vocab_transform", "vocab_layer_norm"),
        "labels": ("pre_classifier",),
        "tags": (),
        "answers": (),
    },
    scores="vocab_projector",
    scores_bias="vocab_projector.bias",
    classifier={"labels": "classifier", "tags": "classifier", "answers": "qa_outputs"},
)


def _design(config: Config, aim: Aim | None) -> Design:
    width = config.whole("dim", 768)
    sizes = Sizes(
        width=width,
        depth=config.whole("n_layers", 6),
        heads=config.whole("n_heads", 12),
        mlp_width=config.whole("hidden_dim", 3072),
        positions=config.whole("max_position_embeddings", 512),
        types=0,
        activation=config.choice("activation", CURVES, "gelu"),
        epsilon=EPSILON,
        dropout=config.number("dropout", 0.1),
        attention_dropout=config.number("attention_dropout", 0.1),
    )
    pooler = {"kind": "dense", "width": width, "activation": "relu"}
    return encoder_design(
        config,
        aim,
        sizes,
        {
            "masked": sizes.masked_neck(sizes.activation),
            "labels": [FIRST, pooler, *dropout(config.number("seq_classif_dropout", 0.2))],
            "tags": dropout(sizes.dropout),
            "answers": dropout(config.number("qa_dropout", 0.1)),
        },
    )


def _config(network: Network) -> Mapping[str, Any]:
    sizes = sizes_of(network)
    return {
        "dim": sizes.width,
        "n_layers": sizes.depth,
        "n_heads": sizes.heads,
        "hidden_dim": sizes.mlp_width,
        "max_position_embeddings": sizes.positions,
        "activation": THEIR_CURVES[sizes.activation],
        "dropout": sizes.dropout,
        "attention_dropout": sizes.attention_dropout,
        "seq_classif_dropout": neck_dropout(network.row),
        "qa_dropout": neck_dropout(network.row),
        "tie_word_embeddings": is_tied(network.row),
    }


DISTILBERT = Family(
    name="DistilBERT",
    model_type="distilbert",
    architectures={
        "DistilBertForMaskedLM": "masked",
        "DistilBertForSequenceClassification": "labels",
        "DistilBertForTokenClassification": "tags",
        "DistilBertForQuestionAnswering": "answers",
        "DistilBertModel": None,
    },
    prefix="distilbert.",
    design=_design,
    matches=NAMES.matches,
    config=_config,
    tied={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
    unused=(*POSITION_BUFFERS, r"^vocab_", r"^((pre_)?classifier|qa_outputs)\."),
)
