"""Questions in files: SQuAD's articles with paragraphs, or one question a row.

Source:
    The formats are those of Rajpurkar et al. 2016 (SQuAD 1.1), 1606.05250, and 2018 (SQuAD 2.0),
    1806.03822: `is_impossible`, or no answer in the list, says that the context has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from luthier.data.faults import Faults
from luthier.data.finding import FILES, Finding, counted
from luthier.data.readers.rows import read_json, read_rows
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import problem_with
from luthier.data.text.questions.question_row import Answer, QuestionRow
from luthier.errors import DataError, nearest

SUFFIXES = (".json", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the fields of a question are called, where each is a row."""

    question: str = "question"
    context: str = "context"
    answers: str = "answers"


@dataclass
class QuestionReader:
    """Reads the questions of files, and counts what is wrong with their answers.

    Args:
        columns: Of rows.
        faults: Takes up questions that cannot be used.
        asks: Whether only questions are wanted, whatever is known of their answers.
    """

    columns: Columns
    faults: Faults
    asks: bool = False
    moved: list[str] = field(default_factory=list)
    """Questions with an answer that stood elsewhere."""
    reworded: list[str] = field(default_factory=list)
    """Questions with an answer that stands nowhere in the context, beside one that does."""
    _ids: set[str] = field(default_factory=set)

    def read(self, file: Stored) -> Iterator[QuestionRow]:
        """Every question of a file that can be used.

        Raises:
            DataError: If it holds no questions in a form that is known.
        """
        self._ids = set()
        rows = self._of_json(file) if file.path.suffix.lower() == ".json" else self._of_rows(file)
        for row in rows:
            if row is not None:
                yield row

    def findings(self) -> tuple[Finding, ...]:
        """What was mended, and what was left out."""
        found = []
        if self.moved:
            found.append(
                Finding(
                    severity="warning",
                    message=f"{counted(len(self.moved), 'answer')} not at their answer_start: "
                    "each stands once in its context, and is taken from there",
                    files=tuple(dict.fromkeys(self.moved))[:FILES],
                )
            )
        if self.reworded:
            found.append(
                Finding(
                    severity="note",
                    message=f"{counted(len(self.reworded), 'answer')} at no place in the context, "
                    "beside others that are: compared with, but not learned",
                    files=tuple(dict.fromkeys(self.reworded))[:FILES],
                )
            )
        return tuple(found)

    def _of_json(self, file: Stored) -> Iterator[QuestionRow | None]:
        found = read_json(file)
        entries = found.get("data") if isinstance(found, dict) else found
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise DataError(
                f'{file.where}: wanted SQuAD\'s {{"data": [{{"paragraphs": …}}, …]}}, or a list of '
                "objects with question, context and answers"
            )
        if any("paragraphs" in one for one in entries):
            return self._nested(file, entries)
        places = (
            (f"{file.name} entry {number}", values) for number, values in enumerate(entries, 1)
        )
        return self._flat(file, places)

    def _of_rows(self, file: Stored) -> Iterator[QuestionRow | None]:
        return self._flat(file, read_rows(file, self.faults))

    def _nested(self, file: Stored, articles: list[Any]) -> Iterator[QuestionRow | None]:
        for number, article in enumerate(articles, 1):
            where = f"{file.name} article {number}"
            title = str(article.get("title") or article.get("id") or where)
            paragraphs = article.get("paragraphs")
            if not isinstance(paragraphs, list):
                self.faults.add(where, 'has no list "paragraphs"')
                continue
            for place, paragraph in enumerate(paragraphs, 1):
                at = f"{where} paragraph {place}"
                qas = paragraph.get("qas") if isinstance(paragraph, dict) else None
                if not isinstance(qas, list):
                    self.faults.add(at, 'has no list "qas"')
                    continue
                for count, values in enumerate(qas, 1):
                    named = f"{at} question {count}"
                    if not isinstance(values, dict):
                        self.faults.add(named, "is no object")
                        continue
                    if values.get("id"):
                        named = f"{file.name} question {values['id']}"
                    yield self._question(named, values, paragraph, "answers", title)

    def _flat(
        self, file: Stored, rows: Iterator[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[QuestionRow | None]:
        checked = False
        for place, values in rows:
            if not checked:
                self._must_have_columns(file, values)
                checked = True
            yield self._question(place, values, values, self.columns.answers, "")

    def _must_have_columns(self, file: Stored, values: Mapping[str, Any]) -> None:
        wanted = [("question", self.columns.question), ("context", self.columns.context)]
        if not self.asks:
            wanted.append(("answers", self.columns.answers))
        for setting, column in wanted:
            if column not in values:
                told = nearest(column, [str(name) for name in values])
                raise DataError(f'{file.where}: has no "{column}" (data.{setting}_column){told}')

    def _question(
        self,
        name: str,
        values: Mapping[str, Any],
        around: Mapping[str, Any],
        answers: str,
        article: str,
    ) -> QuestionRow | None:
        """A question; or none, and a fault.

        Args:
            name: Where it stands.
            values: Of the question.
            around: What has its context.
            answers: The key of its answers.
            article: What its context is of; for rows, what they call their title.
        """
        flat = values is around
        question = values.get(self.columns.question if flat else "question")
        context = around.get(self.columns.context if flat else "context")
        for what, text in (("question", question), ("context", context)):
            problem = problem_with(text)
            if problem:
                self.faults.add(name, f"has a {what} that {problem}")
                return None
        identity = values.get("id")
        if identity is not None and str(identity) in self._ids:
            self.faults.add(name, f'has the id "{identity}" of another question')
            return None
        self._ids.add(str(identity))
        title = article or str(values.get("title") or "")
        row = QuestionRow(name, str(question).strip(), str(context), article=title)
        return row if self.asks else self._answered(row, values, answers)

    def _answered(
        self, row: QuestionRow, values: Mapping[str, Any], key: str
    ) -> QuestionRow | None:
        if values.get("is_impossible") is True:
            return row
        given = _listed(values.get(key))
        if isinstance(given, str):
            self.faults.add(row.name, given)
            return None
        found: list[Answer] = []
        reworded: list[str] = []
        wrong = ""
        for text, start in given:
            answer, problem = placed(text, start, row.context)
            if answer is None:
                wrong = problem
                reworded += [text.strip()] if isinstance(text, str) and text.strip() else []
                continue
            if problem:
                self.moved.append(row.name)
            found.append(answer)
        if wrong and not found:
            self.faults.add(row.name, wrong)
            return None
        self.reworded += [row.name] * len(reworded)
        return row._replace(answers=tuple(found), reworded=tuple(reworded))


def placed(text: Any, start: Any, context: str) -> tuple[Answer | None, str]:
    """An answer where it stands in its context, without white space around it.

    Returns:
        The answer and an empty text; the answer and what was wrong, where it stands elsewhere,
        once; or none, and why.

    Example:
        >>> placed("cat", 4, "the cat sat")
        (Answer(text='cat', start=4), '')
        >>> placed("cat", 5, "the cat sat")[0]
        Answer(text='cat', start=4)
        >>> placed("t", 1, "the cat sat")
        (None, 'has the answer "t", which is not at character 1, but at 3 other places')
    """
    if not isinstance(text, str) or not text.strip():
        return None, "has an answer without text"
    known = isinstance(start, int) and not isinstance(start, bool)
    inner = text.strip()
    if known and start >= 0 and context[start : start + len(text)] == text:
        return Answer(inner, start + len(text) - len(text.lstrip())), ""
    places = context.count(inner)
    at = f"at character {start}" if known else "given a place (answer_start)"
    told = f'has the answer "{inner:.40}", which is not {at}'
    if places == 1:
        return Answer(inner, context.index(inner)), told
    return None, told + (f", but at {places} other places" if places else " and not in its context")


def _listed(given: Any) -> list[tuple[Any, Any]] | str:
    """Answers as pairs of text and start, in either form; or what is wrong with them."""
    if isinstance(given, dict):
        texts, starts = given.get("text"), given.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            return list(zip(texts, starts, strict=True))
        return "has answers whose text and answer_start are no lists of one length"
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        return [(one.get("text"), one.get("answer_start")) for one in given]
    if given is None:
        return "has no answers; an empty list says that the context has none"
    return f"has {given!r:.40} as its answers; wanted a list"
