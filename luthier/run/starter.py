"""A commented recipe to start from, for data that somebody has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from luthier.data.chat.prepare_chat import PreparedChat
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.data.images import ImagesSpec
from luthier.data.pairs.prepare_pairs import PreparedPairs
from luthier.data.prepare import prepare
from luthier.data.prepare_pictures import PreparedPictures
from luthier.data.readers.digits import DigitsSpec
from luthier.data.recognise import recognise
from luthier.data.series.prepare_series import PreparedSeries
from luthier.data.sound.features import LogMelSpec
from luthier.data.sound.prepare_sounds import PreparedSounds, usual_rate
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.sources import DataSpec
from luthier.data.text.documents.prepare_documents import PreparedDocuments
from luthier.data.text.labelled.prepare_texts import PreparedTexts
from luthier.data.text.questions.prepare_questions import PreparedQuestions
from luthier.errors import InputError, nearest
from luthier.run.starter_chat import for_conversations
from luthier.run.starter_documents import for_documents
from luthier.run.starter_pairs import for_pairs
from luthier.run.starter_pictures import for_pictures
from luthier.run.starter_questions import for_questions
from luthier.run.starter_series import for_series
from luthier.run.starter_sounds import bins_for, for_sounds
from luthier.run.starter_texts import for_texts
from luthier.spec import plain
from luthier.tasks import TaskSpec
from luthier.yaml_source import write_yaml

DIGITS = "digits"
CLASSIFY: dict[str, Any] = {"kind": "classify"}
TAG: dict[str, Any] = {"kind": "tag", "crf": True}
EXTRACT: dict[str, Any] = {"kind": "extract"}
TRANSLATE: dict[str, Any] = {"kind": "seq2seq", "label_smoothing": 0.1}
LANGUAGE: dict[str, Any] = {"kind": "language"}
TASKS: dict[str, dict[str, Any]] = {
    "classify": CLASSIFY,
    "image-classification": CLASSIFY,
    "text-classification": CLASSIFY,
    "audio-classification": CLASSIFY,
    "transcribe": {"kind": "transcribe"},
    "automatic-speech-recognition": {"kind": "transcribe"},
    "tag": TAG,
    "token-classification": TAG,
    "classify_and_tag": {"kind": "classify_and_tag"},
    "extract": EXTRACT,
    "question-answering": EXTRACT,
    "language": LANGUAGE,
    "preference": {"kind": "preference", "loss": "dpo"},
    "reward": {"kind": "reward"},
    "seq2seq": TRANSLATE,
    "translation": TRANSLATE,
    "summarization": {**TRANSLATE, "metrics": "summary"},
    "forecast": {"kind": "forecast", "horizon": 24},
    "time-series-forecasting": {"kind": "forecast", "horizon": 24},
    "text-generation": LANGUAGE,
    "fill-mask": {"kind": "language", "objective": "masked", "whole_words": True},
}
"""The task section for each name of a task, ours and the Hub's."""
FORMS = {
    "image-classification": "pictures",
    "text-classification": "texts",
    "audio-classification": "sounds",
    "transcribe": "sounds",
    "automatic-speech-recognition": "sounds",
}
"""What the data is, of the names of tasks that say so."""


def starter_recipe(task: str, data: str) -> tuple[str, str]:
    """A recipe for `data`, and the name it has.

    Args:
        task: What to learn; the Hub's name for it does too.
        data: `digits`, or where the data lies.

    Raises:
        InputError: If there is no such task, or the data is nothing that it learns from.
    """
    if task not in TASKS:
        raise InputError(f'got the task "{task}"{nearest(task, TASKS)}')
    purpose = TypeAdapter[TaskSpec](TaskSpec).validate_python(TASKS[task]).purpose()
    spec: DataSpec
    spec = DigitsSpec() if data == DIGITS else recognise(Path(data), purpose.learns)
    found = _form(spec)
    if FORMS.get(task, found) != found:
        raise InputError(f"{data}: has {found}, which {task} does not learn from; try classify")
    if isinstance(spec, SoundsSpec):
        bins = bins_for(usual_rate(spec, purpose))
        spec = spec.model_copy(update={"features": LogMelSpec(bins=bins)})
    prepared = prepare(spec, purpose=purpose, seed=0)
    name = _name(data)
    match prepared:
        case PreparedTexts():
            body = for_texts(prepared, purpose.learns)
        case PreparedQuestions():
            body = for_questions(prepared)
        case PreparedChat() | PreparedPreferences():
            body = for_conversations(prepared)
        case PreparedDocuments():
            body = for_documents(prepared, masked=not purpose.ahead)
        case PreparedPairs():
            body = for_pairs(prepared)
        case PreparedSounds():
            body = for_sounds(prepared)
        case PreparedSeries():
            body = for_series(prepared)
        case PreparedPictures():
            body = for_pictures(prepared)
        case _:
            raise AssertionError(f"no starter for {type(prepared)}")
    lines = [
        *body.about,
        f"name: {name}",
        write_yaml({"task": TASKS[task]}, compact=True).rstrip(),
        write_yaml({"data": plain(spec)}).rstrip(),
        *body.lines,
    ]
    return "\n".join(lines) + "\n", name


def _form(spec: DataSpec) -> str:
    """What the data is."""
    match spec:
        case ImagesSpec():
            return "pictures"
        case SoundsSpec():
            return "sounds"
    return "texts"


def _name(data: str) -> str:
    stem = Path(data).resolve().name.split(".")[0] if data != DIGITS else data
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return (cleaned or "run")[:64]
