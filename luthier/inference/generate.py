"""From prompts to texts: prefill, then one token after the other, with what is remembered.

Dimension key, for the whole file:
    B  rows that are still written      T  tokens      V  vocab
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.inference.bounds import Bounds
from luthier.inference.sampling import Sampler, SamplingSpec
from luthier.inference.writing import Ending, Writing
from luthier.model.blueprint import Network
from luthier.model.stream import State
from luthier.placement.placed import Placed

KEPT_SHARE = 0.5
"""Where a text outgrows the context, so much of it is read again, and the writing goes on."""
FEW = 0.5
"""Rows that have ended are dropped as soon as no larger share is still written: a row is copied
once at most for each halving."""
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


def generate(
    placed: Placed,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    spec: SamplingSpec,
    told: Told | None = None,
    bounds: Bounds | None = None,
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
        bounds: What texts begin with and end at; none means the end token of the tokenizer.

    Raises:
        InputError: If a prompt is longer than the network's context, or there is none.
    """
    if not prompts:
        raise InputError("got no prompt; wanted at least one, if only an empty one")
    bounds = bounds or Bounds.of(tokenizer)
    rows = prompt_tokens(tokenizer, prompts, context_of(placed), bounds=bounds)
    return [
        Generated(
            prompt=prompt,
            text=writing.text,
            tokens=tuple(writing.tokens),
            ending=writing.ending or "max_tokens",
        )
        for prompt, writing in zip(
            prompts, write_on(placed, tokenizer, rows, spec, told, ends=bounds.ends), strict=True
        )
    ]


def context_of(placed: Placed) -> int:
    """The most tokens that a placed language network reads."""
    assert isinstance(placed.network, Network)
    return placed.network.reads.shape[0]


def prompt_tokens(
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    context: int,
    name: str = "prompt",
    bounds: Bounds | None = None,
) -> list[list[int]]:
    """A document's beginning, and the prompt, of each.

    Args:
        tokenizer: Of the network.
        prompts: The texts to continue.
        context: The most tokens that the network reads.
        name: What one is called, in messages.
        bounds: What texts begin with; none means the end token of the tokenizer.

    Raises:
        InputError: If a prompt is too long, or is empty where no token begins a document.
    """
    bounds = bounds or Bounds.of(tokenizer)
    rows = []
    for number, pieces in enumerate(tokenizer.encode(prompts), 1):
        own = pieces.tokens.tolist()
        begins = bounds.begins if own else bounds.alone
        tokens = own if begins is None else [begins, *own]
        if len(tokens) > context:
            raise InputError(
                f"{name} {number} has {len(tokens):,} tokens, but the network was trained on "
                f"{context:,} at most; give a shorter one, such as its end"
            )
        if not tokens:
            raise InputError(
                f"{name} {number} is empty, and this network's tokenizer has no token to begin a "
                "document with; give it at least a character"
            )
        rows.append(tokens)
    return rows


@torch.inference_mode()
def write_on(
    placed: Placed,
    tokenizer: Tokenizer,
    rows: Sequence[Sequence[int]],
    spec: SamplingSpec,
    told: Told | None = None,
    first: int = 0,
    ends: Collection[int] = (),
) -> list[Writing]:
    """Continues rows of tokens.

    Args:
        placed: A language network, where it runs. Left as it was found, in training mode or not.
        tokenizer: Its tokenizer.
        rows: At least a token each, and no more than the network's context.
        spec: How.
        told: Is told the text while it is written.
        first: The number that the first row draws by, the next one by the next.
        ends: Tokens that end a text, beside the one that ends a document.
    """
    end = tokenizer.special("end")
    ends = {*ends, *([] if end is None else [end])}
    written = [
        _Row(
            number=number,
            window=list(tokens),
            writing=Writing(tokenizer.decoder(after=tokens), spec.stop, ends, spec.max_tokens),
        )
        for number, tokens in enumerate(rows)
    ]
    network = placed.network
    was_training = network.training
    network.eval()
    try:
        _write(placed, written, _sampler(placed, written, spec, first), told)
    finally:
        network.train(was_training)
    return [row.writing for row in written]


@dataclass(kw_only=True)
class _Row:
    """A text while it is written."""

    number: int
    writing: Writing
    window: list[int] = field(default_factory=list)
    """The tokens that the network has before it, and the one that was chosen last."""

    def add(self, token: int, told: Told | None) -> None:
        self.window.append(token)
        text = self.writing.add(token)
        if told is not None and text:
            told(self.number, text)


def _sampler(placed: Placed, rows: Sequence[_Row], spec: SamplingSpec, first: int) -> Sampler:
    """What draws for the rows, and has seen what they hold."""
    assert isinstance(placed.network, Network)
    vocab = placed.network.gives.shape[-1]
    sampler = Sampler(spec, len(rows), vocab, placed.device, first)
    for row in rows:
        sampler.see(row.number, torch.tensor(row.window, device=placed.device))
    return sampler


def _write(placed: Placed, rows: list[_Row], sampler: Sampler, told: Told | None) -> None:
    """Writes the rows to their ends."""
    context, network = context_of(placed), placed.network
    assert isinstance(network, Network)
    room = min(context, max(len(row.window) for row in rows) + sampler.spec.max_tokens)
    arithmetic = placed.autocast()
    scores_BV, state = _read(placed, rows, room)
    while True:
        chosen_B = sampler.choose(scores_BV)
        for row, token in zip(rows, chosen_B.tolist(), strict=True):
            if row.writing.ending is None:
                row.add(token, told)
        left = [place for place, row in enumerate(rows) if row.writing.ending is None]
        if not left:
            return
        if len(left) <= FEW * len(rows):
            rows = [rows[place] for place in left]
            sampler.keep(left)
            chosen_B, state = chosen_B[left], state.of_rows(left)
        if state.time < state.capacity:
            with arithmetic:
                y_B1V, state = network.decode(chosen_B[:, None], state)
            scores_BV = y_B1V[:, -1]
        else:
            for row in rows:
                if len(row.window) > context:
                    row.window = row.window[-max(1, int(KEPT_SHARE * context)) :]
            scores_BV, state = _read(placed, rows, context)


def _read(placed: Placed, rows: Sequence[_Row], capacity: int) -> tuple[Tensor, State]:
    """Reads the rows from nothing. Returns the scores of what comes next, and the state."""
    time = max(len(row.window) for row in rows)
    begins = tuple(time - len(row.window) for row in rows)
    padded = [[0] * begin + row.window for begin, row in zip(begins, rows, strict=True)]
    x_BT = torch.tensor(padded, device=placed.device)
    state = State(capacity=capacity, begins=begins if any(begins) else ())
    network = placed.network
    assert isinstance(network, Network)
    with placed.autocast():
        h_BTD, state = network.remember(x_BT, state)
        return network.head(h_BTD[:, -1:])[:, -1], state
