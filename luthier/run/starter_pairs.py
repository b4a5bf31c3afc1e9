"""Starter recipes for pairs of texts: translations, summaries."""

from __future__ import annotations

import math

from luthier.data.pairs.prepare_pairs import PreparedPairs
from luthier.run.starter_body import StarterBody, between, comment, tokenizer_lines

MOST_TOKENS, FEWEST_TOKENS = 4096, 512
"""Of both sides, in a step."""
MANY_ROWS = 10_000
MOST_WARMUP = 500


def for_pairs(prepared: PreparedPairs) -> StarterBody:
    """Sections for pairs: a Transformer of an encoder and a decoder."""
    train = prepared.train
    tokens = int(train.sources.lengths.sum() + train.targets.lengths.sum())
    batch = between(tokens // 16, FEWEST_TOKENS, MOST_TOKENS)
    epochs = between(400_000 // len(train), 10, 40)
    steps = math.ceil(tokens / batch) * epochs
    width, depth = (256, 3) if len(train) >= MANY_ROWS else (128, 2)
    training = f"epochs: {epochs}, batch_tokens: {batch}, clip_norm: 1.0"
    if prepared.validation is not None:
        training += ", keep_best: true"
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(
                f"{len(train):,} training pairs; what is read is source, what is written of it "
                "target: change the two about if it is the other way round"
            ),
        ],
        lines=[
            *tokenizer_lines(prepared.decisions),
            "# luthier design prints the layers of both sides; {kind: gru} is another family",
            f"model: {{kind: transformer, width: {width}, depth: {depth}, heads: 4, dropout: 0.2}}",
            "optimizer: {kind: adamw, learning_rate: 1.0e-3, beta2: 0.98, weight_decay: 0.01}",
            f"schedule: {{kind: linear, warmup_steps: {min(MOST_WARMUP, steps // 10)}}}",
            f"training: {{{training}, seed: 7}}",
        ],
    )
