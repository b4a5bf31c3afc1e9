"""Small language networks in float64 with tokenizers of every kind, and the slow way to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from luthier.data.target import Documents
from luthier.data.text.tokens.subwords import BpeSpec, UnigramSpec
from luthier.data.text.tokens.symbols import BytesSpec, CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.tasks.language import LanguageSpec

CONTEXT = 24
TEXTS = ("the fox met a dog. the dog met a fox!", "床前明月光 and so on, and on")
CHARACTERS = train_tokenizer(CharactersSpec(), TEXTS, specials=("end", "unknown"))
BARE = train_tokenizer(CharactersSpec(), TEXTS, specials=())
BYTES = train_tokenizer(BytesSpec(), TEXTS, specials=("end",))
BPE = train_tokenizer(BpeSpec(vocab=300, least=1), TEXTS, specials=("end",))
WORDS = train_tokenizer(WordsSpec(least=1), TEXTS, specials=("end", "unknown"))
UNIGRAM = train_tokenizer(UnigramSpec(vocab=60, coverage=1.0), TEXTS, specials=("end", "unknown"))

GPT: tuple[dict[str, Any], ...] = (
    {"kind": "tokens", "width": 8, "position": "learned"},
    {"kind": "attention", "heads": 2},
    {"kind": "mlp", "ratio": 2.0, "dropout": 0.5},
)
LLAMA: tuple[dict[str, Any], ...] = (
    {"kind": "tokens", "width": 8},
    {"kind": "attention", "heads": 4, "kv_heads": 2, "position": "rotary"},
)
RECURRENT: tuple[dict[str, Any], ...] = (
    {"kind": "tokens", "width": 8},
    {"kind": "linear_recurrence", "width": 8},
    {"kind": "recurrent", "width": 8},
)
NETWORKS = {"gpt": GPT, "llama": LLAMA, "recurrent": RECURRENT}


def writer(
    tokenizer: Tokenizer = CHARACTERS, layers: Sequence[dict[str, Any]] = LLAMA, seed: int = 3
) -> Placed:
    """A network with random weights, larger than those that training begins with."""
    spec = LayersSpec.model_validate({"layers": list(layers)})
    task, target = LanguageSpec(), Documents(vocab=tokenizer.size)
    network = build(
        spec, Signal.tokens(CONTEXT, tokenizer.size), lambda gives: task.head(gives, target)
    )
    materialize(network, seed=seed, spec=spec.initialize, dtype=torch.float64)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3 if weight.ndim > 1 else 1)
    return Placed(network=network, device=torch.device("cpu"))


@torch.no_grad()
def slowly(placed: Placed, prompt: Sequence[int], count: int, end: int | None) -> list[int]:
    """The likeliest tokens, each by reading the whole window again, without a cache."""
    network = placed.network
    assert isinstance(network, Network)
    was_training = network.training
    network.eval()
    window, found = list(prompt), []
    while len(found) < count:
        token = int(network(torch.tensor([window]))[0, -1].argmax())
        if token == end:
            break
        found.append(token)
        window.append(token)
        if len(window) > CONTEXT:
            window = window[-CONTEXT // 2 :]
    network.train(was_training)
    return found
