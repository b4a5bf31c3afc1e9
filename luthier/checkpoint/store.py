"""The checkpoints of a run: written whole or not at all, checked when read.

checkpoints/
    step-000100/            weights.safetensors, …, state.json, manifest.json
    step-000200/
    step-000300.corrupt/    damaged, set aside
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import DISK, WRITING, Files, make_folders, remove_tree, told
from luthier.checkpoint.folder import REPLACED, Content, Folder, read_folder, settle, write_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import write_tensors
from luthier.errors import InputError, RunError, StorageError

REMOVING = ".removing-"
"""Begins the name of a checkpoint that is being pruned."""
CORRUPT = ".corrupt"
"""Ends the name of a damaged checkpoint that was set aside."""

_STATE = "state.json"
_SUFFIX = ".safetensors"
_STEP = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole."""

    step: int
    """Steps that were done when it was written."""
    folder: Folder

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder.path

    @property
    def keys(self) -> tuple[str, ...]:
        """What `tensors` takes."""
        names = self.folder.names
        return tuple(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    @property
    def state(self) -> dict[str, Any]:
        """What was saved beside the tensors; tuples have become lists."""
        state: dict[str, Any] = self.folder.json(_STATE)["state"]
        return state

    def tensors(self, key: str) -> dict[str, Tensor]:
        """The tensors that were saved as `key`, on the CPU, checked as they are read.

        Raises:
            InputError: Nothing was saved as `key`.
            DamagedError: The file has changed since the checkpoint was found whole.
            StorageError: It cannot be read.
        """
        if key not in self.keys:
            raise InputError(f"{self.path} holds no {key}, only {', '.join(self.keys)}")
        return self.folder.tensors(key + _SUFFIX)


class Store:
    """The checkpoints of one run.

    Whoever writes or repairs holds the run's lock; whoever does not, calls `newest` with
    `repair=False`, which changes nothing.

    Args:
        directory: Holds the checkpoints and nothing else; made when the first is saved.
        keep: How many of the newest to keep, at least 1; the pinned one is kept besides.
        files: The disk.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as run:
        ...     store = Store(Path(run) / "checkpoints", keep=2)
        ...     for step in (10, 20, 30):
        ...         path = store.save(step, {"weights": {"w": torch.ones(3)}}, {"seed": 7})
        ...     found = store.newest()
        ...     store.steps(), found.step, found.state, found.tensors("weights")["w"].sum()
        ([20, 30], 30, {'seed': 7}, tensor(3.))
    """

    def __init__(self, directory: Path, keep: int = 3, files: Files = DISK) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self.directory = directory
        self.keep = keep
        self.warnings: list[str] = []
        """What went wrong without stopping anything: damaged checkpoints, failed pruning."""
        self._files = files
        self._pinned: int | None = None
        self._made = False

    def steps(self) -> list[int]:
        """The steps of the checkpoints that are there, in order, whole or not."""
        return sorted(
            int(match[1])
            for name in self._listed()
            if (match := _STEP.fullmatch(name)) and (self.directory / name).is_dir()
        )

    def path(self, step: int) -> Path:
        """Where the checkpoint of `step` lies, or would."""
        return self.directory / f"step-{step:06d}"

    def pin(self, step: int | None) -> None:
        """Keep the checkpoint of `step`, the best so far, however old; the one before is let go.

        Not written down: after a resume, pin it again.
        """
        self._pinned = step

    def save(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, Tensor]],
        state: Mapping[str, Any],
    ) -> Path:
        """Write the checkpoint of `step`; one that is there already is replaced.

        When this returns, the checkpoint outlasts a loss of power. Only then are the older ones
        pruned; if that fails, `warnings` says so.

        Args:
            step: Steps done.
            tensors: Key, such as weights or optimizer, → name → tensor.
            state: All the rest, as plain JSON: finite numbers, string keys.

        Raises:
            StorageError: The disk refused. The checkpoints from before are whole, and what was
                begun is removed.
        """
        contents: dict[str, Content] = {
            key + _SUFFIX: partial(write_tensors, named) for key, named in tensors.items()
        }
        contents[_STATE] = to_json({"step": step, "state": state})
        before = self.steps()
        try:
            if not self._made:
                make_folders(self.directory, self._files)
                self._made = True
            folder = write_folder(self.path(step), contents, self._files)
        except StorageError as error:
            last = (
                f"the last good one is {self.path(before[-1])}" if before else "there is none yet"
            )
            raise StorageError(f"cannot save a checkpoint: {error}; {last}") from error
        try:
            self._prune(step)
        except StorageError as error:
            self.warnings.append(f"old checkpoints could not be removed: {error}")
        return folder.path

    def newest(self, *, repair: bool = True) -> Checkpoint | None:
        """The newest checkpoint that is whole; none if there never was one.

        Damaged ones that are newer are set aside, as `step-….corrupt`, and `warnings` says so.

        Args:
            repair: Whether to set damaged ones aside and to remove what a writer that was cut off
                left behind. Only for the holder of the run's lock.

        Raises:
            RunError: There are checkpoints, but none is whole; each is named with its reason.
            InputError: The newest was written by a newer luthier.
            StorageError: The disk refused to be read or, for `repair`, written.
        """
        if repair:
            self._tidy()
        damaged: dict[int, DamagedError] = {}
        for step in reversed(self.steps()):
            try:
                found = self.open(step)
            except (DamagedError, InputError) as error:
                if not self.path(step).exists():
                    return self.newest(repair=repair)  # pruned while we looked: look again
                if isinstance(error, InputError):
                    raise
                damaged[step] = error
                continue
            self._tell(damaged, found, repair)
            return found
        aside = [name for name in self._listed() if CORRUPT in name]
        if damaged or aside:
            raise RunError(self._none_whole(damaged, aside))
        return None

    def open(self, step: int) -> Checkpoint:
        """The checkpoint of `step`, every file of it checked.

        Raises:
            InputError: There is none of that step, or a newer luthier wrote it.
            DamagedError: It is not what was written.
            StorageError: It cannot be read.
        """
        if step not in self.steps():
            listed = ", ".join(str(there) for there in self.steps()) or "none"
            raise InputError(f"{self.directory} has no checkpoint of step {step}; it has {listed}")
        folder = read_folder(self.path(step))
        match folder.json(_STATE):
            case {"step": int(written), "state": dict()} if written == step:
                return Checkpoint(step, folder)
        raise DamagedError(_STATE, f"is not the state of step {step}")

    def _listed(self) -> list[str]:
        with told("read the folder", self.directory):
            if not self.directory.is_dir():
                return []
            return sorted(entry.name for entry in self.directory.iterdir())

    def _prune(self, saved: int) -> None:
        old = [step for step in self.steps()[: -self.keep] if step not in (saved, self._pinned)]
        going = [self.directory / f"{REMOVING}{self.path(step).name}" for step in old]
        for step, path in zip(old, going, strict=True):
            self._files.rename(self.path(step), path)
        if going:
            # Else losing power could bring one back half removed.
            self._files.sync_folder(self.directory)
        for path in going:
            remove_tree(path, self._files)

    def _tidy(self) -> None:
        for name in self._listed():
            if name.startswith(REPLACED):
                settle(self.directory / name.removeprefix(REPLACED), self._files)
        listed = self._listed()
        left = [self.directory / name for name in listed if name.startswith((WRITING, REMOVING))]
        if left:
            self._files.sync_folder(self.directory)
        for path in left:
            remove_tree(path, self._files)

    def _tell(self, damaged: Mapping[int, DamagedError], found: Checkpoint, repair: bool) -> None:
        for step, error in damaged.items():
            kept = f"; kept as {self._set_aside(step).name}" if repair else ""
            self.warnings.append(
                f"checkpoint {self.path(step)} is damaged: {error}; using {found.path.name}"
                f" ({step - found.step} steps lost){kept}; check the disk"
            )

    def _set_aside(self, step: int) -> Path:
        path = self.path(step)
        aside = path.with_name(path.name + CORRUPT)
        count = 1
        while aside.exists():
            count += 1
            aside = path.with_name(f"{path.name}{CORRUPT}-{count}")
        self._files.rename(path, aside)
        self._files.sync_folder(self.directory)
        return aside

    def _none_whole(self, damaged: Mapping[int, DamagedError], aside: list[str]) -> str:
        lines = [f"  {self.path(step).name}: {error}" for step, error in damaged.items()]
        lines += [f"  {name}: was set aside as damaged" for name in aside]
        return "\n".join(
            [
                f"no checkpoint in {self.directory} is whole:",
                *lines,
                "bring one back from a copy, or remove that folder to start from the first step",
            ]
        )
