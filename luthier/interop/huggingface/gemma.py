"""Gemma 2, and the Gemmas 3 that read texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import ONE_ADDED
from luthier.interop.huggingface.decoder import (
    NORMS_ON_BOTH_SIDES,
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
from luthier.interop.huggingface.layer_types import GLOBAL, LOCAL, layer_types, written_types
from luthier.interop.huggingface.rope import rope, rotary
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim

_KV_HEADS, _HEAD_WIDTH, _WINDOW, _SCALAR = 4, 256, 4096, 256.0
_PERIOD_2, _PERIOD_3 = 2, 6
_CAP_2, _HEAD_CAP_2 = 50.0, 30.0
"""Where a config says nothing."""


def _design_2(config: Config, aim: Aim | None) -> Design:
    attention = {
        **_attention(config),
        **rotary(config),
        "softcap": _cap(config, "attn_logit_softcapping", _CAP_2),
    }
    return _layered(config, aim, {LOCAL: attention, GLOBAL: attention}, _PERIOD_2, _HEAD_CAP_2)


def _design_3(config: Config, aim: Aim | None) -> Design:
    attention = {
        **_attention(config),
        "qk_norm": "rms",
        "softcap": _cap(config, "attn_logit_softcapping", None),
    }
    # Older configs name the base of local layers on its own, and scale the angles of others only.
    local = Config({"rope_theta": config.values.get("rope_local_base_freq")}, config.source)
    if config.has("rope_parameters"):
        local = Config({"rope_parameters": config.values["rope_parameters"]}, config.source)
    angles = {LOCAL: rotary(local, kind=LOCAL), GLOBAL: rotary(config, 1e6, kind=GLOBAL)}
    period = next(
        (
            config.whole(name)
            for name in ("sliding_window_pattern", "_sliding_window_pattern")
            if config.has(name)
        ),
        _PERIOD_3,
    )
    kinds = {kind: {**attention, **angles[kind]} for kind in angles}
    return _layered(config, aim, kinds, period, None)


def _attention(config: Config) -> dict[str, Any]:
    config.must_be("use_bidirectional_attention", (False,), "a network that reads both ways")
    found = attention_settings(config, kv_heads=_KV_HEADS, head_width=_HEAD_WIDTH)
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    own = (found["head_width"] or width // heads) ** -0.5
    scale = config.number("query_pre_attn_scalar", _SCALAR) ** -0.5
    return {
        **found,
        "norm_place": "both",
        "scale": None if scale == own else scale,
        "bias": config.flag("attention_bias", False),
    }


def _layered(
    config: Config,
    aim: Aim | None,
    attentions: Mapping[str, Mapping[str, Any]],
    period: int,
    head_cap: float | None,
) -> Design:
    """Layers of both kinds, of which every `period`th sees all where the config does not say."""
    window = config.whole_or_none("sliding_window", _WINDOW)
    activation = "hidden_activation" if config.has("hidden_activation") else "hidden_act"
    mlp = {**mlp_settings(config, activation, "gelu_pytorch_tanh"), "norm_place": "both"}
    layers = [
        ({**attentions[kind], "window": window if kind == LOCAL else None}, mlp)
        for kind in layer_types(config, depth(config), lambda n: (n + 1) % period != 0)
    ]
    softcap = _cap(config, "final_logit_softcapping", head_cap)
    scaled = {"scale": "sqrt_width"}
    return decoder_design(config, aim, layers, tokens=scaled, tied=True, softcap=softcap)


def _cap(config: Config, name: str, usual: float | None) -> float | None:
    """A cap of scores; null says that there is none."""
    found = config.values.get(name, usual)
    return None if found is None else config.number(name, usual)


def _config_2(network: Network) -> Mapping[str, Any]:
    return {**_config(network), **rope(_of_kind(network, local=False))}


def _config_3(network: Network) -> Mapping[str, Any]:
    local = rope(_of_kind(network, local=True))
    return {
        **_config(network),
        **rope(_of_kind(network, local=False)),
        "rope_local_base_freq": local["rope_theta"],
    }


def _config(network: Network) -> dict[str, Any]:
    attention, _, found = written(network)
    head = network.row.head[-1].spec if network.row.head else None
    own = found["head_dim"] ** -0.5
    # A root squared is not the number again: 1 / (256 ** -0.5) ** 2 is, 1 / (144 ** -0.5) ** 2 not.
    scalar = round((attention.scale or own) ** -2, 6)
    return {
        **found,
        "hidden_activation": found["hidden_act"],
        "query_pre_attn_scalar": int(scalar) if scalar == int(scalar) else scalar,
        "attention_bias": attention.bias is True,
        "attn_logit_softcapping": attention.softcap,
        "final_logit_softcapping": head.softcap if isinstance(head, UnembedSpec) else None,
        **written_types(parts_of_decoder(network.row)[1]),
    }


def _of_kind(network: Network, *, local: bool) -> AttentionSpec:
    """The first attention that sees a window, or that sees all; the first, where there is none."""
    found = [attention.spec for attention, _ in parts_of_decoder(network.row)[1]]
    specs = [spec for spec in found if isinstance(spec, AttentionSpec)]
    return next((spec for spec in specs if (spec.window is not None) is local), specs[0])


def _family(version: int, model_type: str, architectures: Mapping[str, Aim | None]) -> Family:
    return Family(
        name=f"Gemma {version}",
        model_type=model_type,
        architectures=architectures,
        prefix="model.",
        design=_design_2 if version == 2 else _design_3,
        matches=Names(NORMS_ON_BOTH_SIDES, ONE_ADDED).matches,
        config=_config_2 if version == 2 else _config_3,
        tied=TIED,
        unused=ROTARY_BUFFERS,
    )


GEMMA_2 = _family(2, "gemma2", classes("Gemma2"))
GEMMA_3 = _family(
    3,
    "gemma3_text",
    {
        "Gemma3ForCausalLM": "next_token",
        "Gemma3TextForSequenceClassification": "labels",
        "Gemma3TextModel": None,
    },
)
