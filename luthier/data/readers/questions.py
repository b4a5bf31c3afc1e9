"""Questions whose answers stand in a text: SQuAD, CMRC 2018, XQuAD, or one question a row."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.splits import SplitFiles, locate, only_one
from luthier.data.text.labelled.texts import TextsSpec
from luthier.data.text.questions.question_reading import SUFFIXES, Columns, QuestionReader
from luthier.data.text.questions.question_row import FoundQuestions, QuestionRow
from luthier.spec import Auto

Rules = Literal["squad", "cmrc"]
"""How answers are compared: word by word, or character by character."""


class QuestionsSpec(TextsSpec):
    """Questions, each with a context and the spans of it that answer: SQuAD's JSON of articles and
    paragraphs, or a question a row in `.jsonl`, `.json` or `.parquet`."""

    kind: Literal["questions"] = "questions"

    path: str | None = None
    """The file; or a folder or an archive with files whose names say train, val (dev) or test."""
    files: SplitFiles | None = None
    """Instead of a path: the file of each split."""
    question_column: str = "question"
    """What the question is called, where each is a row."""
    context_column: str = "context"
    """What its context is called."""
    answers_column: str = "answers"
    """What its answers are called: an object with the lists `text` and `answer_start`, or a list
    of such objects. An empty list says that the context has no answer."""
    overlap: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Tokens that two windows of a long context have in common. A window holds the question, whole,
    and as much of the context as fits."""
    matches: bool | Auto = "auto"
    """Whether tokens of the context that stand in the question too are of a kind of their own, 2,
    where those of a question are 0 and the others 1: `{kind: tokens, types: 3}` has a vector for
    each. It spares a network that begins with nothing to learn which tokens are equal; a pretrained
    one knows, and has no vectors for it. auto: as the start of the run had it, else no."""
    rules: Rules | Auto = "auto"
    """How answers are compared. squad: by words, without case, marks and articles; cmrc: Chinese,
    by characters, without marks; auto: what the script of the contexts asks for."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else yes."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        only_one(self.path, self.files)
        if self.overlap != "auto" and self.overlap < 0:
            raise ValueError(f"overlap: got {self.overlap}; wanted 0 or more tokens")
        return self

    def collect(self, faults: Faults) -> FoundQuestions:
        """Every question of the files."""
        what = f"a file of questions ({', '.join(SUFFIXES)}), or a folder with one for each split"
        located = locate(self.path, self.files, what, SUFFIXES, faults)
        columns = Columns(
            question=self.question_column,
            context=self.context_column,
            answers=self.answers_column,
        )
        reader = QuestionReader(columns=columns, faults=faults)
        parts: dict[Split, list[QuestionRow]] = {}
        for split, files in located.parts.items():
            for file in files:
                parts.setdefault(split, []).extend(reader.read(file))
        return FoundQuestions(
            recognised=f"questions {located.told}",
            parts=parts if len(parts) > 1 else {"train": next(iter(parts.values()))},
            decisions=located.decisions,
            findings=reader.findings(),
        )
