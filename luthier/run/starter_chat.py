"""Starter recipes for conversations, and for answers that were compared."""

from __future__ import annotations

from luthier.data.chat.prepare_chat import PreparedChat
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.run.starter_body import StarterBody, between, comment

FEW_ROWS = 64
"""Rows of a split, from where it is worth a best checkpoint."""
_DATA = (
    "  # context: 1024               # tokens that are read at once; check says what is cut",
    "  # template: chatml            # leave out for that of the start; or a file",
)
_START = (
    "start: runs/base                # name a run of yours, or a Hugging Face folder that chats",
    "adapter: {kind: lora, rank: 16} # leave out to tune every weight, at a tenth of the rate",
)


def for_conversations(prepared: PreparedChat | PreparedPreferences) -> StarterBody:
    """Sections for conversations, or for answers that were compared.

    Args:
        prepared: The data.
    """
    compared = isinstance(prepared, PreparedPreferences)
    rows = len(prepared.conversations["train"])
    # How many tokens there are hangs on the tokenizer of the start, which nobody named yet.
    return StarterBody(
        about=comment(prepared.recognised.split(";")[0]),
        lines=[*_DATA, *_START, *_training(rows, 1 if compared else 3)],
    )


def _training(rows: int, epochs: int) -> list[str]:
    size = between(2 ** (rows.bit_length() // 2), 4, 16)
    steps = epochs * max(rows // size, 1)
    settings = f"epochs: {epochs}, batch_size: {size}, clip_norm: 1.0"
    if rows >= FEW_ROWS:
        settings += f", evaluate_every_steps: {max(steps // 5, 1)}, keep_best: true"
    return [
        "optimizer: {kind: adamw, learning_rate: 2.0e-4}",
        f"schedule: {{kind: linear, warmup_steps: {max(steps // 20, 1)}}}",
        f"training: {{{settings}, seed: 7}}",
    ]
