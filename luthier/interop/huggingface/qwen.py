"""Qwen: a Llama with biases on queries, keys and values (2, 2.5), or with norms of them (3)."""

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
    parts_of_decoder,
    written,
)
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.layer_types import LOCAL, layer_types, written_types
from luthier.interop.huggingface.rope import rotary
from luthier.model.blueprint import Aim

_KV_HEADS, _HEAD_WIDTH, _WINDOW, _GLOBAL_LAYERS = 32, 128, 4096, 28
"""Where a config says nothing."""


def _design_2(config: Config, aim: Aim | None) -> Design:
    attention = {**attention_settings(config, kv_heads=_KV_HEADS), **rotary(config), "bias": "qkv"}
    return _layered(config, aim, attention)


def _design_3(config: Config, aim: Aim | None) -> Design:
    attention = {
        **attention_settings(config, kv_heads=_KV_HEADS, head_width=_HEAD_WIDTH),
        **rotary(config),
        "bias": config.flag("attention_bias", False),
        "qk_norm": "rms",
    }
    return _layered(config, aim, attention)


def _layered(config: Config, aim: Aim | None, attention: Mapping[str, Any]) -> Design:
    """The last layers see a window, where it is used at all."""
    window = None
    if config.flag("use_sliding_window", False):
        window = config.whole_or_none("sliding_window", _WINDOW)
    begin = config.number("max_window_layers", _GLOBAL_LAYERS)
    types = layer_types(config, depth(config), lambda n: window is not None and n >= begin)
    mlp = mlp_settings(config)
    layers = [({**attention, "window": window if kind == LOCAL else None}, mlp) for kind in types]
    return decoder_design(config, aim, layers)


def _config_2(network: Network) -> Mapping[str, Any]:
    found = written(network)[2]
    return {**found, **_windows(network)}


def _config_3(network: Network) -> Mapping[str, Any]:
    attention, _, found = written(network)
    return {**found, **_windows(network), "attention_bias": attention.bias is True}


def _windows(network: Network) -> Mapping[str, Any]:
    found = written_types(parts_of_decoder(network.row)[1])
    return {**found, "use_sliding_window": found["sliding_window"] is not None}


def _family(version: int) -> Family:
    return Family(
        name=f"Qwen {version}",
        model_type=f"qwen{version}",
        architectures=classes(f"Qwen{version}"),
        prefix="model.",
        design=_design_2 if version == 2 else _design_3,
        matches=Names(PRE_NORMS).matches,
        config=_config_2 if version == 2 else _config_3,
        tied=TIED,
        unused=ROTARY_BUFFERS,
    )


QWEN_2, QWEN_3 = _family(2), _family(3)
