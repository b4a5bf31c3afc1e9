"""Mistral: a Llama of which each position sees a window, or all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.decoder import (
    PRE_NORMS,
    ROTARY_BUFFERS,
    TIED,
    Names,
    attention_settings,
    classes,
    decoder_design,
    depth,
    mlp_settings,
    written,
)
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.rope import rotary
from luthier.model.blueprint import Aim

_KV_HEADS, _WINDOW = 8, 4096
"""Where a config says nothing."""


def _design(config: Config, aim: Aim | None) -> Design:
    attention = {
        **attention_settings(config, kv_heads=_KV_HEADS),
        **rotary(config),
        "window": config.whole_or_none("sliding_window", _WINDOW),
    }
    return decoder_design(config, aim, [(attention, mlp_settings(config))] * depth(config))


def _config(network: Network) -> Mapping[str, Any]:
    attention, _, found = written(network)
    return {**found, "sliding_window": attention.window}


MISTRAL = Family(
    name="Mistral",
    model_type="mistral",
    architectures=classes("Mistral"),
    prefix="model.",
    design=_design,
    matches=Names(PRE_NORMS).matches,
    config=_config,
    tied=TIED,
    unused=ROTARY_BUFFERS,
)
