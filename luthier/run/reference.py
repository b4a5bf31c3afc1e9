"""What the network that training began with says of answers: computed once, and kept.

With an adapter it is the network with the adapter off, without one the network before its first
step. Either is the network as the run begins, so that no second copy of it is ever there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luthier.checkpoint.files import DISK
from luthier.checkpoint.folder import read_folder, write_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import write_tensors
from luthier.data.chat.answers import AnswerExamples
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.data.decoding import Progress
from luthier.data.prepared import Prepared
from luthier.data.text.labelled.text_examples import TextExamples
from luthier.errors import RunError
from luthier.placement.placed import Placed
from luthier.tasks.answers import AnswerBatch
from luthier.tasks.classify import Classify, ClassifyBatch
from luthier.tasks.distill import Distilled
from luthier.tasks.preference import Preference
from luthier.tasks.task import Task

FILE = "reference.safetensors"
TEACHER = "teacher"


def refer(
    task: Task[Any],
    placed: Placed,
    prepared: Prepared,
    path: Path,
    progress: Progress | None = None,
) -> None:
    """Gives the rows what the reference says of them, where the task compares with it; or what a
    teacher does.

    Args:
        task: What is learned.
        placed: The network as the run begins.
        prepared: The data.
        path: Where it is kept: read, where it is there.
        progress: Told what is being done, and how far it is.

    Raises:
        RunError: If what was kept is damaged.
        StorageError: If the disk refuses.
    """
    if isinstance(task, Distilled):
        _hear(task, placed, prepared, path, progress)
    if not isinstance(task, Preference) or not task.refers:
        return
    if not path.exists():
        made = {
            split: _weighed(task, placed, examples, split, progress)
            for split, examples in _splits(prepared).items()
        }
        write_folder(path, {FILE: partial(write_tensors, made)}, DISK)
    recall(path, prepared)


def _hear(
    task: Distilled, placed: Placed, prepared: Prepared, path: Path, progress: Progress | None
) -> None:
    """What a teacher says of texts with labels: computed once, since each epoch reads the same."""
    examples = prepared.train
    if not isinstance(task.inner, Classify) or not isinstance(examples, TextExamples):
        return
    if not path.exists():
        found: list[Tensor] = [torch.empty(0)] * len(examples)
        for ids in _alike(examples, "what the teacher says", progress):
            batch = task.collate(examples.read(ids, 0))
            assert isinstance(batch, ClassifyBatch)
            with placed.autocast():
                said_BK = task.said(batch.to(placed.device)).cpu()
            for row, said_K in zip(ids, said_BK, strict=True):
                found[row] = said_K
        write_folder(path, {FILE: partial(write_tensors, {TEACHER: torch.stack(found)})}, DISK)
    known = _kept(path)[TEACHER]
    assert len(known) == len(examples), "rows of other data"
    task.remember(known)


def _alike(
    examples: TextExamples | AnswerExamples, what: str, progress: Progress | None
) -> Iterator[np.ndarray]:
    """The numbers of all rows, those of like lengths together."""
    order = np.argsort(examples.lengths, kind="stable")
    for start in range(0, len(order), examples.at_once):
        ids = order[start : start + examples.at_once]
        yield ids
        if progress:
            progress(what, start + len(ids), len(order))


def _kept(path: Path) -> Mapping[str, Tensor]:
    try:
        return read_folder(path).tensors(FILE)
    except DamagedError as error:
        raise RunError(f"{path} is damaged: {error}; bring back a copy, or train again") from None


def recall(path: Path, prepared: Prepared) -> None:
    """Gives answers what was kept of them; nothing where nothing was, or where it is a teacher's,
    which training alone asks for.

    Raises:
        RunError: If it is damaged.
    """
    if not path.exists() or not isinstance(prepared, PreparedPreferences):
        return
    kept = _kept(path)
    for split, examples in _splits(prepared).items():
        found = kept[split].numpy()
        assert found.shape == (len(examples.answers), len(examples)), "rows of other data"
        examples.reference = found


def _splits(prepared: Prepared) -> dict[str, AnswerExamples]:
    assert isinstance(prepared, PreparedPreferences)
    given = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    return {split: examples for split, examples in given.items() if examples is not None}


@torch.inference_mode()
def _weighed(
    task: Preference,
    placed: Placed,
    examples: AnswerExamples,
    split: str,
    progress: Progress | None,
) -> Tensor:
    """`(2, N)`, what the network says of all answers of a split."""
    network, found = placed.network, np.empty((len(examples.answers), len(examples)))
    was_training = network.training
    network.eval()
    try:
        for ids in _alike(examples, f"the reference, {split}", progress):
            batch = task.collate(examples.read(ids, 0))
            assert isinstance(batch, AnswerBatch)
            with placed.autocast():
                log_p_A = task.weigh(network, batch.to(placed.device))
            found[:, ids] = log_p_A.cpu().double().numpy().reshape(len(found), -1)
    finally:
        network.train(was_training)
    return torch.from_numpy(found)
