"""From PEFT's format to an adapter on a network of ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

from luthier.adapters.adapted import base_weight
from luthier.adapters.attach import activate, add, add_rows
from luthier.adapters.attach import names as adapter_names
from luthier.adapters.lora import LowRank, Product
from luthier.adapters.new_rows import Span
from luthier.adapters.still import keep_still
from luthier.errors import InputError
from luthier.interop.huggingface.correspondence import Match
from luthier.interop.huggingface.tensors import must_be_finite
from luthier.interop.peft.places import OWN, Names, Place, head_is_tied
from luthier.interop.peft.write import CONFIG, MAGNITUDE, PREFIX, ROWS_OF
from luthier.wording import shown

AnyModule = TypeVar("AnyModule", bound=nn.Module)
_REFUSED = {
    "lora_bias": False,
    "layer_replication": None,
    "alora_invocation_tokens": None,
    "target_parameters": None,
    "use_qalora": False,
    "use_bdlora": None,
    "megatron_config": None,
}
"""Settings of adapters that compute something else, and what they are where they do not."""
_LONGEST_PATTERN = 1000
_REPEATED_GROUP = re.compile(r"\)[*+{]")
"""A stranger's regular expression with one may take for ever."""
_A, _B = "lora_A.weight", "lora_B.weight"
_TABLE_A, _TABLE_B = "lora_embedding_A", "lora_embedding_B"


@torch.no_grad()
def put_on(
    network: AnyModule,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    names: Names = OWN,
    *,
    name: str = "default",
    source: str = CONFIG,
) -> AnyModule:
    """Puts an adapter of PEFT's on a network, active; nothing else moves.

    Layers that moved whole beside it replace the network's own.

    Args:
        network: With its weights; changed in place.
        config: What adapter_config.json says.
        tensors: Those of adapter_model.safetensors.
        names: Those of the network that it was made for.
        name: What to call it.
        source: The file, for messages.

    Raises:
        InputError: If the adapter is of another kind, or of another network, or damaged.
    """
    _must_be_known(config, source)
    if name in adapter_names(network):
        raise InputError(f"the network has an adapter called {name} already; give another name")
    rest = {_unprefixed(key): tensor for key, tensor in tensors.items()}
    for key, tensor in rest.items():
        must_be_finite(tensor, key, source)
    products = _Products(config, source)
    _take_second(network, rest, names, config, source)
    for place in names.places(network):
        _put(network, place, rest, products, name, source)
    if name not in adapter_names(network):
        raise _unknown(rest, source)
    _replace_whole(network, rest, names, source)
    network.requires_grad_(False)
    activate(network, name)
    keep_still(network)
    return network


class _Products:
    """The rank and the scale of each layer of theirs."""

    def __init__(self, config: Mapping[str, Any], source: str) -> None:
        self._config = config
        self._source = source

    def of(self, theirs: str, rank: int, magnitude: bool) -> Product:
        alpha = self._found("alpha_pattern", theirs, self._number("lora_alpha", None))
        divisor = math.sqrt(rank) if self._config.get("use_rslora") else rank
        return Product(
            rank=rank,
            scale=alpha / divisor,
            dropout=self._number("lora_dropout", 0.0),
            magnitude=magnitude,
        )

    def rows(self, theirs: str) -> list[int]:
        """The numbers of the tokens whose vectors moved in a layer of theirs."""
        key = "trainable_token_indices"
        given = self._config.get(key) or {}
        if isinstance(given, dict):
            named = (v for k, v in given.items() if theirs == k or theirs.endswith(f".{k}"))
            given = next(named, [])
        if not isinstance(given, list) or not all(type(number) is int for number in given):
            raise self._wrong(key, given, "numbers of tokens")
        return given

    def _found(self, key: str, theirs: str, usual: float) -> float:
        given = self._config.get(key) or {}
        if not isinstance(given, dict):
            raise self._wrong(key, given, "a number for each name")
        for pattern, value in given.items():
            if self._means(key, pattern, theirs):
                if not _is_number(value):
                    raise self._wrong(key, value, "a number")
                return float(value)
        return usual

    def _means(self, key: str, pattern: str, theirs: str) -> bool:
        """Theirs are regular expressions of the end of a name; those of names are plain."""
        if theirs == pattern or theirs.endswith(f".{pattern}"):
            return True
        if re.escape(pattern) == pattern:
            return False
        if len(pattern) > _LONGEST_PATTERN or _REPEATED_GROUP.search(pattern):
            raise self._wrong(key, pattern, "a name, or a pattern without repeated groups")
        try:
            return re.fullmatch(rf"(.*\.)?({pattern})", theirs) is not None
        except re.error:
            raise self._wrong(key, pattern, "a name, or a regular expression") from None

    def _number(self, key: str, usual: float | None) -> float:
        found = self._config.get(key)
        found = usual if found is None else found
        if not _is_number(found) or not math.isfinite(found):
            raise self._wrong(key, found, "a number")
        return float(found)

    def _wrong(self, key: str, got: Any, wanted: str) -> InputError:
        return InputError(f"{self._source}: {key}: got {shown(got)}, wanted {wanted}")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _put(
    network: nn.Module,
    place: Place,
    rest: dict[str, Tensor],
    products: _Products,
    name: str,
    source: str,
) -> None:
    at = place.theirs
    vectors = rest.pop(f"{at}.{ROWS_OF}", None)
    if vectors is not None:
        _put_rows(network.get_submodule(place.ours[0][0]), at, vectors, products, name, source)
    rest.pop(f"{at}.base_layer.weight", None)  # a copy of the table, which PEFT adds unasked
    is_table = f"{at}.{_TABLE_A}" in rest
    keys = (f"{at}.{_TABLE_B}", f"{at}.{_TABLE_A}") if is_table else (f"{at}.{_A}", f"{at}.{_B}")
    if not any(key in rest for key in keys):
        return
    down, up = _pair(rest, keys, is_table, source)
    magnitude = rest.pop(f"{at}.{MAGNITUDE}", None)
    product = products.of(at, down.shape[0], magnitude is not None)
    weights = [base_weight(network.get_submodule(layer), own) for layer, own in place.ours]
    rows = [len(weight) for weight in weights]
    columns = weights[0][0].numel()
    if (sum(rows), columns) != (up.shape[0], down.shape[1]):
        raise InputError(
            f"{source}: the adapter of {at} is for a weight of {up.shape[0]} x {down.shape[1]}, "
            f"but this one is {sum(rows)} x {columns}; it belongs to another network"
        )
    if magnitude is not None and magnitude.numel() != (columns if is_table else sum(rows)):
        raise InputError(
            f"{source}: {at}.{MAGNITUDE} has {magnitude.numel()} values, but the weight "
            f"is {sum(rows)} x {columns}; it belongs to another network"
        )
    ups = torch.split(up, rows)
    lengths = (
        [magnitude] if magnitude is None or is_table else torch.split(magnitude.flatten(), rows)
    )
    for index, (layer, own) in enumerate(place.ours):
        low = add(network.get_submodule(layer), own, name, product)
        _fill(low, down, ups[index], lengths[index] if magnitude is not None else None)


def _pair(
    rest: dict[str, Tensor], keys: tuple[str, str], is_table: bool, source: str
) -> tuple[Tensor, Tensor]:
    """The two matrices beside a layer of theirs, taken out: `(r, C)` and `(R, r)`."""
    gone = [key for key in keys if key not in rest]
    if gone:
        raise InputError(f"{source}: lacks {gone[0]}, which belongs to {keys[keys[0] in gone]}")
    first, second = (rest.pop(key) for key in keys)
    flat = [t.T if is_table else t.flatten(1) for t in (first, second) if t.ndim >= 2]
    if len(flat) < 2 or flat[0].shape[0] != flat[1].shape[1]:
        raise InputError(
            f"{source}: {keys[0]} is {tuple(first.shape)} and {keys[1]} {tuple(second.shape)}, "
            "which are no two matrices of one rank; bring the file again"
        )
    return flat[0], flat[1]


def _put_rows(
    layer: nn.Module, at: str, rows: Tensor, products: _Products, name: str, source: str
) -> None:
    numbers = products.rows(at)
    span = Span(numbers[0], len(numbers)) if numbers else Span(0, 0)
    size = len(base_weight(layer))
    if numbers != list(range(span.first, span.stop)) or span.stop > size:
        raise InputError(
            f"{source}: trainable_token_indices of {at} are {numbers[:8]}; luthier takes numbers "
            f"one behind the other, below {size}, the tokens that the network has vectors for"
        )
    add_rows(layer, name, span).values.copy_(rows)


def _fill(low: LowRank, down: Tensor, up: Tensor, magnitude: Tensor | None) -> None:
    low.down.copy_(down)
    low.up.copy_(up)
    if low.magnitude is not None:
        assert magnitude is not None
        low.magnitude.copy_(magnitude.flatten())


def _take_second(
    network: nn.Module,
    rest: dict[str, Tensor],
    names: Names,
    config: Mapping[str, Any],
    source: str,
) -> None:
    """Takes out what a head with the weights of the table has a second time."""
    if not head_is_tied(network):
        return
    for place in names.places(network):
        second = names.second(place.theirs)
        if second is None or f"{place.theirs}.{_TABLE_A}" not in rest:
            continue
        own = {key: rest.pop(key) for key in list(rest) if key.startswith(f"{second}.")}
        same = (
            config.get("ensure_weight_tying")
            and not config.get("use_dora")
            and torch.equal(own[f"{second}.{_A}"], rest[f"{place.theirs}.{_TABLE_B}"].T)
            and torch.equal(own[f"{second}.{_B}"], rest[f"{place.theirs}.{_TABLE_A}"].T)
        )
        if not same:
            raise InputError(
                f"{source}: adapts {place.theirs}, but not {second}, which has the same weights, "
                "in the same way (ensure_weight_tying); luthier keeps them once: merge it with "
                "PEFT, and start from the merged network"
            )


def _replace_whole(network: nn.Module, rest: dict[str, Tensor], names: Names, source: str) -> None:
    """Layers that moved whole."""
    state = network.state_dict()
    matches = names.matches or [Match(own, (own,)) for own in state]
    for match in matches:
        for key in (match.theirs, _saved(match.theirs)):
            if key not in rest:
                continue
            ours = [state[own] for own in match.ours]
            theirs = rest.pop(key)
            wanted = match.way.to_theirs([tensor.to("meta") for tensor in ours]).shape
            if theirs.shape != wanted:
                raise InputError(
                    f"{source}: {match.theirs} is {tuple(theirs.shape)}, but the network's is "
                    f"{tuple(wanted)}; it belongs to another network"
                )
            parts = match.way.to_ours(theirs, [tensor.shape for tensor in ours])
            for tensor, part in zip(ours, parts, strict=True):
                tensor.copy_(part)
    if rest:
        raise _unknown(rest, source)


def _saved(name: str) -> str:
    """Older files have `modules_to_save` in the names of layers that moved whole."""
    layer, _, own = name.rpartition(".")
    return f"{layer}.modules_to_save.{own}"


def _unprefixed(key: str) -> str:
    return key.removeprefix(PREFIX)


def _must_be_known(config: Mapping[str, Any], source: str) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise InputError(f"{source}: peft_type is {kind}; luthier reads LORA (rsLoRA and DoRA too)")
    if config.get("bias", "none") != "none":
        raise InputError(
            f"{source}: bias is {config['bias']}, so that biases of the network moved too; "
            "wanted none: merge it with PEFT, and start from the merged network"
        )
    for key, plain in _REFUSED.items():
        if config.get(key, plain) not in (plain, None, False):
            raise InputError(
                f"{source}: {key} is {config[key]}, which luthier does not compute; merge it with "
                "PEFT, and start from the merged network"
            )


def _unknown(rest: Mapping[str, Tensor], source: str) -> InputError:
    listed = ", ".join(sorted(rest)[:3]) or "nothing"
    return InputError(
        f"{source}: the network has no place for {listed}; the adapter belongs to another network"
    )
