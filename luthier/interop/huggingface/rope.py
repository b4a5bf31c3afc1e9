"""Rotary positions as configs write them: older ones in two settings, newer ones in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.interop.huggingface.config import Config
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.rotary import Llama3ScalingSpec, RotaryScaling

KINDS = {"default": "none", "linear": "linear", "llama3": "llama3"}


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
    if scaling == "linear":
        found["rotary_scaling"] = {"kind": "linear", "factor": said.number("factor")}
    elif scaling == "llama3":
        found["rotary_scaling"] = {
            "kind": "llama3",
            "factor": said.number("factor"),
            "low_frequency": said.number("low_freq_factor"),
            "high_frequency": said.number("high_freq_factor"),
            "trained_context": said.whole("original_max_position_embeddings"),
        }
    return found


def rope(attention: AttentionSpec) -> dict[str, Any]:
    """The same back, in the settings that every version of transformers reads."""
    found: dict[str, Any] = {"rope_theta": attention.rotary_base}
    if attention.rotary_share != 1.0:
        found["partial_rotary_factor"] = attention.rotary_share
    if attention.rotary_scaling is not None:
        found["rope_scaling"] = _scaling(attention.rotary_scaling)
    return found


def _scaling(scaling: RotaryScaling) -> Mapping[str, Any]:
    if not isinstance(scaling, Llama3ScalingSpec):
        return {"rope_type": "linear", "factor": scaling.factor}
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_frequency,
        "high_freq_factor": scaling.high_frequency,
        "original_max_position_embeddings": scaling.trained_context,
    }
