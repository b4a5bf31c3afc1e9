"""A network to be looked at: of a recipe, a family, or a published size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.adapters.moving import Moves
from luthier.errors import InputError
from luthier.interop.huggingface.folder import CONFIG, is_model_folder, open_folder
from luthier.interop.huggingface.read import plan_of
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, LayersSpec, Network, build
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.model.families.catalogue import families, named, published
from luthier.model.families.family import FamilySpec, Published
from luthier.recipe import Recipe, overridden
from luthier.run.adapting import with_adapter
from luthier.run.assembly import assemble
from luthier.run.reading import read
from luthier.run.start import start_of
from luthier.signal import Signal
from luthier.spec import Decision, parse, plain
from luthier.yaml_source import write_yaml

RECIPES = {".yaml", ".yml"}
VOCAB, CONTEXT = 32_000, 256
"""Of what is no published size, unless they are said."""
LONGEST = 4096
"""As much of a published context as is shown, unless it is said."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A network on the meta device, and the layers that it is made from."""

    name: str
    network: Network
    layers: LayersSpec | EncoderDecoderSpec
    family: FamilySpec | None
    """What they stand for, if they were not written out."""
    decisions: tuple[Decision, ...]
    """What the family's sizes and rules said, with the reasons."""
    published: Published | None = None
    """The published model that it is, whole."""
    moves: Moves | None = None
    """What an adapter lets move."""

    def to_yaml(self) -> str:
        """The layers as a recipe holds them."""
        return write_yaml({"model": plain(self.layers)}, compact=True)

    def to_json(self) -> dict[str, Any]:
        """What is known of it beside its counts."""
        row = self.published
        return {
            "name": self.name,
            "model": plain(self.layers),
            "decisions": [vars(decision) for decision in self.decisions],
            "published": None
            if row is None
            else {"name": row.name, "parameters": row.parameters, "source": row.source},
        }


def design(
    name: str,
    overrides: Sequence[str] = (),
    *,
    vocab: int | None = None,
    context: int | None = None,
) -> Design:
    """The network of a recipe file, a family, a published size or a Hugging Face folder.

    Args:
        name: A file, a folder, or a name such as `llama` or `gpt2-medium`.
        overrides: Values to change: of a recipe `model.depth=12`, of a family `depth=12` too.
        vocab: Distinct tokens, of a family; none takes those of the published size.
        context: The longest text in tokens, of a family; none takes that of the published size.

    Raises:
        InputError: If there is no such file, family or size, or the overrides do not suit it.
        ShapeError: If a block cannot read what comes before it.
    """
    path = Path(name)
    if is_model_folder(path):
        if overrides or vocab is not None:
            raise InputError(f"{path}: has its numbers in {path / CONFIG}; leave others out")
        return _design_folder(path, context)
    if path.is_file() or path.suffix in RECIPES or path.name != name:
        if vocab is not None or context is not None:
            raise InputError(
                "--vocab and --context are of a family; those of a recipe are its data's, leave "
                "them out"
            )
        return design_recipe(Recipe.read(path, overrides))
    return _design_family(name, overrides, vocab, context)


def design_recipe(recipe: Recipe) -> Design:
    """The network of a recipe. Reads the data for the shape of a sample and the classes.

    Raises:
        DataError: If the data cannot be read.
        ShapeError: If a block cannot read what comes before it.
    """
    start = start_of(recipe)
    given = read(recipe, start)
    assembly = assemble(given.recipe, given.prepared)
    model, layers = given.recipe.model, assembly.blueprint.model
    assert model is not None, "an assembly with no module has a model"
    assert layers is not None
    return Design(
        name=recipe.name,
        network=assembly.network,
        layers=layers,
        family=model if isinstance(model, FamilySpec) else None,
        decisions=() if recipe.network is None else recipe.network.decide(recipe.aim),
        moves=None if recipe.adapter is None else with_adapter(assembly.network, recipe, start),
    )


def _design_folder(path: Path, context: int | None) -> Design:
    plan = plan_of(open_folder(path))
    return Design(
        name=path.name,
        network=plan.network(context or LONGEST),
        layers=plan.model,
        family=None,
        decisions=(),
    )


def _design_family(
    name: str, overrides: Sequence[str], vocab: int | None, context: int | None
) -> Design:
    model = _family(name, overrides)
    shown = model.design(model.SHOWN)
    pair = isinstance(shown, EncoderDecoderSpec)
    if model.READS is not None and not pair and (vocab is not None or context is not None):
        raise InputError(f"{name}: reads no tokens; leave out --vocab and --context")
    row = None if model.size is None else model.SIZES[model.size]
    tokens = Signal.tokens(
        context or (CONTEXT if row is None else min(row.context, LONGEST)),
        vocab or (VOCAB if row is None else row.vocab),
    )
    reads = model.READS if row is None or row.reads is None else row.reads
    head = (UnembedSpec(vocab=tokens.vocab),) if model.SHOWN in SCORES_TOKENS else ()
    row = published(model) if vocab is None else None
    layers: LayersSpec | EncoderDecoderSpec = shown
    if isinstance(layers, EncoderDecoderSpec):
        layers = layers.settled(one_tokenizer=reads is None)
        network = build_pair(layers, reads or tokens, tokens, head)
    else:
        network = build(layers, reads or tokens, head)
    return Design(
        name=model.kind if row is None else row.name,
        network=network,
        layers=layers,
        family=model,
        decisions=model.decide(model.SHOWN),
        published=row,
    )


def _family(name: str, overrides: Sequence[str]) -> FamilySpec:
    files = [str(file) for file in Path().glob("*.y*ml")]
    data = named(name, files)
    cls = families()[data["kind"]]
    own = [override.removeprefix("model.") for override in overrides]
    dialled = {override.partition("=")[0] for override in own} & {*cls.DIALS, "size"}
    if dialled and name.lower() == data["kind"]:
        # The rest follows from what is given, not from the size that stands for the family.
        data = {"kind": data["kind"]}
    return parse(cls, overridden(data, own), prefix="model", source=name)
