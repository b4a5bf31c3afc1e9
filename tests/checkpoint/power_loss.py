"""What a disk may hold after a loss of power: a model of the least that POSIX promises.

A file's bytes are sure to be there once it was fsynced; a name once its folder was. Of all that
is not, each piece may be there or not, whatever the order in which it was made. A rename is in
one folder and happens whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from luthier.checkpoint.files import Operation

_PAGE = 32
"""Bytes that reach the disk together; small, as the test's files are."""

Tree = dict[str, bytes | None]
"""Path below the root → content; none is a folder."""
Edits = tuple[tuple[str, int | None], ...]
"""Name → number of what it names; none where the name goes away."""


@dataclass
class Thing:
    """A file or a folder: what is sure, and what is only in memory."""

    is_folder: bool
    sure: bytes = b""
    now: bytes = b""
    sure_names: dict[str, int] = field(default_factory=dict)
    now_names: dict[str, int] = field(default_factory=dict)
    pending: list[Edits] = field(default_factory=list)

    def edit(self, edits: Edits) -> None:
        self.pending.append(edits)
        _apply(self.now_names, edits)


class Disk:
    """The disk below `root`, which exists and is empty, after some operations."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._things = [Thing(is_folder=True)]

    def make(self, operation: Operation) -> None:
        path, verb = operation.path, operation.verb
        if verb in ("make_folder", "create"):
            self._things.append(Thing(is_folder=verb == "make_folder"))
            self._thing(path.parent).edit(((path.name, len(self._things) - 1),))
        elif verb == "write":
            self._thing(path).now += bytes(operation.data)
        elif verb == "sync":
            self._thing(path).sure = self._thing(path).now
        elif verb == "sync_folder" and path.is_relative_to(self._root):
            folder = self._thing(path)
            folder.sure_names, folder.pending = dict(folder.now_names), []
        elif verb == "rename":
            assert operation.target is not None
            assert operation.target.parent == path.parent
            number = self._number(path)
            self._thing(path.parent).edit(((path.name, None), (operation.target.name, number)))
        elif verb in ("remove", "remove_folder"):
            self._thing(path.parent).edit(((path.name, None),))

    def after_power_loss(self, *, pairs: bool) -> Iterator[Tree]:
        """What may be there: without each unsure piece, without all, without none.

        Args:
            pairs: Also without each two.
        """
        unsure = [
            *(
                (number, place)
                for number, thing in enumerate(self._things)
                for place in range(len(thing.pending))
            ),
            *(
                (number, None)
                for number, thing in enumerate(self._things)
                if thing.sure != thing.now
            ),
        ]
        yield self._tree(set(), "nothing")
        for torn in ("nothing", "half", "zeroed"):
            yield self._tree(set(unsure), torn)
            for piece in unsure:
                yield self._tree({piece}, torn)
        if pairs:
            for two in combinations(unsure, 2):
                yield self._tree(set(two), "nothing")

    def _tree(self, lost: set[tuple[int, int | None]], torn: str) -> Tree:
        tree: Tree = {}
        waiting = [("", 0)]
        while waiting:
            path, number = waiting.pop()
            thing = self._things[number]
            if not thing.is_folder:
                gone = (number, None) in lost
                tree[path] = _left(thing.sure, thing.now, torn) if gone else thing.now
                continue
            tree[path] = None
            names = dict(thing.sure_names)
            for place, edits in enumerate(thing.pending):
                if (number, place) not in lost:
                    _apply(names, edits)
            waiting += [(f"{path}/{name}".lstrip("/"), inner) for name, inner in names.items()]
        return tree

    def _number(self, path: Path) -> int:
        number = 0
        for name in path.relative_to(self._root).parts:
            number = self._things[number].now_names[name]
        return number

    def _thing(self, path: Path) -> Thing:
        return self._things[self._number(path)]


def trees(
    root: Path, operations: Iterable[Operation], *, pairs: bool
) -> Iterator[tuple[int, Tree]]:
    """Each different disk that a loss of power may leave, with the operations made before it."""
    disk = Disk(root)
    seen: set[tuple[int, frozenset[tuple[str, bytes | None]]]] = set()
    for count, operation in enumerate(operations, 1):
        disk.make(operation)
        for tree in disk.after_power_loss(pairs=pairs):
            key = frozenset(tree.items())
            if (count, key) not in seen:
                seen.add((count, key))
                yield count, tree


def _apply(names: dict[str, int], edits: Edits) -> None:
    for name, number in edits:
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number


def _left(sure: bytes, now: bytes, torn: str) -> bytes:
    if torn == "nothing":
        return sure
    if torn == "half":
        return now[: len(now) // 2]
    return now[:-_PAGE].ljust(len(now), b"\0")
