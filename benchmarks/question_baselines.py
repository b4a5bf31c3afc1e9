"""What can be answered without learning: the first words of a context, and a sliding window."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from luthier.data.text.questions.question_row import QuestionRow

UNIT = re.compile(r"[\u4e00-\u9fa5]|[^\W\u4e00-\u9fa5]+(?:['.,][^\W\u4e00-\u9fa5]+)*|[^\w\s]")
"""A Chinese character, another word, or a mark."""


def usual_length(rows: Iterable[QuestionRow]) -> int:
    """The median number of units of training answers."""
    lengths = [len(UNIT.findall(answer.text)) for row in rows for answer in row.answers]
    return max(1, round(statistics.median(lengths)))


def first_tokens(row: QuestionRow, length: int) -> str:
    """The first units of a context."""
    return _span(row.context, list(UNIT.finditer(row.context)), 0, length)


def sliding_window(row: QuestionRow, length: int) -> str:
    """Where a context has most in common with the question.

    A window with as many units as the question and an answer runs over the context. A word of the
    question that is in it counts log(1 + 1 / c), c being how often the context has the word. The
    answer is the part of the best window that has least of the question's words in it, of several
    the one nearest to them.

    Source:
        Richardson, Burges and Renshaw 2013, "MCTest", D13-1020, algorithm 1. There the answers are
        given, four of them, and counted as words of the question; here one is cut out.

    Example:
        >>> row = QuestionRow("", "Who sang Hello?", "Ann slept. Adele sang Hello.")
        >>> sliding_window(row, 1)
        'Adele'
    """
    units = list(UNIT.finditer(row.context))
    words = [unit.group().lower() for unit in units]
    counts = Counter(words)
    asked = {word for word in map(str.lower, UNIT.findall(row.question)) if word.isalnum()}
    worth = [math.log(1 + 1 / counts[word]) if word in asked else 0.0 for word in words]
    size = min(len(units), len(UNIT.findall(row.question)) + length)
    starts = range(len(units) - size + 1)
    values = [_worth(words, worth, start, start + size) for start in starts]
    equal = [start for start, value in zip(starts, values, strict=True) if value == max(values)]
    best = equal[len(equal) // 2]
    inside = range(best, best + max(1, size - length + 1))
    there = [place for place in range(best, best + size) if worth[place]]
    middle = statistics.mean(there) if there else best + size / 2

    def unlikely(start: int) -> tuple[float, float]:
        return _cost(words, worth, start, start + length), abs(start + (length - 1) / 2 - middle)

    chosen = min(inside, key=unlikely)
    return _span(row.context, units, chosen, length)


def _worth(words: Sequence[str], worth: Sequence[float], start: int, stop: int) -> float:
    """What a window is worth: each different word once."""
    return sum(dict(zip(words[start:stop], worth[start:stop], strict=True)).values())


def _cost(words: Sequence[str], worth: Sequence[float], start: int, stop: int) -> float:
    """The question's words and the marks in an answer."""
    marks = sum(not word[0].isalnum() for word in words[start:stop])
    return sum(worth[start:stop]) + marks


def _span(context: str, units: Sequence[re.Match[str]], start: int, length: int) -> str:
    last = units[min(start + length, len(units)) - 1]
    return context[units[start].start() : last.end()]
