"""Decoded sounds and their features, kept on disk: made once, by several threads, then mapped.

An entry is a folder with `values.bin` (all rows one behind the other, float32) and `index.json`
(shape, lengths, hashes, what could not be used). What looks torn is made anew.

Dimension key, for the whole file:
    S  samples, or frames, of all rows      M  values of each
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.data.collection import Rows
from luthier.data.decoding import Progress, threads
from luthier.data.entry import cache_folder, make_entry, settle
from luthier.data.prefetch import ordered
from luthier.data.readers.stored import Stored
from luthier.data.sound.decoder import MAX_BYTES, Look, Wave, decode, look
from luthier.data.sound.form import SoundForm
from luthier.data.sound.found import SoundRow
from luthier.errors import DataError

VERSION = 1
"""Raise it when the same files and settings give other values, or the entry's form changes."""
DIGEST_BYTES = 16
GAP_SECONDS = 0.1
"""Of silence between sounds that are joined."""


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Rows of different lengths, one behind the other in one array."""

    values: NDArray[np.float32]
    """`(S,)`, or `(S, M)`; lies in a mapped file."""
    offsets: Rows
    """`(rows + 1,)`, where each begins."""
    digests: Sequence[str]
    """A hash of each row's values."""
    faults: Sequence[tuple[int, str]]
    """Rows that could not be made, which are empty, and why."""

    @property
    def lengths(self) -> Rows:
        """`(rows,)`."""
        return np.diff(self.offsets)

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        """One row."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]


def read_file(file: Stored) -> bytes:
    """The bytes of a sound's file; one more than may be, of a larger one.

    Raises:
        DataError: If it cannot be read; the message does not name it.
    """
    try:
        with file.open() as stream:
            return stream.read(MAX_BYTES + 1)
    except DataError as error:
        raise DataError(str(error).removeprefix(f"{file.where}: ")) from None


def looks(rows: Sequence[SoundRow]) -> Iterator[Look]:
    """What the files of rows say of their sounds; those that cannot be read are left out."""

    def work(row: SoundRow) -> Look | None:
        try:
            return look(read_file(row.parts[0]))
        except DataError:
            return None  # it is told when it is decoded

    workers = threads()
    found = ordered(work, rows, workers=workers, ahead=2 * workers)
    return (one for one in found if one is not None)


def cached_waves(
    rows: Sequence[SoundRow],
    rate: int,
    longest_seconds: float,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> tuple[Stretches, str]:
    """The samples of all rows, and the name of their entry.

    Args:
        rows: What to decode.
        rate: Samples a second of what comes out.
        longest_seconds: A longer sound is a fault.
        progress: Told what is being done, and how far it is.
        cache: Where entries are kept; none means `cache_folder()`.

    Raises:
        StorageError: If the cache cannot be written.
    """
    key = hashlib.blake2b(digest_size=DIGEST_BYTES)
    key.update(json.dumps([VERSION, rate, longest_seconds]).encode())
    for row in rows:
        key.update("\0".join([row.name, *map(_stamp, row.parts)]).encode() + b"\1")

    def wave(number: int) -> Wave:
        gap = np.zeros(int(GAP_SECONDS * rate), dtype=np.float32)
        pieces: list[Wave] = []
        for part in rows[number].parts:
            pieces += [gap] if pieces else []
            pieces.append(_decoded(part, rate, longest_seconds))
        return np.concatenate(pieces)

    told = _told("decoding sounds", len(rows), progress)
    return _entry(key.hexdigest(), len(rows), wave, told, cache, threads()), key.hexdigest()


def cached_frames(
    waves: Stretches,
    waves_key: str,
    form: SoundForm,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Stretches:
    """The features of all waves, before they are normalised."""
    settings = form.features.model_dump_json()
    filled = [] if form.fill_seconds is None else [form.fill_seconds]
    text = json.dumps([VERSION, waves_key, form.rate, settings, *filled])
    key = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()
    width = form.width

    def frames(number: int) -> NDArray[np.float32]:
        wave = waves[number]
        if not len(wave):
            return np.zeros((0, width), dtype=np.float32)
        return form.frames(torch.from_numpy(wave)).numpy()

    told = _told("making features", len(waves.lengths), progress)
    # Torch has threads of its own.
    return _entry(key, len(waves.lengths), frames, told, cache, 0)


def _decoded(part: Stored, rate: int, longest_seconds: float) -> Wave:
    setting = "data.longest_seconds"
    return decode(read_file(part), rate, most_seconds=longest_seconds, setting=setting)


def _stamp(part: Stored) -> str:
    """What changes when the file does."""
    if part.data is not None:
        return hashlib.blake2b(part.data, digest_size=DIGEST_BYTES).hexdigest()
    try:
        status = Path(part.where).stat()
        return f"{part.where} {status.st_size} {status.st_mtime_ns}"
    except OSError as error:  # it is told when it is read
        return f"{part.where} {error.strerror}"


def _told(what: str, rows: int, progress: Progress | None) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if progress and (done % 64 == 0 or done == rows):
            progress(what, done, rows)

    return tell


def _entry(
    key: str,
    rows: int,
    make: Callable[[int], NDArray[np.float32]],
    told: Callable[[int], None],
    cache: Path | None,
    workers: int,
) -> Stretches:
    """An entry of the cache; made, where it is not there."""
    entry = (cache_folder() if cache is None else cache) / "sounds" / key
    found = _read(entry)
    if found is None:
        make_entry(entry, lambda folder: _write(folder, rows, make, told, workers), "sounds")
        found = _read(entry)
        assert found is not None, f"{entry} was just written"
    return found


def _write(
    folder: Path,
    rows: int,
    make: Callable[[int], NDArray[np.float32]],
    told: Callable[[int], None],
    workers: int,
) -> None:
    lengths: list[int] = []
    digests: list[str] = []
    faults: list[tuple[int, str]] = []
    shape: tuple[int, ...] = ()

    def work(number: int) -> NDArray[np.float32] | str:
        try:
            return np.ascontiguousarray(make(number), dtype=np.float32)
        except DataError as error:
            return str(error)

    with (folder / "values.bin").open("wb") as file:
        for number, found in enumerate(
            ordered(work, range(rows), workers=workers, ahead=4 * workers)
        ):
            if isinstance(found, str):
                faults.append((number, found))
                lengths.append(0)
                digests.append("")
            else:
                shape = found.shape[1:]
                file.write(found.data)
                lengths.append(len(found))
                digests.append(hashlib.blake2b(found.data, digest_size=DIGEST_BYTES).hexdigest())
            told(number + 1)
        settle(file)
    index = {"shape": shape, "lengths": lengths, "digests": digests, "faults": faults}
    with (folder / "index.json").open("w", encoding="utf-8") as text:
        json.dump(index, text)
        settle(text)


def _read(entry: Path) -> Stretches | None:
    """The entry; none if there is none, or it is torn."""
    try:
        index = json.loads((entry / "index.json").read_text(encoding="utf-8"))
        offsets = np.concatenate([[0], np.cumsum(index["lengths"])]).astype(np.int64)
        shape = (int(offsets[-1]), *index["shape"])
        file = entry / "values.bin"
        if file.stat().st_size != 4 * int(np.prod(shape)):
            return None
        # "c": changes stay in memory. torch refuses to wrap what may not be written at all.
        values = (
            np.memmap(file, dtype=np.float32, mode="c", shape=shape)
            if shape[0]
            else np.zeros(shape, dtype=np.float32)
        )
        return Stretches(
            values=np.asarray(values),
            offsets=offsets,
            digests=index["digests"],
            faults=[(int(row), reason) for row, reason in index["faults"]],
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return None  # torn: it is made anew
