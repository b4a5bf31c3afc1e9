"""From what a reader found to rows with what a task learns of them, by split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import SPLITS, Split
from luthier.data.faults import Faults
from luthier.data.finding import Finding
from luthier.data.purpose import Purpose
from luthier.data.readers.clinc import ClincSpec
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.snips import SnipsSpec
from luthier.data.readers.text_folder import TextFolderSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.split import DIGEST_BYTES, balanced_subset, make_splits
from luthier.data.text.labelled.found import FoundTexts, Tagging, TextRow
from luthier.data.text.labelled.numbering import Numbering, Parts
from luthier.errors import DataError, InputError
from luthier.spec import Auto, Decision

LabelledSpec = TextTableSpec | TextFolderSpec | TextLinesSpec | ConllSpec | ClincSpec | SnipsSpec
"""Every source of texts with labels or tags."""
UNFILLED = "has no training text"


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """Texts by split, train first, with the labels and tags that are asked for."""

    parts: Mapping[Split, Sequence[TextRow]]
    numbering: Numbering
    tagging: Tagging | None
    """None where no tags are asked for."""
    decisions: tuple[Decision, ...]
    recognised: str
    skipped: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def read_labelled(spec: LabelledSpec, purpose: Purpose) -> LabelledTexts:
    """Reads, checks and splits.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it has no labels or tags that the task could learn.
    """
    faults = Faults(spec.on_error, one="text")
    found = spec.collect(faults)
    if not any(found.parts.values()):
        faults.settle()  # if all were at fault, their faults tell more
        raise DataError(f"{found.recognised}: holds no texts that can be used")
    given, tagging = _asked_for(found, spec, purpose)
    classes: tuple[str, ...] | Auto | None = None
    if purpose.learns != "tags" and not isinstance(spec, ConllSpec):
        classes = spec.classes
    numbering = Numbering.of(given, classes, tagging)
    given = numbering.usable(given, faults)
    faults.settle()
    parts, split_decisions = _splits(spec, given, numbering)
    unfilled = _unfilled(spec, numbering, parts["train"])
    return LabelledTexts(
        parts=parts,
        numbering=numbering,
        tagging=tagging,
        decisions=(*found.decisions, *_names(spec, numbering), *split_decisions),
        recognised=_recognised(found, given, numbering),
        skipped=(*faults.found, *unfilled),
        findings=found.findings,
    )


def normal_form(row: TextRow) -> str:
    """A text in lower case with single spaces; the two of a pair with a line break between."""
    both = (row.text,) if row.second is None else (row.text, row.second)
    return "\n".join(" ".join(text.casefold().split()) for text in both)


def groups_of(rows: Sequence[TextRow]) -> NDArray[np.void]:
    """A hash of each text, or pair; equal for those that differ in case and white space alone."""
    found = [
        hashlib.blake2b(normal_form(row).encode(), digest_size=DIGEST_BYTES).digest()
        for row in rows
    ]
    return np.frombuffer(b"".join(found), dtype=np.dtype((np.void, DIGEST_BYTES)))


def _asked_for(
    found: FoundTexts, spec: LabelledSpec, purpose: Purpose
) -> tuple[Parts, Tagging | None]:
    """The rows; without words and tags, where the task does not learn them.

    Raises:
        InputError: If it is not there, or settings are of something else.
    """
    labels = purpose.learns in ("labels", "labels_and_tags")
    tags = purpose.learns in ("tags", "labels_and_tags")
    learned = purpose.learns.replace("_", " ")
    if purpose.learns == "documents":
        raise InputError(
            f"data.kind: {spec.kind} has texts with labels or tags; a task that learns documents "
            "wants {kind: text}, which reads tables too"
        )
    some = next(row for part in found.parts.values() for row in part)
    if (labels and some.label is None) or (tags and some.tags is None):
        has = "a tag for each word" if some.label is None else "a label for each text"
        raise InputError(f"data.kind: {spec.kind} has {has}; the task learns {learned}")
    unused = [*(() if labels else ("classes",)), *(() if tags else ("tags", "words"))]
    for setting in unused:
        if setting in spec.model_fields_set:
            raise InputError(f"data.{setting}: the task learns {learned}, so leave it out")
    if tags:
        return found.parts, found.tagging
    parts = {
        split: [row._replace(words=None, tags=None) for row in part]
        for split, part in found.parts.items()
    }
    return parts, None


def _splits(
    spec: LabelledSpec, given: Parts, numbering: Numbering
) -> tuple[dict[Split, Sequence[TextRow]], tuple[Decision, ...]]:
    """The given splits, each up to the limit, and those that are made."""
    parts = dict(given)
    if spec.limit is not None:
        for split, rows in given.items():
            chosen = balanced_subset(numbering.strata(rows), spec.limit, spec.split.seed)
            parts[split] = [rows[row] for row in chosen]
    for split, rows in parts.items():
        if not rows:
            raise DataError(f"no usable text is left for {split}")
    train = parts["train"]
    made, decisions = make_splits(
        spec.split,
        {split: len(rows) for split, rows in parts.items()},
        numbering.strata(train),
        lambda: groups_of(train),
        "texts",
    )
    parts |= {split: [train[row] for row in rows] for split, rows in made.items()}
    return {split: parts[split] for split in SPLITS if split in parts}, decisions


def _unfilled(
    spec: LabelledSpec, numbering: Numbering, train: Sequence[TextRow]
) -> list[tuple[str, str]]:
    """The classes that cannot be learned."""
    if not numbering.classes:
        return []
    faults = Faults(spec.on_error, one="class")
    limited = f" (data.limit is {spec.limit})" if spec.limit is not None else ""
    counts = np.bincount(numbering.labels(train), minlength=len(numbering.classes))
    for number in np.flatnonzero(counts == 0):
        faults.add(f'class "{numbering.classes[int(number)]}"', f"{UNFILLED}{limited}")
    faults.settle()
    return faults.found


def _names(spec: LabelledSpec, numbering: Numbering) -> list[Decision]:
    """The names of classes and tags that were left to luthier."""
    found = {"classes": numbering.classes, "tags": numbering.tags}
    given = spec.model_dump(include={"classes", "tags"})
    return [
        Decision(place=f"data.{setting}", value=list(names), reason="as they are in the data")
        for setting, names in found.items()
        if names and given[setting] == "auto"
    ]


def _recognised(found: FoundTexts, given: Parts, numbering: Numbering) -> str:
    counts = [f"{len(rows):,} {split}" for split, rows in given.items()]
    told = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    kinds = [f"{len(numbering.classes)} classes"] if numbering.classes else []
    kinds += [f"{len(numbering.tags)} tags"] if numbering.tags else []
    return f"{found.recognised}: {told} texts, {' and '.join(kinds)}"
