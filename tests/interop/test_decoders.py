"""Every family of decoders: theirs in our network gives what it gives in transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from foreign import TOKENS, difference, logits, saved, theirs

from luthier.interop.huggingface.read import read_pretrained


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
CASES = {
    "llama": Case("LlamaForCausalLM", {"num_key_value_heads": 2}),
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
}


@pytest.mark.parametrize("name", CASES)
def test_logits_are_equal(name: str, tmp_path: Path) -> None:
    network = theirs(CASES[name].kind, **CASES[name].settings)
    wanted = logits(network)
    pretrained = read_pretrained(saved(network, tmp_path))
    with torch.no_grad():
        assert difference(pretrained.network(TOKENS), wanted) < 1e-5
