"""Tiny networks of each family beside Hugging Face's: their settings, and whose weight is whose.

`make_huggingface_golden.py` runs theirs, where transformers is installed, and writes down what they
give; `test_huggingface.py` runs ours with the same weights.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.model.blueprint import Aim

VOCAB, CONTEXT, WIDTH = 23, 10, 16
TOKENS = [[5, 9, 2, 14, 22, 7, 7, 3, 18, 11], [21, 4, 13, 6, 8, 20, 10, 15, 3, 12]]
COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "attn_implementation": "eager",
}
SIZES = {"width": WIDTH, "heads": 4, "kv_heads": 2, "mlp_width": 24}
BERT = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attn_implementation": "eager",
}

Weights = Mapping[str, Tensor]
Layer = Callable[[int], tuple[str, str]]
"""What the names of the attention and the MLP of a layer begin with."""


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A network of theirs, and the same one of ours."""

    theirs: str
    """The class in transformers."""
    config: Mapping[str, Any]
    ours: Mapping[str, Any]
    weights: Callable[[Weights], dict[str, Tensor]]
    """Our weights, of theirs."""
    aim: Aim = "next_token"
    gives: str = "logits"


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """A weight that is the same wherever it is made: `0.3 sin(0.37 k² + phase)`."""
    phase = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32 * math.tau
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    values = 0.3 * torch.sin(0.37 * k * k + phase)
    is_norm = name.endswith("weight") and ("norm" in name.lower() or "ln_" in name)
    return (values + 0.8 if is_norm else values).view(shape)


def copies(block: int = 1) -> Layer:
    """Layers in one repeat."""
    return lambda i: (f"layers.{block}.copies.{i}.0", f"layers.{block}.copies.{i}.1")


PRE = {"a.norm_before": "input_layernorm", "m.norm_before": "post_attention_layernorm"}
BOTH = {
    "a.norm_before": "input_layernorm",
    "a.norm_after": "post_attention_layernorm",
    "m.norm_before": "pre_feedforward_layernorm",
    "m.norm_after": "post_feedforward_layernorm",
}


@dataclass(frozen=True, kw_only=True)
class Llama:
    """The weights of a Llama and its like."""

    depth: int
    last: int
    """The number of the last layer, a norm."""
    at: Layer
    norms: Mapping[str, str]
    tied: bool = True
    qkv_bias: bool = False
    qk_norm: bool = False
    shift: float = 0.0
    """Gemma's norms multiply by this more than their weight."""

    def __call__(self, theirs: Weights) -> dict[str, Tensor]:
        """Our weights."""
        found = {
            "layers.0.table.weight": theirs["model.embed_tokens.weight"],
            f"layers.{self.last}.weight": theirs["model.norm.weight"] + self.shift,
        }
        if not self.tied:
            found["head.0.linear.weight"] = theirs["lm_head.weight"]
        for i in range(self.depth):
            found |= self._layer(theirs, f"model.layers.{i}.", *self.at(i))
        return found

    def _layer(self, theirs: Weights, layer: str, a: str, m: str) -> dict[str, Tensor]:
        found = {}
        for ours, name in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o")):
            found[f"{a}.inner.{ours}.weight"] = theirs[f"{layer}self_attn.{name}_proj.weight"]
            if self.qkv_bias and name != "o":
                found[f"{a}.inner.{ours}.bias"] = theirs[f"{layer}self_attn.{name}_proj.bias"]
            if self.qk_norm and name in "qk":
                norm = theirs[f"{layer}self_attn.{name}_norm.weight"]
                found[f"{a}.inner.{ours}_norm.weight"] = norm + self.shift
        for name in ("gate", "up", "down"):
            found[f"{m}.inner.{name}.weight"] = theirs[f"{layer}mlp.{name}_proj.weight"]
        for ours, name in self.norms.items():
            place = ours.replace("a.", f"{a}.").replace("m.", f"{m}.")
            found[f"{place}.weight"] = theirs[f"{layer}{name}.weight"] + self.shift
        return found


def gpt2(theirs: Weights) -> dict[str, Tensor]:
    """GPT-2 keeps weights as (in, out), and queries, keys and values side by side."""
    found = {
        "layers.0.table.weight": theirs["transformer.wte.weight"],
        "layers.0.places.weight": theirs["transformer.wpe.weight"],
    }
    for part in ("weight", "bias"):
        found[f"layers.2.{part}"] = theirs[f"transformer.ln_f.{part}"]
        for i in range(2):
            (a, m), layer = copies()(i), f"transformer.h.{i}."
            names = {f"{a}.inner.out": "attn.c_proj", f"{m}.inner.up": "mlp.c_fc"}
            names[f"{m}.inner.down"] = "mlp.c_proj"
            dense = {ours: theirs[f"{layer}{name}.{part}"] for ours, name in names.items()}
            qkv = theirs[f"{layer}attn.c_attn.{part}"].chunk(3, -1)
            dense |= {
                f"{a}.inner.{ours}": own
                for ours, own in zip(("query", "key", "value"), qkv, strict=True)
            }
            found |= {
                f"{ours}.{part}": (own.T if own.ndim == 2 else own) for ours, own in dense.items()
            }
            found[f"{a}.norm_before.{part}"] = theirs[f"{layer}ln_1.{part}"]
            found[f"{m}.norm_before.{part}"] = theirs[f"{layer}ln_2.{part}"]
    return found


def bert(
    theirs: Weights, prefix: str, neck: Mapping[str, str], places: int = 0
) -> dict[str, Tensor]:
    """A BERT or a RoBERTa, whose first `places` positions are none."""
    tables = f"{prefix}embeddings."
    found = {
        "layers.0.table.weight": theirs[f"{tables}word_embeddings.weight"],
        "layers.0.places.weight": theirs[f"{tables}position_embeddings.weight"][places:],
        "layers.0.types.weight": theirs[f"{tables}token_type_embeddings.weight"],
    }
    names = {"layers.1": f"{tables}LayerNorm", **neck}
    for i in range(2):
        (a, m), layer = copies(3)(i), f"{prefix}encoder.layer.{i}."
        names |= {
            f"{a}.inner.{own}": f"{layer}attention.self.{own}" for own in ("query", "key", "value")
        }
        names[f"{a}.inner.out"] = f"{layer}attention.output.dense"
        names[f"{a}.norm_after"] = f"{layer}attention.output.LayerNorm"
        names[f"{m}.inner.up"] = f"{layer}intermediate.dense"
        names[f"{m}.inner.down"] = f"{layer}output.dense"
        names[f"{m}.norm_after"] = f"{layer}output.LayerNorm"
    for ours, name in names.items():
        for part in ("weight", "bias"):
            found[f"{ours}.{part}"] = theirs[f"{name}.{part}"]
    return found


def bert_masked(theirs: Weights) -> dict[str, Tensor]:
    """With the masked-token head."""
    head = "cls.predictions."
    neck = {"neck.0.linear": f"{head}transform.dense", "neck.1": f"{head}transform.LayerNorm"}
    return {**bert(theirs, "bert.", neck), "head.0.bias": theirs[f"{head}bias"]}


def bert_pooled(theirs: Weights) -> dict[str, Tensor]:
    """With the pooler."""
    return bert(theirs, "", {"neck.1.linear": "pooler.dense"})


def roberta_masked(theirs: Weights) -> dict[str, Tensor]:
    """With the masked-token head."""
    neck = {"neck.0.linear": "lm_head.dense", "neck.1": "lm_head.layer_norm"}
    return {**bert(theirs, "roberta.", neck, places=2), "head.0.bias": theirs["lm_head.bias"]}


def modernbert_masked(theirs: Weights) -> dict[str, Tensor]:
    """Layers 0 and 3 see all, 1, 2 and 4 a window."""
    found = {
        "layers.0.table.weight": theirs["model.embeddings.tok_embeddings.weight"],
        "layers.1.weight": theirs["model.embeddings.norm.weight"],
        "layers.9.weight": theirs["model.final_norm.weight"],
        "neck.0.linear.weight": theirs["head.dense.weight"],
        "neck.1.weight": theirs["head.norm.weight"],
        "head.0.bias": theirs["decoder.bias"],
    }
    places = [("layers.2", "layers.3"), copies(4)(0), copies(4)(1)]
    places += [("layers.5", "layers.6"), ("layers.7", "layers.8")]
    for i, (a, m) in enumerate(places):
        layer = f"model.layers.{i}."
        qkv = theirs[f"{layer}attn.Wqkv.weight"].chunk(3, 0)
        gate_up = theirs[f"{layer}mlp.Wi.weight"].chunk(2, 0)
        found |= {
            f"{a}.inner.{n}.weight": w for n, w in zip(("query", "key", "value"), qkv, strict=True)
        }
        found |= {f"{m}.inner.{n}.weight": w for n, w in zip(("gate", "up"), gate_up, strict=True)}
        found[f"{a}.inner.out.weight"] = theirs[f"{layer}attn.Wo.weight"]
        found[f"{m}.inner.down.weight"] = theirs[f"{layer}mlp.Wo.weight"]
        found[f"{m}.norm_before.weight"] = theirs[f"{layer}mlp_norm.weight"]
        if i:
            found[f"{a}.norm_before.weight"] = theirs[f"{layer}attn_norm.weight"]
    return found


def rope(base: float) -> dict[str, Any]:
    """The base of the angles, as a config of theirs has it."""
    return {"rope_type": "default", "rope_theta": base}


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LOCAL, ALL = "sliding_attention", "full_attention"
TWINS = {
    "llama": Twin(
        theirs="LlamaForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 2,
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
            "rope_parameters": LLAMA3,
        },
        ours={
            "kind": "llama",
            "depth": 2,
            **SIZES,
            "rotary_base": 5e5,
            "rotary_scaling": {"kind": "llama3", "factor": 8.0, "trained_context": 16},
        },
        weights=Llama(depth=2, last=2, at=copies(), norms=PRE),
    ),
    "mistral": Twin(
        theirs="MistralForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 2,
            "rms_norm_eps": 1e-5,
            "sliding_window": 4,
            "rope_parameters": rope(1e4),
        },
        ours={"kind": "mistral", "depth": 2, **SIZES, "window": 4, "tied": False},
        weights=Llama(depth=2, last=2, at=copies(), norms=PRE, tied=False),
    ),
    "qwen 2.5": Twin(
        theirs="Qwen2ForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 2,
            "tie_word_embeddings": True,
            "rope_parameters": rope(1e6),
        },
        ours={"kind": "qwen", "depth": 2, **SIZES, "qkv_bias": True, "rotary_base": 1e6},
        weights=Llama(depth=2, last=2, at=copies(), norms=PRE, qkv_bias=True),
    ),
    "qwen 3": Twin(
        theirs="Qwen3ForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 2,
            "head_dim": 8,
            "tie_word_embeddings": True,
            "rope_parameters": rope(1e6),
        },
        ours={"kind": "qwen", "depth": 2, **SIZES, "head_width": 8, "rotary_base": 1e6},
        weights=Llama(depth=2, last=2, at=copies(), norms=PRE, qk_norm=True),
    ),
    "gemma 2": Twin(
        theirs="Gemma2ForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 2,
            "head_dim": 8,
            "query_pre_attn_scalar": 11,
            "sliding_window": 4,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 2.0,
        },
        ours={
            "kind": "gemma",
            "depth": 2,
            **SIZES,
            "head_width": 8,
            "window": 4,
            "local_layers": 1,
            "rotary_base": 1e4,
            "scale": 11**-0.5,
            "qk_norm": False,
            "softcap": 3.0,
            "head_softcap": 2.0,
        },
        weights=Llama(
            depth=2,
            last=5,
            at=lambda i: (f"layers.{1 + 2 * i}", f"layers.{2 + 2 * i}"),
            norms=BOTH,
            shift=1.0,
        ),
    ),
    "gemma 3": Twin(
        theirs="Gemma3ForCausalLM",
        config={
            **COMMON,
            "num_hidden_layers": 4,
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 4,
            "layer_types": [LOCAL, LOCAL, ALL, LOCAL],
            "rope_parameters": {LOCAL: rope(1e4), ALL: rope(1e6)},
        },
        ours={
            "kind": "gemma",
            "depth": 4,
            **SIZES,
            "head_width": 8,
            "window": 4,
            "local_layers": 2,
        },
        weights=Llama(
            depth=4,
            last=6,
            at=lambda i: copies()(i) if i < 2 else (f"layers.{2 * i - 2}", f"layers.{2 * i - 1}"),
            norms=BOTH,
            qk_norm=True,
            shift=1.0,
        ),
    ),
    "gpt2": Twin(
        theirs="GPT2LMHeadModel",
        config={
            "vocab_size": VOCAB,
            "n_positions": CONTEXT,
            "n_embd": WIDTH,
            "n_layer": 2,
            "n_head": 4,
            "attn_implementation": "eager",
        },
        ours={"kind": "gpt2", "depth": 2, "width": WIDTH, "heads": 4},
        weights=gpt2,
    ),
    "bert": Twin(
        theirs="BertForMaskedLM",
        config={**BERT, "max_position_embeddings": CONTEXT},
        ours={"kind": "bert", "depth": 2, "width": WIDTH, "heads": 4},
        weights=bert_masked,
        aim="masked",
    ),
    "bert's pooler": Twin(
        theirs="BertModel",
        config={**BERT, "max_position_embeddings": CONTEXT},
        ours={"kind": "bert", "depth": 2, "width": WIDTH, "heads": 4},
        weights=bert_pooled,
        aim="labels",
        gives="pooler_output",
    ),
    "roberta": Twin(
        theirs="RobertaForMaskedLM",
        config={
            **BERT,
            "max_position_embeddings": CONTEXT + 2,
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "layer_norm_eps": 1e-5,
        },
        ours={"kind": "roberta", "depth": 2, "width": WIDTH, "heads": 4},
        weights=roberta_masked,
        aim="masked",
    ),
    "modernbert": Twin(
        theirs="ModernBertForMaskedLM",
        config={
            **{key: value for key, value in COMMON.items() if key != "num_key_value_heads"},
            "num_hidden_layers": 5,
            "local_attention": 4,
            "global_attn_every_n_layers": 3,
            "pad_token_id": 0,
        },
        ours={
            "kind": "modernbert",
            "depth": 5,
            "width": WIDTH,
            "heads": 4,
            "mlp_width": 24,
            "window": 5,
        },
        weights=modernbert_masked,
        aim="masked",
    ),
}
