"""From pairs of texts to splits that are ready to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.data.collection import SPLITS, Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.finding import FILES, Finding, counted
from luthier.data.pairs.found import FoundPairs, PairRow
from luthier.data.pairs.pair_examples import PairExamples
from luthier.data.pairs.pair_inputs import PairForm, PairInputs
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.pairs.reading import read_pairs
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose
from luthier.data.split import DIGEST_BYTES, balanced_subset, make_splits
from luthier.data.target import Written
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.labelled.labelled import groups_of
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.tokens.subwords import BpeSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import TokenizerFileSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer
from luthier.errors import DataError
from luthier.signal import Signal
from luthier.spec import Auto, Decision

NOUN = Noun(one="pair", many="pairs", unit="pairs")
LARGEST_AUTO_CONTEXT = 1024
CONTEXT_STEP = 8
VOCAB, SMALL_VOCAB = 8192, 2048
MANY_CHARACTERS = 10**6
"""From so many on, a tokenizer that is left to luthier has the larger vocabulary."""
BATCH = 4096
"""Texts that are encoded between two looks at the progress."""
Parts = Mapping[Split, Sequence[PairRow]]


@dataclass(frozen=True, kw_only=True)
class PreparedPairs(Prepared):
    """Pairs that are ready to be trained on."""

    train: PairExamples
    validation: PairExamples | None
    test: PairExamples | None
    target: Written
    inputs: PairInputs
    findings: tuple[Finding, ...]
    """What the reader has to say of the rows."""


def prepare_pairs(
    spec: PairsSpec, purpose: Purpose, *, progress: Progress | None = None
) -> PreparedPairs:
    """Reads, checks, splits, and makes tokens.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
    """
    faults = Faults(spec.on_error, one="pair")
    found = read_pairs(spec, faults)
    faults.settle()
    if not any(found.parts.values()):
        raise DataError(f"{found.recognised}: holds no pair that can be used")
    parts, split_decisions = _splits(spec, found.parts)
    own, other, token_decisions = _tokenizers(spec, purpose, parts["train"], progress)
    sides = {
        split: (
            _tokens([row.source for row in rows], own, progress),
            _tokens([row.target for row in rows], other, progress),
        )
        for split, rows in parts.items()
    }
    before, first_decisions = _before(spec, own)
    form, context, context_decisions = _contexts(
        spec, own, before, sides["train"], purpose.most_tokens
    )
    signal, end, shared = Signal.tokens(form.context, own.size), _end(other), other is own
    target = Written(vocab=other.size, context=context, end=end, opening=end, one_tokenizer=shared)
    examples = {
        split: _examples(split, rows, sides[split], signal, other, form, target)
        for split, rows in parts.items()
    }
    return PreparedPairs(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=target,
        signal=signal,
        inputs=PairInputs(own, other, form),
        decisions=(
            *found.decisions,
            *split_decisions,
            *token_decisions,
            *first_decisions,
            *context_decisions,
        ),
        fingerprint=_fingerprint(parts, own, other, form, target),
        recognised=_recognised(found, parts),
        skipped=tuple(faults.found),
        noun=NOUN,
        findings=tuple(_findings(found, form, context, sides)),
        by_length=True,
    )


def _examples(
    split: Split,
    rows: Sequence[PairRow],
    sides: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    signal: Signal,
    tokenizer: Tokenizer,
    form: PairForm,
    target: Written,
) -> PairExamples:
    return PairExamples(
        split=split,
        rows=rows,
        sources=Ragged.of(form.framed(tokens) for tokens in sides[0]),
        targets=Ragged.of(_ended(tokens, target.end, target.context) for tokens in sides[1]),
        signal=signal,
        tokenizer=tokenizer,
    )


def groups_of_sources(rows: Sequence[PairRow]) -> np.ndarray:
    """A hash of each source; equal for those that differ in case and white space alone."""
    if not rows:
        return np.zeros(0, dtype=np.dtype((np.void, DIGEST_BYTES)))
    return groups_of([TextRow(row.name, row.source) for row in rows])


def _splits(
    spec: PairsSpec, given: Parts
) -> tuple[dict[Split, Sequence[PairRow]], tuple[Decision, ...]]:
    """The given splits, each up to the limit, and those that are made: what is written of one
    source is on one side."""
    parts = dict(given)
    for split, rows in given.items():
        if not rows:
            raise DataError(f"no usable pair is left for {split}")
        if spec.limit is not None:
            chosen = balanced_subset(np.zeros(len(rows), np.int64), spec.limit, spec.split.seed)
            parts[split] = [rows[row] for row in chosen]
    train = parts["train"]
    made, decisions = make_splits(
        spec.split,
        {split: len(rows) for split, rows in parts.items()},
        np.zeros(len(train), dtype=np.int64),
        lambda: groups_of_sources(train),
        "sources",
    )
    parts |= {split: [train[row] for row in rows] for split, rows in made.items()}
    return {split: parts[split] for split in SPLITS if split in parts}, decisions


def _tokenizers(
    spec: PairsSpec, purpose: Purpose, train: Sequence[PairRow], progress: Progress | None
) -> tuple[Tokenizer, Tokenizer, list[Decision]]:
    """Of the sources and of what is written: one, or two."""
    separate = spec.target_tokenizer is not None
    sources, targets = [row.source for row in train], [row.target for row in train]
    learned = [sources, targets] if separate else [[*sources, *targets]]
    wanted = [spec.tokenizer, spec.target_tokenizer] if separate else [spec.tokenizer]
    made, decisions = [], []
    for place, choice, texts in zip(
        ("tokenizer", "target_tokenizer"), wanted, learned, strict=False
    ):
        assert choice is not None
        how, decision = _chosen(choice, texts, f"data.{place}", separate=separate)
        decisions += [] if decision is None else [decision]
        specials = purpose.specials
        if isinstance(how, TokenizerFileSpec):
            made.append(how.read(specials))
        else:
            made.append(train_tokenizer(how, texts, specials=specials, progress=progress))
    return made[0], made[-1], decisions


def _chosen(
    choice: TokenizerSpec | Auto, texts: Sequence[str], place: str, *, separate: bool
) -> tuple[TokenizerSpec, Decision | None]:
    if choice != "auto":
        return choice, None
    characters = sum(map(len, texts))
    how = BpeSpec(vocab=VOCAB if characters >= MANY_CHARACTERS else SMALL_VOCAB)
    of = "of this side" if separate else "of both sides"
    reason = f"parts of words, learned from the {characters:,} training characters {of}"
    return how, Decision(place=place, value=how.model_dump(mode="json"), reason=reason)


def _tokens(
    texts: Sequence[str], tokenizer: Tokenizer, progress: Progress | None
) -> list[np.ndarray]:
    made: list[np.ndarray] = []
    for start in range(0, len(texts), BATCH):
        made += [piece.tokens for piece in tokenizer.encode(texts[start : start + BATCH])]
        if progress:
            progress("making tokens", len(made), len(texts))
    return made


def _before(spec: PairsSpec, tokenizer: Tokenizer) -> tuple[tuple[int, ...], list[Decision]]:
    """What goes before each source."""
    if spec.first == "auto":
        reason = "nothing was learned that wants a first token"
        return (), [Decision(place="data.first", value=False, reason=reason)]
    if not spec.first:
        return (), []
    first = tokenizer.special("first")
    if first is None:
        raise DataError(
            "data.first: got true, but the tokenizer has no first token, such as <s>; set it to "
            "false"
        )
    return (first,), []


def _contexts(
    spec: PairsSpec,
    tokenizer: Tokenizer,
    before: tuple[int, ...],
    sides: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    most: int | None,
) -> tuple[PairForm, int, list[Decision]]:
    """How a source is read, and how long what is written may be.

    Args:
        spec: The data section of a recipe.
        tokenizer: Of the sources.
        before: The tokens before each source.
        sides: The tokens of training: of the sources, and of what is written.
        most: The most tokens that a network can read; none for any number.
    """
    behind = (_end(tokenizer),)
    decisions: list[Decision] = []
    chosen: list[int] = []
    for place, given, side, around in (
        ("context", spec.context, sides[0], len(before) + len(behind)),
        ("target_context", spec.target_context, sides[1], 1),
    ):
        if given != "auto":
            if most is not None and given > most:
                raise DataError(
                    f"data.{place}: got {given:,}, but the start can read {most:,} tokens; give "
                    "that or less"
                )
            chosen.append(given)
            continue
        longest = around + max(map(len, side))
        said = min(-(-longest // CONTEXT_STEP) * CONTEXT_STEP, LARGEST_AUTO_CONTEXT)
        said = said if most is None else min(said, most)
        cut = sum(around + len(tokens) > said for tokens in side)
        told = f"{cut:,} of {len(side):,} are cut" if cut else "none is cut"
        reason = f"the longest of training has {longest:,} tokens, its end included; {told}"
        decisions.append(Decision(place=f"data.{place}", value=said, reason=reason))
        chosen.append(said)
    least = 1 + len(before) + len(behind)
    if chosen[0] < least:
        raise DataError(f"data.context: got {chosen[0]}; wanted at least {least}")
    form = PairForm(context=chosen[0], before=before, behind=behind, cut=spec.cut)
    return form, chosen[1], decisions


def _end(tokenizer: Tokenizer) -> int:
    end = tokenizer.special("end")
    if end is None:
        raise DataError(
            "data.tokenizer: has no token that ends a text; wanted one, such as </s>, or let it "
            "be trained (auto)"
        )
    return end


def _ended(tokens: np.ndarray, end: int, context: int) -> np.ndarray:
    """A text and its end; one that is cut off has none, so that nobody learns to stop there."""
    return np.array([*tokens.tolist(), end][:context], dtype=np.int32)


def _fingerprint(
    parts: Parts, own: Tokenizer, other: Tokenizer, form: PairForm, target: Written
) -> str:
    """Of every text, name and split, and of how they become tokens."""
    digest = hashlib.blake2b(digest_size=16)
    about = (own.fingerprint, other.fingerprint, form.model_dump_json(), target.model_dump_json())
    digest.update("\0".join(about).encode())
    for split, rows in parts.items():
        digest.update(f"\0{split} {len(rows)}".encode())
        for row in rows:
            digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def _recognised(found: FoundPairs, parts: Parts) -> str:
    counts = [f"{len(rows):,} {split}" for split, rows in parts.items()]
    told = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    return f"{found.recognised}: {told} pairs"


def _findings(
    found: FoundPairs,
    form: PairForm,
    context: int,
    sides: Mapping[Split, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]],
) -> Iterator[Finding]:
    if found.empty:
        yield Finding(
            severity="warning",
            message=f"{counted(len(found.empty), 'pair')} with an empty side left out",
            files=tuple(found.empty[:FILES]),
        )
    room = form.context - len(form.before) - len(form.behind)
    for what, setting, most, side in (
        ("source", "context", room, 0),
        ("target", "target_context", context - 1, 1),
    ):
        for split, both in sides.items():
            over = [len(tokens) - most for tokens in both[side] if len(tokens) > most]
            if over:
                yield Finding(
                    severity="warning" if split == "train" else "note",
                    message=f"{len(over):,} of {counted(len(both[side]), f'{split} {what}')} cut "
                    f"off, by up to {max(over):,} tokens (data.{setting})",
                )
