"""Starter recipes for texts with labels or tags."""

from __future__ import annotations

from luthier.data.purpose import Learned
from luthier.data.target import LabelsAndTags, names_of
from luthier.data.text.labelled.prepare_texts import PreparedTexts
from luthier.run.starter_body import StarterBody, between, comment, some_names, tokenizer_lines

KERNELS = {"words": (3, 4, 5), "characters": (2, 3, 4)}
"""Words, or signs, that a filter looks at."""
MANY_ROWS = 2000


def for_texts(prepared: PreparedTexts, learns: Learned) -> StarterBody:
    """Sections for texts.

    Args:
        prepared: The texts.
        learns: What a task learns of them.
    """
    rows, target = len(prepared.train), prepared.target
    what = [f"{len(names_of(target))} {'tags' if learns == 'tags' else 'classes'}"]
    what[0] += f": {some_names(names_of(target))}"
    if isinstance(target, LabelsAndTags):
        what.append(f"{len(target.tags.names)} tags: {some_names(target.tags.names)}")
    tokens = prepared.train.lengths.mean()
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(
                f"{rows:,} training texts of {tokens:.0f} tokens on average; {'; '.join(what)}"
            ),
        ],
        lines=[
            *tokenizer_lines(prepared.decisions),
            "model:",
            "  layers:                       # the head comes from the task and the data",
            *(_word_cnn(prepared) if learns == "labels" else _bilstm()),
            *_training(prepared, learns),
        ],
    )


def _word_cnn(prepared: PreparedTexts) -> list[str]:
    """After Kim 2014, with a vocabulary that is learned from nothing."""
    kinds = [d.value["kind"] for d in prepared.decisions if d.place == "data.tokenizer"]
    kernels = KERNELS["characters" if kinds == ["characters"] else "words"]
    return [
        "    - {kind: tokens, width: 128}",
        "    - {kind: dropout, rate: 0.5}",
        "    - kind: parallel            # filters over so many neighbours; of each the largest",
        "      branches:                 # answer, wherever in the text",
        *(
            f"        - [{{kind: conv, channels: 100, kernel: {kernel}, padding: same, "
            "activation: relu}, {kind: global_pool, reduce: max}]"
            for kernel in kernels
        ),
        "    - {kind: dropout, rate: 0.5}",
    ]


def _bilstm() -> list[str]:
    return [
        "    - {kind: tokens, width: 128}",
        "    - {kind: dropout, rate: 0.4}",
        "    - {kind: recurrent, cell: lstm, width: 128, bidirectional: true}   # reads both ways",
        "    - {kind: dropout, rate: 0.4}",
    ]


def _training(prepared: PreparedTexts, learns: Learned) -> list[str]:
    rows = len(prepared.train)
    whole = learns == "labels"
    rate, decay = ("1.0e-3", "0.05") if whole else ("2.0e-3", "0.01")
    settings = [
        f"epochs: {between((100_000 if whole else 60_000) // rows, 3, 40)}",
        f"batch_size: {(64 if whole else 32) if rows >= MANY_ROWS else 16}",
    ]
    if not whole:
        settings.append("clip_norm: 1.0")
    if prepared.validation is not None:
        settings.append("keep_best: true")
    return [
        f"optimizer: {{kind: adamw, learning_rate: {rate}, weight_decay: {decay}}}",
        "schedule: {kind: linear}",
        f"training: {{{', '.join(settings)}, seed: 7}}",
    ]
