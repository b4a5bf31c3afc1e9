"""Starter recipes for documents: a small Llama that writes on, a small BERT that fills in."""

from __future__ import annotations

from luthier.data.text.documents.prepare_documents import PreparedDocuments
from luthier.run.starter_body import StarterBody, between, comment, tokenizer_lines

STEP_TOKENS = 8192
"""Of a step, about: what batch_size: auto makes of texts that fill whole rows."""
READINGS = 20
"""How often a small text is read; what is read more often is learned by heart."""
MOST_STEPS = 2000
"""An hour or so on a laptop."""
SMALL_TOKENS = 5_000_000
"""Training tokens below which a narrower network learns as much."""

_ONE_TEXT = (
    "  # document: line              # where each line is a text of its own; or blank_line",
)


def for_documents(prepared: PreparedDocuments, *, masked: bool) -> StarterBody:
    """Sections for documents.

    Args:
        prepared: The documents.
        masked: Whether hidden tokens are guessed, instead of the next one.
    """
    streams = [part.streams["train"] for part in prepared.parts]
    tokens = sum(len(stream.tokens) for stream in streams)
    documents = sum(stream.documents for stream in streams)
    text_bytes = sum(int(stream.bytes.sum()) for stream in streams)
    steps = between(READINGS * tokens // STEP_TOKENS, 100, MOST_STEPS)
    width = 128 if tokens < SMALL_TOKENS else 256
    context = prepared.signal.shape[0]
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(
                f"{tokens:,} training tokens in {documents:,} text{'s' if documents > 1 else ''}; "
                f"{text_bytes / tokens:.2f} bytes each"
            ),
        ],
        lines=[
            *(_ONE_TEXT if documents == 1 else ()),
            *tokenizer_lines(prepared.decisions),
            f"  context: {context}                  # tokens that are read at once",
            *(_bert(width) if masked else _llama(width)),
            "optimizer: {kind: muon, learning_rate: 2.0e-3, weight_decay: 0.05}",
            f"schedule: {{kind: warmup_stable_decay, warmup_steps: {steps // 20}, "
            "decay_fraction: 0.5}",
            *_training(prepared, steps, masked=masked),
        ],
    )


def _llama(width: int) -> list[str]:
    return [
        f"model: {{kind: llama, width: {width}, depth: 4, heads: {width // 32}, "
        f"kv_heads: {width // 64}}}   # luthier design RECIPE shows its layers",
    ]


def _bert(width: int) -> list[str]:
    return [
        "model:",
        "  layers:",
        f"    - {{kind: tokens, width: {width}, dropout: 0.1}}",
        "    - kind: repeat",
        "      times: 4",
        "      layers:                   # causal: false, since a gap is filled from both sides",
        f"        - {{kind: attention, heads: {width // 32}, causal: false, position: rotary, "
        "dropout: 0.1}",
        "        - {kind: mlp, ratio: 4.0, activation: gelu, dropout: 0.1}",
        "    - {kind: rms_norm}",
        "  head: tied                    # scores by the same vectors that the tokens have",
    ]


def _training(prepared: PreparedDocuments, steps: int, *, masked: bool) -> list[str]:
    settings = ["clip_norm: 1.0"]
    if prepared.validation is not None:
        settings += [f"evaluate_every_steps: {steps // 5}", "keep_best: true"]
        if not masked:
            settings.append('samples: [""]')
    return [f"training: {{steps: {steps}, {', '.join(settings)}, seed: 7}}"]
