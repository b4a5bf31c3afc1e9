"""luthier's `write_on`, by which `luthier generate` and `luthier chat` write."""

from __future__ import annotations

import json
from pathlib import Path

import language_data
import language_decoding
import numpy as np
import torch
from language_sizes import NEW_TOKENS, Gpt

from luthier.data.target import Documents
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.inference.generate import write_on
from luthier.inference.sampling import SamplingSpec
from luthier.model.blueprint import build
from luthier.model.families.gpt2 import Gpt2Spec
from luthier.model.initialize import materialize
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.inference import Weights, for_inference
from luthier.placement.place import PlacementSpec, place
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.tasks.language import LanguageSpec

WEIGHTS: dict[str, Weights] = {"fp32": "fp32", "bf16": "bf16", "bf16-int8": "int8"}
"""By what is ordered: those of 8 bits too are multiplied with bfloat16."""


def placed_of(size: Gpt, seed: int, precision: str) -> Placed:
    """GPT-2 of that size with its first weights."""
    family = Gpt2Spec(
        width=size.width,
        depth=size.depth,
        heads=size.heads,
        mlp_width=size.mlp_width,
        positions=size.context,
    )
    layers, task = family.design("next_token"), LanguageSpec()
    reads, target = Signal.tokens(size.context, size.vocab), Documents(vocab=size.vocab)
    network = build(layers, reads, lambda gives: task.head(gives, target))
    materialize(network, seed=seed, spec=layers.initialize)
    placement = {
        "device": "cpu",
        "precision": precision.partition("-")[0],
        "layout": "channels_last",
        "threads": torch.get_num_threads(),
    }
    return place(network, PlacementSpec.model_validate(placement))


def tokenizer_of(cache: Path, vocab: int) -> Tokenizer:
    """The benchmark's tokenizer. Its end token is one as others are: no peer stops at it."""
    file = language_data.bpe_folder(cache, vocab) / "tokenizer.json"
    return Tokenizer.from_json(json.dumps(json.loads(file.read_text()) | {"added_tokens": []}))


def main() -> None:
    """Decodes as ordered, and reports."""
    keep_freed_memory()
    order, size = language_decoding.order(), language_decoding.SIZE
    placed = placed_of(size, order.seed, order.precision)
    parameters = sum(weight.numel() for weight in placed.network.parameters())
    ready = for_inference(placed, WEIGHTS[order.precision])
    tokenizer = tokenizer_of(order.cache, size.vocab)
    prompts = order.prompts().tolist()
    spec = SamplingSpec(greedy=True, max_tokens=NEW_TOKENS)

    def decode() -> np.ndarray:
        return np.array([one.tokens for one in write_on(ready, tokenizer, prompts, spec)])

    language_decoding.measure(order, decode, parameters)


if __name__ == "__main__":
    main()
