"""The documents of a source, read once: where they are spooled, and what was learned of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from luthier.data.faults import Faults
from luthier.data.finding import Finding, counted
from luthier.data.readers.splits import split_in_path
from luthier.data.readers.text import TextSpec
from luthier.data.readers.text_files import TextFiles, form_of, opened
from luthier.data.text.columns import Columns
from luthier.data.text.documents.division import GROUP_OF, UNNAMED, Division, divide
from luthier.data.text.documents.documents import TOKEN_BYTES, Reading
from luthier.data.text.documents.spool import Spool, SpoolWriter
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError
from luthier.spec import Decision

Told = Callable[[int], None]
"""Told how many bytes are done."""
TOLD_EVERY_BYTES = 2**22


@dataclass(frozen=True)
class Survey:
    """What lies at a source's place."""

    spool: Spool
    division: Division
    recognised: str
    """What it is, in one sentence."""
    decisions: tuple[Decision, ...]
    """What was left to the reader."""


def holds_tokens(files: TextFiles) -> bool:
    """Whether the files hold ready tokens.

    Raises:
        DataError: If some do, and some hold texts.
    """
    tokens = [file for file in files.files if form_of(file.path.name) == "tokens"]
    if tokens and len(tokens) < len(files.files):
        other = next(file for file in files.files if file not in tokens)
        raise DataError(
            f"{tokens[0].path}: holds tokens, but {other.path} holds text; wanted one or the "
            "other, or mix them: data.kind=mixture"
        )
    return bool(tokens)


def survey(
    spec: TextSpec, spool: Path, faults: Faults, tokenizer: Tokenizer | None, told: Told
) -> Survey:
    """Reads all documents into a spool.

    Args:
        spec: The source.
        spool: The file to write them to.
        faults: Takes up documents that cannot be used.
        tokenizer: Of files of tokens; not used for others.
        told: Is told how many bytes of the files are read.

    Raises:
        DataError: If they cannot be used, or there are none.
    """
    files = spec.files()
    what = _what(spec, files)
    tokens = holds_tokens(files)
    reading = Reading(spec.document, None)
    if spec.named_columns != "auto":
        reading.columns = Columns(spec.named_columns)
    if tokens:
        assert tokenizer is not None, "tokens need a tokenizer"
        reading.vocab, reading.end = tokenizer.size, tokenizer.special("end")
    writer = SpoolWriter(spool, faults, TOKEN_BYTES if tokens else 1)
    forms = _read_all(spec, files, reading, writer, faults, told)
    read = writer.close()
    faults.settle()
    _refuse_unused(spec, forms, what)
    if not len(read):
        found = f"{faults.found[0][0]} {faults.found[0][1]}" if faults.found else "all are empty"
        raise DataError(f"{what}: there is no text that can be used: {found}")
    division = divide(read, spec.split, what)
    columns = reading.columns
    decided = (columns.decision,) if columns is not None and columns.decision else ()
    return Survey(read, division, _sentence(what, read, files), (*decided, *division.decisions))


def _read_all(
    spec: TextSpec,
    files: TextFiles,
    reading: Reading,
    writer: SpoolWriter,
    faults: Faults,
    told: Told,
) -> set[str]:
    """Every document of every file, up to the limit of each split; the forms that were met."""
    forms: set[str] = set()
    counts = [0] * (len(GROUP_OF) + 1)
    before = 0
    for file in files.files:
        size, done, reported = file.path.stat().st_size, 0, 0
        try:
            for stored, form in opened(file, faults):
                forms.add(form)
                split = split_in_path(stored.path)
                group = UNNAMED if split is None else GROUP_OF[split]
                if spec.limit is not None and counts[group] >= spec.limit:
                    continue
                for part in reading.parts(stored, form, faults):
                    writer.add(part.data, plain=part.plain)
                    done += len(part.data)
                    if done - reported > TOLD_EVERY_BYTES:
                        reported = done
                        told(before + min(done, size))
                    if part.ends:
                        counts[group] += writer.end(part.name, group)
                        if counts[group] == spec.limit:
                            break
        except DataError as error:
            if spec.on_error == "stop":
                raise
            writer.drop()
            faults.add(str(file.shown), str(error))
        before += size
        told(before)
    return forms


def _refuse_unused(spec: TextSpec, forms: set[str], what: str) -> None:
    """A setting that nothing was read with."""
    if "document" in spec.model_fields_set and forms and "plain" not in forms:
        raise DataError(
            f"data.document: got {spec.document}, but {what} has no plain text; leave it out"
        )
    if spec.named_columns != "auto" and forms and "table" not in forms:
        names = ", ".join(spec.named_columns)
        raise DataError(f"data.column: got {names}, but {what} has no table; leave it out")


def repeated(found: Survey) -> Iterator[Finding]:
    """Texts that come more than once."""
    keys = {}
    for split, spans in found.division.splits.items():
        starts = spans.starts[spans.ended]  # of a text that was cut, the end alone counts
        keys[split] = found.spool.keys[np.searchsorted(found.spool.stops, starts, side="right")]
    for split, own in keys.items():
        if split == "train":
            again = len(own) - len(np.unique(own))
            if again:
                yield Finding(
                    severity="note",
                    message=f"{counted(again, 'text')} to train on came before, word for word",
                )
        elif seen := int(np.isin(own, keys["train"]).sum()):
            yield Finding(
                severity="warning",
                message=f"{seen:,} of {counted(len(own), f'{split} text')} are training texts, "
                "too: what is measured on them says little",
            )


def _what(spec: TextSpec, files: TextFiles) -> str:
    if len(files.files) == 1:
        return str(files.files[0].path)
    return f"{len(files.files):,} files of {', '.join(spec.paths)}"


def _sentence(what: str, spool: Spool, files: TextFiles) -> str:
    size = int(spool.stops[-1])
    amount = f"{size:,} bytes" if spool.unit_bytes == 1 else f"{size // TOKEN_BYTES:,} tokens"
    told = f"{what}: {counted(len(spool), 'text')}, {amount}"
    if spool.empty:
        told += f"; {counted(spool.empty, 'empty one')} left out"
    if files.aside:
        told += f"; {counted(files.aside, 'file')} of other kinds left aside"
    return told
