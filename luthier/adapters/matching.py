"""Layers and weights named by patterns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from luthier.errors import InputError, nearest


def matches(name: str, pattern: str) -> bool:
    """Whether a dotted name is meant by a pattern: the name itself, or what it ends with.

    `*` stands for anything, dots too.

    Example:
        >>> matches("layers.1.copies.0.0.inner.query", "query")
        True
        >>> matches("layers.1.copies.0.0.inner.query", "copies.0.*")
        True
        >>> matches("layers.1.copies.0.0.query_norm", "query")
        False
    """
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def matching(names: Iterable[str], patterns: Sequence[str], *, place: str, what: str) -> list[str]:
    """The names that any of the patterns means, in their order.

    Args:
        names: Dotted names.
        patterns: Each must mean at least one of them.
        place: Of the patterns in the recipe, for the message.
        what: What has the names: `layer`.

    Raises:
        InputError: If a pattern means none of them, with the nearest names.
    """
    names = list(names)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            hint = nearest(pattern, short_names(names, pattern))
            raise InputError(f'{place}: got "{pattern}", which no {what} is called{hint}')
    return [name for name in names if any(matches(name, pattern) for pattern in patterns)]


def short_names(names: Iterable[str], like: str) -> list[str]:
    """The ends of the names, of as many parts as `like` has: what a person types."""
    parts = like.count(".") + 1
    return sorted({".".join(name.split(".")[-parts:]) for name in names})
