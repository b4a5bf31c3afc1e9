"""Families and their published sizes by name: what `luthier design` takes beside a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from luthier.errors import InputError, nearest
from luthier.model.families import Family
from luthier.model.families.family import FamilySpec, Published


def families() -> dict[str, type[FamilySpec]]:
    """The class of each kind."""
    classes: tuple[type[FamilySpec], ...] = get_args(get_args(Family)[0])
    return {cls.model_fields["kind"].default: cls for cls in classes}


def named(name: str, others: Sequence[str] = ()) -> dict[str, Any]:
    """The family or the published size called `name`, as a recipe writes it.

    Args:
        name: In any case.
        others: What else the name could have been meant to be, for the message.

    Example:
        >>> named("gpt2-medium"), named("bert")
        ({'kind': 'gpt2', 'size': 'medium'}, {'kind': 'bert', 'size': 'base'})

    Raises:
        InputError: If there is none; with the nearest name.
    """
    kinds, sizes = families(), _sizes()
    wanted = name.lower()
    if wanted in kinds:
        return {"kind": wanted, **kinds[wanted].usual()}
    if wanted in sizes:
        return sizes[wanted]
    close = nearest(wanted, [*kinds, *sizes, *others])
    hint = close if "did you mean" in close else f"; families: {', '.join(sorted(kinds))}"
    raise InputError(f'"{name}" is no recipe file, family or published size{hint}')


def published(model: FamilySpec) -> Published | None:
    """The published model that a family's spec is, with no other setting; none if it is none."""
    changed = model.model_fields_set - {"kind", "size"}
    return None if changed or model.size is None else model.SIZES[model.size]


def _sizes() -> Mapping[str, dict[str, Any]]:
    return {
        row.name: {"kind": kind, "size": size}
        for kind, cls in families().items()
        for size, row in cls.SIZES.items()
    }
