"""What decoders of Llama's kind have in common: their layers, the names of their tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import FUSED, SAME, Match, Way, parts_of
from luthier.interop.huggingface.curves import CURVES, their_curve
from luthier.interop.huggingface.family import Design, Network
from luthier.interop.huggingface.labels import names_of_labels
from luthier.interop.huggingface.rope import rope
from luthier.interop.huggingface.row import Named, Row, folded
from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropoutSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import RmsNormSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.family import Block, block

TIED = {"lm_head.weight": "model.embed_tokens.weight"}
ROTARY_BUFFERS = (r"rotary_emb\.inv_freq$",)
"""Files of older versions hold the angles too."""


def classes(name: str) -> dict[str, Aim | None]:
    """The classes of a decoder, and what each is for: `LlamaForCausalLM` and so on."""
    return {
        f"{name}ForCausalLM": "next_token",
        f"{name}ForSequenceClassification": "labels",
        f"{name}ForTokenClassification": "tags",
        f"{name}Model": None,
    }


def attention_settings(
    config: Config, *, kv_heads: int | None = None, head_width: int | None = None
) -> dict[str, Any]:
    """What an attention is in the config of every one of them, but for its rotary settings.

    Args:
        config: Of any of them.
        kv_heads: Where the config says nothing; none for as many as there are heads.
        head_width: Where the config says nothing; none for the width by the heads.
    """
    heads, width = config.whole("num_attention_heads"), config.whole("hidden_size")
    kv_heads = config.whole("num_key_value_heads", kv_heads or heads)
    head_width = config.whole("head_dim", head_width or max(width // heads, 1))
    return {
        "heads": heads,
        "kv_heads": None if kv_heads == heads else kv_heads,
        "head_width": None if head_width * heads == width else head_width,
        "norm_epsilon": epsilon(config),
        "attention_dropout": config.number("attention_dropout", 0.0),
    }


def mlp_settings(config: Config, activation: str = "hidden_act", usual: str = "silu") -> Any:
    """What an MLP is in the config of every one of them.

    Args:
        config: Of any of them.
        activation: What it calls the activation.
        usual: The activation where it says nothing.
    """
    curve = config.choice(activation, CURVES, usual)
    return {
        "width": config.whole("intermediate_size"),
        "gated": True,
        "activation": "auto" if curve == "silu" else curve,
        "norm_epsilon": epsilon(config),
    }


def epsilon(config: Config, default: float = 1e-6) -> float | None:
    """Of all norms; none for a norm's own."""
    found = config.number("rms_norm_eps", default)
    return None if found == 1e-6 else found


def depth(config: Config) -> int:
    """The layers."""
    return config.whole("num_hidden_layers")


def decoder_design(
    config: Config,
    aim: Aim | None,
    layers: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    *,
    tokens: Mapping[str, Any] | None = None,
    tied: bool = False,
    softcap: float | None = None,
) -> Design:
    """The network of a config.

    Args:
        config: Of any of them.
        aim: What the network is for.
        layers: The attention and the MLP of each.
        tokens: What the tokens layer has beside its width.
        tied: What the family's own configs mean where they do not say `tie_word_embeddings`.
        softcap: Of the scores of tokens.
    """
    width = config.whole("hidden_size")
    blocks = [[block(AttentionSpec, a), block(MlpSpec, m)] for a, m in layers]
    norm = block(RmsNormSpec, {"epsilon": epsilon(config) or 1e-6})
    first = block(TokensSpec, {"width": width, **(tokens or {})})
    page: dict[str, Any] = {"layers": [first, *folded(blocks), norm]}
    return Design(
        page={**page, **behind(config, aim, tied=tied, softcap=softcap)},
        context=config.whole("max_position_embeddings"),
        head=classifier(config, aim),
    )


def behind(config: Config, aim: Aim | None, *, tied: bool, softcap: float | None) -> Block:
    """Neck and head of a page."""
    if aim == "labels":
        # As there: the last position is the only one that has read the whole text.
        return {"neck": [{"kind": "global_pool", "reduce": "last"}]}
    if aim != "next_token":
        return {} if aim else {"head": "none"}
    scores: dict[str, Any] = {"tied": config.flag("tie_word_embeddings", tied)}
    if softcap is not None:
        return {"head": {**scores, "softcap": softcap}}
    return {"head": "tied"} if scores["tied"] else {}


def classifier(config: Config, aim: Aim | None) -> tuple[DenseSpec, ...]:
    """The head of a classifier or a tagger; a decoder's classifier adds no numbers."""
    if aim not in ("labels", "tags"):
        return ()
    return (DenseSpec(width=len(names_of_labels(config)), bias=aim == "tags"),)


def written(network: Network) -> tuple[AttentionSpec, MlpSpec, dict[str, Any]]:
    """The first layer of a network, and the settings that every one of them has.

    Raises:
        InputError: If the network is made of other blocks, or its MLP has an activation that has
            no name there.
    """
    tokens, layers, norm = parts_of_decoder(network.row)
    attention, mlp = (named.spec for named in layers[0])
    assert isinstance(tokens.spec, TokensSpec)
    assert isinstance(attention, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    if not isinstance(norm.spec, RmsNormSpec):
        raise InputError(f"the last layer is {norm.spec.kind}, wanted rms_norm")
    width = tokens.spec.width
    inside = width_inside(mlp.width, mlp.ratio, gated=mlp.gated, around=width)
    head = network.row.head[-1].spec if network.row.head else None
    settings = {
        "hidden_size": width,
        "intermediate_size": inside,
        "num_hidden_layers": len(layers),
        "num_attention_heads": attention.heads,
        "num_key_value_heads": attention.kv_heads or attention.heads,
        "head_dim": attention.widths(width)[0],
        "hidden_act": their_curve(mlp),
        "max_position_embeddings": network.context,
        "rms_norm_eps": norm.spec.epsilon,
        "attention_dropout": attention.attention_dropout,
        "tie_word_embeddings": isinstance(head, UnembedSpec) and head.tied,
        **rope(attention),
    }
    return attention, mlp, settings


PRE_NORMS = {"a.norm_before": "input_layernorm", "m.norm_before": "post_attention_layernorm"}
"""The norms of a layer: a of its attention, m of its MLP."""
NORMS_ON_BOTH_SIDES = {
    "a.norm_before": "input_layernorm",
    "a.norm_after": "post_attention_layernorm",
    "m.norm_before": "pre_feedforward_layernorm",
    "m.norm_after": "post_feedforward_layernorm",
}
"""The norms of a layer of Gemma."""


@dataclass(frozen=True)
class Names:
    """What tensors are called in a network of Llama's kind.

    Args:
        norms: The norms of a layer.
        norm_way: How theirs become ours.
        fused: Whether queries, keys and values are one tensor, and gate and up another.
    """

    norms: Mapping[str, str]
    norm_way: Way = SAME
    fused: bool = False

    def matches(self, row: Row, aim: Aim | None) -> list[Match]:
        """Whose tensor is whose."""
        tokens, layers, norm = parts_of_decoder(row)
        found = [
            *Match.same("model.embed_tokens", f"{tokens.name}.table"),
            Match("model.norm.weight", (f"{norm.name}.weight",), self.norm_way),
        ]
        for number, (attention, mlp) in enumerate(layers):
            found += self._layer(f"model.layers.{number}", attention, mlp)
        return found + head_matches(row, aim)

    def _layer(self, theirs: str, attention: Named, mlp: Named) -> list[Match]:
        found = self._attention(f"{theirs}.self_attn", attention)
        assert isinstance(mlp.spec, MlpSpec)
        inner, apart = f"{mlp.name}.inner", ["gate", "up", "down"]
        if self.fused:
            gate_up = (f"{inner}.gate.weight", f"{inner}.up.weight")
            found.append(Match(f"{theirs}.mlp.gate_up_proj.weight", gate_up, FUSED))
            apart = ["down"]
        for name in apart:
            parts = parts_of(mlp.spec.bias)
            found += Match.same(f"{theirs}.mlp.{name}_proj", f"{inner}.{name}", parts)
        for place, name in self.norms.items():
            half, norm = place.split(".")
            ours = f"{(attention if half == 'a' else mlp).name}.{norm}.weight"
            found.append(Match(f"{theirs}.{name}.weight", (ours,), self.norm_way))
        return found

    def _attention(self, theirs: str, attention: Named) -> list[Match]:
        spec, inner = attention.spec, f"{attention.name}.inner"
        assert isinstance(spec, AttentionSpec)
        found, apart = [], {"query": "q", "key": "k", "value": "v", "out": "o"}
        if self.fused:
            qkv = tuple(f"{inner}.{ours}.weight" for ours in ("query", "key", "value"))
            found.append(Match(f"{theirs}.qkv_proj.weight", qkv, FUSED))
            apart = {"out": "o"}
        for ours, name in apart.items():
            bias = spec.bias is True or (spec.bias == "qkv" and name != "o")
            found += Match.same(f"{theirs}.{name}_proj", f"{inner}.{ours}", parts_of(bias))
        if spec.qk_norm != "none":
            for ours, name in (("query", "q"), ("key", "k")):
                norm = (f"{inner}.{ours}_norm.weight",)
                found.append(Match(f"{theirs}.{name}_norm.weight", norm, self.norm_way))
        return found


def head_matches(row: Row, aim: Aim | None) -> list[Match]:
    """The tensors of the head; one that is tied has none."""
    if not row.head:
        return []
    head = row.head[-1]
    if aim == "next_token":
        assert isinstance(head.spec, UnembedSpec)
        return [] if head.spec.tied else Match.same("lm_head", f"{head.name}.linear")
    assert isinstance(head.spec, DenseSpec)
    return Match.same("score", f"{head.name}.linear", parts_of(head.spec.bias is not False))


def parts_of_decoder(row: Row) -> tuple[Named, list[tuple[Named, Named]], Named]:
    """The tokens layer, the attention and MLP of each layer, and the last norm.

    Raises:
        InputError: If the layers are others; names the first.
    """
    layers = [named for named in row.layers if not isinstance(named.spec, DropoutSpec)]
    if len(layers) < 4 or len(layers) % 2:
        raise InputError(
            f"there are {len(layers)} layers; wanted tokens, attention and mlp in turn, and a norm"
        )
    for number, named in enumerate(layers[:-1]):
        kind: type[BlockSpec] = MlpSpec if number % 2 == 0 else AttentionSpec
        if number == 0:
            kind = TokensSpec
        if not isinstance(named.spec, kind):
            wanted = kind.model_fields["kind"].default
            raise InputError(f"layer {number} is {named.spec.kind}, wanted {wanted}")
    tokens, *halves, norm = layers
    return tokens, list(zip(halves[::2], halves[1::2], strict=True)), norm
