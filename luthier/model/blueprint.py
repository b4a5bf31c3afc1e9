"""From layers on a page to a network: built on the meta device, with every shape measured.

Dimension key, for the whole file:
    B  batch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from luthier.errors import InputError, ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks import Block
from luthier.model.blocks.tokens import Tokens
from luthier.model.blocks.unembed import Unembed, UnembedSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec
from luthier.model.measure import measure
from luthier.model.stream import Source, State, Stream, Streamed, through
from luthier.signal import Signal
from luthier.spec import Auto, Decision, Many, Spec, plain

Aim = Literal[
    "next_token",
    "masked",
    "labels",
    "tags",
    "labels_and_tags",
    "answers",
    "transcripts",
    "pairs",
    "forecast",
]
"""What a network is for: to write texts, to fill in hidden tokens, to say what an input is, to tag
the words of a text, both of these, to say which span of a text answers a question, to write down
what is said in a sound, to write a text for each input, or to say what comes next in a series."""
SCORES_TOKENS: tuple[Aim, ...] = ("next_token", "masked", "pairs")
"""The aims whose head gives a score to each token of the vocabulary."""
Head = Sequence[BlockSpec] | Callable[[Signal], Sequence[BlockSpec]]

MOST_BLOCKS = 10_000
"""More than any network has; a bound for recipes whose repeats multiply."""


class ScoresSpec(Spec):
    """How the head of a language task gives scores to tokens."""

    tied: bool = False
    """Whether its weights are those of the tokens layer."""
    bias: bool = False
    """Whether each token has a learned number added to its score."""
    softcap: float | None = Field(default=None, gt=0)
    """Scores are kept between ± this, by `softcap * tanh(score / softcap)`; none leaves them."""


HeadChoice = Auto | Literal["tied", "none"] | ScoresSpec


class LayersSpec(Spec):
    """A network as a list of layers, from a blank page."""

    layers: Many[Block]
    """The layers, in order. The output layer comes from the task and the data; see `head`."""
    neck: Many[Block] = ()
    """Layers between these and the output layer that belong to the task and not to the network:
    another task that goes on with its weights leaves them."""
    head: HeadChoice = "auto"
    """auto adds the output layer that the task needs; tied too, with the weights of the tokens
    layer in it, or more about it: `{tied: true, bias: true}`; none takes the last of the layers
    as it."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    @field_validator("layers")
    @classmethod
    def _bounded(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        return bounded(layers, "{kind: flatten}")

    def decide(self, aim: Aim) -> tuple[Decision, ...]:
        """What is left to luthier: nothing."""
        return ()

    def design(self, aim: Aim) -> LayersSpec:
        """The layers, whatever is learned."""
        return self


def bounded(layers: tuple[Block, ...], example: str) -> tuple[Block, ...]:
    """The layers, if there are some and not too many.

    Raises:
        ValueError: In words.
    """
    if not layers:
        raise ValueError(f"got no layers; wanted at least one, such as {example}")
    blocks = sum(layer.blocks() for layer in layers)
    if blocks > MOST_BLOCKS:
        raise ValueError(f"got {blocks:,} blocks, wanted at most {MOST_BLOCKS:,}")
    return layers


class Network(nn.Module):
    """Layers, and a head that makes of their output what a task's loss reads.

    Weight names are plain and stay: `layers.0.conv.weight`, `head.0.linear.bias`.

    Attributes:
        encoder: What reads the source, where the layers write of one: they are its decoder.
        layers: A `Chain`; in a network `of` somebody's own module, that module.
        neck: What stands between them and the head; most often nothing.
        head: What the task adds; often one dense layer, sometimes nothing.
        reads: One sample of the input; where there is an encoder, of the source.
        gives: One sample of the output.
    """

    encoder: Chain | None
    layers: nn.Module
    neck: Chain
    head: Chain

    def __init__(
        self,
        layers: nn.Module,
        neck: Chain,
        head: Chain,
        reads: Signal,
        encoder: Chain | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.neck = neck
        self.head = head
        self.reads = reads
        self.gives = head.gives
        for name, module in self.named_modules():
            if isinstance(module, Streamed):
                module.name = name

    @classmethod
    def of(cls, module: nn.Module, reads: Signal) -> Network:
        """A network around somebody's own module, with the weights that it has.

        Args:
            module: Reads `(B, *reads.shape)`, gives a tensor whose first dimension is B. It is
                run once, on zeros, in evaluation mode.
            reads: One sample of the input.

        Raises:
            InputError: If it cannot run on `reads`, or gives anything else.

        Example:
            >>> Network.of(nn.Linear(64, 10), Signal.of((64,))).gives
            Signal(form='vector', shape=(10,), vocab=0)
        """
        modes = {part: part.training for part in module.modules()}
        tensors = (*module.parameters(), *module.buffers())
        device = tensors[0].device if tensors else torch.device("cpu")
        module.eval()
        try:
            gives = measure(module, reads, device)
        except ShapeError as error:
            raise InputError(f"the network {type(module).__name__} {error.message}") from None
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"the network {type(module).__name__} cannot read {reads}: {error}"
            ) from error
        finally:
            for part, mode in modes.items():
                part.training = mode
        return cls(module, Chain((), gives, "model.neck"), Chain((), gives, "model.head"), reads)

    @property
    def writes(self) -> Signal | None:
        """One sample of what the decoder reads; none where there is no encoder."""
        if self.encoder is None:
            return None
        assert isinstance(self.layers, Chain), "a decoder is made of blocks"
        return self.layers.reads

    def forward(
        self, x: Tensor, stream: Stream | None = None, source: Tensor | None = None
    ) -> Tensor:
        """`(B, *reads.shape)` to `(B, *gives.shape)`.

        With an encoder, `x` is what the decoder reads, `(B, *writes.shape)`, and the source
        `(B, *reads.shape)`; or the stream has what the encoder gave.
        """
        if source is not None:
            assert stream is None, "a stream has what the encoder gave already"
            stream = Stream(source_BSD=self.encode(source, None))
        y: Tensor = self.head(self.features(x, stream), stream)
        return y

    def features(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """What the head reads: of the layers and the neck."""
        h: Tensor = self.neck(through(self.layers, x, stream), stream)
        return h

    def encode(self, source: Tensor, stream: Stream | None) -> Tensor:
        """What the encoder gives of a source: `(B, S, *)`.

        Args:
            source: What it reads.
            stream: Where documents lie; none where each row is one, whole.
        """
        assert self.encoder is not None, "a network without an encoder"
        y: Tensor = self.encoder(source, stream)
        return y

    def decode(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads more positions of rows that were read up to `state`.

        Args:
            x: `(B, T)` tokens, the next ones of each row.
            state: What is remembered; `State(capacity=…)` before the first position. Must not be
                used again.

        Returns:
            `(B, T, *)`, what the network gives at the new positions, and the next state.
        """
        h, state = self.remember(x, state)
        return self.head(h), state

    def remember(
        self, x: Tensor, state: State, source: Source | None = None
    ) -> tuple[Tensor, State]:
        """As `decode`, up to what the head reads.

        Args:
            x: `(B, T)` tokens, the next ones of each row.
            state: What is remembered.
            source: What the encoder gave, where `x` is the first that is read.
        """
        stream = Stream(state=state)
        if source is not None:
            stream.source_BSD, stream.source_layout = source.x_BSD, source.layout
        h = self.features(x, stream)
        time = state.time + x.shape[1]
        return h, replace(state, time=time, blocks={**state.blocks, **stream.handed_on})


def build(spec: LayersSpec, reads: Signal, head: Head = ()) -> Network:
    """The network that `spec` describes, on the meta device: nothing is allocated or computed.

    Args:
        spec: The layers.
        reads: One sample of the input, as the data gives it.
        head: The blocks that the task adds, or a function that makes them for what reaches them.
            Not taken where the spec's `head` is none.

    Raises:
        ShapeError: If a layer cannot read what reaches it: its place, what was got and wanted,
            and the mend.

    Example:
        >>> from luthier.model.blocks.dense import DenseSpec
        >>> from luthier.model.blocks.flatten import FlattenSpec
        >>> spec = LayersSpec(layers=(FlattenSpec(), DenseSpec(width=32, activation="relu")))
        >>> network = build(spec, Signal.of((1, 8, 8)), head=(DenseSpec(width=10),))
        >>> [name for name, _ in network.named_parameters()][:2]
        ['layers.1.linear.weight', 'layers.1.linear.bias']
        >>> str(network.gives)
        'a vector (10)'
    """
    layers = Chain(spec.layers, reads, "model.layers")
    neck = Chain(spec.neck, layers.gives, "model.neck", spec.layers[-1].kind)
    last = (*spec.layers, *spec.neck)[-1].kind
    chain = head_of(spec.head, head, neck.gives, last)
    tie({"model.layers": layers, "model.neck": neck, "model.head": chain})
    return Network(layers, neck, chain, reads)


def head_of(said: HeadChoice, head: Head, reads: Signal, last: str) -> Chain:
    """The head of a network.

    Args:
        said: What the recipe says of it.
        head: The blocks that the task adds, or a function that makes them for what reaches them.
        reads: What reaches it.
        last: The kind of the block before it.

    Raises:
        ShapeError: If the recipe wants of it what it is not.
    """
    added: Sequence[BlockSpec] = ()
    if said != "none":
        added = head(reads) if callable(head) else head
    if said == "tied":
        added = _scoring(added, ScoresSpec(tied=True), "tied")
    elif isinstance(said, ScoresSpec):
        added = _scoring(added, said, str(plain(said)))
    return Chain(added, reads, "model.head", last)


def _scoring(head: Sequence[BlockSpec], scores: ScoresSpec, got: str) -> list[BlockSpec]:
    """The head with its unembed changed."""
    if not any(isinstance(block, UnembedSpec) for block in head):
        raise ShapeError(
            f"got {got}, but the head of this task gives no scores to tokens; leave it to auto",
            "model.head",
        )
    return [
        block.model_copy(update=plain(scores)) if isinstance(block, UnembedSpec) else block
        for block in head
    ]


def tie(chains: Mapping[str, Chain]) -> None:
    """Gives each tied unembed the table of the tokens.

    Args:
        chains: The parts of a network that write, by their places.

    Raises:
        ShapeError: If there is no such table, or several, or it is of another shape.
    """
    tables = [
        module
        for chain in chains.values()
        for module in chain.modules()
        if isinstance(module, Tokens)
    ]
    for place, chain in reversed(list(chains.items())):
        for module in chain.modules():
            if isinstance(module, Unembed) and module.spec.tied:
                if len(tables) != 1:
                    message = f"a tied head wants one tokens layer, but there are {len(tables)}"
                    raise ShapeError(message, place)
                try:
                    module.tie(tables[0])
                except ShapeError as error:
                    raise error.at(place) from None
