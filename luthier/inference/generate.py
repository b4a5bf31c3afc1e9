"""From prompts to texts: prefill, then one token after the other, with what is remembered.

Dimension key, for the whole file:
    B  rows      T  tokens      V  vocab
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.data.text.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.inference.sampling import Sampler, SamplingSpec
from luthier.inference.writing import Ending, Writing
from luthier.model.blueprint import Network
from luthier.model.stream import State
from luthier.placement.placed import Placed

KEPT_SHARE = 0.5
"""Where a text outgrows the context, so much of it is read again, and the writing goes on."""
Told = Callable[[int, str], None]
"""Told (row, text) as soon as more text of a row is sure."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was written after a prompt."""

    prompt: str
    text: str
    """Without the prompt."""
    tokens: tuple[int, ...]
    """Those of the text, and of a stop that ended it."""
    ending: Ending

    def to_json(self) -> dict[str, Any]:
        """As `generate --json` prints it."""
        return {
            "prompt": self.prompt,
            "text": self.text,
            "tokens": list(self.tokens),
            "ending": self.ending,
        }


@torch.inference_mode()
def generate(
    placed: Placed,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    spec: SamplingSpec,
    told: Told | None = None,
) -> list[Generated]:
    """Continues each prompt.

    Prompts of different lengths go together, padded at the left; what is beside a prompt changes
    nothing of its text. A text may grow beyond the context: the network then reads the newest
    half of the context again and goes on.

    Args:
        placed: A language network, where it runs. Left as it was found, in training mode or not.
        tokenizer: Its tokenizer.
        prompts: The texts to continue; an empty one begins a document.
        spec: How.
        told: Is told the text while it is written.

    Raises:
        InputError: If a prompt is longer than the network's context, or there is none.
    """
    if not prompts:
        raise InputError("got no prompt; wanted at least one, if only an empty one")
    network = placed.network
    assert isinstance(network, Network)
    rows = [_tokens(tokenizer, prompt, index, network) for index, prompt in enumerate(prompts)]
    writings = [
        Writing(tokenizer.decoder(), spec.stop, tokenizer.special("end"), spec.max_tokens)
        for _ in rows
    ]
    was_training = network.training
    network.eval()
    try:
        _write(placed, network, rows, writings, spec, told)
    finally:
        network.train(was_training)
    return [
        Generated(
            prompt=prompt,
            text=writing.text,
            tokens=tuple(writing.tokens),
            ending=writing.ending or "max_tokens",
        )
        for prompt, writing in zip(prompts, writings, strict=True)
    ]


def _tokens(tokenizer: Tokenizer, prompt: str, index: int, network: Network) -> list[int]:
    """A document's beginning, and the prompt."""
    end = tokenizer.special("end")
    tokens = [] if end is None else [end]
    tokens += tokenizer.encode([prompt])[0].tokens.tolist()
    context = network.reads.shape[0]
    if len(tokens) > context:
        raise InputError(
            f"prompt {index + 1} has {len(tokens):,} tokens, but the network was trained on "
            f"{context:,} at most; give a shorter one, such as its end"
        )
    if not tokens:
        raise InputError(
            f"prompt {index + 1} is empty, and this network's tokenizer has no token to begin a "
            "document with; give it at least a character"
        )
    return tokens


def _write(
    placed: Placed,
    network: Network,
    rows: list[list[int]],
    writings: list[Writing],
    spec: SamplingSpec,
    told: Told | None,
) -> None:
    context = network.reads.shape[0]
    sampler = Sampler(spec, len(rows), network.gives.shape[-1], placed.device)
    for row, tokens in enumerate(rows):
        sampler.see(row, torch.tensor(tokens, device=placed.device))
    scores_BV, state = _read(placed, network, rows, context)
    while True:
        chosen_B = sampler.choose(scores_BV)
        for row, token in enumerate(chosen_B.tolist()):
            rows[row].append(token)
            if writings[row].ending is None:
                text = writings[row].add(token)
                if told is not None and text:
                    told(row, text)
        if all(writing.ending is not None for writing in writings):
            return
        if state.time == state.capacity:
            kept = max(1, int(KEPT_SHARE * context))
            scores_BV, state = _read(placed, network, [row[-kept:] for row in rows], context)
        else:
            with placed.autocast():
                y_B1V, state = network.decode(chosen_B[:, None], state)
            scores_BV = y_B1V[:, -1]


def _read(
    placed: Placed, network: Network, rows: Sequence[Sequence[int]], capacity: int
) -> tuple[Tensor, State]:
    """Reads the rows from nothing. Returns the scores of what comes next, and the state."""
    time = max(len(row) for row in rows)
    begins = tuple(time - len(row) for row in rows)
    padded = [[0] * begin + list(row) for begin, row in zip(begins, rows, strict=True)]
    x_BT = torch.tensor(padded, device=placed.device)
    state = State(capacity=capacity, begins=begins if any(begins) else ())
    with placed.autocast():
        h_BTD, state = network.remember(x_BT, state)
        return network.head(h_BTD[:, -1:])[:, -1], state
