"""ModernBERT: rotary positions and gated MLPs; most layers see a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import FUSED, Match, parts_of
from luthier.interop.huggingface.curves import CURVES, THEIR_CURVES, their_curve
from luthier.interop.huggingface.encoder import (
    FIRST,
    OWN_EPSILON,
    blocks_of,
    classifier,
    dropout,
    is_tied,
    neck_dropout,
)
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.layer_types import GLOBAL, LOCAL, layer_types
from luthier.interop.huggingface.rope import rotary
from luthier.interop.huggingface.row import Named, Row, folded
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropoutSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.family import Block, block

BASES = {GLOBAL: ("global_rope_theta", 160_000.0), LOCAL: ("local_rope_theta", 10_000.0)}
"""What older configs call the base of the angles, and what it is where nothing is said."""
POOLS: Mapping[str, Block] = {"cls": FIRST, "mean": {"kind": "global_pool"}}
EVERY = 3
"""Layers from one that sees all to the next."""


def _design(config: Config, aim: Aim | None) -> Design:
    page: dict[str, Any] = {"layers": _layers(config)}
    context = config.whole("max_position_embeddings", 8192)
    if aim is None:
        return Design(page={**page, "head": "none"}, context=context)
    page["neck"] = _neck(config, aim)
    if aim == "masked":
        tied = config.flag("tie_word_embeddings", True)
        page["head"] = {"tied": tied, "bias": config.flag("decoder_bias", True)}
    return Design(page=page, context=context, head=classifier(config, aim))


def _layers(config: Config) -> list[Block]:
    norm, every = _norm(config), config.whole("global_attn_every_n_layers", EVERY)
    depth = config.whole("num_hidden_layers", 22)
    kinds = layer_types(config, depth, lambda number: number % every != 0)
    first, *rest = ([_attention(config, kind), _mlp(config)] for kind in kinds)
    # What the first one reads is normalised already.
    first[0] = {
        **{name: value for name, value in first[0].items() if not name.startswith("norm_")},
        "norm": "none",
    }
    return [
        {"kind": "tokens", "width": config.whole("hidden_size", 768)},
        norm,
        *dropout(config.number("embedding_dropout", 0.0)),
        *first,
        *folded(rest),
        norm,
    ]


def _norm(config: Config) -> Block:
    epsilon = config.number("norm_eps", OWN_EPSILON)
    return block(LayerNormSpec, {"epsilon": epsilon, "bias": config.flag("norm_bias", False)})


def _around(config: Config) -> dict[str, Any]:
    epsilon = config.number("norm_eps", OWN_EPSILON)
    return {
        "norm": "layer",
        "norm_bias": config.flag("norm_bias", False),
        "norm_epsilon": None if epsilon == OWN_EPSILON else epsilon,
    }


def _attention(config: Config, kind: str) -> Block:
    name, base = BASES[kind]
    left_out = config.number("attention_dropout", 0.0)
    # As many on both sides as the half, and the position itself.
    window = 2 * (config.whole("local_attention", 128) // 2) + 1
    attention = {
        "heads": config.whole("num_attention_heads", 12),
        "causal": False,
        "window": window if kind == LOCAL else None,
        **rotary(config, config.number(name, base), kind=kind),
        **_around(config),
        "bias": config.flag("attention_bias", False),
        "attention_dropout": left_out,
        "dropout": left_out,
    }
    return block(AttentionSpec, attention)


def _mlp(config: Config) -> Block:
    curve = config.choice("hidden_activation", CURVES, "gelu")
    mlp = {
        "width": config.whole("intermediate_size", 1152),
        "gated": True,
        "activation": "auto" if curve == "silu" else curve,
        **_around(config),
        "bias": config.flag("mlp_bias", False),
        "inside_dropout": config.number("mlp_dropout", 0.0),
    }
    return block(MlpSpec, mlp)


def _neck(config: Config, aim: Aim) -> list[Block]:
    dense = {
        "kind": "dense",
        "width": config.whole("hidden_size", 768),
        "bias": config.flag("classifier_bias", False),
        "activation": config.choice("classifier_activation", CURVES, "gelu"),
    }
    found = [dense, _norm(config)]
    if aim == "labels":
        found = [config.choice("classifier_pooling", POOLS, "cls"), *found]
    if aim != "masked":
        found += dropout(config.number("classifier_dropout", 0.0))
    return found


def _config(network: Network) -> Mapping[str, Any]:
    row = network.row
    tokens, norm, layers, _ = _parts(row)
    attentions = [half.spec for half, _ in layers if isinstance(half.spec, AttentionSpec)]
    attention, mlp = attentions[0], layers[0][1].spec
    assert isinstance(tokens.spec, TokensSpec)
    assert isinstance(norm.spec, LayerNormSpec)
    assert isinstance(mlp, MlpSpec)
    width = tokens.spec.width
    rates = [named.spec.rate for named in row.layers if isinstance(named.spec, DropoutSpec)]
    return {
        "hidden_size": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": attention.heads,
        "intermediate_size": width_inside(mlp.width, mlp.ratio, gated=mlp.gated, around=width),
        "max_position_embeddings": network.context,
        "hidden_activation": their_curve(mlp),
        "norm_eps": norm.spec.epsilon,
        "norm_bias": norm.spec.bias,
        "attention_bias": attention.bias is True,
        "mlp_bias": mlp.bias,
        "embedding_dropout": rates[0] if rates else 0.0,
        "attention_dropout": attention.attention_dropout,
        "mlp_dropout": mlp.inside_dropout,
        **_seen(attentions),
        **_read_behind(row),
    }


def _seen(attentions: Sequence[AttentionSpec]) -> dict[str, Any]:
    """What the layers see, in the settings of older versions and of newer ones."""
    kinds = [GLOBAL if attention.window is None else LOCAL for attention in attentions]
    # Older versions know only of a rule; where the layers follow none, only newer ones read them.
    every = kinds.index(GLOBAL, 1) if GLOBAL in kinds[1:] else len(kinds)
    found: dict[str, Any] = {"layer_types": kinds, "global_attn_every_n_layers": every}
    for kind, attention in zip(kinds, attentions, strict=True):
        found[BASES[kind][0]] = attention.rotary_base
        if attention.window is not None:
            found["local_attention"] = attention.window - 1
    return found


def _read_behind(row: Row) -> dict[str, Any]:
    """What stands behind the layers."""
    found: dict[str, Any] = {
        "classifier_dropout": neck_dropout(row),
        "tie_word_embeddings": is_tied(row),
    }
    for named in (*row.neck, *row.head):
        match named.spec:
            case GlobalPoolSpec(reduce=reduce):
                found["classifier_pooling"] = "mean" if reduce == "average" else "cls"
            case DenseSpec(bias=bias, activation=activation) if named in row.neck:
                if activation not in THEIR_CURVES:
                    raise InputError(f"the neck has the activation {activation}, wanted gelu")
                found["classifier_bias"] = bias is not False
                found["classifier_activation"] = THEIR_CURVES[activation]
            case UnembedSpec(bias=bias):
                found["decoder_bias"] = bias
    return found


def _parts(row: Row) -> tuple[Named, Named, list[tuple[Named, Named]], Named]:
    """The tokens layer, the norm behind it, the halves of each layer, and the last norm.

    Raises:
        InputError: If the layers are others; names the first.
    """
    before, behind = (TokensSpec, LayerNormSpec), (LayerNormSpec,)
    tokens, norm, *halves, last = blocks_of(row, before, behind)
    return tokens, norm, list(zip(halves[::2], halves[1::2], strict=True)), last


def _matches(row: Row, aim: Aim | None) -> list[Match]:
    """Whose tensor is whose."""
    tokens, norm, layers, last = _parts(row)
    found = [
        *Match.same("model.embeddings.tok_embeddings", f"{tokens.name}.table"),
        *_norm_match("model.embeddings.norm", norm),
        *_norm_match("model.final_norm", last),
    ]
    for number, (attention, mlp) in enumerate(layers):
        theirs = f"model.layers.{number}"
        assert isinstance(attention.spec, AttentionSpec)
        assert isinstance(mlp.spec, MlpSpec)
        for part in parts_of(attention.spec.bias is True):
            ours = tuple(
                f"{attention.name}.inner.{name}.{part}" for name in ("query", "key", "value")
            )
            found.append(Match(f"{theirs}.attn.Wqkv.{part}", ours, FUSED))
        found += Match.same(
            f"{theirs}.attn.Wo",
            f"{attention.name}.inner.out",
            parts_of(attention.spec.bias is True),
        )
        for part in parts_of(mlp.spec.bias):
            ours = tuple(f"{mlp.name}.inner.{name}.{part}" for name in ("gate", "up"))
            found.append(Match(f"{theirs}.mlp.Wi.{part}", ours, FUSED))
        found += Match.same(f"{theirs}.mlp.Wo", f"{mlp.name}.inner.down", parts_of(mlp.spec.bias))
        found += _norm_match(f"{theirs}.attn_norm", attention, ".norm_before")
        found += _norm_match(f"{theirs}.mlp_norm", mlp, ".norm_before")
    return found + _behind(row)


def _norm_match(theirs: str, named: Named, place: str = "") -> list[Match]:
    match named.spec:
        case LayerNormSpec(bias=bias):
            return Match.same(theirs, named.name, parts_of(bias))
        case AttentionSpec(norm="layer", norm_bias=bias) | MlpSpec(norm="layer", norm_bias=bias):
            return Match.same(theirs, f"{named.name}{place}", parts_of(bias))
        case _:
            return []


def _behind(row: Row) -> list[Match]:
    """The tensors of the neck and the head."""
    found: list[Match] = []
    for named in row.neck:
        if isinstance(named.spec, DenseSpec):
            parts = parts_of(named.spec.bias is not False)
            found += Match.same("head.dense", f"{named.name}.linear", parts)
        elif isinstance(named.spec, LayerNormSpec):
            found += _norm_match("head.norm", named)
    for named in row.head:
        match named.spec:
            case UnembedSpec(tied=True, bias=True):
                found.append(Match("decoder.bias", (f"{named.name}.bias",)))
            case UnembedSpec(tied=False, bias=bias):
                found += Match.same("decoder", f"{named.name}.linear", parts_of(bias))
            case DenseSpec():
                found += Match.same("classifier", f"{named.name}.linear", parts_of(True))
            case _:
                pass
    return found


MODERNBERT = Family(
    name="ModernBERT",
    model_type="modernbert",
    architectures={
        "ModernBertForMaskedLM": "masked",
        "ModernBertForSequenceClassification": "labels",
        "ModernBertForTokenClassification": "tags",
        "ModernBertModel": None,
    },
    prefix="model.",
    design=_design,
    matches=_matches,
    config=_config,
    tied={"decoder.weight": "model.embeddings.tok_embeddings.weight"},
    unused=(r"rotary_emb\.", r"^head\.", r"^decoder\.", r"^classifier\."),
)
