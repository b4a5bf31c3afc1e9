"""A finished run in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from luthier.data.decoding import Progress
from luthier.data.text.inputs import TextInputs
from luthier.data.text.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.evaluation.storage import write_evaluation
from luthier.inference.converse import Conversation
from luthier.inference.generate import Generated, Told, generate
from luthier.inference.predict import predict
from luthier.inference.sampling import SamplingSpec, sampling
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.device import available
from luthier.placement.place import PlacementSpec, decide, place
from luthier.placement.placed import Placed
from luthier.run.caveats import caveats
from luthier.run.directory import RunDirectory, find_run
from luthier.run.model_folder import FinishedModel, read_model
from luthier.run.rows import choose_split, data_of
from luthier.tasks.language import Language


class Run:
    """A trained network with all that its use needs.

    Args:
        directory: The run.
        model: Its finished model.
        placed: The model's network, where it runs.
    """

    def __init__(self, directory: RunDirectory, model: FinishedModel, placed: Placed) -> None:
        self.directory = directory
        self.target = model.target
        self.network = model.network
        self.task = model.task.build(model.target)
        self.task_name = model.task.kind
        self.inputs = model.inputs
        self.placed = placed

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.directory.read_resolved().name

    @property
    def reads_texts(self) -> bool:
        """Whether its inputs are texts."""
        return isinstance(self.inputs, TextInputs)

    def predict(self, inputs: Sequence[Any], top: int = 3) -> list[dict[str, Any]]:
        """What the network says of each input, in their order.

        Args:
            inputs: Pictures: files, folders of files, bytes of files, PIL images, or arrays
                `(H, W)` or `(H, W, C)` of uint8. Or texts: strings, or paths of files with one
                text a line.
            top: How many of the likeliest answers to give for each.

        Returns:
            For each input `{"input", …}`. Of a classifier `label`, `probability` and `top`, a list
            of both; with tags `tags` and `entities`; of a language model `token`, `probability`
            and `top` for what comes next, or `masks`, a list of such answers.

        Raises:
            DataError: If an input cannot be read; names it.
        """
        if isinstance(inputs, str | Path | bytes):
            raise InputError("wanted a list of inputs, got a single one; put it in a list")
        if top < 1:
            raise InputError(f"top: got {top}; wanted at least 1")
        return list(predict(self.placed, self.task, self.inputs, inputs, top))

    def generate(
        self,
        prompts: Sequence[str],
        settings: SamplingSpec | Mapping[str, Any] | None = None,
        told: Told | None = None,
    ) -> list[Generated]:
        """Continues texts, with a language model.

        Args:
            prompts: The texts; an empty one begins a document.
            settings: How: a `SamplingSpec`, or some of its fields, such as `{"greedy": True,
                "max_tokens": 50}`.
            told: Is told (row, text) while the texts are written.

        Raises:
            InputError: If the run is no language model that writes, or a prompt is too long.
        """
        if isinstance(prompts, str):
            raise InputError("wanted a list of prompts, got a single one; put it in a list")
        return generate(self.placed, self._tokenizer(), prompts, sampling(settings), told)

    def converse(self, settings: SamplingSpec | Mapping[str, Any] | None = None) -> Conversation:
        """A text that is written in turns with a language model.

        Raises:
            InputError: If the run is no language model that writes.
        """
        return Conversation(self.placed, self._tokenizer(), sampling(settings))

    def _tokenizer(self) -> Tokenizer:
        """The tokenizer of a model that writes.

        Raises:
            InputError: If it writes nothing.
        """
        masked = isinstance(self.task, Language) and self.task.masking is not None
        writes = isinstance(self.task, Language) and not masked
        if not writes or not isinstance(self.inputs, TextInputs):
            does = "fill in hidden words" if masked else self.task_name.replace("_", " ")
            raise InputError(
                f"{self.directory.path}: was trained to {does}, not to write texts; use luthier "
                "predict"
            )
        return self.inputs.tokenizer

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
        prepared = data_of(self.directory, progress)
        name, examples = choose_split(prepared, split)
        evaluation = evaluate(self.placed, self.task, examples)
        evaluation = replace(evaluation, notes=caveats(evaluation, prepared, name))
        write_evaluation(evaluation, self.directory.evaluation, name)
        return name, evaluation

    def summary(self) -> dict[str, Any]:
        """The outcome of the training, as `train --json` prints it."""
        facts = self.directory.read_facts()
        return {"run": str(self.directory.path), **facts["outcome"]}

    def sentence(self) -> str:
        """The outcome of the training, for people."""
        return str(self.directory.read_facts()["sentence"])


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
