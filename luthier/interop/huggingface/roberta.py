"""RoBERTa: BERT with one type of text, whose positions count from behind that of padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.bert import ATTENTION, MLP
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.encoder import (
    FIRST,
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

PADDING = 1
"""The token of padding, whose number no position has; the first position has the next one."""
PLACES_BEFORE = PADDING + 1
NAMES = Names(
    prefix="roberta.",
    layer="encoder.layer",
    attention=ATTENTION,
    mlp=MLP,
    necks={
        "masked": ("lm_head.dense", "lm_head.layer_norm"),
        "labels": ("classifier.dense",),
        "tags": (),
    },
    scores="lm_head.decoder",
    scores_bias="lm_head.bias",
    classifier={"labels": "classifier.out_proj", "tags": "classifier"},
    places_before=PLACES_BEFORE,
)


def _design(config: Config, aim: Aim | None) -> Design:
    config.must_be("pad_token_id", (PADDING,), "positions that begin elsewhere")
    sizes = bert_sizes(config, types=2, epsilon=1e-12, places_before=PLACES_BEFORE)
    left_out = dropout(config.number("classifier_dropout", sizes.dropout))
    pooler = {"kind": "dense", "width": sizes.width, "activation": "tanh"}
    return encoder_design(
        config,
        aim,
        sizes,
        {
            "masked": sizes.masked_neck("gelu"),
            "labels": [FIRST, *left_out, pooler, *left_out],
            "tags": left_out,
        },
    )


def _config(network: Network) -> Mapping[str, Any]:
    sizes = sizes_of(network)
    if network.padding != PADDING:
        raise InputError(
            f"the token of padding: got {network.padding}, wanted {PADDING}, from which positions "
            "count there"
        )
    if sizes.types != 1:
        # Else a BERT with such a token of padding would be one.
        raise InputError(f"tokens: types: got {sizes.types}, wanted 1")
    return {
        **bert_config(sizes, network),
        "max_position_embeddings": sizes.positions + PLACES_BEFORE,
        "pad_token_id": PADDING,
    }


ROBERTA = Family(
    name="RoBERTa",
    model_type="roberta",
    architectures={
        "RobertaForMaskedLM": "masked",
        "RobertaForSequenceClassification": "labels",
        "RobertaForTokenClassification": "tags",
        "RobertaModel": None,
    },
    prefix="roberta.",
    design=_design,
    matches=NAMES.matches,
    config=_config,
    tied={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    unused=(*POSITION_BUFFERS, r"^(roberta\.)?pooler\.", r"^lm_head\.", r"^classifier\."),
)
