"""BERT, and what is one under another name: MiniLM and most sentence encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.encoder import (
    FIRST,
    OLD_NORMS,
    POSITION_BUFFERS,
    Names,
    bert_config,
    bert_sizes,
    dropout,
    encoder_design,
    sizes_of,
)
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.model.blueprint import Aim

ATTENTION = {
    "inner.query": "attention.self.query",
    "inner.key": "attention.self.key",
    "inner.value": "attention.self.value",
    "inner.out": "attention.output.dense",
    "norm_after": "attention.output.LayerNorm",
}
MLP = {
    "inner.up": "intermediate.dense",
    "inner.down": "output.dense",
    "norm_after": "output.LayerNorm",
}
NAMES = Names(
    prefix="bert.",
    layer="encoder.layer",
    attention=ATTENTION,
    mlp=MLP,
    necks={
        "masked": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
        "labels": ("bert.pooler.dense",),
        "tags": (),
        "answers": (),
    },
    scores="cls.predictions.decoder",
    scores_bias="cls.predictions.bias",
    classifier={"labels": "classifier", "tags": "classifier", "answers": "qa_outputs"},
)


def _design(config: Config, aim: Aim | None) -> Design:
    sizes = bert_sizes(config, types=2, epsilon=1e-12)
    left_out = dropout(config.number("classifier_dropout", sizes.dropout))
    pooler = {"kind": "dense", "width": sizes.width, "activation": "tanh"}
    return encoder_design(
        config,
        aim,
        sizes,
        {
            "masked": sizes.masked_neck(sizes.activation),
            "labels": [FIRST, pooler, *left_out],
            "tags": left_out,
            "answers": [],
        },
    )


def _config(network: Network) -> Mapping[str, Any]:
    sizes = sizes_of(network)
    if not sizes.types:
        raise InputError("tokens: types: got 0, wanted 1 or more")
    return {**bert_config(sizes, network), "max_position_embeddings": sizes.positions}


BERT = Family(
    name="BERT",
    model_type="bert",
    architectures={
        "BertForMaskedLM": "masked",
        "BertForPreTraining": "masked",
        "BertForSequenceClassification": "labels",
        "BertForTokenClassification": "tags",
        "BertForQuestionAnswering": "answers",
        "BertModel": None,
    },
    prefix="bert.",
    design=_design,
    matches=NAMES.matches,
    config=_config,
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    # The pooler of a network whose task reads no pooler, and the heads of other objectives.
    unused=(*POSITION_BUFFERS, r"^(bert\.)?pooler\.", r"^cls\.", r"^(classifier|qa_outputs)\."),
    renamed=OLD_NORMS,
)
