"""From a source of documents to rows that are ready to be read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luthier.data.collection import SPLITS, Split
from luthier.data.decoding import Progress
from luthier.data.entry import cache_folder
from luthier.data.finding import Finding
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose, Special
from luthier.data.readers.mixture import MixtureSpec
from luthier.data.readers.text import TextSpec
from luthier.data.target import Documents
from luthier.data.text.documents.document_choices import choose_context
from luthier.data.text.documents.document_entry import Sources, known_tokenizer, write_entry
from luthier.data.text.documents.survey import holds_tokens
from luthier.data.text.documents.token_cache import Tokenized, TokenizedPart, tokenized
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.texts import TextsSpec
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.mixing import JoinedRows, MixedRows
from luthier.data.text.rows.row_layout import RowForm
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError, InputError
from luthier.signal import Signal
from luthier.spec import Decision

_NOT_TOKENS = {"tokenizer", "context", "packing", "path", "on_error"}
TrainRows = RowExamples | MixedRows
HeldRows = RowExamples | JoinedRows


@dataclass(frozen=True, kw_only=True)
class PreparedDocuments(Prepared):
    """Documents that are ready to be trained on."""

    train: TrainRows
    validation: HeldRows | None
    test: HeldRows | None
    target: Documents
    tokenizer: Tokenizer
    parts: tuple[TokenizedPart, ...]
    """Each source as tokens: one, or the parts of a mixture."""
    findings: tuple[Finding, ...]
    """What a person should know of the texts."""


def prepare_documents(
    spec: TextsSpec,
    purpose: Purpose,
    *,
    seed: int,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> PreparedDocuments:
    """Reads, checks, divides and tokenizes documents, and lays them out in rows.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it.
        seed: Of all that is random in training.
        progress: Told what is being done, and how far it is.
        cache: Where tokens are kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it is no source of documents.
        StorageError: If the cache cannot be written.
    """
    if not isinstance(spec, TextSpec | MixtureSpec):
        raise InputError(
            "data.kind: got texts with labels; this task learns from documents: "
            "{kind: text, path: …}"
        )
    sources = _sources(spec, purpose)
    faults = [source.faults() for source in sources.specs]
    found = tokenized(
        (cache_folder() if cache is None else cache) / "tokens",
        _key(sources, purpose),
        faults,
        lambda folder: write_entry(folder, sources, purpose, faults, progress),
        words=purpose.words,
    )
    # What was kept of one that is known is its file, which does not say what a network has.
    tokenizer = found.tokenizer if sources.known is None else sources.known
    framing = Framing.of(purpose, tokenizer)
    lengths = np.concatenate([part.streams["train"].lengths for part in found.parts])
    context, decision = choose_context(spec.context, lengths, purpose, framing)
    form = RowForm(
        context=context,
        ahead=purpose.ahead,
        framing=framing,
        packing=spec.packing,
        vocab=tokenizer.size,
    )
    held = {split: _held_rows(found, sources, split, form) for split in SPLITS[1:]}
    train = _train_rows(found, sources, form, seed)
    decisions = (
        *found.decisions,
        *((decision,) if decision is not None else ()),
        *(each for part in found.parts for each in part.decisions),
        *_paths(spec, sources),
    )
    return PreparedDocuments(
        train=train,
        validation=held["validation"],
        test=held["test"],
        target=_target(purpose, tokenizer, form),
        signal=Signal.tokens(context, form.vocab),
        inputs=_inputs(purpose, tokenizer, form),
        decisions=decisions,
        fingerprint=_fingerprint(found, sources),
        recognised=_sentence(found, train),
        skipped=tuple(skipped for part in found.parts for skipped in part.skipped),
        noun=Noun(one="row", many="rows", unit="tokens", units=context, filled=_fill(train)),
        tokenizer=tokenizer,
        parts=found.parts,
        findings=tuple(finding for part in found.parts for finding in part.findings),
    )


def _sources(spec: TextSpec | MixtureSpec, purpose: Purpose) -> Sources:
    """What is read, with all of its settings."""
    if isinstance(spec, MixtureSpec):
        specs = spec.sources
        weights = tuple(part.weight for part in spec.parts)
        places = tuple(f"data.parts[{number}].data" for number in range(len(specs)))
    else:
        specs, weights, places = (spec,), (1.0,), ("data",)
    tokens = None
    for source in specs:
        files = source.files()
        if holds_tokens(files):
            tokens = str(files.files[0].path)
    known = known_tokenizer(spec.tokenizer, purpose, tokens=tokens)
    return Sources(
        specs=specs,
        weights=weights,
        places=places,
        tokenizer=spec.tokenizer,
        known=known,
    )


def _key(sources: Sources, purpose: Purpose) -> Any:
    """What the tokens depend on; not where segments are cut, nor which of them share a row."""
    parts = [
        {**spec.model_dump(mode="json", exclude=_NOT_TOKENS), "stamp": spec.stamp()}
        for spec in sources.specs
    ]
    how: dict[str, Any] = {
        "around_documents": purpose.ahead > 0 and "end" in purpose.specials,
        "words": purpose.words,
    }
    if sources.known is not None:
        how["tokenizer"] = sources.known.fingerprint
        if purpose.ahead and sources.known.opening is not None:
            how["opening"] = sources.known.opening
    else:
        chosen = sources.tokenizer
        how["learned"] = chosen if chosen == "auto" else chosen.model_dump(mode="json")
        how["specials"] = purpose.specials
        how["weights"] = sources.weights
    return [parts, how]


def _train_rows(found: Tokenized, sources: Sources, form: RowForm, seed: int) -> TrainRows:
    parts = [_rows(part, "train", form, seed=seed, random=True) for part in found.parts]
    return parts[0] if len(parts) == 1 else MixedRows(parts, sources.weights, "train", seed=seed)


def _held_rows(found: Tokenized, sources: Sources, split: Split, form: RowForm) -> HeldRows | None:
    """The rows of a split to measure on; none if no source has it."""
    parts = [
        _rows(part, split, form, seed=0, random=False)
        for part in found.parts
        if split in part.streams
    ]
    if len(sources.specs) == 1:
        return parts[0] if parts else None
    return JoinedRows(parts, split) if parts else None


def _rows(
    part: TokenizedPart, split: Split, form: RowForm, *, seed: int, random: bool
) -> RowExamples:
    rows = RowExamples(part.streams[split], split, form, seed=seed, random=random)
    if not len(rows):
        raise DataError(
            f"{part.recognised}: has nothing to learn for {split}: no text of it has more than "
            f"{form.ahead} token"
        )
    return rows


def _inputs(purpose: Purpose, tokenizer: Tokenizer, form: RowForm) -> TextInputs:
    """What makes tokens of texts that come later."""
    masks = "mask" in purpose.specials and tokenizer.special("mask") is not None
    texts = TextForm(context=form.context, framed=form.framing.is_of_texts, masks=masks)
    return TextInputs(tokenizer, texts)


def _paths(spec: TextSpec | MixtureSpec, sources: Sources) -> list[Decision]:
    """Paths that would not be found from anywhere; a single one is made absolute for all data."""
    decisions = []
    for source, place in zip(sources.specs, sources.places, strict=True):
        found = [os.path.abspath(os.path.expanduser(path)) for path in source.paths]
        alone = isinstance(source.path, str)
        if found != list(source.paths) and not (alone and isinstance(spec, TextSpec)):
            value = found[0] if alone else found
            reason = f"{', '.join(source.paths)}, found from anywhere"
            decisions.append(Decision(place=f"{place}.path", value=value, reason=reason))
    return decisions


def _target(purpose: Purpose, tokenizer: Tokenizer, form: RowForm) -> Documents:
    opening = tokenizer.opening if purpose.ahead else None
    return Documents(
        vocab=form.vocab,
        specials=_specials(purpose, tokenizer),
        opening="end" if opening is None else opening,
    )


def _specials(purpose: Purpose, tokenizer: Tokenizer) -> dict[Special, int]:
    numbers = {name: tokenizer.special(name) for name in purpose.specials}
    return {name: number for name, number in numbers.items() if number is not None}


def _fingerprint(found: Tokenized, sources: Sources) -> str:
    """Of every text and split, of the tokenizer, and of how parts are mixed."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(found.tokenizer.fingerprint.encode())
    for part, weight in zip(found.parts, sources.weights, strict=True):
        digest.update(f"\0{part.digest}\0{weight}".encode())
    return digest.hexdigest()


def _sentence(found: Tokenized, train: TrainRows) -> str:
    """What the data is, and what the rows are like."""
    if isinstance(train, RowExamples):
        return f"{found.parts[0].recognised}; {_filled(train)}"
    told = [
        f"{part.recognised}; {_filled(rows)}, {draws:,} drawn in an epoch"
        for part, rows, draws in zip(found.parts, train.parts, train.draws.tolist(), strict=True)
    ]
    return "a mixture: " + " | ".join(told)


def _fill(train: TrainRows) -> float:
    """The share of the training rows that holds tokens, of those drawn in an epoch."""
    if isinstance(train, RowExamples):
        return train.fill
    fills = [part.fill for part in train.parts]
    return float(np.average(fills, weights=train.draws))


def _filled(rows: RowExamples) -> str:
    return f"{len(rows):,} training rows of {rows.signal.shape[0]} tokens, {rows.fill:.1%} filled"
