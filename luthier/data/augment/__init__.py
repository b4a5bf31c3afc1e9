"""Augmentation: random changes of training pictures, declared in a recipe.

Each value that is drawn is a function of (seed, epoch, row, name of the augmentation).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from luthier.data.augment.colour import ColourSpec, EraseSpec
from luthier.data.augment.geometry import AffineSpec, CropSpec, FlipSpec, ShiftSpec
from luthier.data.augment.mix import CutmixSpec, MixupSpec

ChangeSpec = FlipSpec | ShiftSpec | CropSpec | AffineSpec | ColourSpec | EraseSpec
"""Changes one picture."""
MixSpec = MixupSpec | CutmixSpec
"""Mixes two rows."""
Augment = Annotated[ChangeSpec | MixSpec, Field(discriminator="kind")]


def streams(augment: Sequence[ChangeSpec | MixSpec]) -> list[str]:
    """The name of each augmentation's stream of random values: its kind, numbered if repeated.

    So adding one of another kind leaves the values of the others alone.

    Example:
        >>> streams([FlipSpec(), CropSpec(), FlipSpec(direction="vertical")])
        ['augment/flip/1', 'augment/crop/1', 'augment/flip/2']
    """
    seen: Counter[str] = Counter()
    names = []
    for spec in augment:
        seen[spec.kind] += 1
        names.append(f"augment/{spec.kind}/{seen[spec.kind]}")
    return names
