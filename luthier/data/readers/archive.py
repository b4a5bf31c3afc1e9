"""Archives of class folders (tar, tar.gz, zip), read in memory: nothing is unpacked to disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from luthier.data.collection import Collection
from luthier.data.faults import Faults
from luthier.data.image import read_bytes
from luthier.data.images import ImagesSpec
from luthier.data.readers.cifar import BATCH, by_batches
from luthier.data.readers.folder import stamp_of
from luthier.data.readers.layout import Found, by_class_folder, split_of
from luthier.data.readers.member import ARCHIVE_SUFFIXES, Member, is_archive, read_members
from luthier.data.readers.place import existing, names
from luthier.errors import DataError


class ImageArchiveSpec(ImagesSpec):
    """Class folders in archives, or CIFAR-10 in its binary form."""

    kind: Literal["image_archive"] = "image_archive"

    path: str
    """One archive with class folders; or a folder with one archive a split, called
    `*_train.tar.gz`, `*_test.tar.gz` and so on; or CIFAR-10's binary version, packed or not."""

    def collect(self, faults: Faults) -> Collection:
        """Every picture in the archives."""
        place, sources = self._sources()
        if not sources:
            batches = {n: read_bytes(place / n) for n in names(place) if BATCH.fullmatch(n)}
            return by_batches(batches, self.classes, f"folder {place}", faults)
        members: list[Member] = []
        for split, archive in sources:
            for member in _unwrapped(list(read_members(archive, faults))):
                path = PurePosixPath(split) / member.path
                members.append(replace(member, path=path))
        what = f"archive {place}" if len(sources) == 1 else f"{len(sources)} archives in {place}"
        batches = {m.path.name: m.data for m in members if BATCH.fullmatch(m.path.name)}
        if batches:
            return by_batches(batches, self.classes, what, faults)
        if any(member.path.name == "data_batch_1" for member in members):
            raise DataError(
                f"{what}: is CIFAR-10's Python version, whose pickles are never read; "
                "take the binary version"
            )
        folders = [member.path for member in members if member.is_folder]
        found = [Found(member.path, member) for member in members if not member.is_folder]
        return by_class_folder(found, folders, self.classes, what, faults)

    def stamp(self) -> str | None:
        """The names, sizes and times of the archives; none for unpacked batches."""
        _, sources = self._sources()
        files = [PurePosixPath(archive) for _, archive in sources]
        return stamp_of(Path("/"), files) if files else None

    def _sources(self) -> tuple[Path, list[tuple[str, Path]]]:
        """Where the archives are, and each with the split that its name says, if it does."""
        place = existing(self.path, "an archive, or a folder with archives")
        if not place.is_dir():
            if not is_archive(place.name):
                raise DataError(f"{place}: wanted an archive: {', '.join(ARCHIVE_SUFFIXES)}")
            return place, [("", place)]
        archives = [place / name for name in names(place) if is_archive(name)]
        if len(archives) > 1:
            splits = [(split_in_name(archive), archive) for archive in archives]
            unclear = [archive.name for split, archive in splits if not split]
            if unclear or len({split for split, _ in splits}) < len(splits):
                told = ", ".join(archive.name for archive in archives[:5])
                raise DataError(
                    f"{place}: has {told}; wanted one archive a split, called *_train.tar.gz, "
                    "*_test.tar.gz and so on, or name one archive"
                )
            return place, splits
        if archives:
            return place, [("", archives[0])]
        if not any(BATCH.fullmatch(name) for name in names(place)):
            raise DataError(f"{place}: has no archive ({', '.join(ARCHIVE_SUFFIXES)})")
        return place, []


def split_in_name(archive: Path) -> str:
    """The split that an archive's name ends with; empty if it does not.

    Example:
        >>> split_in_name(Path("cifar10_train.tar.gz")), split_in_name(Path("pets.zip"))
        ('train', '')
    """
    stem = archive.name.lower()
    suffix = next(suffix for suffix in ARCHIVE_SUFFIXES if stem.endswith(suffix))
    last = stem.removesuffix(suffix).replace("-", "_").replace(".", "_").rsplit("_", 1)[-1]
    return split_of(last) or ""


def _unwrapped(members: list[Member]) -> list[Member]:
    """Without the one folder that everything lies in, where class folders lie below it."""
    tops = {member.path.parts[0] for member in members}
    deep = all(member.is_folder or len(member.path.parts) >= 3 for member in members)
    if len(tops) != 1 or not deep:
        return members
    return [
        replace(member, path=PurePosixPath(*member.path.parts[1:]))
        for member in members
        if len(member.path.parts) > 1
    ]
