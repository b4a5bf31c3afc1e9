"""What BART and Whisper have in common: how fairseq names the settings and the tensors of an
encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, Match, parts_of
from luthier.interop.huggingface.curves import CURVES, their_curve
from luthier.interop.huggingface.row import Named
from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside

Kind = type[BlockSpec]
PARTS = ("encoder", "decoder")


def settings_of(config: Config, positions: int, dropout: float) -> dict[str, dict[str, Any]]:
    """The numbers of the layers that read and of those that write, as our families have them.

    Args:
        config: Of either.
        positions: Places that have a vector.
        dropout: What is left out where the file does not say it.
    """
    both = {
        "width": config.whole("d_model"),
        "activation": config.choice("activation_function", CURVES, "gelu"),
        "dropout": config.number("dropout", dropout),
        "attention_dropout": config.number("attention_dropout", 0.0),
        "inside_dropout": config.number("activation_dropout", 0.0),
        "positions": positions,
    }
    return {
        part: {
            **both,
            "depth": config.whole(f"{part}_layers"),
            "heads": config.whole(f"{part}_attention_heads"),
            "mlp_width": config.whole(f"{part}_ffn_dim"),
        }
        for part in PARTS
    }


def their_settings(
    width: int, read: Sequence[tuple[Named, ...]], write: Sequence[tuple[Named, ...]]
) -> dict[str, Any]:
    """The same back.

    Args:
        width: Of what flows through both.
        read: The parts of each layer of the encoder.
        write: And of the decoder.
    """
    first, mlp = write[0][0].spec, write[0][-1].spec
    assert isinstance(first, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    settings: dict[str, Any] = {
        "d_model": width,
        "activation_function": their_curve(mlp),
        "dropout": first.dropout,
        "attention_dropout": first.attention_dropout,
        "activation_dropout": mlp.inside_dropout,
        "is_encoder_decoder": True,
    }
    for name, layers in zip(PARTS, (read, write), strict=True):
        attention, inside = layers[0][0].spec, layers[0][-1].spec
        assert isinstance(attention, AttentionSpec)
        assert isinstance(inside, MlpSpec)
        settings |= {
            f"{name}_layers": len(layers),
            f"{name}_attention_heads": attention.heads,
            f"{name}_ffn_dim": width_inside(
                inside.width, inside.ratio, gated=inside.gated, around=width
            ),
        }
    return settings


def in_turn(
    name: str,
    blocks: Sequence[Named],
    first: tuple[Kind, ...],
    layer: tuple[Kind, ...],
    last: tuple[Kind, ...] = (),
) -> list[tuple[Named, ...]]:
    """The layers between the first blocks and the last ones.

    Raises:
        InputError: If there are other blocks; names the first.
    """
    size, start = len(layer), len(first)
    count = max(1, (len(blocks) - start - len(last)) // size)
    wanted: tuple[Kind, ...] = (*first, *layer * count, *last)
    kinds = [kind.model_fields["kind"].default for kind in wanted]
    for number, kind in enumerate(kinds):
        got = blocks[number].spec.kind if number < len(blocks) else "nothing"
        if got != kind:
            raise InputError(f"{name}: block {number} is {got}, wanted {kind}")
    if len(blocks) > len(kinds):
        raise InputError(
            f"{name}: block {len(kinds)} is {blocks[len(kinds)].spec.kind}, wanted no more"
        )
    return [tuple(blocks[n : n + size]) for n in range(start, start + size * count, size)]


def matches_of_layers(layers: Mapping[str, Sequence[tuple[Named, ...]]], norm: str) -> list[Match]:
    """The tensors of the layers.

    Args:
        layers: The parts of each, by what the names of theirs begin with: `model.encoder`.
        norm: Our name of the norm of a part: `norm_before`.
    """
    return [
        match
        for part, all_of_it in layers.items()
        for number, blocks in enumerate(all_of_it)
        for block in blocks
        for match in _of_part(f"{part}.layers.{number}", block, norm)
    ]


def _of_part(theirs: str, block: Named, norm: str) -> list[Match]:
    """The tensors of an attention or an MLP, with those of its norm."""
    inner, spec, beside = f"{block.name}.inner", block.spec, f"{block.name}.{norm}"
    if isinstance(spec, MlpSpec):
        return [
            *Match.same(f"{theirs}.fc1", f"{inner}.up", BOTH),
            *Match.same(f"{theirs}.fc2", f"{inner}.down", BOTH),
            *Match.same(f"{theirs}.final_layer_norm", beside, BOTH),
        ]
    assert isinstance(spec, AttentionSpec | CrossAttentionSpec)
    name = "self_attn" if isinstance(spec, AttentionSpec) else "encoder_attn"
    layers = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
    found = Match.same(f"{theirs}.{name}_layer_norm", beside, BOTH)
    for there, here in layers.items():
        biased = here != "key" or spec.bias is True
        found += Match.same(f"{theirs}.{name}.{there}", f"{inner}.{here}", parts_of(biased))
    return found
