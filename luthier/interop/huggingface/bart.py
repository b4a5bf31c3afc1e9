"""BART: an encoder and a decoder of texts, with one table of tokens for both and for the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, Match, RowsBehind
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.pair_layers import (
    in_turn,
    matches_of_layers,
    settings_of,
    their_settings,
)
from luthier.interop.huggingface.row import Named, Row
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.bart import decoder_of, encoder_of

PLACES_BEFORE = RowsBehind(2)
"""Vectors of places that no text reaches: fairseq counted from behind that of padding."""
SHARED = "model.shared.weight"


@dataclass(frozen=True)
class Nothing:
    """Theirs is added to the scores, and is nought; ours adds nothing."""

    vocab: int

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """Nothing, if it is nought.

        Raises:
            InputError: If it is not.
        """
        if bool(theirs.any()):
            raise InputError(
                "final_logits_bias: is not nought; a BART that adds a number to the score of each "
                "token is none that luthier has layers for"
            )
        return ()

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """Noughts."""
        return torch.zeros(1, self.vocab)


def _design(config: Config, aim: Aim | None) -> Design:
    config.must_be("tie_word_embeddings", (True,), "scores by another table than the tokens'")
    config.must_be("normalize_before", (False,), "norms before each part of a layer")
    config.must_be("normalize_embedding", (True,), "no norm behind the tokens")
    config.must_be("add_final_layer_norm", (False,), "a norm behind the layers")
    config.must_be("static_position_embeddings", (False,), "sines for places")
    positions = config.whole("max_position_embeddings", 1024)
    scale = "sqrt_width" if config.flag("scale_embedding", False) else "none"
    parts = {
        name: {**settings, "scale": scale}
        for name, settings in settings_of(config, positions, dropout=0.1).items()
    }
    page = {"encoder": encoder_of(parts["encoder"]), "decoder": decoder_of(parts["decoder"])}
    return Design(page={**page, "share_tokens": True, "head": "tied"}, context=positions)


@dataclass(frozen=True)
class _Parts:
    """The blocks of a BART."""

    sources: Named
    read: list[tuple[Named, ...]]
    """Attention and MLP of each layer."""
    tokens: Named
    write: list[tuple[Named, ...]]
    """Attention, cross-attention and MLP of each layer."""


def _parts(row: Row) -> _Parts:
    """The blocks by what they are.

    Raises:
        InputError: If there are others; names the first.
    """
    read = in_turn("encoder", row.encoder, (TokensSpec,), (AttentionSpec, MlpSpec))
    kinds = (AttentionSpec, CrossAttentionSpec, MlpSpec)
    write = in_turn("decoder", row.layers, (TokensSpec,), kinds)
    return _Parts(sources=row.encoder[0], read=read, tokens=row.layers[0], write=write)


def _matches(row: Row, aim: Aim | None) -> list[Match]:
    parts = _parts(row)
    head = row.head[-1].spec
    assert isinstance(head, UnembedSpec)
    found = [
        Match(SHARED, (f"{parts.sources.name}.table.weight",)),
        Match("final_logits_bias", (), Nothing(head.vocab)),
    ]
    for part, tokens in (("model.encoder", parts.sources), ("model.decoder", parts.tokens)):
        places = f"{tokens.name}.places.weight"
        found.append(Match(f"{part}.embed_positions.weight", (places,), PLACES_BEFORE))
        found += Match.same(f"{part}.layernorm_embedding", f"{tokens.name}.norm", BOTH)
    layers = {"model.encoder": parts.read, "model.decoder": parts.write}
    return found + matches_of_layers(layers, "norm_after")


def _config(network: Network) -> Mapping[str, Any]:
    parts = _parts(network.row)
    tokens = parts.tokens.spec
    assert isinstance(tokens, TokensSpec)
    assert isinstance(parts.sources.spec, TokensSpec)
    if not network.shared:
        raise InputError("share_tokens: got false, wanted one table of tokens for both sides")
    return {
        **their_settings(tokens.width, parts.read, parts.write),
        "max_position_embeddings": tokens.positions or network.context,
        "scale_embedding": tokens.scale == "sqrt_width",
        "tie_word_embeddings": True,
    }


BART = Family(
    name="BART",
    model_type="bart",
    # The bare one has all that the other has: its scores are by the table of its tokens.
    architectures={"BartForConditionalGeneration": "pairs", "BartModel": "pairs"},
    prefix="model.",
    design=_design,
    matches=_matches,
    config=_config,
    tied=dict.fromkeys(
        (
            "lm_head.weight",
            "model.encoder.embed_tokens.weight",
            "model.decoder.embed_tokens.weight",
            "encoder.embed_tokens.weight",
            "decoder.embed_tokens.weight",
        ),
        SHARED,
    ),
    unused=(r"(encoder|decoder)\.version$",),
)
