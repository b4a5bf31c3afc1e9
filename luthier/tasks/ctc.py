"""CTC: what a network says at each frame, as a text.

Dimension key, for the whole file:
    N  sounds      T  frames of a sound, as the network gives them      V  tokens and the blank
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from luthier.data.sound.ngram import NgramSpec
from luthier.spec import Spec

LogP = NDArray[np.float64]
"""`(T, V)`, logarithms of probabilities; the blank is the last of the V."""
NEVER = -math.inf
LEAST_TOKEN = -12.0
"""A token less likely at a frame than that, in nats, starts nothing new there."""


class GreedySpec(Spec):
    """The likeliest token at each frame; repeats and blanks go."""

    kind: Literal["greedy"] = "greedy"


class BeamSpec(Spec):
    """The likeliest texts, each with all the ways in which its tokens may lie in time; with a
    language model, those that people say.

    A text is worth `ln p(text | sound) + weight * ln p_language(text) + bonus * tokens`.

    Source:
        Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
        bi-directional recurrent DNNs", algorithm 1, 1408.2873.
    """

    kind: Literal["beam"] = "beam"
    width: int = Field(default=16, ge=1, le=1024)
    """Beginnings of texts that are kept at each frame."""
    language: NgramSpec | None = None
    """A language model of the tokens, counted here: `{kind: ngram, order: 5}`."""
    weight: float = Field(default=0.5, ge=0)
    """What the language model weighs beside the sound."""
    bonus: float = 0.0
    """What each token is worth, against a language model's liking for short texts."""


DecoderSpec = Annotated[GreedySpec | BeamSpec, Field(discriminator="kind")]
"""How scores at each frame become a text."""


class Language(Protocol):
    """What says how likely a token is behind others."""

    @property
    def end(self) -> int:
        """The token that ends a text."""

    def nats(self, before: Sequence[int], token: int) -> float:
        """`-ln p`."""


def ctc_nats(
    log_p_NTV: Tensor, frames: Sequence[int], tokens: Sequence[NDArray[np.int32]]
) -> Tensor:
    """`-ln p(text | sound)` of each sound, over all ways in which its tokens may lie in time.

    `(N,)`; infinite where the frames are too few: a text needs one for each token, and one more
    between two that are equal.

    Args:
        log_p_NTV: Logarithms of probabilities, the blank the last of them.
        frames: Of each sound.
        tokens: What is said in each.

    Source:
        Graves et al. 2006, "Connectionist temporal classification", section 4.1.
    """
    flat = np.concatenate([np.zeros(0, np.int64), *tokens]).astype(np.int64)
    return F.ctc_loss(
        log_p_NTV.transpose(0, 1),
        torch.from_numpy(flat).to(log_p_NTV.device),
        torch.tensor(frames),
        torch.tensor([len(text) for text in tokens]),
        blank=log_p_NTV.shape[2] - 1,
        reduction="none",
    )


def least_frames(tokens: Sequence[int] | NDArray[np.integer]) -> int:
    """The fewest frames that a text fits into.

    Example:
        >>> least_frames([3, 1, 1, 2])
        5
    """
    text = np.asarray(tokens)
    return len(text) + int((text[1:] == text[:-1]).sum())


def greedy(log_p: LogP) -> list[int]:
    """The tokens of the likeliest way.

    Example:
        >>> greedy(np.log(np.array([[0.6, 0.1, 0.3], [0.6, 0.1, 0.3], [0.1, 0.2, 0.7]])))
        [0]
    """
    blank = log_p.shape[1] - 1
    best = log_p.argmax(1)
    changes = np.flatnonzero(np.diff(best, prepend=-1))
    return [int(token) for token in best[changes] if token != blank]


def beam(log_p: LogP, spec: BeamSpec, language: Language | None = None) -> list[int]:
    """The tokens of the text that is worth most, as far as the beam sees.

    Args:
        log_p: Of one sound.
        spec: The width, and what the language model weighs.
        language: The language model; none where there is none.
    """
    blank = log_p.shape[1] - 1
    # Of each beginning: ln p of the ways that end with a blank, with a token, and the extra worth.
    kept: dict[tuple[int, ...], tuple[float, float, float]] = {(): (0.0, NEVER, 0.0)}
    for row in log_p.tolist():
        likely = [token for token, p in enumerate(row) if p >= LEAST_TOKEN and token != blank]
        ways: dict[tuple[int, ...], list[float]] = {}
        for text, (ends_blank, ends_token, extra) in kept.items():
            both = _added(ends_blank, ends_token)
            own = ways.setdefault(text, [NEVER, NEVER, extra])
            own[0] = _added(own[0], both + row[blank])
            if text:
                own[1] = _added(own[1], ends_token + row[text[-1]])
            for token in likely:
                # Equal tokens are two only where a blank was between them.
                before = ends_blank if text and token == text[-1] else both
                if before == NEVER:
                    continue
                longer = (*text, token)
                if longer not in ways:
                    gain = spec.bonus
                    if language is not None:
                        gain -= spec.weight * language.nats(text, token)
                    ways[longer] = [NEVER, NEVER, extra + gain]
                ways[longer][1] = _added(ways[longer][1], before + row[token])
        best = sorted(ways.items(), key=lambda item: -_worth(item[1]))[: spec.width]
        kept = {text: (a, b, extra) for text, (a, b, extra) in best}

    def final(text: tuple[int, ...]) -> float:
        ended = 0.0 if language is None else spec.weight * language.nats(text, language.end)
        return _worth(kept[text]) - ended

    return list(max((final(text), text) for text in kept)[1])


def _worth(way: Sequence[float]) -> float:
    return _added(way[0], way[1]) + way[2]


def _added(a: float, b: float) -> float:
    """`ln(exp(a) + exp(b))`."""
    if a < b:
        a, b = b, a
    return a if b == NEVER else a + math.log1p(math.exp(b - a))
