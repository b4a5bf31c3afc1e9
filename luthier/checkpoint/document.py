"""JSON documents: written in one way only, read strictly."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"
"""The key of a document's own hash."""


def to_json(value: Any) -> bytes:
    """`value` as JSON, keys sorted, so that equal values are equal bytes.

    Raises:
        TypeError: A value, or a key, that JSON would not hand back as it was.
        ValueError: A number that is not finite.

    Example:
        >>> to_json({"step": 3, "best": 0.5}).decode()
        '{\\n "best": 0.5,\\n "step": 3\\n}\\n'
    """
    _check(value, "document")
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def from_json(data: bytes | bytearray | memoryview) -> Any:
    """What the JSON says.

    Raises:
        ValueError: It is not JSON: also where a key is given twice, a number is not finite, or
            lists are nested without end.
    """
    try:
        return json.loads(
            bytes(data).decode(),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def sealed(value: Mapping[str, Any]) -> bytes:
    """`value` as JSON that holds its own SHA-256, keys in their order.

    Raises:
        TypeError: A value, or a key, that JSON would not hand back as it was.
        ValueError: A number that is not finite.
    """
    _check(value, "document")
    whole = {**value, SEAL: _digest(value)}
    return (json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """What `sealed` wrote.

    Raises:
        ValueError: It is not what was written.
    """
    value = from_json(data)
    if not isinstance(value, dict) or value.pop(SEAL, None) != _digest(value):
        raise ValueError("it is not what was written")
    return value


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f'the key "{twice}" is given twice')
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check(value: Any, place: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{place} has the key {key!r}: JSON keys are strings")
            _check(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _check(inner, f"{place}[{position}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is {value}: JSON has only finite numbers")
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise TypeError(f"{place} is a {type(value).__name__}: JSON has no such thing")
