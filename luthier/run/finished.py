"""A finished run in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from luthier.data.decoding import Progress
from luthier.data.image import SUFFIXES
from luthier.data.readers.place import names
from luthier.errors import DataError, InputError
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.evaluation.storage import write_evaluation
from luthier.inference.predict import predict
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.device import available
from luthier.placement.place import PlacementSpec, decide, place
from luthier.placement.placed import Placed
from luthier.run.directory import RunDirectory, find_run
from luthier.run.model_folder import FinishedModel, read_model
from luthier.run.rows import ROWS_AT_ONCE, choose_split, data_of

CHANNELS = ((1,), (3,), (4,))
Picture = Path | str | bytes | Image.Image | np.ndarray


class Run:
    """A trained network with all that its use needs.

    Args:
        directory: The run.
        model: Its finished model.
        placed: The model's network, where it runs.
    """

    def __init__(self, directory: RunDirectory, model: FinishedModel, placed: Placed) -> None:
        self.directory = directory
        self.classes = model.classes
        self.network = model.network
        self.task = model.task.build(model.classes)
        self._preprocessing = model.preprocessing
        self._placed = placed

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.directory.read_resolved().name

    def predict(self, inputs: Sequence[Picture], top: int = 3) -> list[dict[str, Any]]:
        """What the network says of pictures, in the order of the inputs.

        Args:
            inputs: Files, folders of files, bytes of files, PIL images, or arrays `(H, W)` or
                `(H, W, C)` of uint8.
            top: How many of the likeliest classes to give for each.

        Returns:
            For each picture `{"input", "label", "probability", "top": [{"label", "probability"}]}`.

        Raises:
            DataError: If a picture cannot be read; names it.
        """
        if isinstance(inputs, str | Path | bytes):
            raise InputError("wanted a list of pictures, got a single one; put it in a list")
        if top < 1:
            raise InputError(f"top: got {top}; wanted at least 1")
        listed = [picture for given in inputs for picture in _expanded(given)]
        found = predict(self._placed, self.task, self._tensors(listed), top)
        return [
            {"input": _named(picture, index), **prediction}
            for index, (picture, prediction) in enumerate(zip(listed, found, strict=True))
        ]

    def evaluate(
        self, split: str | None = None, progress: Progress | None = None
    ) -> tuple[str, Evaluation]:
        """Measures the network on a split of its data, and keeps the result in the run.

        Args:
            split: train, validation or test; none takes test, else validation.
            progress: Told what is being done, and how far it is.

        Returns:
            The split, and what was measured.

        Raises:
            DataError: If the data is gone or damaged.
            InputError: If the data has no such split, or is no longer what it was.
        """
        name, examples = choose_split(data_of(self.directory, progress), split)
        evaluation = evaluate(self._placed, self.task, examples, batch_rows=ROWS_AT_ONCE)
        write_evaluation(evaluation, self.directory.evaluation, name)
        return name, evaluation

    def summary(self) -> dict[str, Any]:
        """The outcome of the training, as `train --json` prints it."""
        facts = self.directory.read_facts()
        return {"run": str(self.directory.path), **facts["outcome"]}

    def sentence(self) -> str:
        """The outcome of the training, for people."""
        return str(self.directory.read_facts()["sentence"])

    def _tensors(self, pictures: Sequence[Picture]) -> Iterator[Tensor]:
        for start in range(0, len(pictures), ROWS_AT_ONCE):
            pixels = [
                self._pixels(picture, index)
                for index, picture in enumerate(pictures[start : start + ROWS_AT_ONCE], start)
            ]
            yield self._preprocessing.tensor(np.stack(pixels))

    def _pixels(self, picture: Picture, index: int) -> np.ndarray:
        if isinstance(picture, Path | str | bytes):
            return self._preprocessing.decode(picture)
        if isinstance(picture, np.ndarray):
            channels = picture.shape[2:] or (1,) if picture.ndim > 1 else ()
            if picture.dtype != np.uint8 or not picture.size or channels not in CHANNELS:
                raise DataError(
                    f"{_named(picture, index)}: got an array {picture.shape} of {picture.dtype}; "
                    "wanted (H, W) or (H, W, C) of uint8, with 1, 3 or 4 channels"
                )
            picture = Image.fromarray(
                picture.reshape(picture.shape[:2]) if channels == (1,) else picture
            )
        if not isinstance(picture, Image.Image):
            raise DataError(
                f"{_named(picture, index)}: got {type(picture).__name__}; wanted a file, its "
                "bytes, a PIL image or an array"
            )
        return self._preprocessing.conform(picture)


def load(run: Path | str, network: nn.Module | None = None) -> Run:
    """The finished run at `run`, or of that name in `runs/`.

    Args:
        run: Its directory.
        network: The module that Python code gave when it was trained; else none.

    Raises:
        InputError: If there is no such run, or it is not finished.
        RunError: If its model is damaged.
    """
    directory = find_run(run)
    directory.must_be_finished()
    keep_freed_memory()
    model = read_model(directory.model, network)
    return Run(directory, model, place(model.network, _placement(directory)))


def _placement(directory: RunDirectory) -> PlacementSpec:
    """Where the run was trained, or this machine's own where that is not to be had."""
    given = directory.read_recipe().placement
    if given.device != "auto" and not available(given.device):
        given = PlacementSpec()
    values = {decision.place.split(".")[1]: decision.value for decision in decide(given)}
    return given.model_copy(update=values)


def _expanded(given: Picture) -> Iterable[Picture]:
    """A folder's pictures by name; anything else is itself."""
    if not isinstance(given, str | Path) or not Path(given).is_dir():
        return [given]
    inside = [Path(given) / name for name in names(Path(given))]
    files = [file for file in inside if file.suffix.lower() in SUFFIXES]
    if not files:
        raise DataError(f"{given}: holds no pictures ({', '.join(SUFFIXES)})")
    return files


def _named(picture: Picture, index: int) -> str:
    return str(picture) if isinstance(picture, str | Path) else f"inputs[{index}]"
