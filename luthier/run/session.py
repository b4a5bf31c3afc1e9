"""One process's work on a run: all that training needs, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from luthier.checkpoint.store import Store
from luthier.data.bucketed import BucketedLoader, HasLengths
from luthier.data.loader import Loader
from luthier.data.pairs.pair_inputs import PairInputs
from luthier.data.prepared import Prepared
from luthier.data.text.labelled.inputs import TextInputs
from luthier.errors import InputError, missing_extra
from luthier.inference.dialogue import Speaker
from luthier.inference.generate import generate, prompt_tokens
from luthier.inference.predict import predict
from luthier.inference.sampling import SamplingSpec
from luthier.metrics.written import must_have_library
from luthier.placement.inference import for_inference
from luthier.placement.machine import installed
from luthier.placement.place import place
from luthier.recipe import Recipe
from luthier.resolve import Resolved
from luthier.run.adapting import Adapting, adapting
from luthier.run.assembly import Assembly, must_learn_from_one_row, with_weights
from luthier.run.directory import RunDirectory
from luthier.run.short_sounds import must_fit
from luthier.run.source import weights_of
from luthier.run.start import Start, wrapper
from luthier.tasks.seq2seq import Seq2SeqSpec
from luthier.tasks.task import Task
from luthier.training.average import Average
from luthier.training.groups import SAME
from luthier.training.learner import Learner
from luthier.training.loop import StepLoader
from luthier.training.schedule import Schedule, schedule_for
from luthier.training.settings import TrainingSpec

SAMPLE_TOKENS = 100


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that training needs."""

    directory: RunDirectory
    resolved: Resolved
    prepared: Prepared
    assembly: Assembly
    task: Task[Any]
    learner: Learner
    loader: StepLoader
    store: Store
    total_steps: int
    """Of the whole run."""
    schedule: Schedule
    adapting: Adapting | None = None
    """What an adapter made of the network."""

    @property
    def recipe(self) -> Recipe:
        """With no `auto` left."""
        return self.resolved.recipe

    def samples(self) -> dict[str, str]:
        """What the network writes now after each of the recipe's prompts."""
        settings, inputs = self.recipe.training, self.prepared.inputs
        if not settings.samples:
            return {}
        if isinstance(inputs, PairInputs):
            network = self.learner.placed.network
            was_training = network.training
            try:
                said = list(predict(self.learner.placed, self.task, inputs, settings.samples, 1))
            finally:
                network.train(was_training)
            return {one["input"]: f" → {one['output']}" for one in said}
        assert isinstance(inputs, TextInputs)
        how = SamplingSpec(max_tokens=settings.sample_tokens or SAMPLE_TOKENS, seed=settings.seed)
        placed, prompts = self.learner.placed, settings.samples
        if placed.device.type == "cpu":
            placed = for_inference(placed)  # elsewhere there may be no room for a second copy
        if inputs.template is not None:
            answers = Speaker(inputs).answers(placed, prompts, how)
            return {one.prompt: f"\n{one.text}" for one in answers}
        found = generate(placed, inputs.tokenizer, prompts, how)
        return {one.prompt: one.text for one in found}

    def checkpoint_bytes(self) -> int:
        """The size of one checkpoint, about."""
        parts = self.learner.tensors().values()
        return sum(t.numel() * t.element_size() for named in parts for t in named.values())


def open_session(
    directory: RunDirectory,
    resolved: Resolved,
    prepared: Prepared,
    assembly: Assembly,
    start: Start | None = None,
) -> Session:
    """The network gets its first weights and its place, the loader its order.

    Nothing is written yet.

    Raises:
        InputError: If the placement cannot be had here, or settings contradict each other.
    """
    recipe, settings = resolved.recipe, resolved.recipe.training
    _must_be_trainable(recipe, prepared, assembly)
    network = with_weights(assembly, recipe, start)
    if start is not None:
        blueprint = assembly.blueprint
        reads = start.reads(recipe, blueprint.reads)
        assembly = replace(assembly, blueprint=replace(blueprint, reads=reads))
    resolved, adapted = adapting(network, resolved, start)
    still = frozenset() if adapted is None else adapted.still
    roundable = frozenset() if adapted is None or start is None else adapted.roundable
    placed = place(network, recipe.placement, roundable)
    loader = _loader(prepared, assembly, settings)
    total_steps = settings.total_steps(loader.steps_per_epoch)
    rates, thaw = SAME if adapted is None else adapted.rates, None
    if adapted is not None:
        thaw = adapted.thaw(placed.network, loader.steps_per_epoch)
    return Session(
        directory=directory,
        resolved=resolved,
        prepared=prepared,
        assembly=assembly,
        task=assembly.task,
        learner=Learner(
            placed=placed,
            optimizer=recipe.optimizer.build(placed.network, rates),
            thaw=thaw,
            average=Average(network, settings.ema_decay, still) if settings.ema_decay else None,
            still=still,
            whole=None
            if recipe.start is None
            else partial(weights_of, recipe.start, wrapped=wrapper(recipe) is not None),
        ),
        loader=loader,
        total_steps=total_steps,
        schedule=schedule_for(recipe.schedule, total_steps),
        store=Store(directory.checkpoints, keep=settings.keep_checkpoints),
        adapting=adapted,
    )


def _loader(prepared: Prepared, assembly: Assembly, settings: TrainingSpec) -> StepLoader:
    """What gives each step its batch."""
    assert isinstance(settings.workers, int)
    examples, collate = prepared.train, assembly.task.collate
    if prepared.by_length:
        assert isinstance(examples, HasLengths)
        batch = settings.batch_tokens or settings.batch_size
        assert isinstance(batch, int)
        return BucketedLoader(
            examples,
            collate,
            examples.lengths,
            batch=batch,
            tokens=settings.batch_tokens is not None,
            accumulate=settings.accumulate,
            seed=settings.seed,
            workers=settings.workers,
        )
    assert isinstance(settings.batch_size, int)
    return Loader(
        examples,
        collate,
        batch_rows=settings.batch_size,
        accumulate=settings.accumulate,
        seed=settings.seed,
        shuffle=True,
        workers=settings.workers,
    )


def _must_be_trainable(recipe: Recipe, prepared: Prepared, assembly: Assembly) -> None:
    """Refuses what could not train to its end.

    Raises:
        InputError: If a tracker is missing, nothing can move, or settings contradict each other.
    """
    settings = recipe.training
    for package in settings.track:
        if not installed(package):
            raise missing_extra(package, "track")
    if not any(weight.requires_grad for weight in assembly.network.parameters()):
        raise InputError(
            "model: the network has no weights to train; add a layer that has some, or set "
            "requires_grad where Python code froze them"
        )
    if settings.batch_size == settings.accumulate:
        must_learn_from_one_row(assembly)
    must_fit(assembly.network, prepared, recipe)
    if isinstance(recipe.task, Seq2SeqSpec):
        must_have_library(recipe.task.metrics)
    if settings.samples and isinstance(prepared.inputs, PairInputs):
        prepared.inputs.samples(settings.samples, 0)
    elif settings.samples:
        assert isinstance(prepared.inputs, TextInputs)
        _must_be_prompts(prepared.inputs, settings.samples, prepared.signal.shape[0])


def _must_be_prompts(inputs: TextInputs, prompts: Sequence[str], context: int) -> None:
    """Refuses prompts that the network could not go on from.

    Raises:
        InputError: Before anything is trained.
    """
    name = "training.samples: prompt"
    if inputs.template is not None:
        Speaker(inputs).questions(prompts, context, name)
    else:
        prompt_tokens(inputs.tokenizer, prompts, context, name)
