"""Which family a network of ours is a member of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.families import FAMILIES
from luthier.interop.huggingface.family import Family
from luthier.interop.huggingface.family import Network as Asked
from luthier.interop.huggingface.paged import built, model_of
from luthier.interop.huggingface.row import Row
from luthier.interop.huggingface.settled import differences
from luthier.model.block import BlockSpec
from luthier.model.blocks.tokens import Tokens, TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, Aim, Network
from luthier.signal import Signal

_FEW = 3


@dataclass(frozen=True)
class Member:
    """A network as a member of a family.

    Attributes:
        family: The family.
        architecture: The class of theirs that it is.
        config: What the family's config says of it, without what every config has.
    """

    family: Family
    architecture: str
    config: Mapping[str, Any]


def member(
    network: Network,
    aim: Aim | None,
    names: tuple[str, ...] = (),
    *,
    first: str = "",
    padding: int | None = None,
) -> Member:
    """The family that a network belongs to: the first whose design is the same network.

    Args:
        network: Ours.
        aim: What it is for.
        names: Of its classes or tags.
        first: The name of the family to try before all others: the one that it came from.
        padding: The token that fills rows up; none where there is none.

    Raises:
        InputError: If it belongs to none; says what is different from the one that is nearest.
    """
    texts = network.writes or network.reads
    asked = Asked(
        row=Row.of(network),
        context=texts.shape[0],
        vocab=texts.vocab,
        aim=aim,
        source=None if network.encoder is None else network.reads,
        shared=has_one_table(network),
        padding=padding,
    )
    nearest: tuple[list[str], str] | None = None
    for family in sorted(FAMILIES, key=lambda family: family.name != first):
        architecture = next((k for k, v in family.architectures.items() if v == aim), None)
        if architecture is None or family.reads != network.reads.form:
            continue
        try:
            config = family.config(asked)
        except InputError as error:
            wrong = [str(error)] * 100
        else:
            wrong = _differences(asked, family, {**config, **about_names(names)})
            if not wrong:
                return Member(family, architecture, config)
        if nearest is None or len(wrong) < len(nearest[0]):
            nearest = wrong, family.name
    if nearest is None:
        raise InputError(
            f"the network reads {network.reads}; Hugging Face's format has no family here that "
            f"does so and is for {aim or 'no task'}"
        )
    wrong, name = nearest
    listed = "; ".join(dict.fromkeys(wrong[:_FEW]))
    raise InputError(
        f"the network is a member of no family that Hugging Face's format has here. From the "
        f"nearest, {name}, it differs in {listed}"
    )


def has_one_table(network: Network) -> bool:
    """Whether an encoder and a decoder have one table of tokens."""
    tokens = [module for module in network.layers.modules() if isinstance(module, Tokens)]
    return network.encoder is not None and any(one.table is None for one in tokens)


def about_names(names: tuple[str, ...]) -> dict[str, Any]:
    """The names of classes or tags as a config has them; nothing where there are none."""
    if not names:
        return {}
    by_number = {str(number): name for number, name in enumerate(names)}
    return {"id2label": by_number, "label2id": {name: n for n, name in enumerate(names)}}


def _differences(asked: Asked, family: Family, config: Mapping[str, Any]) -> list[str]:
    """How the network differs from the one that the family's config describes."""
    design = family.design(Config(config, family.name), asked.aim)
    head: tuple[BlockSpec, ...] = design.head
    if asked.aim in SCORES_TOKENS:
        head = (UnembedSpec(vocab=asked.vocab),)
    texts = Signal.tokens(design.context, asked.vocab)
    theirs = Row.of(built(model_of(design, "the network"), design.source or texts, texts, head))
    tokens = next(named.spec for named in theirs.layers if isinstance(named.spec, TokensSpec))
    return differences(asked.row, theirs, tokens.width, design.context)
