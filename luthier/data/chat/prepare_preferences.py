"""From answers that were compared, or judged one by one, to rows that are ready to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from luthier.data.chat.answers import AnswerExamples
from luthier.data.chat.chat import ChatSpec, day_of
from luthier.data.chat.conversation import Conversation, Message
from luthier.data.chat.prepare_chat import (
    SHOWN,
    choose_chat_context,
    day_decision,
    encode_all,
    inputs_for,
    spoken,
    tokenizer_for,
)
from luthier.data.chat.reading import FoundChat, read_comparisons
from luthier.data.chat.row_reading import Comparison
from luthier.data.chat.shown import ShownConversation
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.template_choice import choose_template
from luthier.data.chat.tokens import ChatEncoder, ChatTokens, stop_tokens
from luthier.data.collection import Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.finding import Finding
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose
from luthier.data.target import Documents
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError
from luthier.signal import Signal

Rows = Sequence[tuple[ChatTokens, ChatTokens, bool]]
"""Two answers of each row, and whether the first is a good one."""


@dataclass(frozen=True, kw_only=True)
class PreparedPreferences(Prepared):
    """Answers that are ready to be learned from."""

    train: AnswerExamples
    validation: AnswerExamples | None
    test: AnswerExamples | None
    target: Documents
    tokenizer: Tokenizer
    template: ChatTemplate
    conversations: Mapping[Split, Sequence[Conversation]]
    """With the better answer, or the only one."""
    findings: tuple[Finding, ...]

    @property
    def shown(self) -> tuple[ShownConversation, ...]:
        """Training answers for people to look at: of each row both."""
        rows = range(min(SHOWN, len(self.train)))
        sides = self.train.answers if self.train.good is None else self.train.answers[:1]
        return tuple(
            ShownConversation.of(side[row], self.tokenizer) for row in rows for side in sides
        )


def prepare_preferences(
    spec: ChatSpec, purpose: Purpose, *, progress: Progress | None = None
) -> PreparedPreferences:
    """Reads, checks, divides and renders answers, and makes tokens of them.

    Pairs become single answers where these are what the task learns: a good one and a bad one.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it: preferences, or judgements of single answers.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
    """
    paired = purpose.learns == "preferences"
    found = read_comparisons(spec, progress)
    parts = {split: _rows(rows, paired, found.recognised) for split, rows in found.parts.items()}
    texts = [row.text for one in parts["train"] for row in one[:2]]
    made, learned, tokenizer_decisions = tokenizer_for(spec, purpose, texts, progress)
    template, template_decision = choose_template(
        spec.template, made, day_of(spec.date), learned=learned
    )
    encoder = ChatEncoder(template, made, last_only=spec.learn == "last_reply")
    faults = Faults(spec.on_error, found.recognised, "row")
    encoded = {split: _encoded(encoder, rows, faults, progress) for split, rows in parts.items()}
    faults.settle()
    lengths = [len(side.tokens) for row in encoded["train"] for side in row[:2]]
    if not lengths:
        name, reason = faults.found[0]
        raise DataError(f"{found.recognised}: no row can be used; {name}: {reason}")
    context, context_decision = choose_chat_context(
        spec, max(lengths) - purpose.ahead, purpose.most_tokens
    )
    fitted = {
        split: _fitting(rows, context + purpose.ahead, spec) for split, rows in encoded.items()
    }
    signal = Signal.tokens(context, made.size)
    examples = {
        split: _examples(split, rows, paired, signal) for split, (rows, _) in fitted.items()
    }
    stops = stop_tokens([side for row in encoded["train"] for side in row[:2]])
    decisions = (
        template_decision,
        *tokenizer_decisions,
        context_decision,
        day_decision(spec, template),
    )
    return PreparedPreferences(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=spoken(purpose, made),
        signal=signal,
        inputs=inputs_for(template, made, context, stops, pairs=not purpose.ahead),
        decisions=(*found.decisions, *(one for one in decisions if one is not None)),
        fingerprint=_fingerprint(encoded, made),
        recognised=_sentence(found, template, examples["train"]),
        skipped=(*found.skipped, *faults.found),
        noun=Noun(
            one="pair" if paired else "answer",
            many="pairs" if paired else "answers",
            unit="pairs" if paired else "answers",
        ),
        tokenizer=made,
        template=template,
        conversations={split: [row[0] for row in rows] for split, rows in parts.items()},
        findings=(*found.findings, *(told for _, each in fitted.values() for told in each)),
    )


def _rows(
    rows: Sequence[Comparison], paired: bool, what: str
) -> list[tuple[Conversation, Conversation, bool]]:
    """Two conversations of each row: two answers to it, or one to it and to another question."""
    if paired:
        if any(row.chosen is None or row.rejected is None for row in rows):
            raise DataError(
                f"{what}: has single answers with a label, but this task compares two; take "
                "loss: kto, or data with chosen and rejected"
            )
        return [
            (_conversation(row, row.chosen or ()), _conversation(row, row.rejected or ()), True)
            for row in rows
        ]
    single = [
        (row, answer, good)
        for row in rows
        for answer, good in ((row.chosen, True), (row.rejected, False))
        if answer is not None
    ]
    made = []
    for number, (row, answer, good) in enumerate(single):
        # The answer of a row some way on, to the question of this one.
        other = single[(number + max(1, len(single) // 2)) % len(single)][1]
        made.append((_conversation(row, answer), _conversation(row, other), good))
    return made


def _conversation(row: Comparison, answer: Sequence[Message]) -> Conversation:
    """The question, which is only read, and an answer."""
    asked = tuple(replace(message, learned=False) for message in row.prompt)
    return Conversation(name=row.name, messages=(*asked, *answer), tools=row.tools)


def _encoded(
    encoder: ChatEncoder,
    rows: Sequence[tuple[Conversation, Conversation, bool]],
    faults: Faults,
    progress: Progress | None,
) -> Rows:
    """Both conversations of each row, up to the last token that is learned."""
    sides = []
    for number in range(2):
        own = Faults("skip")
        # By its place: two rows may have one name.
        named = [
            replace(row[0] if number == 0 else row[1], name=str(n)) for n, row in enumerate(rows)
        ]
        sides.append({row.name: row for row in encode_all(encoder, named, own, progress)})
        for name, reason in own.found:
            faults.add(rows[int(name)][0].name, reason)
    made = []
    for place, row in enumerate(rows):
        pair = [side.get(str(place)) for side in sides]
        if pair[0] is None or pair[1] is None:
            continue
        first, second = (replace(one.answer, name=row[0].name) for one in (pair[0], pair[1]))
        made.append((first, second, row[2]))
    return made


def _fitting(rows: Rows, capacity: int, spec: ChatSpec) -> tuple[Rows, list[Finding]]:
    """The rows of which both answers have something to learn within `capacity` tokens."""
    kept, cut, left_out = [], [], 0
    for first, second, good in rows:
        over = max(len(first.tokens), len(second.tokens)) - capacity
        shorter = first.first(capacity), second.first(capacity)
        empty = any(not side.learned[1:].any() for side in shorter)
        if empty or (over > 0 and spec.too_long == "leave_out"):
            left_out += 1
            continue
        kept.append((*shorter, good))
        if over > 0:
            cut.append(over)
    told = []
    if cut:
        told.append(
            Finding(
                severity="warning",
                message=f"{len(cut):,} of {len(rows):,} rows with an answer longer than "
                f"{capacity:,} tokens: up to {max(cut):,} tokens are cut off (data.context, "
                "data.too_long)",
            )
        )
    if left_out:
        told.append(
            Finding(
                severity="warning",
                message=f"{left_out:,} of {len(rows):,} rows left out: an answer has nothing to "
                f"learn within {capacity:,} tokens (data.context)",
            )
        )
    return kept, told


def _examples(split: Split, rows: Rows, paired: bool, signal: Signal) -> AnswerExamples:
    if not rows:
        raise DataError(
            f"data.context: got {signal.shape[0]}: no row for {split} has two answers to learn "
            "from within so many tokens"
        )
    good = None if paired else np.array([row[2] for row in rows])
    return AnswerExamples(split, [[row[0] for row in rows], [row[1] for row in rows]], good, signal)


def _fingerprint(encoded: Mapping[Split, Rows], tokenizer: Tokenizer) -> str:
    """Of every token, of what is learned, of every label and split."""
    digest = hashlib.blake2b(tokenizer.fingerprint.encode(), digest_size=16)
    for split, rows in encoded.items():
        digest.update(f"\0{split} {len(rows)}".encode())
        for first, second, good in rows:
            for side in (first, second):
                digest.update(side.tokens.tobytes() + side.learned.tobytes() + b"\0")
            digest.update(str(good).encode())
    return digest.hexdigest()


def _sentence(found: FoundChat[Comparison], template: ChatTemplate, train: AnswerExamples) -> str:
    learned = sum(int(row.learned.sum()) for side in train.answers for row in side)
    tokens = int(train.lengths.sum())
    return (
        f"{found.recognised}; rendered by {template.told}; {len(train):,} training rows with "
        f"{tokens:,} tokens, of which {learned:,} are of answers"
    )
