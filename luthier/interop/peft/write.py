"""From an adapter of ours to PEFT's format.

adapter_config.json           ranks, scales, the layers
adapter_model.safetensors     A and B of each, and the layers that moved whole

Dimension key, for the whole file:
    R  rows of a weight      C  columns      r  rank
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from luthier.adapters.adapted import ADAPTERS, ROWS, base_weight
from luthier.adapters.attach import low_rank
from luthier.adapters.lora import LowRank, lengths
from luthier.adapters.new_rows import NewRows
from luthier.checkpoint.document import to_json
from luthier.checkpoint.folder import Content
from luthier.checkpoint.weights import write_tensors
from luthier.errors import InputError
from luthier.interop.huggingface.correspondence import Match
from luthier.interop.peft.places import OWN, Names, Place, head_is_tied

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What PEFT puts before the names of the network that it wraps."""
MAGNITUDE = "lora_magnitude_vector"
ROWS_OF = "token_adapter.trainable_tokens_delta"
"""The rows of new tokens: their vectors, and no differences."""


@dataclass(frozen=True)
class PeftAdapter:
    """An adapter as PEFT keeps it."""

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def contents(self) -> dict[str, Content]:
        """The files of its folder."""
        return {CONFIG: to_json(self.config), WEIGHTS: partial(write_tensors, self.tensors)}


@dataclass(frozen=True)
class _Part:
    """Two matrices beside a layer of theirs: `scale * up @ down`."""

    down: Tensor
    up: Tensor
    scale: float
    dropout: float
    magnitude: Tensor | None
    table: bool


@torch.no_grad()
def peft_adapter(
    network: nn.Module,
    name: str,
    names: Names = OWN,
    *,
    whole: Collection[str] = (),
    stabilised: bool = False,
    about: Mapping[str, Any] | None = None,
) -> PeftAdapter:
    """An adapter of a network.

    Args:
        network: With the adapter.
        name: Of the adapter.
        names: Those of the network that it is for.
        whole: The names of our weights that moved beside it.
        stabilised: Whether to write the scales as rsLoRA's.
        about: What else the config says: `task_type`, `base_model_name_or_path`.

    Raises:
        InputError: If the format has no place for a part of it.
    """
    parts = _parts(network, name, names)
    rows = _rows(network, name, names)
    tensors: dict[str, Tensor] = {
        f"{PREFIX}{theirs}.{ROWS_OF}": own.values for theirs, own in rows.items()
    }
    for theirs, part in parts.items():
        tensors |= _named(theirs, part, network)
    whole_tensors = _whole(network, names, whole)
    tensors |= {f"{PREFIX}{theirs}": tensor for theirs, tensor in whole_tensors.items()}
    numbers = {theirs: list(range(r.span.first, r.span.stop)) for theirs, r in rows.items()}
    config = {
        **_config(parts, stabilised),
        "trainable_token_indices": numbers or None,
        "modules_to_save": sorted({one.rpartition(".")[0] for one in whole_tensors}) or None,
        **(about or {}),
    }
    if head_is_tied(network) and any(part.table for part in parts.values()):
        config["ensure_weight_tying"] = True
    return PeftAdapter(config, {key: tensors[key] for key in sorted(tensors)})


def _parts(network: nn.Module, name: str, names: Names) -> dict[str, _Part]:
    """What is beside each layer of theirs."""
    found: dict[str, _Part] = {}
    placed: set[tuple[str, str]] = set()
    for place in names.places(network):
        layers = [network.get_submodule(layer) for layer, _ in place.ours]
        lows = [low_rank(x, name, w) for x, (_, w) in zip(layers, place.ours, strict=True)]
        placed |= set(place.ours)
        if any(low is not None for low in lows):
            part = found[place.theirs] = _joined(place, layers, lows)
            second = names.second(place.theirs)
            if part.table and second is not None and head_is_tied(network):
                if part.magnitude is not None:
                    raise _no_place(place.theirs)
                found[second] = _Part(
                    part.down, part.up, part.scale, part.dropout, part.magnitude, table=False
                )
    _all_placed(network, name, placed)
    return found


def _rows(network: nn.Module, name: str, names: Names) -> dict[str, NewRows]:
    """The rows of new tokens, by layers of theirs."""
    found = {}
    for place in names.places(network):
        layer = network.get_submodule(place.ours[0][0])
        adapters = layer._modules.get(ADAPTERS)
        if isinstance(adapters, nn.ModuleDict) and name in adapters:
            rows = adapters[name]._modules.get(ROWS)
            if isinstance(rows, NewRows):
                found[place.theirs] = rows
    return found


def _joined(place: Place, layers: list[nn.Module], lows: list[LowRank | None]) -> _Part:
    """Layers of ours that are one of theirs: exact, with a rank that is the sum of theirs."""
    present = [low for low in lows if low is not None]
    first = present[0]
    if len(lows) == 1:
        return _Part(first.down, first.up, first.scale, first.dropout, first.magnitude, first.table)
    weights = [base_weight(x, w) for x, (_, w) in zip(layers, place.ours, strict=True)]
    shared = all(torch.equal(low.down, first.down) for low in present)
    blocks, magnitudes = [], []
    for low, weight in zip(lows, weights, strict=True):
        rows = weight.shape[0]
        if shared:
            blocks.append(first.up.new_zeros(rows, first.up.shape[1]) if low is None else low.up)
        else:
            blocks.append(
                torch.cat(
                    [
                        other.up if other is low else other.up.new_zeros(rows, other.up.shape[1])
                        for other in present
                    ],
                    1,
                )
            )
        own = None if low is None else low.magnitude
        magnitudes.append(lengths(weight, table=False) if own is None else own)
    return _Part(
        down=first.down if shared else torch.cat([low.down for low in present]),
        up=torch.cat(blocks),
        scale=first.scale,
        dropout=first.dropout,
        magnitude=None if first.magnitude is None else torch.cat(magnitudes),
        table=False,
    )


def _named(theirs: str, part: _Part, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a layer of theirs."""
    at = f"{PREFIX}{theirs}"
    if part.table:
        own = {f"{at}.lora_embedding_A": part.up.T, f"{at}.lora_embedding_B": part.down.T}
        magnitude = part.magnitude
    else:
        kernel = _kernel(network, theirs)
        r = part.down.shape[0]
        own = {
            f"{at}.lora_A.weight": part.down.reshape(r, -1, *kernel),
            f"{at}.lora_B.weight": part.up.reshape(*part.up.shape, *[1] * len(kernel)),
        }
        magnitude = part.magnitude
        if magnitude is not None and kernel:
            magnitude = magnitude.view(1, -1, *[1] * len(kernel))
    return own if magnitude is None else {**own, f"{at}.{MAGNITUDE}": magnitude}


def _kernel(network: nn.Module, theirs: str) -> tuple[int, ...]:
    """The window of a convolution; nothing of another layer."""
    layer = dict(network.named_modules()).get(theirs)
    return tuple(layer.kernel_size) if isinstance(layer, nn.Conv1d | nn.Conv2d) else ()


def _config(parts: Mapping[str, _Part], stabilised: bool) -> dict[str, Any]:
    """What PEFT must know to make the same layers."""

    def alpha(part: _Part) -> float:
        rank = part.down.shape[0]
        return part.scale * (math.sqrt(rank) if stabilised else rank)

    ranks = {theirs: part.down.shape[0] for theirs, part in parts.items()}
    usual = Counter(ranks.values()).most_common(1)[0][0]
    of_usual = next(part for part in parts.values() if part.down.shape[0] == usual)
    other = {theirs: part for theirs, part in parts.items() if ranks[theirs] != usual}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": usual,
        "lora_alpha": alpha(of_usual),
        "lora_dropout": of_usual.dropout,
        "target_modules": sorted(parts),
        "rank_pattern": {theirs: ranks[theirs] for theirs in other},
        "alpha_pattern": {theirs: alpha(part) for theirs, part in other.items()},
        "use_rslora": stabilised,
        "use_dora": of_usual.magnitude is not None,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
    }


def _whole(network: nn.Module, names: Names, whole: Collection[str]) -> dict[str, Tensor]:
    """The weights that moved beside the adapter, by their names."""
    if not whole:
        return {}
    state = network.state_dict()
    matches = names.matches or [Match(own, (own,)) for own in state]
    modules = {name.rpartition(".")[0] for name in whole}
    found: dict[str, Tensor] = {}
    for match in matches:
        if {name.rpartition(".")[0] for name in match.ours} & modules:
            found[match.theirs] = match.way.to_theirs([state[own] for own in match.ours])
    return found


def _all_placed(network: nn.Module, name: str, placed: Collection[tuple[str, str]]) -> None:
    for layer_name, layer in network.named_modules():
        adapters = layer._modules.get(ADAPTERS)
        if not isinstance(adapters, nn.ModuleDict) or name not in adapters:
            continue
        for weight in adapters[name]._modules.keys() - {ROWS}:
            if (layer_name, weight) not in placed:
                raise _no_place(layer_name)


def _no_place(layer: str) -> InputError:
    return InputError(
        f"the adapter of {layer} has no place in PEFT's format with the names of this family; "
        "export the merged network"
    )
