"""What BERT, RoBERTa and DistilBERT have in common: post-norm layers that read a text whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, SAME, Match, RowsBehind
from luthier.interop.huggingface.curves import CURVES, THEIR_CURVES, their_curve
from luthier.interop.huggingface.family import Design, Network
from luthier.interop.huggingface.labels import names_of_labels
from luthier.interop.huggingface.row import Named, Row, folded
from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropoutSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.family import Block, block

OWN_EPSILON = 1e-5
"""Of a layer norm, where nothing is said."""
POSITION_BUFFERS = (r"embeddings\.(position|token_type)_ids$",)
"""Files of older versions count the positions."""
OLD_NORMS = ((r"LayerNorm\.gamma$", "LayerNorm.weight"), (r"LayerNorm\.beta$", "LayerNorm.bias"))
"""What TensorFlow called the tensors of a norm."""
LAYER: tuple[type[BlockSpec], ...] = (AttentionSpec, MlpSpec)
FIRST: Block = {"kind": "global_pool", "reduce": "first"}
"""What stands for the text where it is classified."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The layers of one of them, in numbers."""

    width: int
    depth: int
    heads: int
    mlp_width: int
    positions: int
    types: int
    """Kinds of text that have a vector each; 0 for none."""
    activation: str
    """As ours is called."""
    epsilon: float
    dropout: float
    attention_dropout: float

    @property
    def norm(self) -> Block:
        """A norm that stands alone."""
        return block(LayerNormSpec, {"epsilon": self.epsilon})

    def layers(self) -> list[Block]:
        """The layers, as a recipe writes them."""
        around = {
            "norm": "layer",
            "norm_place": "post",
            "norm_epsilon": None if self.epsilon == OWN_EPSILON else self.epsilon,
            "bias": True,
            "dropout": self.dropout,
        }
        attention = {
            "heads": self.heads,
            "causal": False,
            "attention_dropout": self.attention_dropout,
            **around,
        }
        activation = "auto" if self.activation == "gelu" else self.activation
        mlp = {"width": self.mlp_width, "activation": activation, **around}
        tokens = {
            "width": self.width,
            "position": "learned",
            "positions": self.positions,
            "types": self.types,
        }
        layer = [block(AttentionSpec, attention), block(MlpSpec, mlp)]
        return [
            block(TokensSpec, tokens),
            self.norm,
            *dropout(self.dropout),
            *folded([layer] * self.depth),
        ]

    def masked_neck(self, activation: str) -> list[Block]:
        """What stands between the layers and the scores of tokens."""
        return [{"kind": "dense", "width": self.width, "activation": activation}, self.norm]


def bert_sizes(config: Config, *, types: int, epsilon: float, places_before: int = 0) -> Sizes:
    """The numbers in a config of BERT or RoBERTa.

    Args:
        config: Of either.
        types: What it means where it says nothing.
        epsilon: The same.
        places_before: Positions that no text reaches.

    Raises:
        InputError: If it writes texts, or finds its positions in another way.
    """
    config.must_be("is_decoder", (False,), "a network that writes")
    config.must_be("add_cross_attention", (False,), "layers that read another text")
    config.must_be("position_embedding_type", ("absolute",), "positions as distances")
    return Sizes(
        width=config.whole("hidden_size", 768),
        depth=config.whole("num_hidden_layers", 12),
        heads=config.whole("num_attention_heads", 12),
        mlp_width=config.whole("intermediate_size", 3072),
        positions=config.whole("max_position_embeddings", 512) - places_before,
        types=config.whole("type_vocab_size", types),
        activation=config.choice("hidden_act", CURVES, "gelu"),
        epsilon=config.number("layer_norm_eps", epsilon),
        dropout=config.number("hidden_dropout_prob", 0.1),
        attention_dropout=config.number("attention_probs_dropout_prob", 0.1),
    )


def bert_config(sizes: Sizes, network: Network) -> dict[str, Any]:
    """The same back, but for the positions."""
    return {
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.depth,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.mlp_width,
        "type_vocab_size": sizes.types,
        "hidden_act": THEIR_CURVES[sizes.activation],
        "layer_norm_eps": sizes.epsilon,
        "hidden_dropout_prob": sizes.dropout,
        "attention_probs_dropout_prob": sizes.attention_dropout,
        "classifier_dropout": neck_dropout(network.row),
        "tie_word_embeddings": is_tied(network.row),
    }


def encoder_design(
    config: Config, aim: Aim | None, sizes: Sizes, necks: Mapping[Aim, Sequence[Block]]
) -> Design:
    """The network of a config.

    Args:
        config: For the classes or tags, and whether the scores of tokens are tied.
        aim: What the network is for.
        sizes: Of its layers.
        necks: What stands behind them, by aim.
    """
    page: dict[str, Any] = {"layers": sizes.layers()}
    if aim is None:
        return Design(page={**page, "head": "none"}, context=sizes.positions)
    if necks[aim]:
        page["neck"] = list(necks[aim])
    if aim == "masked":
        page["head"] = {"tied": config.flag("tie_word_embeddings", True), "bias": True}
    return Design(page=page, context=sizes.positions, head=classifier(config, aim))


def classifier(config: Config, aim: Aim | None) -> tuple[DenseSpec, ...]:
    """The head of a classifier or a tagger, or of what finds where an answer begins and ends."""
    if aim == "answers":
        return (DenseSpec(width=2),)
    if aim not in ("labels", "tags"):
        return ()
    return (DenseSpec(width=len(names_of_labels(config))),)


def dropout(rate: float) -> list[Block]:
    """A dropout block, if anything is left out."""
    return [{"kind": "dropout", "rate": rate}] if rate else []


def neck_dropout(row: Row) -> float:
    """What the last dropout of the neck leaves out."""
    rates = [named.spec.rate for named in row.neck if isinstance(named.spec, DropoutSpec)]
    return rates[-1] if rates else 0.0


def is_tied(row: Row) -> bool:
    """Whether the scores of tokens are by their own vectors; where there are none, as usual."""
    heads = [named.spec for named in row.head if isinstance(named.spec, UnembedSpec)]
    return all(head.tied for head in heads)


def sizes_of(network: Network) -> Sizes:
    """The numbers of a network of ours.

    Raises:
        InputError: If it is made of other blocks, or its MLPs have an activation that has no name
            there.
    """
    tokens, norm, layers = parts_of_encoder(network.row)
    attention, mlp = (half.spec for half in layers[0])
    assert isinstance(tokens.spec, TokensSpec)
    assert isinstance(norm.spec, LayerNormSpec)
    assert isinstance(attention, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    width = tokens.spec.width
    return Sizes(
        width=width,
        depth=len(layers),
        heads=attention.heads,
        mlp_width=width_inside(mlp.width, mlp.ratio, gated=mlp.gated, around=width),
        positions=tokens.spec.positions or network.context,
        types=tokens.spec.types,
        activation=CURVES[their_curve(mlp)],
        epsilon=norm.spec.epsilon,
        dropout=attention.dropout,
        attention_dropout=attention.attention_dropout,
    )


def parts_of_encoder(row: Row) -> tuple[Named, Named, list[tuple[Named, Named]]]:
    """The tokens layer, the norm behind it, and the attention and MLP of each layer.

    Raises:
        InputError: If the layers are others; names the first.
    """
    tokens, norm, *halves = blocks_of(row, (TokensSpec, LayerNormSpec), ())
    return tokens, norm, list(zip(halves[::2], halves[1::2], strict=True))


def blocks_of(
    row: Row, before: Sequence[type[BlockSpec]], behind: Sequence[type[BlockSpec]]
) -> list[Named]:
    """The layers of a network without those that only leave values out.

    Args:
        row: Of the network.
        before: What stands before the attentions and MLPs, in turn.
        behind: What stands behind them.

    Raises:
        InputError: If the layers are others; names the first.
    """
    layers = [named for named in row.layers if not isinstance(named.spec, DropoutSpec)]
    pairs = max(1, (len(layers) - len(before) - len(behind)) // 2)
    kinds = [*before, *LAYER * pairs, *behind]
    for number, (named, kind) in enumerate(zip_longest(layers, kinds)):
        wanted = "no more" if kind is None else kind.model_fields["kind"].default
        if named is None:
            raise InputError(f"the layers end where {wanted} is wanted")
        if kind is None or not isinstance(named.spec, kind):
            raise InputError(f"layer {number} is {named.spec.kind}, wanted {wanted}")
    return layers


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the tensors of one of them are called.

    Args:
        prefix: Before the names of the layers' tensors: `bert.`.
        layer: What its layers are in: `encoder.layer`.
        attention: Theirs for each module of ours in a layer's first half.
        mlp: In its second half.
        necks: The modules with weights in the neck, in their order, by aim.
        scores: The module that gives scores to tokens.
        scores_bias: What is added to them.
        classifier: The module that gives scores to classes or tags.
        places_before: Positions that no text reaches.
    """

    prefix: str
    layer: str
    attention: Mapping[str, str]
    mlp: Mapping[str, str]
    necks: Mapping[Aim, Sequence[str]]
    scores: str
    scores_bias: str
    classifier: Mapping[Aim, str]
    places_before: int = 0

    def matches(self, row: Row, aim: Aim | None) -> list[Match]:
        """Whose tensor is whose."""
        tokens, norm, layers = parts_of_encoder(row)
        assert isinstance(tokens.spec, TokensSpec)
        tables = f"{self.prefix}embeddings"
        places = RowsBehind(self.places_before) if self.places_before else SAME
        found = [
            *Match.same(f"{tables}.word_embeddings", f"{tokens.name}.table"),
            Match(
                f"{tables}.position_embeddings.weight", (f"{tokens.name}.places.weight",), places
            ),
            *Match.same(f"{tables}.LayerNorm", norm.name, BOTH),
        ]
        if tokens.spec.types:
            found += Match.same(f"{tables}.token_type_embeddings", f"{tokens.name}.types")
        for number, halves in enumerate(layers):
            theirs = f"{self.prefix}{self.layer}.{number}"
            for half, names in zip(halves, (self.attention, self.mlp), strict=True):
                for ours, name in names.items():
                    found += Match.same(f"{theirs}.{name}", f"{half.name}.{ours}", BOTH)
        return found + self._behind(row, aim)

    def _behind(self, row: Row, aim: Aim | None) -> list[Match]:
        """The tensors of the neck and the head."""
        if aim is None:
            return []
        found: list[Match] = []
        modules = [_module(named) for named in row.neck]
        with_weights = [module for module in modules if module]
        for theirs, ours in zip(self.necks[aim], with_weights, strict=False):
            found += Match.same(theirs, ours, BOTH)
        for head in row.head:
            if not isinstance(head.spec, UnembedSpec):
                found += Match.same(self.classifier[aim], f"{head.name}.linear", BOTH)
            elif head.spec.tied:
                found.append(Match(self.scores_bias, (f"{head.name}.bias",)))
            else:
                found += self._own_scores(f"{head.name}.linear")
        return found

    def _own_scores(self, ours: str) -> list[Match]:
        """The tensors of scores that are not tied."""
        theirs = f"{self.scores}.bias"
        again = () if theirs == self.scores_bias else (self.scores_bias,)
        return [
            *Match.same(self.scores, ours),
            Match(theirs, (f"{ours}.bias",), also=again),
        ]


def _module(named: Named) -> str:
    """The module with a block's weights; empty for one that has none."""
    match named.spec:
        case DenseSpec():
            return f"{named.name}.linear"
        case LayerNormSpec():
            return named.name
        case _:
            return ""
