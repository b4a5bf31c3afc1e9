"""The embedded default: handwritten digits that come with scikit-learn."""

from __future__ import annotations

import gzip
import importlib.metadata
from pathlib import Path
from typing import Literal

import numpy as np

from luthier.data.collection import Collection, Part
from luthier.data.faults import Faults
from luthier.data.images import ImagesSpec
from luthier.data.readers.naming import class_names, inside
from luthier.errors import DataError

SIDE = 8
BRIGHTEST = 16


class DigitsSpec(ImagesSpec):
    """Handwritten digits, 8 x 8 pixels in grey: nothing to download.

    Source:
        The test half of Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998,
        UCI, CC BY 4.0, as scikit-learn ships it.
    """

    kind: Literal["digits"] = "digits"

    def collect(self, faults: Faults) -> Collection:
        """All of them, as one split."""
        # Read as a file: importing scikit-learn takes longer than the training of a small network.
        with gzip.open(_file(), "rt") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)
        values, labels = table[:, :-1].reshape(-1, SIDE, SIDE, 1), table[:, -1]
        pixels = (values * 255 / BRIGHTEST).round().astype(np.uint8)
        classes = class_names(self.classes, labels)
        kept = inside(labels, classes, "digits[{}]".format, faults)
        return Collection(
            recognised=f"{len(labels):,} embedded handwritten digits of 8 x 8 pixels",
            classes=classes,
            parts={"train": Part(labels=labels, pictures=pixels).subset(kept)},
        )

    def stamp(self) -> str | None:
        """None: it is read in no time."""
        return None


def _file() -> Path:
    inside_package = "sklearn/datasets/data/digits.csv.gz"
    path = Path(str(importlib.metadata.distribution("scikit-learn").locate_file(inside_package)))
    if not path.is_file():
        raise DataError(f"{path}: is missing; scikit-learn 1.4 or later should have it")
    return path
