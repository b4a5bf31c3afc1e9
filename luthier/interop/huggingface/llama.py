"""Llama, and what is one under another name: SmolLM."""

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


def _design(config: Config, aim: Aim | None) -> Design:
    attention = {
        **attention_settings(config),
        **rotary(config),
        "bias": config.flag("attention_bias", False),
    }
    mlp = {**mlp_settings(config), "bias": config.flag("mlp_bias", False)}
    return decoder_design(config, aim, [(attention, mlp)] * depth(config))


def _config(network: Network) -> Mapping[str, Any]:
    attention, mlp, found = written(network)
    return {**found, "attention_bias": attention.bias is True, "mlp_bias": mlp.bias}


LLAMA = Family(
    name="Llama",
    model_type="llama",
    architectures=classes("Llama"),
    prefix="model.",
    design=_design,
    matches=Names(PRE_NORMS).matches,
    config=_config,
    tied=TIED,
    unused=ROTARY_BUFFERS,
)
