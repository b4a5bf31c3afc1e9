"""Encoder and decoder: one part reads a source, the other writes a text of it."""

from __future__ import annotations

import torch
from pydantic import Field, field_validator

from luthier.errors import ShapeError
from luthier.model.blocks import Block
from luthier.model.blocks.tokens import Tokens
from luthier.model.blueprint import (
    Aim,
    Head,
    HeadChoice,
    Network,
    bounded,
    head_of,
    tie,
)
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec
from luthier.model.measure import sample
from luthier.signal import Signal
from luthier.spec import Auto, Decision, Many, Spec


class EncoderDecoderSpec(Spec):
    """A network that writes a text for each input, from a blank page: two lists of layers."""

    encoder: Many[Block]
    """The layers that read the source, whole."""
    decoder: Many[Block]
    """The layers that write: they read what is written so far, and the source by a
    `cross_attention`. The output layer comes from the task; see `head`."""
    share_tokens: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether both read tokens with one table; auto: where both have one tokenizer and one
    width."""
    head: HeadChoice = "auto"
    """auto adds the output layer that the task needs; tied too, with the weights of the decoder's
    tokens layer in it, or more about it: `{tied: true, bias: true}`; none takes the last of the
    layers as it."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    @field_validator("encoder", "decoder")
    @classmethod
    def _bounded(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        return bounded(layers, "{kind: tokens, width: 256}")

    def decide(self, aim: Aim) -> tuple[Decision, ...]:
        """What is left to luthier before the data is known: nothing."""
        return ()

    def design(self, aim: Aim) -> EncoderDecoderSpec:
        """Itself, whatever is learned."""
        return self

    def settled(self, *, one_tokenizer: bool) -> EncoderDecoderSpec:
        """The same with no `auto` for the tokens.

        Args:
            one_tokenizer: Whether the source has the tokenizer of what is written.
        """
        if self.share_tokens != "auto":
            return self
        first, second = self.encoder[0], self.decoder[0]
        alike = first.kind == second.kind == "tokens" and first.width == second.width
        return self.model_copy(update={"share_tokens": one_tokenizer and alike})


def build_pair(spec: EncoderDecoderSpec, reads: Signal, writes: Signal, head: Head = ()) -> Network:
    """The network that `spec` describes, on the meta device: nothing is allocated or computed.

    Args:
        spec: The layers; whether tokens are shared is settled.
        reads: One sample of the source.
        writes: One sample of what is written.
        head: The blocks that the task adds, or a function that makes them for what reaches them.

    Raises:
        ShapeError: If a layer cannot read what reaches it: its place, what was got and wanted,
            and the mend.

    Example:
        >>> from luthier.model.blocks.cross_attention import CrossAttentionSpec
        >>> from luthier.model.blocks.tokens import TokensSpec
        >>> tokens, cross = TokensSpec(width=8), CrossAttentionSpec(heads=2)
        >>> spec = EncoderDecoderSpec(
        ...     encoder=(tokens,), decoder=(tokens, cross), share_tokens=True, head="none"
        ... )
        >>> network = build_pair(spec, Signal.tokens(9, 50), Signal.tokens(7, 50))
        >>> [name for name, _ in network.named_parameters()][:2]
        ['encoder.0.table.weight', 'layers.1.norm_before.weight']
    """
    assert spec.share_tokens != "auto", "settled before"
    encoder = Chain(spec.encoder, reads, "model.encoder")
    if encoder.gives.form != "sequence":
        raise ShapeError(
            f"gives {encoder.gives}; wanted a sequence, of which the decoder reads each position; "
            "leave out what pools or flattens it",
            "model.encoder",
        )
    decoder = Chain(spec.decoder, writes, "model.decoder")
    neck = Chain((), decoder.gives, "model.neck")
    chain = head_of(spec.head, head, decoder.gives, spec.decoder[-1].kind)
    if spec.share_tokens:
        _share(encoder, decoder)
    tie({"model.decoder": decoder, "model.head": chain})
    network = Network(decoder, neck, chain, reads, encoder)
    source, text = (sample(signal, 2, "meta", network_dtype(network)) for signal in (reads, writes))
    network(text, None, source)  # what reads the source says whether it can
    return network


def network_dtype(network: Network) -> torch.dtype:
    """The type of its weights."""
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)


def _share(encoder: Chain, decoder: Chain) -> None:
    """Gives the tokens layers of the decoder the table of that of the encoder."""
    tables = [module for module in encoder.modules() if isinstance(module, Tokens)]
    readers = [module for module in decoder.modules() if isinstance(module, Tokens)]
    if len(tables) != 1 or not readers:
        raise ShapeError(
            f"share_tokens wants a tokens layer in encoder and decoder, but there are "
            f"{len(tables)} and {len(readers)}; set share_tokens: false",
            "model",
        )
    for reader in readers:
        try:
            reader.borrow(tables[0])
        except ShapeError as error:
            raise error.at("model.decoder") from None
