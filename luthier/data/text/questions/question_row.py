"""What a reader of questions found, by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from luthier.data.collection import Split
from luthier.data.finding import Finding
from luthier.spec import Decision


class Answer(NamedTuple):
    """A span of a context: the text stands there, character for character."""

    text: str
    start: int
    """Its first character, from 0."""

    @property
    def stop(self) -> int:
        """Behind its last character."""
        return self.start + len(self.text)


class QuestionRow(NamedTuple):
    """One question about one context."""

    name: str
    """Where it stands: `dev.json question 56be4db0`."""
    question: str
    context: str
    """As it was read, so that characters can be counted in it."""
    answers: tuple[Answer, ...] = ()
    """What people answered; empty where the context does not answer it."""
    reworded: tuple[str, ...] = ()
    """Answers that stand nowhere in the context: what is said is compared with them too, but
    nothing is learned of them."""
    article: str = ""
    """What the context is of; empty where that is not known."""


@dataclass(frozen=True, kw_only=True)
class FoundQuestions:
    """What a reader found at a place."""

    recognised: str
    """What it is: `questions /data/squad`."""
    parts: Mapping[Split, Sequence[QuestionRow]]
    """The splits that are given. Where there is only one, it is called train."""
    decisions: tuple[Decision, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What was wrong with answers, and mended or left out."""
