"""What kind of data lies at a path."""

from __future__ import annotations

import os
from pathlib import Path

from luthier.data.chat.chat_recognition import conversations_at
from luthier.data.image import SUFFIXES
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
from luthier.data.sound.recognition import sound_table_at
from luthier.data.sources import DataSpec
from luthier.data.text.documents.document_recognition import documents_at
from luthier.data.text.labelled.recognition import labelled_texts_at
from luthier.data.text.questions.question_recognition import questions_at
from luthier.errors import DataError

MOST_NAMES = 1000
"""Names that are looked at in a folder: enough to see what it is."""
_LOOKED_FOR = (
    "folders of classes with pictures or sounds, IDX files (train-images-idx3-ubyte), "
    "metadata.csv, .tsv, .jsonl or .parquet, a .npz file, or an archive "
    f"({', '.join(ARCHIVE_SUFFIXES)}); tables with texts and labels, folders of classes with .txt "
    "files, words with tags (CoNLL), CLINC150, Snips; for a language, text (.txt), tables with a "
    "column of texts, or conversations (messages, prompt and completion, chosen and rejected, …); "
    "to transcribe, tables with names of sounds and what is said; "
    "to extract answers, questions as SQuAD has them, or rows with question, context and answers; "
    "to forecast, a table with a row for each time"
)


def recognise(path: Path, learns: Learned = "labels") -> DataSpec:
    """The settings that read what lies at `path`, with everything else left to luthier.

    Args:
        path: A file or a folder.
        learns: What a task wants of it.

    Raises:
        DataError: If it is nothing that is read; says what was looked for.
    """
    place = existing(str(path), _LOOKED_FOR)
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
    else:
        found = sound_table_at(place, learns) or labelled_texts_at(place)
        if found is None:
            found = _folder(place) if place.is_dir() else _file(place)
    if found is None:
        raise DataError(f"{place}: is nothing that is known; looked for {_LOOKED_FOR}")
    return found


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
