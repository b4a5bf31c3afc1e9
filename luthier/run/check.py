"""What is wrong with a recipe and its data, before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from luthier.data.chat.chat_doctor import inspect_chat, inspect_preferences
from luthier.data.chat.prepare_chat import PreparedChat
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.data.chat.shown import ShownConversation
from luthier.data.decoding import Progress
from luthier.data.doctor import inspect
from luthier.data.finding import Finding, worst_first
from luthier.data.pairs.pair_doctor import inspect_pairs
from luthier.data.pairs.prepare_pairs import PreparedPairs
from luthier.data.prepare_pictures import PreparedPictures
from luthier.data.prepared import Prepared
from luthier.data.series.prepare_series import PreparedSeries
from luthier.data.series.series_doctor import inspect_series
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_doctor import inspect_sounds
from luthier.data.target import Tags, names_of
from luthier.data.text.documents.prepare_documents import PreparedDocuments
from luthier.data.text.labelled.prepare_texts import PreparedTexts
from luthier.data.text.questions.prepare_questions import PreparedQuestions
from luthier.data.text.questions.question_doctor import inspect_questions
from luthier.data.text.text_doctor import inspect_texts
from luthier.errors import DataError
from luthier.recipe import Recipe
from luthier.resolve import resolve
from luthier.run.assembly import assemble
from luthier.run.directory import RUNS, RunDirectory
from luthier.run.reading import read
from luthier.run.rows import splits_of
from luthier.run.session import open_session
from luthier.run.short_sounds import short_findings
from luthier.run.start import start_of
from luthier.run.teaching import with_teacher


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found."""

    recognised: str
    splits: dict[str, int]
    """Rows in each."""
    classes: int
    """0 where there are none to tell apart."""
    called: Literal["classes", "tags"] = "classes"
    """What they are, for people."""
    findings: tuple[Finding, ...]
    moves: str = ""
    """What an adapter lets move; empty without one."""
    shown: tuple[ShownConversation, ...] = ()
    """Conversations, token by token, with what is learned of them."""

    @property
    def errors(self) -> int:
        """Findings that keep the recipe from being trained."""
        return sum(finding.severity == "error" for finding in self.findings)

    def sentence(self) -> str:
        """What was read."""
        if not self.splits:
            return "The data could not be read."
        rows = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        found = f"{len(self.findings)} finding{'s' if len(self.findings) != 1 else ''}"
        classes = f"; {self.classes} {self.called}" if self.classes else ""
        moves = f" It {self.moves}." if self.moves else ""
        return f"{self.recognised}: {rows}{classes}. {found}.{moves}"

    def to_json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return {
            "recognised": self.recognised,
            "splits": self.splits,
            "classes": self.classes,
            "adapter": self.moves or None,
            "findings": [
                {"severity": found.severity, "message": found.message, "files": list(found.files)}
                for found in self.findings
            ],
            "shown": [one.to_json() for one in self.shown],
        }


def check_recipe(recipe: Recipe, progress: Progress | None = None) -> Checked:
    """Reads the data, builds the network, and says what is wrong.

    Raises:
        InputError: If the recipe contradicts itself or its data; what is wrong with the data
            alone is among the findings.
    """
    start = start_of(recipe)
    try:
        given = read(recipe, start, lenient=True, progress=progress)
    except DataError as error:
        unread = Finding(severity="error", message=str(error))
        return Checked(recognised="", splits={}, classes=0, findings=(unread,))
    prepared = given.prepared
    resolved = resolve(given.recipe, prepared, before=given.decisions)
    assembly = assemble(resolved.recipe, prepared)
    directory = RunDirectory(RUNS / recipe.name)
    told = {"data.on_error": "skip"} if isinstance(prepared, PreparedSounds) else {}
    lenient = replace(resolved, recipe=resolved.recipe.with_values(told))
    session = with_teacher(open_session(directory, lenient, prepared, assembly, start))
    adapted = session.adapting
    findings = [*_findings(prepared), *short_findings(assembly.network, prepared)]
    if getattr(recipe.data, "on_error", "stop") == "skip":
        findings = [finding.leniently() for finding in findings]
    return Checked(
        recognised=prepared.recognised,
        splits={name: len(rows) for name, rows in splits_of(prepared).items()},
        classes=len(names_of(prepared.target)),
        called="tags" if isinstance(prepared.target, Tags) else "classes",
        findings=tuple(worst_first(findings)),
        moves="" if adapted is None else adapted.moves.sentence(),
        shown=prepared.shown if isinstance(prepared, PreparedChat | PreparedPreferences) else (),
    )


def _findings(prepared: Prepared) -> list[Finding]:
    if isinstance(prepared, PreparedTexts | PreparedDocuments):
        return inspect_texts(prepared)
    if isinstance(prepared, PreparedQuestions):
        return inspect_questions(prepared)
    if isinstance(prepared, PreparedChat):
        return inspect_chat(prepared)
    if isinstance(prepared, PreparedPairs):
        return inspect_pairs(prepared)
    if isinstance(prepared, PreparedPreferences):
        return inspect_preferences(prepared)
    if isinstance(prepared, PreparedSounds):
        return inspect_sounds(prepared)
    if isinstance(prepared, PreparedSeries):
        return inspect_series(prepared)
    assert isinstance(prepared, PreparedPictures)
    return inspect(prepared)
