"""Folders of pictures, one folder a class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from luthier.data.collection import Collection
from luthier.data.faults import Faults
from luthier.data.image import read_bytes
from luthier.data.images import ImagesSpec
from luthier.data.readers.layout import Found, by_class_folder
from luthier.data.readers.place import below, folder_at
from luthier.errors import DataError


class ImageFolderSpec(ImagesSpec):
    """Pictures in class folders: `path/CLASS/*`, or `path/{train,val,test}/CLASS/*`."""

    kind: Literal["image_folder"] = "image_folder"

    path: str
    """The folder that holds the class folders, or train, val and test."""

    def collect(self, faults: Faults) -> Collection:
        """Every picture below the folder."""
        root = folder_at(self.path, "a folder of class folders")
        found, folders = [], []
        for relative, is_folder in below(root):
            if is_folder:
                folders.append(relative)
            else:
                found.append(Found(relative, PictureFile(root / relative, str(relative))))
        if not found:
            raise DataError(f"{root}: is empty; wanted CLASS/picture.png and so on")
        return by_class_folder(found, folders, self.classes, f"folder {root}", faults)

    def stamp(self) -> str | None:
        """The names, sizes and times of all files below the folder."""
        root = folder_at(self.path, "a folder of class folders")
        return stamp_of(root, [relative for relative, is_folder in below(root) if not is_folder])


@dataclass(frozen=True)
class PictureFile:
    """A picture in a file."""

    path: Path
    name: str

    def read(self) -> bytes:
        """Its bytes."""
        return read_bytes(self.path)


def stamp_of(root: Path, relatives: list[PurePosixPath]) -> str:
    """What changes when a file is added, removed, renamed or written: by name, size and time."""
    digest = hashlib.blake2b(str(root).encode(), digest_size=16)
    for relative in relatives:
        try:
            status = (root / relative).stat()
            facts = f"{status.st_size} {status.st_mtime_ns}"
        except OSError as error:  # it is told when it is read
            facts = f"{error.strerror}"
        digest.update(f"\0{relative}\0{facts}".encode())
    return digest.hexdigest()
