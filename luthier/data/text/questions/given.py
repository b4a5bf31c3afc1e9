"""Questions that somebody asks a finished model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import torch

from luthier.data.faults import Faults
from luthier.data.readers.lines import read_lines
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.found import problem_with
from luthier.data.text.questions.asked import Special, asked, encode_questions, fault
from luthier.data.text.questions.question_examples import QuestionSamples
from luthier.data.text.questions.question_reading import SUFFIXES, Columns, QuestionReader
from luthier.data.text.questions.question_row import QuestionRow
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError

STANDARD_INPUT = "-"
WANTED = "wanted a question and its context, with a tab between them"

Pair = tuple[str, str]
"""A question and its context."""


def questions_given(given: Sequence[str | Pair | Path]) -> list[Pair]:
    """Every question with its context: those given, those of files and of standard input.

    A file of questions is read as training data is, whatever it says of answers; of any other
    file, and of standard input, each line is a question, a tab and a context, or an object with
    both.

    Raises:
        DataError: If one of them is none; says what it is.
    """
    found = [pair for number, item in enumerate(given) for pair in _expanded(item, number)]
    if not found:
        raise DataError(f"got no question; {WANTED}")
    return found


def samples_of(
    pairs: Sequence[Pair], start: int, tokenizer: Tokenizer, form: TextForm
) -> QuestionSamples:
    """Questions as a task's `collate` reads them, with nothing known of their answers.

    Raises:
        DataError: If one of them cannot be asked; names it.
    """
    rows = []
    for number, (question, context) in enumerate(pairs, start):
        name = f"inputs[{number}]"
        for what, text in (("question", question), ("context", context)):
            problem = problem_with(text)
            if problem:
                raise DataError(f"{name}: has a {what} that {problem}")
        rows.append(QuestionRow(name, question, context))
    encoded, special = encode_questions(rows, tokenizer), Special.of(tokenizer, form)
    for number, row in enumerate(rows):
        wrong = fault(encoded, number, form)
        if wrong:
            raise DataError(f"{row.name}: {wrong}")
    return QuestionSamples(
        asked=[asked(encoded, row, special, form, known=False) for row in range(len(rows))],
        ids=torch.arange(start, start + len(rows)),
        pad=tokenizer.special("pad") or 0,
    )


def _expanded(item: str | Pair | Path, number: int) -> Iterator[Pair]:
    if isinstance(item, tuple):
        yield item
    elif isinstance(item, Path):
        file = Stored.at(existing(str(item), "a file of questions"))
        if file.path.suffix.lower() in SUFFIXES:
            reader = QuestionReader(columns=Columns(), faults=Faults("stop"), asks=True)
            rows = list(reader.read(file))
            reader.faults.settle()
            yield from ((row.question, row.context) for row in rows)
        else:
            yield from _of_lines(file)
    elif item == STANDARD_INPUT:
        where = "standard input"
        yield from _of_lines(Stored(PurePosixPath(where), where, sys.stdin.buffer.read()))
    else:
        yield _pair(item, f"inputs[{number}]")


def _of_lines(file: Stored) -> Iterable[Pair]:
    for number, text, problem in read_lines(file):
        if problem:
            raise DataError(f"{file.where}: line {number} {problem}")
        if text.strip():
            yield _pair(text, f"{file.where}: line {number}")


def _pair(text: str, where: str) -> Pair:
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: is no JSON: {error}") from None
        pair = values.get("question"), values.get("context")
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise DataError(f'{where}: wanted {{"question": …, "context": …}}')
        return pair[0], pair[1]
    question, tab, context = text.partition("\t")
    if not tab:
        raise DataError(f"{where}: got one text, {text!r:.60}; {WANTED}")
    return question.strip(), context
