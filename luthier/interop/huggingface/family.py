"""What a family is: networks of one config, read and written by the same list of matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.errors import InputError, nearest
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import Match
from luthier.interop.huggingface.row import Row
from luthier.model.block import BlockSpec
from luthier.model.blueprint import Aim
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class Design:
    """A network as a config describes it."""

    page: Mapping[str, Any]
    """A `LayersSpec` or an `EncoderDecoderSpec` as a recipe writes it."""
    context: int
    """The most tokens that it reads, or writes."""
    source: Signal | None = None
    """What the encoder reads, where there is one and it reads no tokens."""
    head: tuple[BlockSpec, ...] = ()
    """The blocks of the head; where it gives scores to tokens, these follow from the vocabulary
    and from what the page says of them."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of ours that is to be written in a family's way."""

    row: Row
    context: int
    vocab: int
    aim: Aim | None
    source: Signal | None = None
    """What an encoder reads; none where there is none."""
    shared: bool = False
    """Whether an encoder and a decoder have one table of tokens."""
    padding: int | None = None
    """The token that fills rows up; none where there is none."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of networks: how its config becomes layers, and whose tensor is whose.

    To add one: a file with its `Family`, and its line in `families.py`.
    """

    name: str
    """What messages call it: `Llama`."""
    model_type: str
    """Of config.json."""
    architectures: Mapping[str, Aim | None]
    """What each class of theirs is for; none for one that has no head. The first for an aim is the
    one that is written."""
    reads: Literal["tokens", "sequence"] = "tokens"
    """The form of what it reads."""
    prefix: str = ""
    """What the names of its layers' tensors begin with where there is a head, and do not in files
    of the bare network: `model.`."""
    design: Callable[[Config, Aim | None], Design]
    """The network that a config describes.

    Raises InputError where luthier has no such layers: the setting, and what was wanted."""
    matches: Callable[[Row, Aim | None], Sequence[Match]]
    """Whose tensor is whose, with the prefix. Each of ours is in one match, and each of theirs."""
    config: Callable[[Network], Mapping[str, Any]]
    """The settings of a network, without those that every config has (architectures, model_type,
    vocab_size, ids of tokens). Need not look whether the network is a member of the family: its
    design is compared with it afterwards. Raises InputError where it is of another make, such
    that there are no such settings."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Tensors that a file may hold a second time, where the head is tied: `lm_head.weight`, and
    what it is a copy of."""
    unused: tuple[str, ...] = ()
    """Patterns of the names of tensors that are no weights of the network: buffers, the heads of
    another objective."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Patterns in names of older files, and what they are now: `(r"\\.gamma$", ".weight")`."""

    def aim(self, config: Config) -> tuple[str | None, Aim | None]:
        """The class that a config names, and what that is for; none where it names none.

        Raises:
            InputError: If it names one that luthier does not know.
        """
        named = config.words("architectures")
        if not named:
            return None, None
        if named[0] not in self.architectures:
            raise InputError(
                f'{config.source}: architectures: got "{named[0]}"'
                f"{nearest(named[0], self.architectures)}; luthier reads a {self.name} as these"
            )
        return named[0], self.architectures[named[0]]
