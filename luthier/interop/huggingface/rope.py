"""Rotary positions as configs write them: older ones in two settings, newer ones in one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from luthier.interop.huggingface.config import Config
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.rotary_scaling import (
    LinearScalingSpec,
    Llama3ScalingSpec,
    LongRopeScalingSpec,
    RotaryScaling,
    YarnScalingSpec,
)

KINDS = {
    "default": "none",
    "linear": "linear",
    "llama3": "llama3",
    "yarn": "yarn",
    "longrope": "longrope",
    "su": "longrope",  # what Phi-3 called it first
}


def rotary(
    config: Config, base: float = 10_000.0, *, kind: str = "", partial: bool = False
) -> dict[str, Any]:
    """The rotary settings of an attention.

    Args:
        config: With `rope_theta` and `rope_scaling`, or with `rope_parameters`.
        base: Where the config says nothing.
        kind: Of the layer, where `rope_parameters` has settings for each: `full_attention`.
        partial: Whether networks of the family turn a part of a head only, if the config says so.

    Raises:
        InputError: If the angles are scaled in a way that luthier has not.
    """
    said = config.inner("rope_parameters") or config.inner("rope_scaling") or Config({}, "")
    if kind and (own := said.inner(kind)) is not None:
        said = own
    asked = said if said.has("rope_theta") else config
    base = asked.number("rope_theta", base)
    sharing = said if said.has("partial_rotary_factor") else config
    if not partial:
        sharing.must_be("partial_rotary_factor", (1.0,), "heads that are turned in part")
    share = sharing.number("partial_rotary_factor", 1.0)
    scaling = KINDS["default"]
    if said.values:
        word = "rope_type" if said.has("rope_type") or not said.has("type") else "type"
        scaling = said.choice(word, KINDS, "default")
    found: dict[str, Any] = {"position": "rotary", "rotary_base": base, "rotary_share": share}
    if scaling != "none":
        found["rotary_scaling"] = {"kind": scaling, **_READ[scaling](said, config)}
    return found


def rope(attention: AttentionSpec) -> dict[str, Any]:
    """The same back, in the settings that every version of transformers reads."""
    found: dict[str, Any] = {"rope_theta": attention.rotary_base}
    if attention.rotary_share != 1.0:
        found["partial_rotary_factor"] = attention.rotary_share
    if attention.rotary_scaling is not None:
        found["rope_scaling"] = _scaling(attention.rotary_scaling)
    return found


def _linear(said: Config, _config: Config) -> dict[str, Any]:
    return {"factor": said.number("factor")}


def _llama3(said: Config, _config: Config) -> dict[str, Any]:
    return {
        "factor": said.number("factor"),
        "low_frequency": said.number("low_freq_factor"),
        "high_frequency": said.number("high_freq_factor"),
        "trained_context": said.whole("original_max_position_embeddings"),
    }


def _yarn(said: Config, config: Config) -> dict[str, Any]:
    trained = _trained(said, config)
    factor = said.number("factor", config.whole("max_position_embeddings", trained) / trained)
    length = said.number("attention_factor") if said.has("attention_factor") else None
    if length is None and said.number("mscale", 0.0) and said.number("mscale_all_dim", 0.0):
        over, under = (
            1 + 0.1 * said.number(name) * math.log(max(factor, 1.0))
            for name in ("mscale", "mscale_all_dim")
        )
        length = over / under
    return {
        "factor": factor,
        "low_frequency": said.number("beta_slow", 1.0) or 1.0,
        "high_frequency": said.number("beta_fast", 32.0) or 32.0,
        "trained_context": trained,
        "rounded": said.flag("truncate", True),
        "length": length,
    }


def _longrope(said: Config, config: Config) -> dict[str, Any]:
    trained = _trained(said, config)
    factor = said.number("factor", config.whole("max_position_embeddings", trained) / trained)
    usual = math.sqrt(1 + math.log(factor) / math.log(trained)) if min(factor, trained) > 1 else 1.0
    return {
        "short": said.numbers("short_factor"),
        "long": said.numbers("long_factor"),
        "trained_context": trained,
        "length": said.number("attention_factor", usual),
    }


def _trained(said: Config, config: Config) -> int:
    """The context before, where newer and older configs have it; else the only one there is."""
    name = "original_max_position_embeddings"
    usual = config.whole("max_position_embeddings")
    return (said if said.has(name) else config).whole(name, usual)


_READ: Mapping[str, Callable[[Config, Config], dict[str, Any]]] = {
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
"""What each kind says, as our settings."""


def _scaling(scaling: RotaryScaling) -> Mapping[str, Any]:
    """The settings of theirs."""
    match scaling:
        case LinearScalingSpec():
            return {"rope_type": "linear", "factor": scaling.factor}
        case Llama3ScalingSpec():
            return {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_frequency,
                "high_freq_factor": scaling.high_frequency,
                "original_max_position_embeddings": scaling.trained_context,
            }
        case YarnScalingSpec():
            return {
                "rope_type": "yarn",
                "factor": scaling.factor,
                "beta_slow": scaling.low_frequency,
                "beta_fast": scaling.high_frequency,
                "truncate": scaling.rounded,
                **({} if scaling.length is None else {"attention_factor": scaling.length}),
                "original_max_position_embeddings": scaling.trained_context,
            }
        case LongRopeScalingSpec():
            return {
                "rope_type": "longrope",
                "short_factor": list(scaling.short),
                "long_factor": list(scaling.long),
                "attention_factor": scaling.length,
                "original_max_position_embeddings": scaling.trained_context,
            }
