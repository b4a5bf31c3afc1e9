"""Snips 2017: requests to a voice assistant with an intent, and slots in their words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.finding import Finding, counted
from luthier.data.readers.naming import check_names
from luthier.data.readers.place import existing
from luthier.data.readers.rows import MAX_TABLE_BYTES
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.split import SplitSpec
from luthier.data.text.labelled.found import CutOff, FoundTexts, Tagging, TextRow, problem_with
from luthier.data.text.labelled.tagging import OUTSIDE
from luthier.data.text.labelled.texts import TextsSpec
from luthier.data.text.labelled.words import Division, words_in
from luthier.errors import DataError
from luthier.spec import Auto, Many

USUAL_VALIDATION = 0.05078
"""Gives the usual 700 of the 13,784 training requests."""
_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
"""From the surrogates that stand for bytes that are not UTF-8."""


class SnipsSpec(TextsSpec):
    """Folders of the intents with `train_INTENT_full.json` and `validate_INTENT.json`.

    The validation files are the usual test split; a validation split is set apart from the
    training files.

    Source:
        Coucke et al. 2018 (Snips Voice Platform), the custom-intent-engines benchmark of 2017.
    """

    kind: Literal["snips"] = "snips"

    path: str
    """The folder, or an archive of it, with a folder for each intent."""
    split: SplitSpec = Field(
        default_factory=lambda: SplitSpec(validation=USUAL_VALIDATION, test=0.0)
    )
    """What is set apart from the training files."""
    words: Division = "signs"
    """What divides a request into words: spaces, ends (signs at a word's ends are words), signs
    (each sign is a word), characters. The ends of a slot divide words too."""
    classes: Many[str] | Auto = "auto"
    """The names of the intents, in the order of their numbers."""
    tags: Many[str] | Auto = "auto"
    """The names of the tags, in the order of their numbers."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else if the task asks."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_names(self.classes)
        check_names(self.tags, "tags")
        return self

    def collect(self, faults: Faults) -> FoundTexts:
        """Every request of the full training files and of the validation files."""
        place = existing(self.path, "the folder with a folder for each intent")
        parts: dict[Split, list[TextRow]] = {}
        findings: list[Finding] = []
        parted = 0
        for file, intent, split in snips_files(stored_files(place, faults)):
            document, foreign = _read(file)
            if foreign:
                findings.append(_foreign_finding(file, foreign))
            entries = document.get(intent) if isinstance(document, dict) else None
            if not isinstance(entries, list):
                raise DataError(f'{file.where}: wanted an object with a list "{intent}"')
            for number, entry in enumerate(entries):
                name = f"{file.name} {intent}[{number}]"
                request = _request(entry)
                problem = request if isinstance(request, str) else problem_with(request.text)
                if isinstance(request, str) or problem:
                    faults.add(name, str(problem))
                    continue
                words, tags, inside = tagged_words(request, self.words)
                parted += inside
                text = " ".join(request.text.split())
                row = TextRow(name, text, label=intent, words=words, tags=tags)
                parts.setdefault(split, []).append(row)
        if "train" not in parts:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{place}: has no INTENT/train_INTENT_full.json; wanted Snips 2017")
        if parted:
            findings.append(_parted_finding(parted, self.words))
        return FoundTexts(
            recognised=f"Snips 2017 {place}",
            parts=parts,
            tagging=Tagging(
                scheme="BIO",
                division=self.words,
                names=None if self.tags == "auto" else self.tags,
            ),
            findings=tuple(findings),
        )


class Request(NamedTuple):
    """A request, and where its slots begin and end."""

    text: str
    slots: Sequence[tuple[str, int, int]]


def snips_files(files: Sequence[Stored]) -> list[tuple[Stored, str, Split]]:
    """The files that are read, each with its intent and its split."""
    found: list[tuple[Stored, str, Split]] = []
    for file in files:
        intent = file.path.parent.name
        splits: Mapping[str, Split] = {
            f"train_{intent}_full.json": "train",
            f"validate_{intent}.json": "test",
        }
        split = splits.get(PurePosixPath(file.path).name)
        if intent and split:
            found.append((file, intent, split))
    return found


def tagged_words(request: Request, division: Division) -> tuple[list[str], list[str], int]:
    """The words of a request, the BIO tag of each, and how many words a slot's end divided.

    Example:
        >>> tagged_words(Request("play abba's hits", [("artist", 5, 9)]), "spaces")
        (['play', 'abba', "'s", 'hits'], ['O', 'B-artist', 'O', 'O'], 1)
    """
    edges = sorted({edge for _, start, end in request.slots for edge in (start, end)})
    words, slots, divided = [], [], 0
    for start, end in words_in(request.text, division):
        cuts = [edge for edge in edges if start < edge < end]
        divided += bool(cuts)
        for begun, ended in zip([start, *cuts], [*cuts, end], strict=True):
            words.append(request.text[begun:ended])
            slots.append(_slot_at(request, begun))
    tags = [
        OUTSIDE if slot is None else f"{'I' if slot == before else 'B'}-{request.slots[slot][0]}"
        for slot, before in zip(slots, [None, *slots], strict=False)
    ]
    return words, tags, divided


def _slot_at(request: Request, at: int) -> int | None:
    """The number of the slot that a place of the text lies in."""
    inside = (n for n, (_, start, end) in enumerate(request.slots) if start <= at < end)
    return next(inside, None)


def _read(file: Stored) -> tuple[Any, int]:
    """The document, and how many bytes were no UTF-8 and were read as Latin-1."""
    with file.open() as stream:
        data = stream.read(MAX_TABLE_BYTES + 1)
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(f"{file.where}: is larger than {MAX_TABLE_BYTES // 2**30} GiB")
    text = data.decode("utf-8-sig", errors="surrogateescape")
    foreign = sum(1 for character in text if "\udc80" <= character <= "\udcff")
    try:
        return json.loads(text.translate(_LATIN_1) if foreign else text), foreign
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{file.where}: is no JSON: {error}") from None


def _request(entry: Any) -> Request | str:
    """A request of a file; or why it is none."""
    spans = entry.get("data") if isinstance(entry, dict) else None
    if not isinstance(spans, list):
        return 'has no list "data"'
    text = ""
    slots = []
    for span in spans:
        part = span.get("text") if isinstance(span, dict) else None
        name = span.get("slot_name", span.get("entity")) if isinstance(span, dict) else None
        if not isinstance(part, str) or not (name is None or isinstance(name, str)):
            return 'has a part without a "text"'
        if name is not None:
            slots.append((name, len(text), len(text) + len(part)))
        text += part
    return Request(text, slots)


def _foreign_finding(file: Stored, foreign: int) -> Finding:
    return Finding(
        severity="note",
        message=f"{counted(foreign, 'byte')} of {file.name} are no UTF-8, and were read as Latin-1",
        files=(file.where,),
    )


def _parted_finding(parted: int, division: Division) -> Finding:
    return Finding(
        severity="note",
        message=f"{counted(parted, 'word')} (data.words={division}) divided where a slot begins or "
        "ends; a finished model will not see such words divided",
    )
