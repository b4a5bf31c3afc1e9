"""From what a reader of sounds found to rows by split, with class numbers or texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from luthier.data.collection import SPLITS, Rows, Split
from luthier.data.faults import Faults
from luthier.data.purpose import Purpose
from luthier.data.readers.naming import sorted_names, unknown_class
from luthier.data.sound.found import FoundSounds, Parts, SoundRow
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.sound.spoken import as_spoken
from luthier.data.sound.waves import read_file
from luthier.data.split import DIGEST_BYTES, balanced_subset, make_splits
from luthier.errors import DataError, InputError
from luthier.spec import Decision


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """Rows that a task can learn, one behind the other."""

    recognised: str
    rows: Sequence[SoundRow]
    splits: Mapping[Split, Rows]
    """The given splits, as numbers of rows."""
    classes: tuple[str, ...]
    """Empty where no labels are asked for."""
    labels: Rows
    """`(rows,)` class numbers; -1 where no labels are asked for."""
    decisions: tuple[Decision, ...]


def numbered(spec: SoundsSpec, purpose: Purpose, faults: Faults) -> Numbered:
    """Reads what is there, and checks that it has what the task learns.

    Raises:
        DataError: If it cannot be used.
        InputError: If it has no labels or texts that the task could learn.
    """
    found = spec.collect(faults)
    faults.settle()
    labelled = purpose.learns == "labels"
    _must_have(found, spec, labelled=labelled)
    _must_be_used(spec, labelled=labelled)
    classes: tuple[str, ...] = ()
    decisions = list(found.decisions)
    parts: Parts = found.parts
    if labelled:
        classes, parts = _classes(spec, parts, faults)
        if spec.classes == "auto":
            reason = "as they are in the data"
            decisions.append(Decision(place="data.classes", value=list(classes), reason=reason))
    else:
        parts = _written(spec, parts, faults)
        made, split_decisions = _apart(spec, parts)
        decisions += split_decisions
        if spec.join is not None:
            made = {split: spec.join.joined(rows, split) for split, rows in made.items()}
        parts = made
    number = {name: position for position, name in enumerate(classes)}
    parts = {split: _limited(spec, rows, number) for split, rows in parts.items()}
    rows: list[SoundRow] = []
    splits: dict[Split, Rows] = {}
    for split in SPLITS:
        if split in parts:
            if not parts[split]:
                raise DataError(f"{found.recognised}: no usable sound is left for {split}")
            splits[split] = np.arange(len(rows), len(rows) + len(parts[split]))
            rows += parts[split]
    return Numbered(
        recognised=found.recognised,
        rows=rows,
        splits=splits,
        classes=classes,
        labels=_labels(rows, number),
        decisions=tuple(decisions),
    )


def groups_of(digests: Sequence[str]) -> np.ndarray:
    """Values that are equal for equal sounds."""
    found = [hashlib.blake2b(d.encode(), digest_size=DIGEST_BYTES).digest() for d in digests]
    return np.frombuffer(b"".join(found), dtype=np.dtype((np.void, DIGEST_BYTES)))


def _must_be_used(spec: SoundsSpec, *, labelled: bool) -> None:
    """Refuses settings that the task does not use."""
    unused = ("tokenizer", "spoken", "join", "text") if labelled else ("classes", "label")
    learns = "labels" if labelled else "what is said"
    for setting in unused:
        if setting in spec.model_fields_set:
            raise InputError(f"data.{setting}: the task learns {learns}, so leave it out")


def _written(spec: SoundsSpec, parts: Parts, faults: Faults) -> Parts:
    """The rows with something said in them, as it is to be written."""
    kept: dict[Split, list[SoundRow]] = {}
    for split, rows in parts.items():
        kept[split] = []
        for row in rows:
            text = (as_spoken if spec.spoken else str.strip)(row.text or "")
            if text:
                kept[split].append(replace(row, text=text))
            elif row.text and row.text.strip():
                faults.add(row.name, f"has nothing that is spoken in its text: {row.text!r:.40}")
            else:
                faults.add(row.name, "has no text")
    faults.settle()
    return kept


def _apart(spec: SoundsSpec, parts: Parts) -> tuple[Parts, tuple[Decision, ...]]:
    """All splits, where sounds are to be joined: before that, so that none is in two of them."""
    if spec.join is None:
        return parts, ()
    train = parts["train"]
    made, decisions = make_splits(
        spec.split,
        {split: len(rows) for split, rows in parts.items()},
        np.unique([row.text or "" for row in train], return_inverse=True)[1],
        lambda: groups_of([_bytes_of(row) for row in train]),
        "sounds",
    )
    return {**parts, **{split: [train[n] for n in rows] for split, rows in made.items()}}, decisions


def _bytes_of(row: SoundRow) -> str:
    """A hash of a row's files; of those that cannot be read, their names."""
    try:
        data = b"\0".join(read_file(part) for part in row.parts)
    except DataError:
        return row.name
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def _must_have(found: FoundSounds, spec: SoundsSpec, *, labelled: bool) -> None:
    some = next(row for part in found.parts.values() for row in part)
    if labelled and some.label is None:
        has = "what is said in each sound" if some.text is not None else "no label for a sound"
        raise InputError(
            f"data.kind: {spec.kind} has {has} here, and the task learns labels; wanted sounds "
            "with a label, or task: {kind: transcribe}"
        )
    if not labelled and some.text is None:
        has = "a label for each sound" if some.label is not None else "no text for a sound"
        raise InputError(
            f"data.kind: {spec.kind} has {has} here, and the task learns what is said; wanted "
            "sounds with a text, or task: {kind: classify}"
        )


def _classes(spec: SoundsSpec, parts: Parts, faults: Faults) -> tuple[tuple[str, ...], Parts]:
    """The names of the classes, and the rows that are of one."""
    labels = {row.label for part in parts.values() for row in part if row.label is not None}
    if spec.classes == "auto":
        return sorted_names(labels), parts
    kept: dict[Split, list[SoundRow]] = {}
    for split, rows in parts.items():
        kept[split] = [row for row in rows if row.label in spec.classes]
        for row in rows:
            if row.label not in spec.classes:
                faults.add(row.name, unknown_class(str(row.label), spec.classes))
    faults.settle()
    return spec.classes, kept


def _limited(
    spec: SoundsSpec, rows: Sequence[SoundRow], number: Mapping[str, int]
) -> Sequence[SoundRow]:
    if spec.limit is None:
        return rows
    chosen = balanced_subset(_labels(rows, number), spec.limit, spec.split.seed)
    return [rows[row] for row in chosen]


def _labels(rows: Sequence[SoundRow], number: Mapping[str, int]) -> Rows:
    return np.array([number.get(row.label or "", -1) for row in rows], dtype=np.int64)
