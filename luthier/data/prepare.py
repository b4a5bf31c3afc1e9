"""From the data section of a recipe to splits that are ready to be read."""

from __future__ import annotations

from pathlib import Path

from luthier.data.decoding import Progress
from luthier.data.images import ImagesSpec
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.prepared import Prepared
from luthier.data.purpose import Purpose
from luthier.data.sources import DataSpec
from luthier.errors import InputError

LABELS = Purpose(learns="labels")


def prepare(
    spec: DataSpec,
    *,
    seed: int,
    purpose: Purpose = LABELS,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Prepared:
    """Reads, checks, splits and measures.

    Args:
        spec: The data section of a recipe.
        seed: Of all that is random in training.
        purpose: What a task wants to learn of it.
        progress: Told what is being done, and how far it is.
        cache: Where prepared data is kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it is not the kind of data that the task learns from.
        StorageError: If the cache cannot be written.
    """
    assert isinstance(spec, ImagesSpec)
    if purpose.learns != "labels":
        raise InputError(
            f"data.kind: {spec.kind} has pictures with a label each; a task that learns "
            f"{purpose.learns.replace('_', ' ')} wants texts"
        )
    return prepare_pictures(spec, seed=seed, progress=progress, cache=cache)
