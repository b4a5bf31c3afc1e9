"""From the data section of a recipe to splits that are ready to be read."""

from __future__ import annotations

from pathlib import Path

from luthier.data.chat.chat import ChatSpec
from luthier.data.chat.prepare_chat import prepare_chat
from luthier.data.chat.prepare_preferences import prepare_preferences
from luthier.data.decoding import Progress
from luthier.data.images import ImagesSpec
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.pairs.prepare_pairs import prepare_pairs
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.prepared import Prepared
from luthier.data.purpose import Learned, Purpose
from luthier.data.readers.mixture import MixtureSpec
from luthier.data.readers.questions import QuestionsSpec
from luthier.data.readers.text import TextSpec
from luthier.data.series.prepare_series import prepare_series
from luthier.data.series.series import SeriesSpec
from luthier.data.sound.prepare_sounds import prepare_sounds
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.sources import DataSpec
from luthier.data.text.documents.prepare_documents import prepare_documents
from luthier.data.text.labelled.prepare_texts import prepare_texts
from luthier.data.text.questions.prepare_questions import prepare_questions
from luthier.errors import InputError

LABELS = Purpose(learns="labels")


def prepare(
    spec: DataSpec,
    *,
    seed: int,
    purpose: Purpose = LABELS,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Prepared:
    """Reads, checks, splits and measures.

    Args:
        spec: The data section of a recipe.
        seed: Of all that is random in training.
        purpose: What a task wants to learn of it.
        progress: Told what is being done, and how far it is.
        cache: Where prepared data is kept; none means `cache_folder()`.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If it is not the kind of data that the task learns from.
        StorageError: If the cache cannot be written.
    """
    learns, documents = purpose.learns, isinstance(spec, TextSpec | MixtureSpec | ChatSpec)
    if isinstance(spec, ChatSpec) and learns in ("preferences", "judgements"):
        return prepare_preferences(spec, purpose, progress=progress)
    if isinstance(spec, PairsSpec) and learns == "pairs":
        return prepare_pairs(spec, purpose, progress=progress)
    if isinstance(spec, PairsSpec):
        raise _unsuited(spec, "pairs of texts", learns)
    if isinstance(spec, SeriesSpec):
        if learns != "forecast":
            raise _unsuited(spec, "series to forecast", learns)
        return prepare_series(spec, purpose)
    if isinstance(spec, ImagesSpec):
        if learns != "labels":
            raise _unsuited(spec, "pictures with a label each", learns)
        return prepare_pictures(spec, seed=seed, progress=progress, cache=cache)
    if isinstance(spec, QuestionsSpec):
        if learns != "answers":
            raise _unsuited(spec, "questions with their answers", learns)
        return prepare_questions(spec, purpose, progress=progress)
    if learns == "answers":
        raise _unsuited(spec, "no questions with answers in a context", learns)
    if isinstance(spec, SoundsSpec):
        if learns not in ("labels", "transcripts"):
            raise _unsuited(spec, "sounds", learns)
        return prepare_sounds(spec, purpose, seed=seed, progress=progress, cache=cache)
    if learns == "transcripts":
        raise _unsuited(spec, "no sounds", learns)
    if documents != (learns == "documents") or learns == "forecast":
        raise _unsuited(spec, "documents" if documents else "texts with labels or tags", learns)
    if isinstance(spec, TextSpec | MixtureSpec):
        return prepare_documents(spec, purpose, seed=seed, progress=progress, cache=cache)
    if isinstance(spec, ChatSpec):
        return prepare_chat(spec, purpose, seed=seed, progress=progress)
    return prepare_texts(spec, purpose, seed=seed, progress=progress, cache=cache)


def _unsuited(spec: DataSpec, has: str, learns: Learned) -> InputError:
    return InputError(
        f"data.kind: {spec.kind} has {has}, but the task learns {_WANTED[learns]}; wanted other "
        "data, or another task"
    )


_WANTED: dict[Learned, str] = {
    "labels": "a label for each input",
    "documents": "a language from documents ({kind: text, path: …})",
    "tags": "a tag for each word",
    "labels_and_tags": "a label for each text and a tag for each of its words",
    "preferences": "which of two answers is better ({kind: chat, path: …})",
    "answers": "where a context answers a question ({kind: questions, path: …})",
    "transcripts": "what is said in sounds ({kind: sound_table, path: …})",
    "pairs": "what to write of each input ({kind: pairs, path: …, source: …, target: …})",
    "forecast": "what comes next in a series ({kind: series, path: …})",
    "judgements": "whether answers are good ({kind: chat, path: …})",
}
