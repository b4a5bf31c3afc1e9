"""CIFAR-10 in its binary form: batches of records of one label and 3,072 pixel bytes.

Dimension key, for the whole file:
    N  rows      C  channels      H  height      W  width
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from luthier.data.collection import Collection, Part, Split
from luthier.data.faults import Faults
from luthier.data.readers.naming import inside
from luthier.errors import DataError
from luthier.spec import Auto

BATCH = re.compile(r"(data_batch_[1-5]|test_batch)\.bin")
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE_CHW = (3, 32, 32)
RECORD_BYTES = 1 + 3 * 32 * 32


def by_batches(
    batches: Mapping[str, bytes], wanted: tuple[str, ...] | Auto, what: str, faults: Faults
) -> Collection:
    """The pictures of the batches, by file name; `test_batch.bin` is the test split.

    Source:
        Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".

    Raises:
        DataError: If a batch is cut off, or there is none to train on.
    """
    classes = NAMES if wanted == "auto" else wanted
    by_split: dict[Split, list[str]] = {"train": [], "test": []}
    for name in sorted(batches):
        by_split["test" if name.startswith("test") else "train"].append(name)
    if not by_split["train"]:
        raise DataError(f"{what}: has test_batch.bin, but no data_batch_1.bin to train on")
    parts = {}
    for split, names in by_split.items():
        if not names:
            continue
        for name in names:
            if not batches[name] or len(batches[name]) % RECORD_BYTES:
                raise DataError(
                    f"{what}: {name} has {len(batches[name]):,} bytes; wanted a multiple of "
                    f"{RECORD_BYTES:,}: it is cut off, or no CIFAR-10 batch"
                )
        records = np.frombuffer(b"".join(batches[name] for name in names), dtype=np.uint8)
        records = records.reshape(-1, RECORD_BYTES)
        images = records[:, 1:].reshape(-1, *SHAPE_CHW).transpose(0, 2, 3, 1)
        labels = records[:, 0].astype(np.int64)
        kept = inside(labels, classes, f"{split}[{{}}]".format, faults)
        parts[split] = Part(labels=labels, pictures=np.ascontiguousarray(images)).subset(kept)
    rows = " and ".join(f"{len(part.labels):,} {split}" for split, part in parts.items())
    return Collection(
        recognised=f"{what}: CIFAR-10's binary version, {rows} pictures",
        classes=classes,
        parts=parts,
    )
