"""The parts of a run put together: data, task, and the network between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from luthier.data.prepared import Prepared
from luthier.data.target import Target, Written, names_of
from luthier.data.text.questions.prepare_questions import PreparedQuestions
from luthier.errors import InputError, Problem, SpecError
from luthier.model.blocks.cross_attention import CrossAttention
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.model.initialize import materialize
from luthier.model.measure import sample
from luthier.model.stream import State
from luthier.recipe import Recipe
from luthier.run.model_folder import Blueprint
from luthier.run.start import Start
from luthier.signal import Signal
from luthier.tasks.task import Task

KINDS_WITH_MATCHES = 3
"""Of tokens, where those of a context that the question has too are one."""


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A network that reads what the data gives and gives what the task reads."""

    blueprint: Blueprint
    network: Network
    """On the meta device, unless Python code gave it."""
    task: Task[Any]


def assemble(recipe: Recipe, prepared: Prepared, module: nn.Module | None = None) -> Assembly:
    """The network of a recipe, for its data and its task.

    Args:
        recipe: Its model may be missing where there is a module.
        prepared: The data.
        module: A person's own network; keeps the weights that it has.

    Raises:
        ShapeError: If a block cannot read what comes before it.
        InputError: If there is no network, or two, or it gives what the task cannot read, or
            the task's settings do not fit the classes.
    """
    reads, target = prepared.signal, prepared.target
    classes = names_of(target)
    if len(classes) == 1:
        raise InputError(
            f"{prepared.recognised}: has only the class {classes[0]}; {recipe.task.kind} wants "
            "two or more"
        )
    task = recipe.task.build(target)
    if module is not None:
        if recipe.model is not None:
            raise InputError("model: the recipe has one, and network gives another; leave one out")
        blueprint = Blueprint(reads=reads, model=None)
        network = Network.of(module, reads)
    elif recipe.network is None:
        raise InputError("model: is missing; give layers, or in Python luthier.train(…, network=…)")
    else:
        blueprint, network = _designed(recipe, reads, target)
        if isinstance(blueprint.model, LayersSpec):
            _must_have_kinds(blueprint.model, prepared)
    wanted = recipe.task.wants(reads, target)
    if not _is(network.gives, wanted):
        raise InputError(
            f"model: the network gives {network.gives}, but {recipe.task.kind} reads {wanted} "
            f"here; let the last layer give that, or leave head to auto"
        )
    if module is None and recipe.aim in ("next_token", "pairs"):
        must_read_forwards(network)
    return Assembly(blueprint=blueprint, network=network, task=task)


def _is(gives: Signal, wanted: Signal) -> bool:
    """Whether a signal is what a task wants, 0 standing for any size."""
    sizes = zip(gives.shape, wanted.shape, strict=False)
    same = gives.form == wanted.form and len(gives.shape) == len(wanted.shape)
    return same and all(want in (0, got) for got, want in sizes)


def _designed(recipe: Recipe, reads: Signal, target: Target) -> tuple[Blueprint, Network]:
    """The network that the recipe describes, on the meta device.

    Raises:
        ShapeError: If a block cannot read what comes before it.
        InputError: If the task wants an encoder and there is none, or the other way round.
    """
    assert recipe.network is not None
    layers, kind = recipe.network.design(recipe.aim), recipe.task.kind
    if isinstance(layers, EncoderDecoderSpec) != isinstance(target, Written):
        wanted, got = "layers", "an encoder and a decoder"
        if isinstance(target, Written):
            both = "whisper" if kind == "transcribe" else "transformer, gru, lstm"
            wanted = "an encoder and a decoder (model.encoder and model.decoder, or a family that "
            wanted += f"has both: {both})"
            got = "layers alone"
        raise InputError(f"model: {kind} wants {wanted}, but got {got}")
    if isinstance(layers, EncoderDecoderSpec) and isinstance(target, Written):
        layers = layers.settled(one_tokenizer=target.one_tokenizer)
        writes = Signal.tokens(target.context, target.vocab)
        network = build_pair(layers, reads, writes, lambda gives: recipe.task.head(gives, target))
    else:
        assert isinstance(layers, LayersSpec)
        writes = None
        network = build(layers, reads, lambda gives: recipe.task.head(gives, target))
        _must_read_the_input_alone(network, kind)
    head = tuple(step.spec for step in network.head.steps)
    return Blueprint(reads=reads, model=layers, head=head, writes=writes), network


def _must_read_the_input_alone(network: Network, task: str) -> None:
    """Refuses a network with a block that waits for what no encoder gives.

    Raises:
        InputError: Before anything is written.
    """
    if any(isinstance(module, CrossAttention) for module in network.modules()):
        raise InputError(
            f"model: cross_attention reads a source beside its input, which the task {task} does "
            "not give; leave it out, or use it in Python, with a stream that has a source"
        )


def _must_have_kinds(layers: LayersSpec, prepared: Prepared) -> None:
    """Refuses a network without a vector for each kind of token that questions have.

    Raises:
        InputError: With how many it has, and how many are wanted.
    """
    if not isinstance(prepared, PreparedQuestions) or not prepared.form.matches:
        return
    for layer in layers.layers:
        if isinstance(layer, TokensSpec) and layer.types < KINDS_WITH_MATCHES:
            raise InputError(
                f"model: tokens has types: {layer.types}, but data.matches makes "
                f"{KINDS_WITH_MATCHES} kinds: of the question, of the context, of both; give "
                f"types: {KINDS_WITH_MATCHES}, or leave data.matches out"
            )


def must_read_forwards(network: Network) -> None:
    """Refuses a network that sees the token that it is to predict.

    What can go on from where it stopped has not read what comes later: the network is asked to,
    on the meta device.

    Raises:
        InputError: With the block that sees later tokens.
    """
    time = (network.writes or network.reads).shape[0]
    tokens = torch.zeros((1, time), dtype=torch.int64, device="meta")
    try:
        with torch.no_grad():
            network.decode(tokens, State(capacity=time))
    except InputError as error:
        other = "" if network.encoder is not None else "; or give the task objective: masked"
        raise InputError(
            f"{error}. The task is to predict the next token, which this network would see{other}"
        ) from None


def must_learn_from_one_row(assembly: Assembly) -> None:
    """Refuses a network with a batch norm that would have a single value to normalise.

    Args:
        assembly: Its network is on the meta device still; one that Python code gave is not tried.

    Raises:
        SpecError: If it cannot be trained on one row at a time.
    """
    if assembly.blueprint.model is None:
        return
    network = assembly.network
    row = sample(network.reads, 1, "meta", torch.float32)
    try:
        with torch.no_grad():
            if network.writes is None:
                network(row)
            else:
                network(sample(network.writes, 1, "meta", torch.float32), None, row)
    except ValueError:
        message = (
            "got one row, or one row a part, of which batch norm cannot learn; wanted two or more"
        )
        raise SpecError([Problem(place="training.batch_size", message=message)]) from None


def with_weights(assembly: Assembly, recipe: Recipe, start: Start | None = None) -> Network:
    """The network with its memory and its first weights, in canonical order on the CPU.

    Raises:
        InputError: If the layers of `start`, or a head that goes on, are not those of the recipe.
    """
    layers = assembly.blueprint.model
    if layers is not None:
        materialize(assembly.network, seed=recipe.training.seed, spec=layers.initialize)
    if start is not None:
        start.give(assembly.network, recipe)
    return assembly.network
