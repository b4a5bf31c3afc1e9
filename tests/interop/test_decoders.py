"""Every family of decoders: theirs in our network gives what it gives in transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from foreign import CONTEXT, TOKENS, difference, logits, saved, theirs
from safetensors.torch import load_file, save_file

from luthier.interop.huggingface.folder import WEIGHTS
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream

ENOUGH = 1e-5


@dataclass(frozen=True)
class Case:
    """A network of theirs, with settings that are not the usual ones."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
GQA = {"num_key_value_heads": 2}
LOCAL, GLOBAL = "sliding_attention", "full_attention"
GEMMA = {**GQA, "head_dim": 12, "query_pre_attn_scalar": 7, "sliding_window": 5}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e4,
    "factor": 4.0,
    "original_max_position_embeddings": 12,
}


def longrope(trained: int) -> dict[str, Any]:
    """Settings of Phi-3, where texts of more than so many tokens are long."""
    factors = {"short_factor": [1.0, 1.1, 1.3, 1.9], "long_factor": [1.2, 2.5, 7.0, 20.0]}
    angles = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    return {
        "rope_parameters": {**angles, "original_max_position_embeddings": trained},
        "original_max_position_embeddings": trained,
    }


CASES = {
    "llama": Case("LlamaForCausalLM", GQA),
    "llama tied, llama3 angles": Case(
        "LlamaForCausalLM", {"tie_word_embeddings": True, "rope_parameters": LLAMA3}
    ),
    "llama with biases": Case(
        "LlamaForCausalLM",
        {"attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-4, "head_dim": 12},
    ),
    "llama, linear angles": Case(
        "LlamaForCausalLM",
        {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 2e4}},
    ),
    "llama's layers": Case("LlamaModel", GQA),
    "llama of one layer, relu": Case(
        "LlamaForCausalLM", {"num_hidden_layers": 1, "hidden_act": "relu"}
    ),
    "mistral": Case("MistralForCausalLM", {**GQA, "sliding_window": 6, "head_dim": 12}),
    "mistral without a window": Case("MistralForCausalLM", {**GQA, "sliding_window": None}),
    "qwen 2": Case("Qwen2ForCausalLM", {**GQA, "tie_word_embeddings": True}),
    "qwen 2 with a window in the last layers": Case(
        "Qwen2ForCausalLM",
        {**GQA, "num_hidden_layers": 4, "use_sliding_window": True}
        | {"sliding_window": 5, "max_window_layers": 2},
    ),
    "qwen 3": Case("Qwen3ForCausalLM", {**GQA, "head_dim": 12}),
    "qwen 3 with biases": Case(
        "Qwen3ForCausalLM", {**GQA, "attention_bias": True, "tie_word_embeddings": True}
    ),
    "gemma 2": Case(
        "Gemma2ForCausalLM",
        {**GEMMA, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0}
        | {"num_hidden_layers": 5},
    ),
    "gemma 2 without caps": Case(
        "Gemma2ForCausalLM",
        {**GEMMA, "attn_logit_softcapping": None, "final_logit_softcapping": None},
    ),
    "gemma 3": Case(
        "Gemma3ForCausalLM",
        {**GEMMA, "num_hidden_layers": 5, "layer_types": [LOCAL, LOCAL, GLOBAL, LOCAL, LOCAL]}
        | {"final_logit_softcapping": 2.0}
        | {
            "rope_parameters": {
                LOCAL: {"rope_type": "default", "rope_theta": 1e3},
                GLOBAL: {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0},
            }
        },
    ),
    "gemma 3 as it is": Case("Gemma3ForCausalLM", {**GEMMA, "num_hidden_layers": 8}),
    "phi 3": Case("Phi3ForCausalLM", GQA),
    "phi 3 with a window, a part of each head turned": Case(
        "Phi3ForCausalLM",
        {**GQA, "sliding_window": 6, "tie_word_embeddings": True}
        | {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "partial_rotary_factor": 0.5,
            }
        },
    ),
    "llama, yarn": Case("LlamaForCausalLM", {**GQA, "rope_parameters": YARN}),
    "qwen 3, yarn with settings of its own": Case(
        "Qwen3ForCausalLM",
        {**GQA, "head_dim": 24}
        | {
            "rope_parameters": {**YARN, "truncate": False, "beta_fast": 4.0, "beta_slow": 0.3}
            | {"mscale": 2.0, "mscale_all_dim": 0.5}
        },
    ),
    "phi 3, longrope of long texts": Case("Phi3ForCausalLM", {**GQA, **longrope(16)}),
    "phi 3, longrope of short texts": Case("Phi3ForCausalLM", {**GQA, **longrope(48)}),
    "gpt 2": Case("GPT2LMHeadModel"),
    "gpt 2, wide, with another curve": Case(
        "GPT2LMHeadModel",
        {"n_inner": 72, "activation_function": "relu", "layer_norm_epsilon": 1e-3}
        | {"tie_word_embeddings": False},
    ),
    "gpt 2's layers": Case("GPT2Model"),
}


def read(name: str, place: Path) -> tuple[Any, Pretrained]:
    """Theirs and ours."""
    network = theirs(CASES[name].kind, **CASES[name].settings)
    return network, read_pretrained(saved(network, place))


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_equal(name: str, tmp_path: Path) -> None:
    network, ours = read(name, tmp_path)
    assert difference(ours.network(TOKENS), logits(network)) < ENOUGH


MIXED = "phi 3, longrope of long texts"
"""Of texts of different lengths, each is long or short for itself."""
WITH_A_STATE = [name for name in CASES if "layers" not in name or "window" in name]


@pytest.mark.parametrize("name", WITH_A_STATE)
@torch.no_grad()
def test_token_by_token(name: str, tmp_path: Path) -> None:
    network, ours = read(name, tmp_path)
    state = State(capacity=CONTEXT)
    found = []
    for time in range(TOKENS.shape[1]):
        y_B1V, state = ours.network.decode(TOKENS[:, time : time + 1], state)
        found.append(y_B1V)
    assert difference(torch.cat(found, 1), logits(network)) < ENOUGH


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["llama", "gemma 3", "gpt 2", "phi 3", MIXED])
@torch.no_grad()
def test_padding_changes_nothing(name: str, side: str, tmp_path: Path) -> None:
    """On either side ours gives what theirs gives of each text alone."""
    network, ours = read(name, tmp_path)
    lengths = [21, 9, 15]
    layout = Layout.padded(lengths, side="left" if side == "left" else "right")
    padded = torch.zeros_like(TOKENS)
    for span in layout.spans:
        padded[span.row, span.start : span.stop] = TOKENS[span.row, : span.length]
    y_BTV = ours.network(padded, Stream(layout=layout))
    for span in layout.spans:
        alone = logits(network, TOKENS[span.row : span.row + 1, : span.length])
        assert difference(y_BTV[span.row, span.start : span.stop], alone[0]) < ENOUGH


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("LlamaForSequenceClassification", GQA),
        ("Qwen2ForTokenClassification", GQA),
        ("GPT2ForSequenceClassification", {}),
        ("GPT2ForTokenClassification", {}),
    ],
)
@torch.no_grad()
def test_classifiers_and_taggers(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    names = {0: "calm", 1: "glad", 2: "sad"}
    network = theirs(kind, **settings, id2label=names, num_labels=3)
    ours = read_pretrained(saved(network, tmp_path))
    # Theirs looks for the last token that is no padding, so no token may look like it.
    tokens = TOKENS.clamp(min=3)
    assert difference(ours.network(tokens), logits(network, tokens)) < ENOUGH
    assert ours.target is not None
    assert ours.target.names == ("calm", "glad", "sad")


@torch.no_grad()
def test_files_of_the_bare_network_fill_one_with_a_head(tmp_path: Path) -> None:
    """As GPT-2's own folder has them: without what the names begin with, and with old buffers."""
    network = theirs("GPT2LMHeadModel")
    place = saved(network, tmp_path) / WEIGHTS
    tensors = {k.removeprefix("transformer."): v for k, v in load_file(place).items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
    save_file(tensors, place)
    assert difference(read_pretrained(tmp_path).network(TOKENS), logits(network)) < ENOUGH


@torch.no_grad()
def test_stored_types_are_kept_where_asked(tmp_path: Path) -> None:
    network = theirs("Gemma2ForCausalLM", **GEMMA)
    for tensor in network.parameters():
        tensor.copy_(tensor.bfloat16())
    wanted = logits(network)
    saved(network, tmp_path, torch.bfloat16)
    stored = read_pretrained(tmp_path, dtype=None).network
    assert {tensor.dtype for tensor in stored.parameters()} == {torch.bfloat16}
    assert difference(read_pretrained(tmp_path).network(TOKENS), wanted) < ENOUGH


@torch.no_grad()
def test_in_float64_there_is_no_difference(tmp_path: Path) -> None:
    """Of GPT-2, which computes nothing in float32 there."""
    network = theirs("GPT2LMHeadModel").double()
    saved(network, tmp_path, torch.float64)
    ours = read_pretrained(tmp_path, dtype=torch.float64).network
    assert difference(ours(TOKENS), logits(network)) < 1e-12
