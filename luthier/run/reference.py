"""What the network that training began with says of answers: computed once, and kept.

With an adapter it is the network with the adapter off, without one the network before its first
step. Either is the network as the run begins, so that no second copy of it is ever there.
"""

from __future__ import annotations

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
from luthier.errors import RunError
from luthier.placement.placed import Placed
from luthier.tasks.answers import AnswerBatch
from luthier.tasks.preference import Preference
from luthier.tasks.task import Task

FILE = "reference.safetensors"


def refer(
    task: Task[Any],
    placed: Placed,
    prepared: Prepared,
    path: Path,
    progress: Progress | None = None,
) -> None:
    """Gives the rows what the reference says of them, where the task compares with it.

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
    if not isinstance(task, Preference) or not task.refers:
        return
    if not path.exists():
        made = {
            split: _weighed(task, placed, examples, split, progress)
            for split, examples in _splits(prepared).items()
        }
        write_folder(path, {FILE: partial(write_tensors, made)}, DISK)
    recall(path, prepared)


def recall(path: Path, prepared: Prepared) -> None:
    """Gives the rows what was kept of them; nothing where nothing was.

    Raises:
        RunError: If it is damaged.
    """
    if not path.exists():
        return
    try:
        kept = read_folder(path).tensors(FILE)
    except DamagedError as error:
        raise RunError(f"{path} is damaged: {error}; bring back a copy, or train again") from None
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
    # Rows of like lengths together: answers are of very different ones.
    order = np.argsort(examples.lengths, kind="stable")
    try:
        for start in range(0, len(order), examples.at_once):
            ids = order[start : start + examples.at_once]
            batch = task.collate(examples.read(ids, 0))
            assert isinstance(batch, AnswerBatch)
            with placed.autocast():
                log_p_A = task.weigh(network, batch.to(placed.device))
            found[:, ids] = log_p_A.cpu().double().numpy().reshape(len(found), -1)
            if progress:
                progress(f"the reference, {split}", start + len(ids), len(order))
    finally:
        network.train(was_training)
    return torch.from_numpy(found)
