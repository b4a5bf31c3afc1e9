"""Pairs of unequal lengths, and small networks that write, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from luthier.data.pairs.found import PairRow
from luthier.data.pairs.pair_examples import PairSamples
from luthier.data.target import Written
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.model.blueprint import Network
from luthier.model.encoder_decoder import EncoderDecoderSpec, build_pair
from luthier.model.initialize import materialize
from luthier.signal import Signal
from luthier.tasks.seq2seq import Seq2Seq, Seq2SeqSpec

LETTERS = "abcdefghijklmnop"
CONTEXT = 16
SOURCES = (5, 2, 9, 3, 12, 2, 7, 4)
TARGETS = (3, 8, 6, 2, 5, 11, 4, 7)
"""Letters of each side; with the end, a token more."""


def tokens(width: int, position: str = "sinusoidal") -> dict[str, Any]:
    return {"kind": "tokens", "width": width, "position": position}


ATTENTION: dict[str, Any] = {"kind": "attention", "heads": 2}
CROSS: dict[str, Any] = {"kind": "cross_attention", "heads": 2}
MLP: dict[str, Any] = {"kind": "mlp", "width": 24}
TRANSFORMER: dict[str, Any] = {
    "encoder": [tokens(16), {**ATTENTION, "causal": False}, MLP],
    "decoder": [
        tokens(16),
        {"kind": "repeat", "times": 2, "layers": [ATTENTION, CROSS, MLP]},
        {"kind": "rms_norm"},
    ],
    "head": "tied",
}
GRU: dict[str, Any] = {
    "encoder": [
        tokens(12, "none"),
        {"kind": "recurrent", "cell": "gru", "width": 10, "bidirectional": True},
    ],
    "decoder": [
        tokens(16, "none"),
        {"kind": "recurrent", "cell": "gru", "width": 16},
        {**CROSS, "heads": 1, "source_width": 20},
        {"kind": "dense", "width": 16, "activation": "tanh"},
    ],
}
HYBRID: dict[str, Any] = {
    "encoder": [tokens(16), {"kind": "recurrent", "width": 16}, {**ATTENTION, "causal": False}],
    "decoder": [
        tokens(16, "learned"),
        {**ATTENTION, "position": "rotary", "kv_heads": 1},
        {**CROSS, "kv_heads": 1},
        {"kind": "moe", "experts": 4, "ratio": 1.0, "balance": 0.3},
        {"kind": "recurrent", "width": 16},
        CROSS,
    ],
    "share_tokens": True,
}
NETWORKS = {"transformer": TRANSFORMER, "gru": GRU, "hybrid": HYBRID}


def tokenizer(letters: str = LETTERS) -> Tokenizer:
    return train_tokenizer(CharactersSpec(), [letters], specials=["end"])


def written(made: Tokenizer, context: int = CONTEXT) -> Written:
    end = made.special("end")
    assert end is not None
    return Written(vocab=made.size, context=context, end=end, opening=end, one_tokenizer=True)


def task(**settings: Any) -> Seq2Seq:
    return Seq2Seq(Seq2SeqSpec(**settings), written(tokenizer()))


def network(
    model: dict[str, Any],
    seed: int = 1,
    context: int = CONTEXT,
    letters: str = LETTERS,
    scale: float = 1.0,
) -> Network:
    """A network for the letters; `scale` makes its choices sharper."""
    made = tokenizer(letters)
    spec = EncoderDecoderSpec.model_validate(model).settled(one_tokenizer=True)
    reads, target = Signal.tokens(CONTEXT, made.size), written(made, context)
    writes = Signal.tokens(context, made.size)
    built = build_pair(spec, reads, writes, lambda gives: Seq2SeqSpec().head(gives, target))
    materialize(built, seed=seed, spec=spec.initialize, dtype=torch.float64)
    with torch.no_grad():
        for weight in built.parameters():
            weight *= scale
    return built


def row(number: int, letters: str = LETTERS) -> PairRow:
    generator = np.random.default_rng(number)
    sides = [
        "".join(generator.choice(list(letters), lengths[number % 8]))
        for lengths in (SOURCES, TARGETS)
    ]
    return PairRow(f"row {number}", *sides)


def samples(ids: Sequence[int], rows: Sequence[PairRow] | None = None) -> PairSamples:
    made = tokenizer()
    end = made.special("end")
    some = [row(number) for number in ids] if rows is None else list(rows)
    sides = [
        [np.array([*piece.tokens, end], dtype=np.int32) for piece in made.encode(texts)]
        for texts in ([one.source for one in some], [one.target for one in some])
    ]
    return PairSamples(
        sources=sides[0], targets=sides[1], rows=some, tokenizer=made, ids=torch.tensor(ids)
    )
