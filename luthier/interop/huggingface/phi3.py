"""Phi-3: a Llama with queries, keys and values in one tensor, and gate and up in another."""

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
from luthier.model.blocks.rotary_scaling import LongRopeScalingSpec
from luthier.model.blueprint import Aim


def _design(config: Config, aim: Aim | None) -> Design:
    around = {"dropout": config.number("resid_pdrop", 0.0)}
    attention = {
        **attention_settings(config),
        **rotary(config, partial=True),
        **around,
        "window": config.whole_or_none("sliding_window"),
    }
    mlp = {**mlp_settings(config), **around}
    return decoder_design(config, aim, [(attention, mlp)] * depth(config))


def _config(network: Network) -> Mapping[str, Any]:
    attention, _, found = written(network)
    scaling = attention.rotary_scaling
    trained = scaling.trained_context if isinstance(scaling, LongRopeScalingSpec) else None
    return {
        **found,
        "sliding_window": attention.window,
        "resid_pdrop": attention.dropout,
        "original_max_position_embeddings": trained or network.context,
    }


PHI_3 = Family(
    name="Phi-3",
    model_type="phi3",
    architectures=classes("Phi3"),
    prefix="model.",
    design=_design,
    matches=Names(PRE_NORMS, fused=True).matches,
    config=_config,
    tied=TIED,
    unused=ROTARY_BUFFERS,
)
