"""A finished run in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from luthier.data.decoding import Progress
from luthier.data.pairs.pair_inputs import PairInputs
from luthier.data.series.series_inputs import SeriesInputs
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.target import Documents, Target
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.evaluation.storage import write_evaluation
from luthier.inference.bounds import Bounds
from luthier.inference.converse import Conversation
from luthier.inference.dialogue import Dialogue, Speaker
from luthier.inference.generate import Generated, Told, generate
from luthier.inference.predict import predict
from luthier.inference.sampling import SamplingSpec, sampling
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.device import available
from luthier.placement.inference import Readied, Weights
from luthier.placement.place import PlacementSpec, decide, place
from luthier.placement.placed import Placed
from luthier.recipe import Recipe
from luthier.run.caveats import caveats
from luthier.run.directory import RunDirectory
from luthier.run.other_data import other_data
from luthier.run.rows import choose_split, data_of
from luthier.run.source import Source, find_model
from luthier.spec import Auto
from luthier.tasks.dictation import Dictation
from luthier.tasks.language import Language
from luthier.tasks.preference import Preference
from luthier.tasks.seq2seq import Seq2Seq
from luthier.tasks.task import Task


class Run:
    """A trained network with all that its use needs.

    Args:
        source: The run, or the network that somebody pretrained.
        placed: Its network, where it runs.
    """

    def __init__(self, source: Source, placed: Placed) -> None:
        model = source.model
        self.source = source
        self.network = model.network
        self.inputs = model.inputs
        self.placed = placed
        self._readied = Readied(placed)

    @property
    def name(self) -> str:
        """The recipe's name, or that of the folder."""
        return self.source.name

    @property
    def directory(self) -> RunDirectory:
        """Where all of the run is.

        Raises:
            InputError: If it is no run: somebody pretrained it, and its data is not known.
        """
        if self.source.directory is None:
            raise InputError(
                f"{self.source.path}: was pretrained elsewhere, so nothing is known of its data; "
                "name other data to measure it on: --on RECIPE"
            )
        return self.source.directory

    @property
    def target(self) -> Target:
        """What its outputs mean.

        Raises:
            InputError: If it has no head.
        """
        target = self.source.model.target
        if target is None:
            raise self._without_a_head()
        return target

    @cached_property
    def task(self) -> Task[Any]:
        """What it does.

        Raises:
            InputError: If it has no head.
        """
        task = self.source.model.task
        if task is None:
            raise self._without_a_head()
        return task.build(self.target)

    @property
    def task_name(self) -> str:
        """The kind of its task."""
        task = self.source.model.task
        return "" if task is None else task.kind

    def _without_a_head(self) -> InputError:
        return InputError(
            f"{self.source.path}: has layers, but no head that says anything; train one on them: "
            f"give a recipe start: {self.source.path}"
        )

    @property
    def reads_texts(self) -> bool:
        """Whether its inputs are texts."""
        return isinstance(self.inputs, TextInputs | PairInputs)

    @property
    def noun(self) -> str:
        """What an input is called."""
        match self.inputs:
            case TextInputs() | PairInputs():
                return "text"
            case SoundInputs():
                return "sound"
            case SeriesInputs():
                return "series"
        return "picture"

    def predict(
        self, inputs: Sequence[Any], top: int = 3, *, beams: int | None = None
    ) -> list[dict[str, Any]]:
        """What the network says of each input, in their order.

        Args:
            inputs: Pictures: files, folders of files, bytes of files, PIL images, or arrays
                `(H, W)` or `(H, W, C)` of uint8. Sounds: files, folders of files, bytes of files.
                Texts: strings, or paths of files with one text a line. Questions: pairs with their
                contexts, strings with a tab between the two, or paths of files of them.
            top: How many of the likeliest answers to give for each.
            beams: Of a model that writes a text for each input, how many are written side by
                side; none means as in its recipe.

        Returns:
            For each input `{"input", …}`. Of a classifier `label`, `probability` and `top`, a list
            of both; with tags `tags` and `entities`; of what extracts answers `text`, `start`,
            `end`, `score` and `top`; of a language model `token`, `probability` and `top` for
            what comes next, or `masks`, a list of such answers; of what writes a text for each
            input `output` and `top`.

        Raises:
            DataError: If an input cannot be read; names it.
        """
        if isinstance(inputs, str | Path | bytes):
            raise InputError("wanted a list of inputs, got a single one; put it in a list")
        if top < 1:
            raise InputError(f"top: got {top}; wanted at least 1")
        task = self.task
        if beams is not None:
            if not isinstance(task, Seq2Seq | Dictation):
                raise InputError(
                    "beams: is of what writes a text for each input, token by token; leave it out"
                )
            if not 1 <= beams <= 64:
                raise InputError(f"beams: got {beams}; wanted 1 to 64")
            task = task.with_beams(beams)
        return list(predict(self.placed, task, self.inputs, inputs, top))

    @property
    def speaks(self) -> bool:
        """Whether it learned from conversations: its template renders what it is asked."""
        return isinstance(self.inputs, TextInputs) and self.inputs.template is not None

    def generate(
        self,
        prompts: Sequence[str],
        settings: SamplingSpec | Mapping[str, Any] | None = None,
        told: Told | None = None,
        *,
        system: str | None = None,
        template: bool = True,
        weights: Weights | Auto = "auto",
    ) -> list[Generated]:
        """Continues texts, or answers questions, with a language model.

        Args:
            prompts: The texts; an empty one begins a document. Where it learned from
                conversations, what a user asks.
            settings: How: a `SamplingSpec`, or some of its fields, such as `{"greedy": True,
                "max_tokens": 50}`.
            told: Is told (row, text) while the texts are written.
            system: The system message of each conversation.
            template: Whether a chat template is used, where it has one; else a prompt is continued
                as it stands.
            weights: How the weights are kept: fp32, bf16 or int8; auto takes the precision of
                the run's placement. See `for_inference`.

        Raises:
            InputError: If the run is no language model that writes, or a prompt is too long, or
                the device has no such weights.
        """
        if isinstance(prompts, str):
            raise InputError("wanted a list of prompts, got a single one; put it in a list")
        tokenizer, how = self._tokenizer(), sampling(settings)
        speaker = self._speaker(system, template=template)
        placed = self._readied.with_weights(weights)
        if speaker is not None:
            return speaker.answers(placed, prompts, how, told, system=system)
        return generate(placed, tokenizer, prompts, how, told, self._bounds(tokenizer))

    def converse(
        self,
        settings: SamplingSpec | Mapping[str, Any] | None = None,
        *,
        system: str | None = None,
        template: bool = True,
        weights: Weights | Auto = "auto",
    ) -> Conversation | Dialogue:
        """A text, or a dialogue, that is written in turns with a language model.

        Args:
            settings: How its turns are written.
            system: The system message of a dialogue.
            template: Whether a chat template is used, where it has one.
            weights: How the weights are kept; see `generate`.

        Raises:
            InputError: If the run is no language model that writes, or the device has no such
                weights.
        """
        tokenizer, how = self._tokenizer(), sampling(settings)
        speaker = self._speaker(system, template=template)
        placed = self._readied.with_weights(weights)
        if speaker is not None:
            return Dialogue(placed, speaker, how, system)
        return Conversation(placed, tokenizer, how, self._bounds(tokenizer))

    def _bounds(self, tokenizer: Tokenizer) -> Bounds:
        """What its texts begin with and end at."""
        assert isinstance(self.target, Documents), "what writes learned documents"
        return Bounds.of(tokenizer, self.target)

    def _speaker(self, system: str | None, *, template: bool) -> Speaker | None:
        """What answers in the form of a template; none where there is none, or none is wanted.

        Raises:
            InputError: If there is a system message, but no template that would show it.
        """
        if template and self.speaks:
            assert isinstance(self.inputs, TextInputs)
            return Speaker(self.inputs)
        if system is not None:
            raise InputError("system: got one, but no chat template shows it here; leave it out")
        return None

    def _tokenizer(self) -> Tokenizer:
        """The tokenizer of a model that writes.

        Raises:
            InputError: If it writes nothing.
        """
        masked = isinstance(self.task, Language) and self.task.masking is not None
        writes = isinstance(self.task, Language | Preference) and not masked
        if not writes or not isinstance(self.inputs, TextInputs):
            does = "fill in hidden words" if masked else self.task_name.replace("_", " ")
            does = f"was trained to {does}, not to write texts"
            if isinstance(self.task, Seq2Seq | Dictation):
                does = "writes a text of each input, and goes on with none"
            raise InputError(f"{self.source.path}: {does}; use luthier predict")
        return self.inputs.tokenizer

    def evaluate(
        self,
        split: str | None = None,
        progress: Progress | None = None,
        on: Recipe | Path | str | None = None,
    ) -> tuple[str, Evaluation]:
        """Measures the network on a split of its data, and keeps the result in the run; or on
        other data, of which nothing is kept.

        Args:
            split: train, validation or test; none takes test, else validation.
            progress: Told what is being done, and how far it is.
            on: A recipe, or its file, whose data is measured on.

        Returns:
            The split, and what was measured.

        Raises:
            DataError: If the data is gone or damaged.
            InputError: If the data has no such split, or is no longer what it was; or is not
                what the network says anything of.
        """
        if on is None:
            prepared = data_of(self.directory, progress)
        else:
            recipe = on if isinstance(on, Recipe) else Recipe.read(on)
            prepared = other_data(self.source, recipe, progress)
        name, examples = choose_split(prepared, split)
        evaluation = evaluate(self.placed, self.task, examples)
        evaluation = replace(evaluation, notes=caveats(evaluation, prepared, name))
        if on is None:
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
    """The finished run at `run`, or of that name in `runs/`; or a network that was pretrained
    elsewhere.

    Args:
        run: Its directory, a Hugging Face folder, or the name of a model on the hub.
        network: The module that Python code gave when it was trained; else none.

    Raises:
        InputError: If there is no such run or network, or it is not finished, or cannot be used.
        RunError: If its model is damaged.
    """
    keep_freed_memory()
    source = find_model(run, network)
    return Run(source, place(source.model.network, _placement(source.directory)))


def _placement(directory: RunDirectory | None) -> PlacementSpec:
    """Where the run was trained, or this machine's own where that is not to be had."""
    given = PlacementSpec() if directory is None else directory.read_recipe().placement
    if given.device != "auto" and not available(given.device):
        given = PlacementSpec()
    values = {decision.place.split(".")[1]: decision.value for decision in decide(given)}
    return given.model_copy(update=values)
