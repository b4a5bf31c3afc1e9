"""What kind of data lies at a path."""

from __future__ import annotations

import os
from pathlib import Path

from luthier.data.chat.chat_recognition import conversations_at
from luthier.data.image import SUFFIXES
from luthier.data.pairs.pair_recognition import pairs_at
from luthier.data.purpose import Learned
from luthier.data.readers.archive import ImageArchiveSpec
from luthier.data.readers.cifar import BATCH
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.idx import MnistSpec
from luthier.data.readers.layout import split_of
from luthier.data.readers.member import ARCHIVE_SUFFIXES, is_archive
from luthier.data.readers.npz import NpzSpec
from luthier.data.readers.place import existing, names
from luthier.data.readers.rows import TABLE_SUFFIXES
from luthier.data.readers.sound_folder import SoundFolderSpec
from luthier.data.readers.table import ImageTableSpec, table_in
from luthier.data.series.series import SeriesSpec
from luthier.data.sound.decoder import SUFFIXES as SOUND_SUFFIXES
from luthier.data.sound.recognition import sound_table_at, sounds_in
from luthier.data.sources import DataSpec
from luthier.data.text.documents.document_recognition import documents_at
from luthier.data.text.labelled.recognition import labelled_texts_at
from luthier.data.text.questions.question_recognition import questions_at
from luthier.errors import DataError

MOST_NAMES = 1000
"""Names that are looked at in a folder: enough to see what it is."""
_LABELS = (
    "folders of classes with pictures or sounds, IDX files (train-images-idx3-ubyte), "
    "metadata.csv, .tsv, .jsonl or .parquet, a .npz file, or an archive "
    f"({', '.join(ARCHIVE_SUFFIXES)}); tables with texts and labels, folders of classes with .txt "
    "files, words with tags (CoNLL), CLINC150, Snips"
)
_CONVERSATIONS = "conversations with answers that were compared (prompt, chosen, rejected)"
_LOOKED_FOR: dict[Learned, str] = {
    "documents": "texts for a language: .txt, tables with a column of texts, or conversations "
    "(messages, prompt and completion, …)",
    "preferences": _CONVERSATIONS,
    "judgements": _CONVERSATIONS,
    "answers": "questions as SQuAD has them, or rows with question, context and answers",
    "transcripts": "tables with names of sounds (file_name, audio, …) and what is said (text, …)",
    "pairs": "tables with two columns of texts, or two files whose lines belong together "
    "(train.en, train.de)",
    "forecast": "a table with a row for each time",
}
"""What is looked for, by what a task wants; for others, inputs with labels."""


def recognise(path: Path, learns: Learned = "labels") -> DataSpec:
    """The settings that read what lies at `path`, with everything else left to luthier.

    Args:
        path: A file or a folder.
        learns: What a task wants of it.

    Raises:
        DataError: If it is nothing that is read; says what was looked for.
    """
    looked_for = _LOOKED_FOR.get(learns, _LABELS)
    place = existing(str(path), looked_for)
    found: DataSpec | None = None
    if learns in ("preferences", "judgements"):
        found = conversations_at(place)
    elif learns == "forecast":
        found = None if place.is_dir() else SeriesSpec(path=str(place), missing="fill")
    elif learns == "documents":
        found = conversations_at(place) or documents_at(place)
    elif learns == "answers":
        found = questions_at(place)
    elif learns == "transcripts":
        found = sound_table_at(place, learns)
    elif learns == "pairs":
        found = pairs_at(place)
    else:
        found = sound_table_at(place, learns) or labelled_texts_at(place)
        if found is None:
            found = _folder(place) if place.is_dir() else _file(place)
    if learns in ("labels", "transcripts") and (
        found is None or isinstance(found, ImageArchiveSpec)
    ):
        found = _sounds(place, learns) or found
    if found is None:
        raise DataError(f"{place}: is nothing that is known; looked for {looked_for}")
    return found


def _sounds(place: Path, learns: Learned) -> SoundFolderSpec | None:
    """An archive of class folders of sounds; none where there are no sounds.

    Raises:
        DataError: If nothing but their names can say anything of them: a recipe tells how.
    """
    found = sounds_in(place)
    if not found:
        return None
    part, like, lacks = "label", "fsdd", "no table, and no folders of classes, that say what it is"
    if learns == "transcripts":
        part, like, lacks = "text", "yesno", "no table with what is said in them"
    elif len({path.parent for path in found}) > 1:
        return SoundFolderSpec(path=str(place))
    raise DataError(
        f"{place}: holds sounds, such as {found[0]}, but {lacks}; where their names do, write a "
        f'recipe with data: {{kind: sound_names, path: …, pattern: "{{{part}}}_…"}}, such as '
        f"recipes/{like}.yaml"
    )


def _file(place: Path) -> DataSpec | None:
    name, path = place.name.lower(), str(place)
    if is_archive(name):
        return ImageArchiveSpec(path=path)
    if name.endswith(".npz"):
        return NpzSpec(path=path)
    if name.endswith(TABLE_SUFFIXES):
        return ImageTableSpec(path=path)
    if "idx3-ubyte" in name or "idx1-ubyte" in name:
        return MnistSpec(path=str(place.parent))
    return None


def _folder(place: Path) -> DataSpec | None:
    path, inside = str(place), names(place)
    if any("idx3-ubyte" in name for name in inside):
        return MnistSpec(path=path)
    if _has_table(place, inside):
        return ImageTableSpec(path=path)
    if any(is_archive(name) or BATCH.fullmatch(name) for name in inside):
        return ImageArchiveSpec(path=path)
    arrays = [name for name in inside if name.lower().endswith(".npz")]
    if len(arrays) == 1:
        return NpzSpec(path=str(place / arrays[0]))
    if _has_class_folders(place, inside, SUFFIXES):
        return ImageFolderSpec(path=path)
    if _has_class_folders(place, inside, SOUND_SUFFIXES):
        return SoundFolderSpec(path=path)
    return None


def _has_table(place: Path, inside: list[str]) -> bool:
    splits = [place / name for name in inside if split_of(name) and (place / name).is_dir()]
    return any(table_in(folder) for folder in [place, *splits])


def _has_class_folders(place: Path, inside: list[str], suffixes: tuple[str, ...]) -> bool:
    """Whether files of a kind lie one or two folders down."""
    for name in inside[:MOST_NAMES]:
        folder = place / name
        if not folder.is_dir():
            continue
        below = names(folder)[:MOST_NAMES]
        if any(os.path.splitext(entry)[1].lower() in suffixes for entry in below):
            return True
        if split_of(name) and _has_class_folders(folder, below, suffixes):
            return True
    return False
