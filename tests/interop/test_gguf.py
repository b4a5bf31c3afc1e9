"""GGUF files of tiny networks: the same function, the same tokens; others are refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("gguf")

import gguf
from foreign import difference, logits, theirs
from foreign_folders import SPECIALS, TEXT, tokenizer

from luthier.errors import InputError
from luthier.interop.gguf import read_gguf

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
ALONE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
HEADS, KV_HEADS = 4, 2
KINDS = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
PRE = {"llama": "smollm", "qwen2": "qwen2", "qwen3": "qwen2"}


def neighbours(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows with pairs in two halves, as llama.cpp keeps them: pairs that are neighbours."""
    half = rows.shape[0] // heads // 2
    return rows.view(heads, 2, half, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def named(kind: str, name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    """A tensor of Hugging Face's as llama.cpp has it."""
    if name in ALONE:
        return ALONE[name], tensor
    _, _, number, rest = name.split(".", 3)
    part, _, last = rest.rpartition(".")
    if kind == "llama" and part.endswith(("q_proj", "k_proj")):
        tensor = neighbours(tensor, HEADS if "q_proj" in part else KV_HEADS)
    return f"blk.{number}.{NAMES[part]}.{last}", tensor


def written(
    place: Path, kind: str, change: Callable[[Any], None] | None = None, **more: Any
) -> Any:
    """Writes a tiny network with a tokenizer; returns the network."""
    made = tokenizer(framed=False)
    settings = {"num_key_value_heads": KV_HEADS, "tie_word_embeddings": kind != "qwen2"}
    network = theirs(KINDS[kind], vocab_size=len(made), head_dim=8, **settings)
    writer = gguf.GGUFWriter(place, more.get("architecture", kind))
    config = network.config
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(8)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model(more.get("model", "gpt2"))
    writer.add_tokenizer_pre(more.get("pre", PRE[kind]))
    inner = made.backend_tokenizer
    names = [inner.id_to_token(number) for number in range(len(made))]
    writer.add_token_list(names)
    writer.add_token_types([3 if name in SPECIALS else 1 for name in names])
    model = json.loads(inner.to_str())["model"]
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    for name, tensor in network.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        theirs_name, rows = named(kind, name, tensor)
        writer.add_tensor(theirs_name, rows.contiguous().numpy())
    if change is not None:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return network


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_same_function_and_tokens(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "model.gguf"
    network = written(place, kind)
    found = read_gguf(place)
    tokens = torch.randint(0, network.config.vocab_size, (2, 17))
    assert difference(found.network(tokens), logits(network, tokens)) < 1e-5
    assert found.tokenizer is not None
    for text in (TEXT, "A1 22\n\n  isn't\té"):
        assert found.tokenizer.decode(found.tokenizer.encode([text])[0].tokens) == text
    assert (found.frame.before, found.ends, found.specials["end"]) == ((1,), (2,), 2)


@torch.no_grad()
def test_rows_that_are_not_turned_back_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = written(tmp_path / "model.gguf", "llama")
    monkeypatch.setattr("luthier.interop.gguf._TURNED", ())
    tokens = torch.randint(0, network.config.vocab_size, (2, 17))
    found = read_gguf(tmp_path / "model.gguf")
    assert difference(found.network(tokens), logits(network, tokens)) > 1e-2


def test_digits_stand_alone(tmp_path: Path) -> None:
    written(tmp_path / "model.gguf", "llama")
    found = read_gguf(tmp_path / "model.gguf").tokenizer
    assert found is not None
    assert len(found.encode(["2026"])[0].tokens) == 4


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another network": ({"architecture": "gemma"}, 'is a "gemma"; valid: llama, qwen2, qwen3'),
    "another tokenizer": ({"model": "llama"}, 'a tokenizer of the kind "llama"'),
    "another cut": ({"pre": "deepseek-llm"}, 'cut as "deepseek-llm"'),
    "scaled angles": (
        {"change": lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN)},
        "scales its rotary angles",
    ),
    "another tensor": (
        {"change": lambda w: w.add_tensor("blk.0.extra.weight", torch.ones(32).numpy())},
        'has the tensor "blk.0.extra.weight", which no llama has',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused(name: str, tmp_path: Path) -> None:
    given, message = REFUSED[name]
    written(tmp_path / "model.gguf", "llama", **given)
    with pytest.raises(InputError, match=message):
        read_gguf(tmp_path / "model.gguf")


def test_one_that_is_cut_off(tmp_path: Path) -> None:
    place = tmp_path / "model.gguf"
    written(place, "llama")
    place.write_bytes(place.read_bytes()[:-900])
    with pytest.raises(InputError, match="bring it again"):
        read_gguf(place)
