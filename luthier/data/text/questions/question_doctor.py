"""What is wrong with questions and their answers, told before anything is spent on training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from luthier.data.finding import FILES, Finding, counted, some_of, unusable, worst_first
from luthier.data.text.questions.asked import spans_of
from luthier.data.text.questions.places import characters_of
from luthier.data.text.questions.prepare_questions import PreparedQuestions
from luthier.data.text.questions.question_examples import QuestionExamples
from luthier.data.text.questions.question_row import QuestionRow

MANY_UNKNOWN = 0.1
"""The share of unknown tokens from where it is worth a warning."""
SHOWN_WIDTH = 60


def inspect_questions(data: PreparedQuestions) -> list[Finding]:
    """Everything that is wrong with questions, or good to know of them, the worst first."""
    found = [
        *unusable(data.skipped, "question"),
        *data.findings,
        *_copies(data),
        *_answerless(data),
        *_inexact(data),
        *_windows(data),
        *_unknown(data),
        _sizes(data),
    ]
    return worst_first(found)


def _splits(data: PreparedQuestions) -> list[QuestionExamples]:
    given = (data.train, data.validation, data.test)
    return [examples for examples in given if examples is not None]


def _copies(data: PreparedQuestions) -> Iterator[Finding]:
    """Contexts and questions that are in training and in what is measured on."""
    train = data.train.encoded.rows
    contexts = {_plain(row.context) for row in train}
    asked = {(_plain(row.question), _plain(row.context)) for row in train}
    for examples in _splits(data)[1:]:
        rows = examples.encoded.rows
        same = [row for row in rows if (_plain(row.question), _plain(row.context)) in asked]
        if same:
            yield Finding(
                severity="warning",
                message=f"{counted(len(same), f'{examples.split} question')} in train too, with "
                "the same context: scores on them say little",
                files=tuple(row.name for row in same[:FILES]),
            )
        known = [row for row in rows if _plain(row.context) in contexts]
        if len(known) > len(same):
            yield Finding(
                severity="warning",
                message=f"{counted(len(known), f'{examples.split} question')} of {len(rows):,} "
                "about a context that train asks about too",
                files=tuple(row.name for row in known[:FILES]),
            )
    seen: dict[tuple[str, str], QuestionRow] = {}
    twice = []
    for row in train:
        key = (_plain(row.question), _plain(row.context))
        if key in seen:
            twice.append(f"{row.name} as {seen[key].name}")
        seen.setdefault(key, row)
    if twice:
        yield Finding(
            severity="note",
            message=f"{counted(len(twice), 'training question')} asked twice about a context",
            files=tuple(twice[:FILES]),
        )


def _answerless(data: PreparedQuestions) -> Iterator[Finding]:
    if not data.target.unanswerable:
        return
    told = []
    for examples in _splits(data):
        rows = examples.encoded.rows
        without = sum(not row.answers for row in rows)
        told.append(f"{without / len(rows):.0%} of {examples.split}")
    learned = any(not row.answers for row in data.train.encoded.rows)
    yield Finding(
        severity="note" if learned else "warning",
        message=f"without an answer in their context: {', '.join(told)} questions"
        + ("" if learned else "; that there is none cannot be learned"),
    )


def _inexact(data: PreparedQuestions) -> Iterator[Finding]:
    """Answers that begin or end inside of a token."""
    for examples in _splits(data):
        bent = []
        for row, context in zip(examples.encoded.rows, examples.encoded.contexts, strict=True):
            spans = spans_of(row, context)
            said = set() if spans is None else {characters_of(context, *span) for span in spans}
            wanted = {(answer.start, answer.stop) for answer in row.answers}
            if wanted and not wanted & said:
                bent.append(row)
        if bent:
            share = len(bent) / len(examples)
            yield Finding(
                severity="warning" if share > 0.05 else "note",
                message=f"{counted(len(bent), f'{examples.split} question')} ({share:.1%}) whose "
                "answers begin or end inside a token: what is found of them is a little longer",
                files=tuple(f"{row.name}: {row.answers[0].text:.40}" for row in bent[:FILES]),
            )


def _windows(data: PreparedQuestions) -> Iterator[Finding]:
    form = data.form
    for examples in _splits(data):
        windows = examples.windows
        several = int((windows > 1).sum())
        if several:
            yield Finding(
                severity="note",
                message=f"{several:,} of {len(examples):,} {examples.split} questions are read in "
                f"several windows of {form.context} tokens, at most {int(windows.max())}, "
                f"{windows.mean():.1f} on average; each shares {form.overlap} with the next",
            )


def _unknown(data: PreparedQuestions) -> Iterator[Finding]:
    """Words or characters of contexts that the tokenizer does not know."""
    unknown = data.tokenizer.special("unknown")
    if unknown is None:
        return
    shares = {}
    for examples in _splits(data):
        contexts = {id(c): c for c in examples.encoded.contexts}.values()
        tokens = np.concatenate([context.tokens for context in contexts])
        shares[examples.split] = float(np.mean(tokens == unknown))
    if any(shares.values()):
        told = ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
        yield Finding(
            severity="warning" if max(shares.values()) >= MANY_UNKNOWN else "note",
            message=f"unknown to the tokenizer: {told} context tokens; {{kind: bpe}} knows all "
            "texts",
        )


def _answers(row: QuestionRow) -> str:
    """Those that differ."""
    return some_of(list(dict.fromkeys(answer.text for answer in row.answers)))


def _sizes(data: PreparedQuestions) -> Finding:
    encoded = data.train.encoded
    questions = np.array([len(question.tokens) for question in encoded.questions])
    contexts = np.array([len(context.tokens) for context in encoded.contexts])
    lengths = [len(a.text) for row in encoded.rows for a in row.answers]
    answers = f", answers {np.mean(lengths):.1f} characters" if lengths else ""
    shown = [
        f"{row.question:.{SHOWN_WIDTH}} → {_answers(row) or 'no answer'}"
        for row in encoded.rows[:3]
    ]
    return Finding(
        severity="note",
        message=f"training questions have {questions.mean():.1f} tokens on average, contexts "
        f"{contexts.mean():.1f}{answers} (the longest {data.target.longest} tokens); compared by "
        f"the rules of {data.target.rules}",
        files=tuple(shown),
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
