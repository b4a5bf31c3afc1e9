"""Whisper: an encoder of sounds, and a decoder that reads what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, Match
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.pair_layers import (
    Kind,
    in_turn,
    matches_of_layers,
    settings_of,
    their_settings,
)
from luthier.interop.huggingface.row import Named, Row
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.places import PlacesSpec
from luthier.model.blocks.tokens import TokensSpec, sinusoids
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.whisper import decoder_of, encoder_of
from luthier.signal import Signal

STRIDE = 2
"""Frames that are read for each position of the encoder."""
ROUNDED = 2e-3
"""By how much sines may differ that were kept in 16 bits, or worked out in 32."""


@dataclass(frozen=True)
class Sines:
    """Theirs is a table of the sines that ours works out."""

    places: int
    width: int

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """Nothing, if they are the same sines.

        Raises:
            InputError: If they are others.
        """
        if float((theirs.float() - self.to_theirs(())).abs().max()) > ROUNDED:
            raise InputError(
                "model.encoder.embed_positions.weight: is not the sines of Whisper; a network "
                "whose encoder has learned positions is none that luthier has layers for"
            )
        return ()

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """The table."""
        return sinusoids(torch.arange(self.places), self.width)


def _design(config: Config, aim: Aim | None) -> Design:
    config.must_be("scale_embedding", (False,), "vectors of tokens that are multiplied")
    frames = STRIDE * config.whole("max_source_positions", 1500)
    positions = config.whole("max_target_positions", 448)
    parts = settings_of(config, positions, dropout=0.0)
    tied = config.flag("tie_word_embeddings", True)
    page = {"encoder": encoder_of(parts["encoder"]), "decoder": decoder_of(parts["decoder"])}
    return Design(
        page={**page, "share_tokens": False, **({"head": "tied"} if tied else {})},
        context=positions,
        source=Signal("sequence", (frames, config.whole("num_mel_bins", 80))),
    )


@dataclass(frozen=True)
class _Parts:
    """The blocks of a Whisper."""

    convs: tuple[Named, Named]
    read: list[tuple[Named, ...]]
    """Attention and MLP of each layer."""
    norm: Named
    tokens: Named
    write: list[tuple[Named, ...]]
    """Attention, cross-attention and MLP of each layer."""
    last: Named


def _parts(row: Row) -> _Parts:
    """The blocks by what they are.

    Raises:
        InputError: If there are others; names the first.
    """
    front: tuple[Kind, ...] = (ConvSpec, ConvSpec, PlacesSpec)
    read = in_turn("encoder", row.encoder, front, (AttentionSpec, MlpSpec), (LayerNormSpec,))
    kinds: tuple[Kind, ...] = (AttentionSpec, CrossAttentionSpec, MlpSpec)
    write = in_turn("decoder", row.layers, (TokensSpec,), kinds, (LayerNormSpec,))
    return _Parts(
        convs=(row.encoder[0], row.encoder[1]),
        read=read,
        norm=row.encoder[-1],
        tokens=row.layers[0],
        write=write,
        last=row.layers[-1],
    )


def _matches(row: Row, aim: Aim | None) -> list[Match]:
    parts = _parts(row)
    encoder, decoder = "model.encoder", "model.decoder"
    assert isinstance(parts.tokens.spec, TokensSpec)
    found = [
        Match(f"{encoder}.embed_positions.weight", (), Sines(row.places, parts.tokens.spec.width)),
        *Match.same(f"{encoder}.layer_norm", parts.norm.name, BOTH),
        *Match.same(f"{decoder}.embed_tokens", f"{parts.tokens.name}.table"),
        *Match.same(f"{decoder}.embed_positions", f"{parts.tokens.name}.places"),
        *Match.same(f"{decoder}.layer_norm", parts.last.name, BOTH),
    ]
    for number, conv in enumerate(parts.convs, 1):
        found += Match.same(f"{encoder}.conv{number}", f"{conv.name}.conv", BOTH)
    found += matches_of_layers({encoder: parts.read, decoder: parts.write}, "norm_before")
    head = row.head[-1] if row.head else None
    if head is not None and isinstance(head.spec, UnembedSpec) and not head.spec.tied:
        found += Match.same("proj_out", f"{head.name}.linear")
    return found


def _config(network: Network) -> Mapping[str, Any]:
    parts = _parts(network.row)
    tokens, head = parts.tokens.spec, network.row.head[-1].spec if network.row.head else None
    assert isinstance(tokens, TokensSpec)
    assert network.source is not None, "an encoder that reads nothing"
    return {
        **their_settings(tokens.width, parts.read, parts.write),
        "num_mel_bins": network.source.width,
        "max_source_positions": network.row.places,
        "max_target_positions": tokens.positions or network.context,
        "scale_embedding": False,
        "tie_word_embeddings": isinstance(head, UnembedSpec) and head.tied,
    }


WHISPER = Family(
    name="Whisper",
    model_type="whisper",
    architectures={"WhisperForConditionalGeneration": "pairs"},
    reads="sequence",
    prefix="model.",
    design=_design,
    matches=_matches,
    config=_config,
    tied={"proj_out.weight": "model.decoder.embed_tokens.weight"},
)
