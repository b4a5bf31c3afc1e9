"""Where a run starts from: the layers and the tokenizer of another one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from luthier.adapters.new_rows import Span, grow
from luthier.data.chat.chat import ChatSpec
from luthier.data.images import ImagesSpec
from luthier.data.pairs.pair_inputs import PairInputs
from luthier.data.prepared import Prepared
from luthier.data.readers.questions import QuestionsSpec
from luthier.data.series.series import SeriesSpec
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.sources import DataSpec
from luthier.data.target import Written
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.labelled import LabelledSpec
from luthier.errors import DataError, InputError, Problem, SpecError
from luthier.model.blocks import Block
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.model.blocks.transformers import TransformersSpec
from luthier.model.blueprint import LayersSpec, Network
from luthier.model.encoder_decoder import EncoderDecoderSpec
from luthier.recipe import Recipe
from luthier.run.carried import heard, learned_positions, paired, with_positions
from luthier.run.model_folder import FinishedModel
from luthier.run.source import Source, find_model
from luthier.signal import Signal
from luthier.spec import Decision, plain
from luthier.tasks import TaskSpec
from luthier.tasks.extract import ExtractSpec
from luthier.tasks.language import LanguageSpec
from luthier.tasks.preference import PreferenceSpec
from luthier.tasks.seq2seq import Seq2SeqSpec
from luthier.tasks.transcribe import TranscribeSpec

LAYERS = ("layers.",)
"""What the names of the weights begin with that any task takes over."""
LAYERS_AND_HEAD = ("encoder.", *LAYERS, "neck.", "head.")
"""What a task takes over that goes on with what was learned."""
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Start:
    """A finished run, or a pretrained network, that a run starts from."""

    source: Source

    @property
    def model(self) -> FinishedModel:
        """What it has learned."""
        return self.source.model

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.source.path

    @property
    def files(self) -> Path:
        """The folder with its tokenizer and its template."""
        assert self.source.files is not None, "start_of takes no other"
        return self.source.files

    def decisions(self, recipe: Recipe) -> tuple[Decision, ...]:
        """What it settles of the recipe that starts from it.

        Raises:
            SpecError: If the recipe settles the same in another way.
        """
        self.tokens(recipe)  # that they can be added is known before anything is read
        path = os.path.abspath(self.path)
        goes_on = self._goes_on(recipe)
        taken = (
            "its layers, neck and head go on" if goes_on else "its layers go on, the head is new"
        )
        reason = f"{recipe.start}, found from anywhere; {taken}"
        made = [Decision(place="start", value=path, reason=reason)]
        tokenizer = self.files / TOKENIZER
        given = plain(recipe.data)
        self._must_read(recipe)
        made += heard(self.path, self.model, recipe)
        made += paired(self.path, self.files, self.model, recipe)
        writes = recipe.task.purpose().learns == "transcripts" and (goes_on or not self.is_pair)
        if tokenizer.exists() and (writes or not isinstance(recipe.data, SoundsSpec)):
            value = {"kind": "file", "path": os.path.abspath(tokenizer), **self._vocab(recipe)}
            if given.get("tokenizer", "auto") not in ("auto", value):
                message = (
                    f"got {given['tokenizer']}, but {self.path} has a tokenizer that its "
                    "weights belong to; leave it out"
                )
                raise SpecError([Problem(place="data.tokenizer", message=message)])
            made.append(
                Decision(place="data.tokenizer", value=value, reason="the one that start has")
            )
        if isinstance(recipe.data, LabelledSpec | QuestionsSpec) and recipe.data.first == "auto":
            assert isinstance(self.model.inputs, TextInputs), "a network that reads tokens"
            framed = self.model.inputs.form.framed
            made.append(Decision(place="data.first", value=framed, reason=_framing(framed)))
        if isinstance(recipe.data, QuestionsSpec) and recipe.data.matches == "auto":
            assert isinstance(self.model.inputs, TextInputs), "a network that reads tokens"
            marked = self.model.inputs.form.matches
            reason = f"start learned {'with' if marked else 'without'} marked tokens"
            made.append(Decision(place="data.matches", value=marked, reason=reason))
        made += self._template(recipe)
        if (block := wrapper(recipe)) is not None and block.config == "auto":
            own = next(iter(self._layers()))
            assert isinstance(own, TransformersSpec), "start_of reads it so"
            config = Decision(
                place="model.layers.0.config", value=own.config, reason="the one that start has"
            )
            made.append(config)
        if recipe.model is None:
            model = self._model(recipe)
            what = "layers, neck and head" if goes_on else "layers"
            if self.is_pair and not goes_on:
                what = "layers of the encoder"
            reason = f"the {what} that start has"
            if isinstance(model, LayersSpec) and model.neck and not goes_on:
                reason += ", and a new neck as its family has it for this task"
            made.append(Decision(place="model", value=plain(model), reason=reason))
        return tuple(made)

    def _must_read(self, recipe: Recipe) -> None:
        """Refuses data of another form.

        Raises:
            InputError: If the data is none that it reads.
        """
        if form_of(recipe.data) != self.model.blueprint.reads.form:
            found = f"start: {self.path} reads {self.model.blueprint.reads}"
            if isinstance(recipe.data, SeriesSpec):
                raise InputError(f"{found}; forecasts start from nothing: leave it out")
            found += f", which data of the kind {recipe.data.kind} is not"
            raise InputError(f"{found}; take another start, or other data")

    @property
    def is_pair(self) -> bool:
        """Whether it has an encoder and a decoder."""
        return isinstance(self.model.blueprint.model, EncoderDecoderSpec)

    def told(self, recipe: Recipe, prepared: Prepared) -> Prepared:
        """The data with what texts begin with and end at where the recipe goes on with writing:
        as the network has learned it.

        Args:
            recipe: That starts here.
            prepared: Its data.
        """
        learned = self.model.target
        if not isinstance(learned, Written) or not isinstance(prepared.target, Written):
            return prepared
        if not self._goes_on(recipe):
            return prepared
        if isinstance(self.model.inputs, PairInputs):
            # What is written now may be longer than what was written before.
            context = len(learned.forced) + prepared.target.context
            learned = learned.model_copy(update={"context": context})
        return replace(prepared, target=learned)

    def _vocab(self, recipe: Recipe) -> dict[str, Any]:
        """The tokens that its network has vectors for, where the tokenizer has fewer, and those
        that are new."""
        inputs, vocab = self.model.inputs, self.model.blueprint.reads.vocab
        if isinstance(inputs, SoundInputs):
            return {}
        assert isinstance(inputs, TextInputs | PairInputs), "a network that reads tokens"
        added: dict[str, Any] = {"added": list(recipe.new_tokens)} if recipe.new_tokens else {}
        size = inputs.tokenizer.own_size + len(recipe.new_tokens)
        return added if size >= vocab else {**added, "vocab": vocab}

    def tokens(self, recipe: Recipe) -> Span | None:
        """The numbers of the recipe's new tokens; none where it has none.

        Raises:
            SpecError: If one of them is a token already, or it reads no tokens.
        """
        if not recipe.new_tokens:
            return None
        inputs = self.model.inputs
        try:
            if not isinstance(inputs, TextInputs):
                raise DataError("is no network of layers that read texts")
            tokenizer = inputs.tokenizer.with_added(recipe.new_tokens)
        except DataError as error:
            message = f"{self.path} {error}; leave it out"
            raise SpecError([Problem(place="new_tokens", message=message)]) from None
        numbers = [tokenizer.number(name) for name in recipe.new_tokens]
        first = inputs.tokenizer.own_size
        assert numbers == list(range(first, first + len(numbers))), "new tokens stand at the end"
        return Span(first, len(numbers))

    def _template(self, recipe: Recipe) -> list[Decision]:
        """The chat template that it was trained with, where the recipe leaves it open."""
        inputs = self.model.inputs
        wanted = isinstance(recipe.data, ChatSpec) and recipe.data.template == "auto"
        if not wanted or not isinstance(inputs, TextInputs) or inputs.template is None:
            return []
        value = os.path.abspath(self.files)
        return [Decision(place="data.template", value=value, reason="the one that start has")]

    @property
    def most_tokens(self) -> int | None:
        """The most tokens that the layers can read; none where they have learned no positions."""
        if any(isinstance(layer, TransformersSpec) for layer in self._layers()):
            return self.model.blueprint.reads.shape[0]
        model, target = self.model.blueprint.model, self.model.target
        most = learned_positions(self._layers())
        if isinstance(model, EncoderDecoderSpec) and isinstance(target, Written):
            reads = learned_positions(with_positions(model.encoder, self.model.blueprint.reads))
            most = None if most is None else most - len(target.forced)
            return min((n for n in (most, reads) if n is not None), default=None)
        return most

    def reads(self, recipe: Recipe, reads: Signal) -> Signal:
        """What the finished network of a recipe reads: texts as long as those that the start
        read, though it is trained on shorter ones, where that changes no weight.

        Args:
            recipe: That starts here.
            reads: As its data gives it.
        """
        if recipe.aim != "next_token" or self.most_tokens is not None:
            return reads
        before = self.model.blueprint.reads.shape[0]
        return Signal.tokens(max(before, reads.shape[0]), reads.vocab)

    def new(self, recipe: Recipe) -> tuple[str, ...]:
        """What the names of weights begin with that it does not give."""
        return () if self._goes_on(recipe) else ("neck.", "head.")

    def _goes_on(self, recipe: Recipe) -> bool:
        """Whether the recipe learns what was learned: the same objective, of the same tokens."""
        before, now = self.model.task, recipe.task
        # Of the same tokens: the tokenizer of the start is the only one that a recipe may have.
        learned, wanted = _objective(before), _objective(now)
        return learned is not None and learned == wanted

    def _model(self, recipe: Recipe) -> LayersSpec | EncoderDecoderSpec:
        """The layers; with the neck and the head, where these go on too, or a new neck that the
        family of a pretrained network has for what the recipe learns. Of an encoder and a
        decoder, the encoder alone where the recipe does not write."""
        model, foreign = self.model.blueprint.model, self.source.foreign
        if isinstance(model, EncoderDecoderSpec):
            if self._goes_on(recipe):
                encoder = with_positions(model.encoder, self.model.blueprint.reads)
                return model.model_copy(update={"encoder": encoder, "decoder": self._layers()})
            neck = (GlobalPoolSpec(),) if recipe.aim == "labels" else ()
            return LayersSpec(layers=model.encoder, neck=neck, initialize=model.initialize)
        assert isinstance(model, LayersSpec), "start_from takes no other"
        if self._goes_on(recipe):
            return model.model_copy(update={"layers": self._layers()})
        if foreign is not None and recipe.aim in foreign.designs:
            return foreign.designs[recipe.aim].model_copy(update={"layers": self._layers()})
        return LayersSpec(layers=self._layers(), initialize=model.initialize)

    def _layers(self) -> tuple[Block, ...]:
        """The layers, with as many positions as they have learned."""
        model, blueprint = self.model.blueprint.model, self.model.blueprint
        if isinstance(model, EncoderDecoderSpec):
            assert blueprint.writes is not None, "a decoder"
            return with_positions(model.decoder, blueprint.writes)
        assert isinstance(model, LayersSpec), "start_from takes no other"
        return with_positions(model.layers, blueprint.reads)

    @torch.no_grad()
    def give(self, network: Network, recipe: Recipe) -> None:
        """Copies the weights into a network that is not placed yet.

        Those of the layers; where the recipe goes on with the objective, those of the neck and
        the head too.

        Raises:
            InputError: If these are not the same.
        """
        parts = LAYERS_AND_HEAD if self._goes_on(recipe) else LAYERS
        given = self.model.network.state_dict()
        if self.is_pair and not self._goes_on(recipe):
            given = _of_the_encoder(given)
        theirs = {k: v for k, v in given.items() if k.startswith(parts)}
        own = {k: v for k, v in network.state_dict().items() if k.startswith(parts)}
        tokens = self.tokens(recipe)
        if tokens is not None:
            theirs |= grow(own, theirs, tokens)
        for name in sorted(own.keys() | theirs.keys()):
            ours, learned = own.get(name), theirs.get(name)
            if ours is None or learned is None or ours.shape != learned.shape:
                raise InputError(
                    f"start: {self.path} has {_shown(learned)} for {name}, but the model "
                    f"has {_shown(ours)}; leave model out to take what it has, or make them equal"
                )
            ours.copy_(learned)


def _of_the_encoder(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of an encoder as those of a network of its layers alone."""
    part = "encoder."
    return {
        f"layers.{name.removeprefix(part)}": tensor
        for name, tensor in weights.items()
        if name.startswith(part)
    }


def start_of(recipe: Recipe) -> Start | None:
    """What the recipe starts from; none where it starts from nothing.

    Raises:
        InputError: If there is no such run or network, or it is not finished.
    """
    if recipe.start is None:
        return None
    return start_from(find_model(recipe.start, wrapped=wrapper(recipe) is not None))


def wrapper(recipe: Recipe) -> TransformersSpec | None:
    """The block of a recipe that wraps a network of the transformers library."""
    layers = recipe.model.layers if isinstance(recipe.model, LayersSpec) else ()
    first = next(iter(layers), None)
    return first if isinstance(first, TransformersSpec) else None


def start_from(source: Source) -> Start:
    """A model as a start.

    Raises:
        InputError: If it has no folder with its tokenizer in a file of its own.
    """
    if source.files is None:
        raise InputError(
            f"{source.path} is a single file; make a folder of it first: luthier export "
            f"{source.path} --to huggingface --out DIR"
        )
    return Start(source)


def _framing(framed: bool) -> str:
    how = "between a first token and a separator" if framed else "without a first token"
    return f"start learned from texts {how}"


def _shown(tensor: torch.Tensor | None) -> str:
    return "nothing" if tensor is None else f"a tensor {tuple(tensor.shape)}"


def form_of(data: DataSpec) -> str:
    """The form of the signal that data gives; series have one of their own."""
    match data:
        case ImagesSpec():
            return "image"
        case SoundsSpec():
            return "sequence"
        case SeriesSpec():
            return "series"
    return "tokens"


def _objective(task: TaskSpec | None) -> str | None:
    """What a head is learned for that goes on: what a language network predicts, where answers
    stand, what is written or said; none of other tasks."""
    match task:
        case LanguageSpec():
            return task.objective
        case PreferenceSpec():
            return "next_token"
        case ExtractSpec():
            return "answers"
        case Seq2SeqSpec():
            return "pairs"
        case TranscribeSpec():
            return f"transcripts by {task.by}"
        case _:
            return None
