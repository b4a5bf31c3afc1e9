"""Whisper: an encoder of sounds, and a decoder that reads what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, Match, parts_of
from luthier.interop.huggingface.curves import CURVES, their_curve
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.row import Named, Row
from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.places import PlacesSpec
from luthier.model.blocks.tokens import TokensSpec, sinusoids
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.whisper import decoder_of, encoder_of
from luthier.signal import Signal

Kind = type[BlockSpec]

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
    width, frames = config.whole("d_model"), STRIDE * config.whole("max_source_positions", 1500)
    positions = config.whole("max_target_positions", 448)
    both = {
        "width": width,
        "activation": config.choice("activation_function", CURVES, "gelu"),
        "dropout": config.number("dropout", 0.0),
        "attention_dropout": config.number("attention_dropout", 0.0),
        "inside_dropout": config.number("activation_dropout", 0.0),
        "positions": positions,
    }
    parts = {
        part: {
            **both,
            "depth": config.whole(f"{part}_layers"),
            "heads": config.whole(f"{part}_attention_heads"),
            "mlp_width": config.whole(f"{part}_ffn_dim"),
        }
        for part in ("encoder", "decoder")
    }
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
    read = _in_turn("encoder", row.encoder, front, (AttentionSpec, MlpSpec))
    kinds: tuple[Kind, ...] = (AttentionSpec, CrossAttentionSpec, MlpSpec)
    write = _in_turn("decoder", row.layers, (TokensSpec,), kinds)
    return _Parts(
        convs=(row.encoder[0], row.encoder[1]),
        read=read,
        norm=row.encoder[-1],
        tokens=row.layers[0],
        write=write,
        last=row.layers[-1],
    )


def _in_turn(
    name: str,
    blocks: Sequence[Named],
    first: tuple[Kind, ...],
    layer: tuple[Kind, ...],
) -> list[tuple[Named, ...]]:
    """The layers between the first blocks and a norm."""
    count = max(1, (len(blocks) - len(first)) // len(layer))
    wanted: tuple[Kind, ...] = (*first, *layer * count, LayerNormSpec)
    kinds = [kind.model_fields["kind"].default for kind in wanted]
    for number, kind in enumerate(kinds):
        got = blocks[number].spec.kind if number < len(blocks) else "nothing"
        if got != kind:
            raise InputError(f"{name}: block {number} is {got}, wanted {kind}")
    if len(blocks) > len(kinds):
        raise InputError(f"{name}: has {len(blocks)} blocks, wanted {len(kinds)}")
    size, start = len(layer), len(first)
    return [tuple(blocks[n : n + size]) for n in range(start, start + size * count, size)]


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
    for part, layers in ((encoder, parts.read), (decoder, parts.write)):
        for number, blocks in enumerate(layers):
            for block in blocks:
                found += _half(f"{part}.layers.{number}", block)
    head = row.head[-1] if row.head else None
    if head is not None and isinstance(head.spec, UnembedSpec) and not head.spec.tied:
        found += Match.same("proj_out", f"{head.name}.linear")
    return found


def _half(theirs: str, block: Named) -> list[Match]:
    """The tensors of an attention or an MLP, with those of its norm."""
    inner, before = f"{block.name}.inner", f"{block.name}.norm_before"
    if isinstance(block.spec, MlpSpec):
        return [
            *Match.same(f"{theirs}.fc1", f"{inner}.up", BOTH),
            *Match.same(f"{theirs}.fc2", f"{inner}.down", BOTH),
            *Match.same(f"{theirs}.final_layer_norm", before, BOTH),
        ]
    name = "self_attn" if isinstance(block.spec, AttentionSpec) else "encoder_attn"
    layers = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
    found = Match.same(f"{theirs}.{name}_layer_norm", before, BOTH)
    for there, here in layers.items():
        found += Match.same(f"{theirs}.{name}.{there}", f"{inner}.{here}", parts_of(here != "key"))
    return found


def _config(network: Network) -> Mapping[str, Any]:
    parts = _parts(network.row)
    tokens, head = parts.tokens.spec, network.row.head[-1].spec if network.row.head else None
    assert isinstance(tokens, TokensSpec)
    first, mlp = parts.write[0][0].spec, parts.write[0][2].spec
    assert isinstance(first, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    assert network.source is not None, "an encoder that reads nothing"
    settings: dict[str, Any] = {
        "d_model": tokens.width,
        "num_mel_bins": network.source.width,
        "max_source_positions": network.row.places,
        "max_target_positions": tokens.positions or network.context,
        "activation_function": their_curve(mlp),
        "dropout": first.dropout,
        "attention_dropout": first.attention_dropout,
        "activation_dropout": mlp.inside_dropout,
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "tie_word_embeddings": isinstance(head, UnembedSpec) and head.tied,
    }
    for name, layers in (("encoder", parts.read), ("decoder", parts.write)):
        attention, inside = layers[0][0].spec, layers[0][-1].spec
        assert isinstance(attention, AttentionSpec)
        assert isinstance(inside, MlpSpec)
        settings |= {
            f"{name}_layers": len(layers),
            f"{name}_attention_heads": attention.heads,
            f"{name}_ffn_dim": width_inside(
                inside.width, inside.ratio, gated=inside.gated, around=tokens.width
            ),
        }
    return settings


WHISPER = Family(
    name="Whisper",
    model_type="whisper",
    architectures={"WhisperForConditionalGeneration": "pairs"},
    prefix="model.",
    design=_design,
    matches=_matches,
    config=_config,
    tied={"proj_out.weight": "model.decoder.embed_tokens.weight"},
)
