"""From files of questions to splits that are ready to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import SPLITS, Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.finding import Finding
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose, Special
from luthier.data.readers.questions import QuestionsSpec, Rules
from luthier.data.split import DIGEST_BYTES, balanced_subset, make_splits
from luthier.data.target import Spans
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.tokenizer_choice import suited_tokenizer
from luthier.data.text.questions import asked
from luthier.data.text.questions.asked import Encoded, encode_questions, frame, spans_of
from luthier.data.text.questions.question_examples import QuestionExamples
from luthier.data.text.questions.question_row import FoundQuestions, QuestionRow
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer
from luthier.errors import DataError
from luthier.signal import Signal
from luthier.spec import Decision

NOUN = Noun(one="question", many="questions", unit="questions")
CONTEXT_STEP = 8
LARGEST_AUTO_CONTEXT = 384
"""That of BERT on SQuAD (Devlin et al. 2019)."""
SHARED = 3
"""A window shares one part in so many with the next, as there."""
MOSTLY_CHINESE = 0.3
"""The share of Chinese characters in contexts from where answers are compared by characters; the
rest are marks, digits and names."""
LOOKED_AT = 1_000_000
"""Characters that tell the script."""

Parts = dict[Split, Sequence[QuestionRow]]


@dataclass(frozen=True, kw_only=True)
class PreparedQuestions(Prepared):
    """Questions that are ready to be trained on."""

    train: QuestionExamples
    validation: QuestionExamples | None
    test: QuestionExamples | None
    target: Spans
    tokenizer: Tokenizer
    form: TextForm
    findings: tuple[Finding, ...]
    """What the reader has to say of the files."""


def prepare_questions(
    spec: QuestionsSpec, purpose: Purpose, *, progress: Progress | None = None
) -> PreparedQuestions:
    """Reads, checks, splits, and makes tokens.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
    """
    faults = Faults(spec.on_error, one="question")
    found = spec.collect(faults)
    if not any(found.parts.values()):
        faults.settle()  # if all were at fault, their faults tell more
        raise DataError(f"{found.recognised}: holds no questions that can be used")
    faults.settle()
    parts, split_decisions = _splits(spec, found)
    form, formed = _form(spec, purpose)
    tokenizer, tokens = _tokenizer(spec, parts["train"], purpose, progress)
    encoded = {split: encode_questions(rows, tokenizer) for split, rows in parts.items()}
    form, windows = _windows(spec, form, encoded["train"], purpose.most_tokens)
    encoded = _usable(encoded, form, faults)
    special = asked.Special.of(tokenizer, form)
    examples = {
        split: QuestionExamples(
            split=split,
            encoded=part,
            form=form,
            special=special,
            signal=Signal.tokens(form.context, tokenizer.size),
            pad=tokenizer.special("pad") or 0,
        )
        for split, part in encoded.items()
    }
    rules, compared = _rules(spec, parts["train"])
    return PreparedQuestions(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=_target(encoded, rules),
        signal=examples["train"].signal,
        inputs=TextInputs(tokenizer, form),
        decisions=(*found.decisions, *split_decisions, *tokens, *formed, *windows, *compared),
        fingerprint=_fingerprint(encoded, tokenizer, form, rules),
        recognised=_recognised(found),
        skipped=tuple(faults.found),
        noun=NOUN,
        tokenizer=tokenizer,
        form=form,
        findings=found.findings,
    )


def _splits(spec: QuestionsSpec, found: FoundQuestions) -> tuple[Parts, list[Decision]]:
    """The given splits, each up to the limit, and those that are made: an article, or where none
    are named a context, is on one side with all its questions."""
    parts: Parts = dict(found.parts)
    if spec.limit is not None:
        for split, rows in parts.items():
            same = np.zeros(len(rows), dtype=np.int64)
            chosen = balanced_subset(same, spec.limit, spec.split.seed)
            parts[split] = [rows[row] for row in chosen]
    for split, rows in parts.items():
        if not rows:
            raise DataError(f"no usable question is left for {split}")
    train = parts["train"]
    groups = _groups(train)
    articles = any(row.article for row in train)
    many = "articles" if articles else "contexts"
    made, decisions = make_splits(
        spec.split,
        {split: len(rows) for split, rows in parts.items()},
        np.zeros(len(train), dtype=np.int64),
        lambda: groups,
        many,
    )
    parts |= {split: [train[row] for row in rows] for split, rows in made.items()}
    told = [
        replace(
            decision,
            reason=f"the data has no {name} questions; {len(parts[name]):,} are set apart, whole "
            f"{many} on one side",
        )
        for decision in decisions
        for name in SPLITS
        if decision.place == f"data.split.{name}"
    ]
    return {split: parts[split] for split in SPLITS if split in parts}, told


def _groups(rows: Sequence[QuestionRow]) -> NDArray[np.void]:
    digests = [
        hashlib.blake2b((row.article or row.context).encode(), digest_size=DIGEST_BYTES).digest()
        for row in rows
    ]
    return np.frombuffer(b"".join(digests), dtype=np.dtype((np.void, DIGEST_BYTES)))


def _form(spec: QuestionsSpec, purpose: Purpose) -> tuple[TextForm, list[Decision]]:
    """What stands around questions and contexts, before the length of windows is known."""
    decisions = []
    framed, matches = spec.first, spec.matches
    if framed == "auto":
        framed = "first" in purpose.specials
        reason = "its first token says that a window has no answer"
        decisions.append(Decision(place="data.first", value=framed, reason=reason))
    if matches == "auto":
        matches = False
        reason = "for networks that begin with nothing, where they are asked for"
        decisions.append(Decision(place="data.matches", value=matches, reason=reason))
    form = TextForm(context=1, framed=framed, pairs=True, overlap=0, matches=matches)
    return form, decisions


def _tokenizer(
    spec: QuestionsSpec,
    train: Sequence[QuestionRow],
    purpose: Purpose,
    progress: Progress | None,
) -> tuple[Tokenizer, list[Decision]]:
    wanted: TokenizerSpec
    decisions: list[Decision] = []
    if spec.tokenizer == "auto":
        contexts = dict.fromkeys(row.context for row in train)
        rows = [TextRow("", context) for context in contexts]
        wanted, reason = suited_tokenizer(rows, None)
        value = wanted.model_dump(mode="json")
        decisions = [Decision(place="data.tokenizer", value=value, reason=reason)]
    else:
        wanted = spec.tokenizer
    specials: list[Special] = list(dict.fromkeys((*purpose.specials, "separator")))
    if spec.first is False:
        specials.remove("first")
    texts = [text for row in train for text in (row.question,)]
    texts += dict.fromkeys(row.context for row in train)
    return train_tokenizer(wanted, texts, specials=specials, progress=progress), decisions


def _windows(
    spec: QuestionsSpec, form: TextForm, train: Encoded, most: int | None
) -> tuple[TextForm, list[Decision]]:
    """The length of windows, and what two of them share."""
    decisions = []
    lengths = train.lengths(form)
    if spec.context != "auto":
        context = spec.context
    else:
        rounded = -(-int(lengths.max()) // CONTEXT_STEP) * CONTEXT_STEP
        largest = LARGEST_AUTO_CONTEXT if most is None else min(most, LARGEST_AUTO_CONTEXT)
        context = min(rounded, largest)
        over = int((lengths > context).sum())
        reason = (
            f"the longest question has {int(lengths.max()):,} tokens with its context; "
            f"{over:,} of {len(lengths):,} are read in several windows (at most {largest})"
        )
        decisions.append(Decision(place="data.context", value=context, reason=reason))
    if spec.overlap != "auto":
        overlap = spec.overlap
    else:
        overlap = context // SHARED
        reason = f"one in {SHARED} of the {context} tokens of a window"
        decisions.append(Decision(place="data.overlap", value=overlap, reason=reason))
    if overlap >= context - frame(form) - 1:
        raise DataError(
            f"data.overlap: got {overlap:,}; with windows of {context:,} tokens wanted less than "
            f"{max(context - frame(form) - 1, 0):,}"
        )
    return form.model_copy(update={"context": context, "overlap": overlap}), decisions


def _usable(
    encoded: Mapping[Split, Encoded], form: TextForm, faults: Faults
) -> dict[Split, Encoded]:
    """Those that can be asked; the others become faults."""
    found = {}
    for split, part in encoded.items():
        kept = []
        for row in range(len(part)):
            wrong = asked.fault(part, row, form)
            if wrong:
                faults.add(part.rows[row].name, wrong)
            else:
                kept.append(row)
        found[split] = part if len(kept) == len(part) else part.subset(kept)
    faults.settle()
    for split, part in found.items():
        if not len(part):
            raise DataError(f"no usable question is left for {split}")
    return found


def _rules(spec: QuestionsSpec, train: Sequence[QuestionRow]) -> tuple[Rules, list[Decision]]:
    if spec.rules != "auto":
        return spec.rules, []
    chinese = total = 0
    for context in dict.fromkeys(row.context for row in train):
        chinese += sum("\u4e00" <= character <= "\u9fff" for character in context)
        total += len(context)
        if total > LOOKED_AT:
            break
    share = chinese / max(total, 1)
    rules: Rules = "cmrc" if share >= MOSTLY_CHINESE else "squad"
    reason = f"{share:.0%} of the contexts' characters are Chinese"
    return rules, [Decision(place="data.rules", value=rules, reason=reason)]


def _target(encoded: Mapping[Split, Encoded], rules: Rules) -> Spans:
    train = encoded["train"]
    longest = 1
    for row, context in zip(train.rows, train.contexts, strict=True):
        spans = spans_of(row, context)
        if spans is not None and len(spans):
            longest = max(longest, int((spans[:, 1] - spans[:, 0]).max()) + 1)
    unanswerable = any(not row.answers for part in encoded.values() for row in part.rows)
    return Spans(rules=rules, longest=longest, unanswerable=unanswerable)


def _recognised(found: FoundQuestions) -> str:
    counts = [f"{len(rows):,} {split}" for split, rows in found.parts.items()]
    told = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
    contexts = len({row.context for rows in found.parts.values() for row in rows})
    return f"{found.recognised}: {told} questions about {contexts:,} contexts"


def _fingerprint(
    encoded: Mapping[Split, Encoded], tokenizer: Tokenizer, form: TextForm, rules: Rules
) -> str:
    """Of every question, context, answer and split, and of how they become tokens."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{tokenizer.fingerprint}\0{form.model_dump_json()}\0{rules}".encode())
    for split, part in encoded.items():
        digest.update(f"\0{split} {len(part)}".encode())
        for row in part.rows:
            digest.update(repr((row.question, row.context, row.answers, row.reworded)).encode())
    return digest.hexdigest()
