"""Starter recipes for questions whose answers stand in a context."""

from __future__ import annotations

from luthier.data.text.questions.prepare_questions import PreparedQuestions
from luthier.run.starter_body import StarterBody, between, comment, tokenizer_lines


def for_questions(prepared: PreparedQuestions) -> StarterBody:
    """Sections for questions.

    Args:
        prepared: The questions.
    """
    rows = prepared.train.encoded.rows
    contexts = len({row.context for row in rows})
    settings = [
        f"epochs: {between(40_000 // len(rows), 2, 20)}",
        "batch_size: 16",
        "clip_norm: 1.0",
    ]
    if prepared.validation is not None:
        settings.append("keep_best: true")
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(f"{len(rows):,} training questions about {contexts:,} contexts"),
            *comment(
                "A pretrained encoder does far better than a network that begins with nothing: "
                "give its folder as start, and leave model and data.tokenizer out."
            ),
        ],
        lines=[
            *tokenizer_lines(prepared.decisions),
            "  matches: true                 # marks the tokens that the question has too",
            "model:",
            "  layers:                       # the head comes from the task",
            "    - {kind: tokens, width: 96, types: 3}   # of the question, the context, both",
            "    - {kind: dropout, rate: 0.1}",
            "    - {kind: conv, channels: 96, kernel: 5, padding: same, activation: relu}",
            "    - {kind: conv, channels: 96, kernel: 5, padding: same, activation: relu}",
            "    - {kind: attention, heads: 4, causal: false, norm: layer}",
            "    - {kind: conv, channels: 96, kernel: 5, padding: same, activation: relu}",
            "    - {kind: dropout, rate: 0.1}",
            "optimizer: {kind: adamw, learning_rate: 1.0e-3, weight_decay: 0.01}",
            "schedule: {kind: linear}",
            f"training: {{{', '.join(settings)}, seed: 7}}",
        ],
    )
