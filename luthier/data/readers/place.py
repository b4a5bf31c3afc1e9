"""The file or folder that a recipe names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from luthier.errors import DataError, nearest


def folder_at(path: str, what: str) -> Path:
    """The folder at `path`, absolute.

    Args:
        path: As the recipe names it; `~` is the home folder.
        what: What was wanted, for the message.

    Raises:
        DataError: If it is not there, is no folder, or may not be read.
    """
    folder = existing(path, what)
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; wanted {what}")
    names(folder)
    return folder


def existing(path: str, what: str) -> Path:
    """The file or folder at `path`, absolute.

    Raises:
        DataError: If there is none, or it may not be looked at.
    """
    place = Path(os.path.abspath(Path(path).expanduser()))
    try:
        place.stat()
    except FileNotFoundError:
        hint = ""
        if place.parent.is_dir() and os.access(place.parent, os.R_OK):
            close = nearest(place.name, names(place.parent))
            hint = close if "did you mean" in close else ""
        raise DataError(f"{place}: does not exist; wanted {what}{hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{place}: cannot be read: {reason}") from None
    return place


def names(folder: Path) -> list[str]:
    """What a folder holds, sorted, without hidden names.

    Raises:
        DataError: If it may not be read.
    """
    try:
        found = os.listdir(folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    return sorted(name for name in found if not name.startswith((".", "__MACOSX")))


def below(root: Path) -> Iterator[tuple[PurePosixPath, bool]]:
    """What lies below `root`, sorted, without hidden names: (path below it, whether a folder).

    A class folder may be a link; deeper down, links to folders are left alone, since they may
    run in a circle.

    Raises:
        DataError: If a folder may not be read.
    """
    pending = [PurePosixPath()]
    while pending:
        here = pending.pop()
        try:
            entries = sorted(os.scandir(root / here), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{root / here}: cannot be read: {error.strerror}") from None
        folders = []
        for entry in entries:
            if entry.name.startswith((".", "__MACOSX")):
                continue
            relative = here / entry.name
            is_folder = entry.is_dir(follow_symlinks=len(here.parts) < 2)
            if is_folder:
                folders.append(relative)
            yield relative, is_folder
        pending.extend(reversed(folders))
