"""From pictures to splits that are ready to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from luthier.data.cache import cached
from luthier.data.collection import Decoded, Rows, Split
from luthier.data.decoding import Progress, find, in_memory
from luthier.data.image import MeanStd, Preprocessing
from luthier.data.images import ImagesSpec
from luthier.data.picture_inputs import PictureInputs
from luthier.data.pictures import PictureExamples
from luthier.data.prepared import Noun, Prepared
from luthier.data.split import digests, make_splits
from luthier.data.statistics import mean_std
from luthier.data.target import Labels
from luthier.errors import DataError
from luthier.spec import Decision

NOUN = Noun(one="image", many="images", unit="images")


@dataclass(frozen=True, kw_only=True)
class PreparedPictures(Prepared):
    """Pictures that are ready to be trained on."""

    train: PictureExamples
    validation: PictureExamples | None
    test: PictureExamples | None
    target: Labels
    decoded: Decoded
    """All rows of all splits."""


def prepare_pictures(
    spec: ImagesSpec, *, seed: int, progress: Progress | None = None, cache: Path | None = None
) -> PreparedPictures:
    """Reads, checks, decodes, splits and measures.

    Args:
        spec: The data section of a recipe.
        seed: Of the augmentation.
        progress: Told what is being done, and how far it is.
        cache: Where decoded pictures are kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        StorageError: If the cache cannot be written.
    """
    decoded = _decoded(spec, progress, cache)
    splits, split_decisions = _splits(spec, decoded)
    preprocessing, decisions = _preprocessing(spec, decoded, splits["train"])
    counts = np.bincount(decoded.labels[splits["train"]], minlength=len(decoded.classes))
    skipped = (*decoded.skipped, *_empty_classes(spec, decoded.classes, counts))
    examples = {
        name: PictureExamples(
            decoded,
            name,
            rows,
            preprocessing,
            augment=spec.augment if name == "train" else (),
            seed=seed,
        )
        for name, rows in splits.items()
    }
    return PreparedPictures(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=Labels(names=decoded.classes, counts=tuple(counts.tolist())),
        signal=examples["train"].signal,
        inputs=PictureInputs(preprocessing),
        decisions=(*decisions, *split_decisions),
        fingerprint=_fingerprint(decoded, splits),
        recognised=decoded.recognised,
        skipped=skipped,
        noun=NOUN,
        decoded=decoded,
    )


def _decoded(spec: ImagesSpec, progress: Progress | None, cache: Path | None) -> Decoded:
    stamp = spec.stamp()
    if stamp is not None:
        return cached(spec, stamp, progress, cache)
    faults = spec.faults()
    return in_memory(find(spec, faults, progress), faults, progress)


def _empty_classes(spec: ImagesSpec, classes: Sequence[str], counts: Rows) -> list[tuple[str, str]]:
    """The classes that cannot be learned."""
    faults = spec.faults()
    limited = f" (data.limit is {spec.limit})" if spec.limit is not None else ""
    for number in np.flatnonzero(counts == 0):
        faults.add(f'class "{classes[int(number)]}"', f"has no training picture{limited}")
    faults.settle()
    return faults.found


def _splits(spec: ImagesSpec, decoded: Decoded) -> tuple[dict[Split, Rows], tuple[Decision, ...]]:
    """The given splits and those that are made, as row numbers."""
    train = decoded.splits["train"]
    sizes = {name: len(rows) for name, rows in decoded.splits.items()}
    made, decisions = make_splits(
        spec.split, sizes, decoded.labels[train], lambda: digests(decoded.images[train]), "pictures"
    )
    return {**decoded.splits, **{name: train[rows] for name, rows in made.items()}}, decisions


def _preprocessing(
    spec: ImagesSpec, decoded: Decoded, train: Rows
) -> tuple[Preprocessing, tuple[Decision, ...]]:
    """How pixels are read, and what was decided about it."""
    height, width, channels = decoded.images.shape[1:]
    decisions = []
    values = {"image_size": [height, width], "channels": channels}
    if spec.classes == "auto":
        names = list(decoded.classes)
        decisions.append(
            Decision(place="data.classes", value=names, reason="as they are in the data")
        )
    for name, reason in decoded.reasons.items():
        decisions.append(Decision(place=f"data.{name}", value=values[name], reason=reason))
    figures = MeanStd(mean=(0.0,), std=(1.0,))
    if spec.normalize == "auto":
        figures, rows = mean_std(decoded.images, train)
        decisions.append(
            Decision(
                place="data.normalize",
                value={"mean": list(figures.mean), "std": list(figures.std)},
                reason=f"measured on {rows:,} training pictures",
            )
        )
    elif isinstance(spec.normalize, MeanStd):
        figures = spec.normalize
        if len(figures.mean) not in (1, channels):
            raise DataError(
                f"data.normalize: got {len(figures.mean)} means, but the pictures have "
                f"{channels} channels; give as many, or set data.channels"
            )
    preprocessing = Preprocessing(
        height=height,
        width=width,
        channels=channels,
        fit=spec.fit,
        interpolation=spec.interpolation,
        divisor=1.0 if spec.normalize == "none" else 255.0,
        mean=figures.mean,
        std=figures.std,
    )
    return preprocessing, tuple(decisions)


def _fingerprint(decoded: Decoded, splits: Mapping[Split, Rows]) -> str:
    """Of every pixel, label, class name and split."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\0".join(decoded.classes).encode())
    digest.update(str(decoded.images.shape).encode())
    if decoded.pixel_digest is None:
        digest.update(np.ascontiguousarray(decoded.images).data)
    else:
        digest.update(decoded.pixel_digest.encode())
    digest.update(np.ascontiguousarray(decoded.labels).data)
    for name in sorted(splits):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(splits[name]).data)
    return digest.hexdigest()
