"""Tiny networks of Hugging Face's own, saved as folders, to compare ours with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

VOCAB, CONTEXT = 61, 48
TOKENS = torch.randint(0, VOCAB, (3, 21), generator=torch.Generator().manual_seed(3))
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "attn_implementation": "eager",
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def theirs(name: str, seed: int = 0, **settings: Any) -> Any:
    """A network of a class of transformers, with random weights: of norms and biases too."""
    kind = getattr(transformers, name)
    network = kind(kind.config_class(**{**SIZES, **settings})).float().eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            drawn = torch.randn(tensor.shape, generator=random)
            tensor.copy_(drawn * 0.1 if tensor.ndim > 1 else tensor + drawn * 0.1)
    return network


def saved(network: Any, place: Path, dtype: torch.dtype = torch.float32) -> Path:
    """The folder of a network."""
    network.to(dtype).save_pretrained(place)
    return place


@torch.no_grad()
def logits(network: Any, tokens: Tensor = TOKENS, **more: Any) -> Tensor:
    """What theirs gives."""
    output = network(tokens, **more)
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], -1)
    found: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return found


def difference(a: Tensor, b: Tensor) -> float:
    """The largest one."""
    assert a.shape == b.shape
    return float((a.double() - b.double()).abs().max())
