"""Tiny encoders of every class, with settings that are not the usual ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from foreign import CONTEXT

NAMES = {0: "O", 1: "B-place", 2: "I-place"}
CLASSES = {0: "bad", 1: "good", 2: "neither"}
HEADS = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")


@dataclass(frozen=True)
class Case:
    """A network of theirs."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)


def _every_class(name: str, classes: str, settings: dict[str, Any]) -> dict[str, Case]:
    labels = {
        "ForSequenceClassification": {"id2label": CLASSES},
        "ForTokenClassification": {"id2label": NAMES},
    }
    return {
        f"{name} {head}": Case(classes + head, {**settings, **labels.get(head, {})})
        for head in HEADS
    }


ROBERTA = {
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": CONTEXT + 2,
}
DISTILBERT = {"dim": 32, "hidden_dim": 56, "n_layers": 2, "n_heads": 4}
MODERNBERT = {
    "num_hidden_layers": 5,
    "local_attention": 6,
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 5e3},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e2},
    },
}
ODD_MODERNBERT = {
    **MODERNBERT,
    "layer_types": ["sliding_attention"] * 2 + ["full_attention"] * 2 + ["sliding_attention"],
    "norm_bias": True,
    "attention_bias": True,
    "mlp_bias": True,
    "classifier_bias": True,
    "classifier_pooling": "mean",
    "classifier_activation": "relu",
    "hidden_activation": "gelu_pytorch_tanh",
    "norm_eps": 1e-4,
    "mlp_dropout": 0.2,
    "embedding_dropout": 0.1,
    "attention_dropout": 0.3,
    "classifier_dropout": 0.4,
}
BIASED_SCORES = "decoder_bias"
CASES: dict[str, Case] = {
    **_every_class("bert", "Bert", {}),
    **_every_class("roberta", "Roberta", ROBERTA),
    **_every_class("distilbert", "DistilBert", DISTILBERT),
    **_every_class("modernbert", "ModernBert", MODERNBERT),
    **_every_class("odd modernbert", "ModernBert", ODD_MODERNBERT),
    "bert that finds answers": Case("BertForQuestionAnswering"),
    "distilbert that finds answers": Case(
        "DistilBertForQuestionAnswering", {**DISTILBERT, "qa_dropout": 0.3}
    ),
    "bert of one layer": Case(
        "BertForSequenceClassification",
        {
            "num_hidden_layers": 1,
            "hidden_act": "gelu_new",
            "type_vocab_size": 3,
            "layer_norm_eps": 1e-3,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.2,
            "classifier_dropout": 0.3,
        },
    ),
    "bert with scores of its own": Case(
        "BertForMaskedLM", {"tie_word_embeddings": False, "hidden_act": "relu"}
    ),
    "roberta with scores of its own": Case(
        "RobertaForMaskedLM", {**ROBERTA, "tie_word_embeddings": False}
    ),
    "distilbert with scores of its own": Case(
        "DistilBertForMaskedLM",
        {**DISTILBERT, "tie_word_embeddings": False, "sinusoidal_pos_embds": True},
    ),
    "modernbert with scores of its own": Case(
        "ModernBertForMaskedLM", {**MODERNBERT, "tie_word_embeddings": False, BIASED_SCORES: False}
    ),
    "modernbert, all see all": Case(
        "ModernBertForTokenClassification", {**MODERNBERT, "layer_types": ["full_attention"] * 5}
    ),
}
