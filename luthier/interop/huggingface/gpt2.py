"""GPT-2: learned positions, layer norms, and tensors that lie on their sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.correspondence import BOTH, TRANSPOSED, Match, parts_of
from luthier.interop.huggingface.curves import CURVES, their_curve
from luthier.interop.huggingface.decoder import behind, classifier, parts_of_decoder
from luthier.interop.huggingface.family import Design, Family, Network
from luthier.interop.huggingface.row import Named, Row, folded
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import LayerNormSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Aim
from luthier.model.families.family import block

_DROPOUT, _EPSILON = 0.1, 1e-5
"""Where a config says nothing."""


def _design(config: Config, aim: Aim | None) -> Design:
    config.must_be("scale_attn_weights", (True,), "scores that are not scaled")
    config.must_be("scale_attn_by_inverse_layer_idx", (False,), "scores scaled by the layer")
    config.must_be("add_cross_attention", (False,), "a network that reads what an encoder gives")
    width, positions = config.whole("n_embd"), config.whole("n_positions")
    epsilon = config.number("layer_norm_epsilon", _EPSILON)
    around = {
        "norm": "layer",
        "norm_epsilon": None if epsilon == _EPSILON else epsilon,
        "bias": True,
        "dropout": config.number("resid_pdrop", _DROPOUT),
    }
    attention = {
        "heads": config.whole("n_head"),
        **around,
        "attention_dropout": config.number("attn_pdrop", _DROPOUT),
    }
    mlp = {
        "width": config.whole("n_inner", 4 * width),
        "activation": config.choice("activation_function", CURVES, "gelu_new"),
        **around,
    }
    tokens = {
        "width": width,
        "position": "learned",
        "positions": positions,
        "dropout": config.number("embd_pdrop", _DROPOUT),
    }
    layers = [[block(AttentionSpec, attention), block(MlpSpec, mlp)]] * config.whole("n_layer")
    norm = block(LayerNormSpec, {"epsilon": epsilon})
    page = {"layers": [block(TokensSpec, tokens), *folded(layers), norm]}
    return Design(
        page={**page, **behind(config, aim, tied=True, softcap=None)},
        context=positions,
        head=classifier(config, aim),
    )


def _matches(row: Row, aim: Aim | None) -> list[Match]:
    tokens, layers, norm = parts_of_decoder(row)
    found = [
        *Match.same("transformer.wte", f"{tokens.name}.table"),
        *Match.same("transformer.wpe", f"{tokens.name}.places"),
        *Match.same("transformer.ln_f", norm.name, BOTH),
    ]
    for number, (attention, mlp) in enumerate(layers):
        found += _layer(f"transformer.h.{number}", attention, mlp)
    return found + _head(row, aim)


def _layer(theirs: str, attention: Named, mlp: Named) -> list[Match]:
    a, m = f"{attention.name}.inner", f"{mlp.name}.inner"
    modules = {
        "attn.c_attn": (f"{a}.query", f"{a}.key", f"{a}.value"),
        "attn.c_proj": (f"{a}.out",),
        "mlp.c_fc": (f"{m}.up",),
        "mlp.c_proj": (f"{m}.down",),
    }
    found = [
        Match(f"{theirs}.{name}.{part}", tuple(f"{one}.{part}" for one in ours), TRANSPOSED)
        for name, ours in modules.items()
        for part in BOTH
    ]
    found += Match.same(f"{theirs}.ln_1", f"{attention.name}.norm_before", BOTH)
    found += Match.same(f"{theirs}.ln_2", f"{mlp.name}.norm_before", BOTH)
    return found


def _head(row: Row, aim: Aim | None) -> list[Match]:
    if not row.head:
        return []
    head = row.head[-1]
    if isinstance(head.spec, UnembedSpec):
        return [] if head.spec.tied else Match.same("lm_head", f"{head.name}.linear")
    assert isinstance(head.spec, DenseSpec)
    parts = parts_of(head.spec.bias is not False)
    return Match.same("classifier" if aim == "tags" else "score", f"{head.name}.linear", parts)


def _config(network: Network) -> Mapping[str, Any]:
    tokens, layers, norm = parts_of_decoder(network.row)
    attention, mlp = (named.spec for named in layers[0])
    head = network.row.head[-1].spec if network.row.head else None
    assert isinstance(tokens.spec, TokensSpec)
    assert isinstance(attention, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    if not isinstance(norm.spec, LayerNormSpec):
        raise InputError(f"the last layer is {norm.spec.kind}, wanted layer_norm")
    width = tokens.spec.width
    return {
        "n_embd": width,
        "n_positions": tokens.spec.positions or network.context,
        "n_layer": len(layers),
        "n_head": attention.heads,
        "n_inner": width_inside(mlp.width, mlp.ratio, gated=mlp.gated, around=width),
        "activation_function": their_curve(mlp),
        "layer_norm_epsilon": norm.spec.epsilon,
        "resid_pdrop": attention.dropout,
        "attn_pdrop": attention.attention_dropout,
        "embd_pdrop": tokens.spec.dropout,
        "tie_word_embeddings": isinstance(head, UnembedSpec) and head.tied,
    }


GPT_2 = Family(
    name="GPT-2",
    model_type="gpt2",
    architectures={
        "GPT2LMHeadModel": "next_token",
        "GPT2ForSequenceClassification": "labels",
        "GPT2ForTokenClassification": "tags",
        "GPT2Model": None,
    },
    prefix="transformer.",
    design=_design,
    matches=_matches,
    config=_config,
    tied={"lm_head.weight": "transformer.wte.weight"},
    # Older files hold the mask of the attention too.
    unused=(r"\.attn\.(masked_)?bias$",),
)
