"""What is wrong with texts, told before anything is spent on training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from luthier.data.balance import FEW, balance_findings
from luthier.data.copies import Copied, equal_pairs
from luthier.data.decoding import Progress
from luthier.data.finding import FILES, Finding, counted, some_of, unusable, worst_first
from luthier.data.purpose import Purpose
from luthier.data.readers.mixture import MixtureSpec
from luthier.data.readers.text import TextSpec
from luthier.data.target import Labels, LabelsAndTags, Tags
from luthier.data.text.documents.prepare_documents import PreparedDocuments, prepare_documents
from luthier.data.text.labelled.labelled import UNFILLED, LabelledSpec, groups_of, normal_form
from luthier.data.text.labelled.prepare_texts import PreparedTexts, prepare_texts
from luthier.data.text.labelled.tagging import OUTSIDE, entities_in
from luthier.data.text.labelled.text_examples import TextExamples
from luthier.data.text.near_texts import MOST_CHARACTERS, near_pairs
from luthier.data.text.rows.mixing import MixedRows
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError

MANY_UNKNOWN = 0.1
"""The share of unknown tokens from where it is worth a warning."""
WORTH_TELLING = 5e-5
SHOWN_TEXTS = 3
SHOWN_TOKENS = 24
LITTLE_FILLED = 0.5
"""The share of rows that holds tokens, below which it is worth a warning."""
READ_TOKENS = 10_000_000
"""Of a split of documents."""

TextsSource = LabelledSpec | TextSpec | MixtureSpec


def inspect_texts(
    data: PreparedTexts | PreparedDocuments | TextsSource,
    purpose: Purpose | None = None,
    *,
    progress: Progress | None = None,
) -> list[Finding]:
    """Everything that is wrong with texts, or good to know of them, the worst first.

    Args:
        data: Prepared data, or the settings to prepare it by. Texts that cannot be used are then
            findings, whatever the settings say of errors.
        purpose: What a task wants of them; only where they are still to be prepared.
        progress: Told what is being done, and how far it is.
    """
    if not isinstance(data, PreparedTexts | PreparedDocuments):
        assert purpose is not None, "what is prepared is prepared for a purpose"
        lenient = data.model_copy(update={"on_error": "skip"})
        try:
            if isinstance(lenient, TextSpec | MixtureSpec):
                data = prepare_documents(lenient, purpose, seed=0, progress=progress)
            else:
                data = prepare_texts(lenient, purpose, seed=0, progress=progress)
        except DataError as error:
            return [Finding(severity="error", message=str(error))]
    found = _of_documents(data) if isinstance(data, PreparedDocuments) else _of_texts(data)
    skipped = [(name, why) for name, why in data.skipped if not why.startswith(UNFILLED)]
    return worst_first([*unusable(skipped, "text"), *data.findings, *found])


def _of_texts(data: PreparedTexts) -> Iterator[Finding]:
    yield from _unfilled(data)
    yield from _names(data)
    yield from _copies(data)
    for examples in _splits(data):
        yield from _cut(examples, data)
    yield from _unknown(data)
    yield _compression(data)
    texts = [data.train.encoded.tokens[row] for row in range(min(SHOWN_TEXTS, len(data.train)))]
    yield _as_tokens(data.tokenizer, texts)


def _splits(data: PreparedTexts) -> list[TextExamples]:
    given = (data.train, data.validation, data.test)
    return [examples for examples in given if examples is not None]


def _labels(target: Labels | Tags | LabelsAndTags) -> Iterator[Labels]:
    """The labels of a target, if it has some."""
    if isinstance(target, Labels):
        yield target
    elif isinstance(target, LabelsAndTags):
        yield target.labels


def _unfilled(data: PreparedTexts) -> Iterator[Finding]:
    for labels in _labels(data.target):
        counts = np.array(labels.counts)
        empty = [labels.names[number] for number in np.flatnonzero(counts == 0)]
        if empty:
            yield Finding(
                severity="error",
                message=f"{counted(len(empty), 'class', 'classes')} without a training text: "
                f"{some_of(empty)}",
            )


def _names(data: PreparedTexts) -> Iterator[Finding]:
    """Classes and tags that are rare, or missing where is measured."""
    held = {examples.split: examples.labels for examples in _splits(data)[1:]}
    for labels in _labels(data.target):
        yield from balance_findings(labels, held, "texts")
    tags = data.target.tags if isinstance(data.target, LabelsAndTags) else data.target
    if not isinstance(tags, Tags):
        return
    few = [
        f"{name} ({count:,})"
        for name, count in zip(tags.names, tags.counts, strict=True)
        if count < FEW
    ]
    if few:
        yield Finding(
            severity="warning",
            message=f"{counted(len(few), 'tag')} on fewer than {FEW} training words: "
            f"{some_of(few)}",
        )
    for examples in _splits(data):
        assert examples.tags is not None, "there are tags"
        words = len(examples.tags.values)
        told = f"{len(examples):,} {examples.split} texts have {words:,} words"
        if tags.scheme != "plain":
            entities = sum(len(entities_in(row.tags or (), tags.scheme)) for row in examples.rows)
            outside = np.mean(examples.tags.values == tags.names.index(OUTSIDE))
            told += f", {entities:,} entities; {outside:.1%} of the words are outside of them"
        yield Finding(severity="note", message=told)


def _copies(data: PreparedTexts) -> Iterator[Finding]:
    """Texts that differ in case and white space at most, and nearly equal ones."""
    splits = _splits(data)
    rows = [row for examples in splits for row in examples.rows]
    tagged = splits[0].tags is not None
    said = [repr((row.label, row.tags)) if tagged else row.label for row in rows]
    copied = Copied(
        splits=[examples.split for examples in splits],
        side=np.repeat(np.arange(len(splits)), [len(examples) for examples in splits]),
        labels=np.unique(np.array(said, dtype=object).astype(str), return_inverse=True)[1],
        name=lambda row: rows[row].name,
        one="text",
        said="taggings" if tagged else "labels",
    )
    groups = np.unique(groups_of(rows), return_inverse=True)[1]
    yield from copied.findings(equal_pairs(groups), "equal")
    texts = [normal_form(row) for row in rows]
    characters = sum(map(len, texts))
    if characters > MOST_CHARACTERS:
        yield Finding(
            severity="note",
            message=f"nearly equal texts were not looked for: {characters:,} characters, more than "
            f"{MOST_CHARACTERS:,}",
        )
        return
    near = near_pairs(texts)
    near = near[groups[near[:, 0]] != groups[near[:, 1]]]
    if tagged:  # their words differ, so their tags do
        copied = replace(copied, labels=np.zeros(len(rows), dtype=np.int64))
    yield from copied.findings(near, "nearly equal")


def _cut(examples: TextExamples, data: PreparedTexts) -> Iterator[Finding]:
    cut = examples.encoded.cut
    if len(cut):
        most = int(examples.encoded.whole[cut].max())
        yield Finding(
            severity="warning" if len(cut) > len(examples) // 100 else "note",
            message=f"{counted(len(cut), f'{examples.split} text')} of {len(examples):,} longer "
            f"than {data.form.context} tokens, the longest has {most:,}; cut at the "
            f"{data.form.cut} (data.context, data.cut)",
            files=tuple(examples.name(int(row)) for row in cut[:FILES]),
        )


def _unknown(data: PreparedTexts) -> Iterator[Finding]:
    """Words or characters that the tokenizer does not know."""
    unknown = data.tokenizer.special("unknown")
    if unknown is None:
        return
    shares = {
        examples.split: float(np.mean(examples.encoded.tokens.values == unknown))
        for examples in _splits(data)
    }
    if any(shares.values()):
        told = ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
        yield Finding(
            severity="warning" if max(shares.values()) >= MANY_UNKNOWN else "note",
            message=f"unknown to the tokenizer: {told} tokens; {{kind: bpe}} knows all texts",
        )


def _compression(data: PreparedTexts) -> Finding:
    encoded = data.train.encoded
    around = 2 * data.form.framed + data.form.pairs
    tokens = int((encoded.whole - around).sum())
    used = len(np.unique(encoded.tokens.values))
    return Finding(
        severity="note",
        message=f"{encoded.text_bytes / tokens:.2f} bytes per token in training; texts have "
        f"{data.train.lengths.mean():.1f} tokens on average; {used:,} of {data.tokenizer.size:,} "
        "tokens are used",
    )


def _of_documents(data: PreparedDocuments) -> Iterator[Finding]:
    for part in data.parts:
        where = f"{part.recognised.split(':')[0]}: " if len(data.parts) > 1 else ""
        for split, stream in part.streams.items():
            tokens, sizes = stream.tokens[:READ_TOKENS], stream.bytes[:READ_TOKENS]
            told = f"{where}{split} has {counted(stream.documents, 'text')} with "
            told += f"{len(stream.tokens):,} tokens, {sizes.mean():.2f} bytes each"
            unknown = data.tokenizer.special("unknown")
            share = 0.0 if unknown is None else float(np.mean(tokens == unknown))
            if share >= WORTH_TELLING:
                told += f"; {share:.2%} of them unknown to the tokenizer"
            yield Finding(severity="warning" if share >= MANY_UNKNOWN else "note", message=told)
    parts = data.train.parts if isinstance(data.train, MixedRows) else (data.train,)
    rows = sum(map(len, parts))
    fill = sum(part.fill * len(part) for part in parts) / rows
    yield Finding(
        severity="warning" if fill < LITTLE_FILLED else "note",
        message=f"{rows:,} training rows of {data.signal.shape[0]:,} tokens are {fill:.1%} filled"
        + ("" if fill >= LITTLE_FILLED else "; take packing: true, or a smaller data.context"),
    )
    streams = [part.streams["train"] for part in data.parts]
    texts = [
        stream.tokens[stream.starts[number] : stream.starts[number + 1]][:SHOWN_TOKENS]
        for stream in streams
        for number in range(min(stream.documents, SHOWN_TEXTS))
    ]
    yield _as_tokens(data.tokenizer, texts)


def _as_tokens(tokenizer: Tokenizer, texts: Sequence[NDArray[np.integer]]) -> Finding:
    """How texts are split."""
    shown = []
    for tokens in texts:
        pieces = [tokenizer.token_text(int(token)) for token in tokens[:SHOWN_TOKENS]]
        more = " …" if len(tokens) > SHOWN_TOKENS else ""
        shown.append(" | ".join(pieces) + more)
    return Finding(severity="note", message="texts are split as these are", files=tuple(shown))
