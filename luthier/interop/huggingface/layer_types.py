"""Which layers see a window and which see all, as configs write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.row import Named
from luthier.model.blocks.attention import AttentionSpec

LOCAL, GLOBAL = "sliding_attention", "full_attention"


def layer_types(config: Config, depth: int, usual: Callable[[int], bool]) -> list[str]:
    """`LOCAL` or `GLOBAL` for each layer.

    Args:
        config: With `layer_types`, or without.
        depth: The layers.
        usual: Whether a layer is local, by its number from 0, where the config does not say.

    Raises:
        InputError: If it is too short or too long, or names another type.
    """
    given = config.words("layer_types")
    if given is None:
        return [LOCAL if usual(number) else GLOBAL for number in range(depth)]
    if len(given) != depth or not {LOCAL, GLOBAL}.issuperset(given):
        raise InputError(
            f"{config.source}: layer_types: got {len(given)} layers of the types "
            f"{', '.join(sorted(set(given)))}; wanted {depth}, each {LOCAL} or {GLOBAL}"
        )
    return given


def written_types(layers: Sequence[tuple[Named, Named]]) -> dict[str, Any]:
    """`layer_types`, and the window of those that are local; without a local one, only that there
    is none."""
    windows = [_window(attention) for attention, _ in layers]
    found = next((window for window in windows if window is not None), None)
    if found is None:
        return {"sliding_window": None}
    types = [GLOBAL if window is None else LOCAL for window in windows]
    return {"sliding_window": found, "layer_types": types}


def _window(attention: Named) -> int | None:
    assert isinstance(attention.spec, AttentionSpec)
    return attention.spec.window
