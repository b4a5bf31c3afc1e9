"""A block in a few words, as a drawing or a table says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.model.block import BlockSpec
from luthier.model.blocks.recurrent import RecurrentSpec
from luthier.signal import Signal
from luthier.spec import plain

_TITLED = ("channels", "width", "name", "size", "rate", "factor", "vocab")
"""The setting that stands beside the kind, the first of these that a block has."""
_INNER = {"kind", "layers", "branches", "first", "times", "join", "residual", "cell"}
"""What a drawing shows by its lines or in the title, not by words."""
_LEFT_OUT = {"epsilon", "norm_epsilon", "norm_bias"}
"""What tells nobody much."""


def title(spec: BlockSpec) -> str:
    """The kind, with the number that matters most: `conv 32`.

    Example:
        >>> from luthier.model.blocks.pool import MaxPoolSpec
        >>> title(MaxPoolSpec(size=2))
        'max pool 2'
    """
    data = plain(spec)
    titled = next((data[key] for key in _TITLED if key in data), None)
    kind = _words(spec.cell if isinstance(spec, RecurrentSpec) else spec.kind)
    if kind == "activation":
        return _words(titled)
    return kind if titled is None else f"{kind} {_words(titled)}"


def details(spec: BlockSpec) -> list[str]:
    """The other settings that were given, each in a few words.

    Example:
        >>> from luthier.model.blocks.conv import ConvSpec
        >>> details(ConvSpec(channels=32, kernel=3, stride=2, norm="batch", activation="relu"))
        ['kernel 3', 'stride 2', 'batch norm', 'relu']
    """
    data = plain(spec)
    titled = next((key for key in _TITLED if key in data), None)
    hidden = {*_INNER, *_LEFT_OUT, titled}
    found = (_detail(key, value) for key, value in data.items() if key not in hidden)
    return [text for text in found if text]


def shape(signal: Signal) -> str:
    """The sizes of a signal: `32 × 13 × 13`."""
    return " × ".join(map(str, signal.shape))


def amount(number: int) -> str:
    """A count of parameters, short.

    Example:
        >>> amount(320), amount(25_557_032)
        ('320', '25.6M')
    """
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= limit:
            scale = 10**3 if unit == "k" else limit
            return f"{number / scale:.3g}{unit}"
    return f"{number:,}"


def _detail(key: str, value: Any) -> str:
    name = key.replace("_", " ")
    if value in ("none", None) or (value == 0 and not isinstance(value, bool)):
        return ""
    if key in ("activation", "shortcut", "mode", "reduce"):
        return _words(value)
    if key in ("norm", "projection_norm", "norm_place", "qk_norm"):
        return f"{value} {name.removesuffix(' place')}"
    if key == "config":  # of a network of another library
        return str(value["model_type"])
    if key == "causal":
        return "causal" if value else "sees both ways"
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {_words(value)}"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(map(str, value))
    if isinstance(value, Mapping):
        return _words(value["kind"])
    if isinstance(value, float):
        return f"{value:,g}"
    return str(value).replace("_", " ")
