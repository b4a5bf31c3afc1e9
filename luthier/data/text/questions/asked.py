"""A question as a network reads it: with its context in windows.

Dimension key, for the whole file:
    T  tokens of the context      W  windows      S  tokens of all windows      A  answers
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.questions.places import spelled, tokens_at
from luthier.data.text.questions.question_row import QuestionRow
from luthier.data.text.questions.windows import windows_of
from luthier.data.text.rows.samples import Text
from luthier.data.text.tokens.pieces import Spelled
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question with its context in windows."""

    row: QuestionRow
    context: Spelled
    """The tokens of the context, and where they stand in it."""
    windows: Sequence[Text]
    """`(W,)`, each with the question before it."""
    places: NDArray[np.int64]
    """`(T,)`, where each token of the context is scored, among the S tokens of all windows."""
    firsts: NDArray[np.int64]
    """`(W,)`, where each window begins among them: its first token says that it has no answer."""
    spans: NDArray[np.int64] | None
    """`(A, 2)`, the first and the last token of each answer; none where they are not known."""

    @property
    def tokens(self) -> int:
        """Of all windows."""
        return sum(len(window.tokens) for window in self.windows)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Questions as tokens, before windows are cut."""

    rows: Sequence[QuestionRow]
    questions: Sequence[Spelled]
    """The tokens of each question, and where they stand in it."""
    contexts: Sequence[Spelled]
    """Of each question, the tokens of its context; one object where contexts are equal."""

    def __len__(self) -> int:
        return len(self.rows)

    def lengths(self, form: TextForm) -> NDArray[np.int64]:
        """Tokens of each with all of its context, and those around them."""
        sizes = [
            len(q.tokens) + len(c.tokens)
            for q, c in zip(self.questions, self.contexts, strict=True)
        ]
        return np.array(sizes, dtype=np.int64) + frame(form)

    def subset(self, rows: Sequence[int]) -> Encoded:
        """Some of the questions."""
        return Encoded(
            rows=[self.rows[row] for row in rows],
            questions=[self.questions[row] for row in rows],
            contexts=[self.contexts[row] for row in rows],
        )


def encode_questions(rows: Sequence[QuestionRow], tokenizer: Tokenizer) -> Encoded:
    """The tokens of questions, and of each context once."""
    different = dict.fromkeys(row.context for row in rows)
    numbers = {context: number for number, context in enumerate(different)}
    contexts = _spelled(list(numbers), tokenizer)
    return Encoded(
        rows=rows,
        questions=_spelled([row.question for row in rows], tokenizer),
        contexts=[contexts[numbers[row.context]] for row in rows],
    )


def _spelled(texts: Sequence[str], tokenizer: Tokenizer) -> list[Spelled]:
    found = tokenizer.encode(texts)
    return [spelled(pieces, text) for pieces, text in zip(found, texts, strict=True)]


def frame(form: TextForm) -> int:
    """Tokens beside those of the question and of the context."""
    return 1 + 2 * form.framed


def fault(encoded: Encoded, row: int, form: TextForm) -> str:
    """Why a question cannot be asked; empty if it can."""
    question, context = (len(part[row].tokens) for part in (encoded.questions, encoded.contexts))
    assert form.overlap is not None
    if not question or not context:
        return f"has a {'context' if question else 'question'} that gives no tokens"
    room = form.context - frame(form) - question
    if context > room and room <= form.overlap:
        return (
            f"has a question of {question:,} tokens, which leaves {max(room, 0):,} of "
            f"{form.context:,} for the context; wanted more than the overlap, {form.overlap:,} "
            "(data.context, data.overlap)"
        )
    if spans_of(encoded.rows[row], encoded.contexts[row]) is None:
        return "has an answer that gives no tokens"
    return ""


def spans_of(row: QuestionRow, context: Spelled) -> NDArray[np.int64] | None:
    """`(A, 2)`, the tokens of each different answer; none where one of them has no token."""
    spans = [tokens_at(context, answer.start, answer.stop) for answer in row.answers]
    found = sorted({span for span in spans if span is not None})
    if len(found) == 0 and spans:
        return None
    return np.array(found, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Special:
    """The tokens that stand around a question and its context.

    Args:
        first: What goes before them; none where nothing does.
        separator: What goes between them, and where there is a first token, behind them.
    """

    first: int | None
    separator: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, form: TextForm) -> Special:
        """Those of a tokenizer.

        Raises:
            DataError: If it lacks one.
        """
        separator = tokenizer.special("separator")
        if separator is None:
            separator = tokenizer.special("end")
        first = tokenizer.special("first") if form.framed else None
        lacks: Literal["separator", "first token", ""] = "separator" if separator is None else ""
        if form.framed and first is None:
            lacks = "first token"
        if lacks or separator is None:
            raise DataError(
                f"the tokenizer has no {lacks} for questions and their contexts; train one"
                + (", or set data.first=false" if lacks == "first token" else "")
            )
        return cls(first, separator)


def asked(encoded: Encoded, row: int, special: Special, form: TextForm, *, known: bool) -> Asked:
    """A question with its context in windows.

    Args:
        encoded: Questions without a `fault`.
        row: Which of them.
        special: What stands around them.
        form: The length of windows, and their overlap.
        known: Whether its answers are known.
    """
    question, context = encoded.questions[row].tokens, encoded.contexts[row]
    assert form.overlap is not None
    room = form.context - frame(form) - len(question)
    tokens = len(context.tokens)
    windows = windows_of(tokens, room, min(form.overlap, room - 1))
    before = [] if special.first is None else [special.first]
    behind = [] if special.first is None else [special.separator]
    head = np.array([*before, *question, special.separator], dtype=np.int32)
    tail = np.array(behind, dtype=np.int32)
    same = _matches(encoded, row) if form.matches else None
    texts, firsts = [], []
    places = np.empty(tokens, dtype=np.int64)
    total = 0
    owns = [*(window.own for window in windows), tokens]
    for window, own, stop in zip(windows, owns, owns[1:], strict=False):
        piece = context.tokens[window.start : window.stop]
        types = np.ones(len(head) + len(piece) + len(tail), dtype=np.int32)
        types[: len(head)] = 0
        if same is not None:
            types[len(head) : len(head) + len(piece)] += same[window.start : window.stop]
        texts.append(Text(tokens=np.concatenate([head, piece, tail]), types=types))
        firsts.append(total)
        places[own:stop] = np.arange(own, stop) - window.start + total + len(head)
        total += len(types)
    return Asked(
        row=encoded.rows[row],
        context=context,
        windows=texts,
        places=places,
        firsts=np.array(firsts, dtype=np.int64),
        spans=spans_of(encoded.rows[row], context) if known else None,
    )


def _matches(encoded: Encoded, row: int) -> NDArray[np.bool_]:
    """`(T,)`, whether the question has a token that reads the same, but for its case: so words
    that the tokenizer does not know are told apart too."""
    about = encoded.rows[row]
    asked_for = set(_written(encoded.questions[row], about.question))
    return np.array([part in asked_for for part in _written(encoded.contexts[row], about.context)])


def _written(tokens: Spelled, text: str) -> list[str]:
    return [text[a:b].casefold() for a, b in zip(tokens.starts, tokens.ends, strict=True)]
