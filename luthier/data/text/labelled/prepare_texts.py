"""From texts with labels or tags to splits that are ready to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from luthier.data.collection import Split
from luthier.data.decoding import Progress
from luthier.data.finding import Finding
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose, Special
from luthier.data.target import Labels, LabelsAndTags, Tags
from luthier.data.text.labelled.encoding import Raw, TextForm, shape, whole_lengths
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.labelled import LabelledSpec, LabelledTexts, read_labelled
from luthier.data.text.labelled.text_examples import TextExamples
from luthier.data.text.labelled.text_tokens import tokens_of
from luthier.data.text.labelled.tokenizer_choice import suited_tokenizer
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.signal import Signal
from luthier.spec import Decision

NOUN = Noun(one="text", many="texts", unit="texts")
WHOLE = 0.995
"""The share of the training texts that `context: auto` leaves whole."""
LITTLE_MORE = 2
"""Times that length, up to which no text is cut at all."""
CONTEXT_STEP = 8
LEAST_AUTO_CONTEXT = 64
"""Less saves nothing, since texts are not filled up, and other texts may be longer."""
LARGEST_AUTO_CONTEXT = 512


@dataclass(frozen=True, kw_only=True)
class PreparedTexts(Prepared):
    """Texts that are ready to be trained on."""

    train: TextExamples
    validation: TextExamples | None
    test: TextExamples | None
    target: Labels | Tags | LabelsAndTags
    tokenizer: Tokenizer
    form: TextForm
    findings: tuple[Finding, ...]
    """What the reader has to say of the files."""


def prepare_texts(
    spec: LabelledSpec,
    purpose: Purpose,
    *,
    seed: int,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> PreparedTexts:
    """Reads, checks, splits, and makes tokens.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it: labels, tags or both.
        seed: Of all that is random in training; of these texts, nothing is.
        progress: Told what is being done, and how far it is.
        cache: Where the tokens of many texts are kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it has no labels or tags that the task could learn.
        StorageError: If the cache cannot be written.
    """
    texts = read_labelled(spec, purpose)
    framed, frame_decisions = _framed(spec, purpose)
    pairs = texts.parts["train"][0].second is not None
    specials = _specials(purpose, framed=framed, pairs=pairs)
    wanted, token_decisions = _wanted(spec, texts)
    tokens = tokens_of(texts, wanted, specials, progress=progress, cache=cache)
    tokenizer, raw = tokens.tokenizer, tokens.raw
    form = TextForm(
        context=1 if spec.context == "auto" else spec.context,
        cut=spec.cut,
        framed=framed,
        pairs=pairs,
        words=None if texts.tagging is None else texts.tagging.division,
    )
    form, context_decisions = _context(spec, form, raw["train"], purpose.most_tokens)
    examples = _examples(texts, raw, tokenizer, form)
    return PreparedTexts(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=_target(texts, examples["train"]),
        signal=examples["train"].signal,
        inputs=TextInputs(tokenizer, form),
        decisions=(*texts.decisions, *token_decisions, *frame_decisions, *context_decisions),
        fingerprint=_fingerprint(texts, tokenizer, form),
        recognised=texts.recognised,
        skipped=texts.skipped,
        noun=NOUN,
        tokenizer=tokenizer,
        form=form,
        findings=texts.findings,
    )


def _examples(
    texts: LabelledTexts, raw: Mapping[Split, Raw], tokenizer: Tokenizer, form: TextForm
) -> dict[Split, TextExamples]:
    return {
        split: TextExamples(
            split=split,
            rows=rows,
            encoded=shape(raw[split], tokenizer, form),
            labels=texts.numbering.labels(rows),
            tags=None if texts.tagging is None else texts.numbering.tags_of(rows),
            signal=Signal.tokens(form.context, tokenizer.size),
            pad=tokenizer.special("pad") or 0,
        )
        for split, rows in texts.parts.items()
    }


def _framed(spec: LabelledSpec, purpose: Purpose) -> tuple[bool, tuple[Decision, ...]]:
    if spec.first != "auto":
        return spec.first, ()
    framed = "first" in purpose.specials
    reason = "the task asks for it" if framed else "the task does not ask for it"
    return framed, (Decision(place="data.first", value=framed, reason=reason),)


def _specials(purpose: Purpose, *, framed: bool, pairs: bool) -> list[Special]:
    wanted: list[Special] = list(purpose.specials)
    if framed:
        wanted.append("first")
    if framed or pairs:
        wanted.append("separator")
    return list(dict.fromkeys(wanted))


def _wanted(spec: LabelledSpec, texts: LabelledTexts) -> tuple[TokenizerSpec, list[Decision]]:
    if spec.tokenizer != "auto":
        return spec.tokenizer, []
    division = None if texts.tagging is None else texts.tagging.division
    wanted, reason = suited_tokenizer(texts.parts["train"], division)
    value = wanted.model_dump(mode="json")
    return wanted, [Decision(place="data.tokenizer", value=value, reason=reason)]


def _context(
    spec: LabelledSpec, form: TextForm, train: Raw, most: int | None
) -> tuple[TextForm, tuple[Decision, ...]]:
    if spec.context != "auto":
        return form, ()
    lengths = whole_lengths(train, form)
    usual, longest = int(np.quantile(lengths, WHOLE, method="higher")), int(lengths.max())
    wanted = longest if longest <= LITTLE_MORE * usual else usual
    rounded = -(-wanted // CONTEXT_STEP) * CONTEXT_STEP
    least, largest = (
        size if most is None else min(size, most)
        for size in (LEAST_AUTO_CONTEXT, LARGEST_AUTO_CONTEXT)
    )
    context = min(max(rounded, least), largest)
    over = int((lengths > context).sum())
    cut = f"{over:,} of {len(lengths):,} are cut at their {form.cut}" if over else "none is cut"
    reason = (
        f"{WHOLE:.1%} of the training texts have at most {usual:,} tokens, the longest has "
        f"{longest:,}; {cut} (from {least} to {largest})"
    )
    decision = Decision(place="data.context", value=context, reason=reason)
    return form.model_copy(update={"context": context}), (decision,)


def _target(texts: LabelledTexts, train: TextExamples) -> Labels | Tags | LabelsAndTags:
    numbering, labels, tags = texts.numbering, None, None
    if numbering.classes:
        counts = np.bincount(train.labels, minlength=len(numbering.classes))
        labels = Labels(names=numbering.classes, counts=tuple(counts.tolist()))
    if texts.tagging is not None and train.tags is not None:
        counts = np.bincount(train.tags.values, minlength=len(numbering.tags))
        scheme = texts.tagging.scheme
        tags = Tags(names=numbering.tags, counts=tuple(counts.tolist()), scheme=scheme)
    if labels is not None and tags is not None:
        return LabelsAndTags(labels=labels, tags=tags)
    target = labels or tags
    assert target is not None, "a task learns labels or tags"
    return target


def _fingerprint(texts: LabelledTexts, tokenizer: Tokenizer, form: TextForm) -> str:
    """Of every text, label, tag, name and split, and of how they become tokens."""
    digest = hashlib.blake2b(digest_size=16)
    numbering = texts.numbering
    names = "\0".join(("classes", *numbering.classes, "tags", *numbering.tags))
    digest.update(f"{names}\0{tokenizer.fingerprint}\0{form.model_dump_json()}".encode())
    for split, rows in texts.parts.items():
        digest.update(f"\0{split} {len(rows)}".encode())
        for row in rows:
            fields = (row.text, row.second, row.label, row.words, row.tags)
            digest.update(repr(fields).encode())
    return digest.hexdigest()
