"""Questions as a batch, and the best spans of their contexts.

Dimension key, for the whole file:
    N  questions      W  windows of all      S  tokens of all windows      A  answers of one
    M  context tokens of all questions      T  context tokens of one, or of the longest
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from luthier.data.text.questions.asked import Asked
from luthier.data.text.questions.places import characters_of
from luthier.data.text.questions.question_examples import QuestionSamples
from luthier.data.text.rows.samples import TextSamples
from luthier.tasks.texts import Texts

NOTHING = 0
"""The place of no answer, before the tokens of a context."""


@dataclass(frozen=True, kw_only=True)
class QuestionBatch:
    """Questions with all the windows of their contexts."""

    inputs: Texts
    """The windows, question after question."""
    places_M: Tensor
    """int64, the place among the S tokens at which each token of the contexts is scored."""
    firsts_W: Tensor
    """int64, the place of the first token of each window."""
    lengths: tuple[int, ...]
    """`(N,)` context tokens of each."""
    windows: tuple[int, ...]
    """`(N,)` windows of each."""
    asked: tuple[Asked, ...]
    ids: Tensor
    """`(N,)` row numbers."""

    @classmethod
    def of(cls, samples: QuestionSamples) -> QuestionBatch:
        """Samples as a batch."""
        asked = tuple(samples.asked)
        windows = [window for one in asked for window in one.windows]
        unlabelled = torch.full((len(windows),), -1)
        texts = TextSamples(texts=windows, labels=unlabelled, ids=unlabelled, pad=samples.pad)
        begins = np.cumsum([0, *(one.tokens for one in asked)])[:-1]
        places = [one.places + begin for one, begin in zip(asked, begins, strict=True)]
        firsts = [one.firsts + begin for one, begin in zip(asked, begins, strict=True)]
        return cls(
            inputs=Texts.of(texts),
            places_M=torch.from_numpy(np.concatenate(places)),
            firsts_W=torch.from_numpy(np.concatenate(firsts)),
            lengths=tuple(len(one.places) for one in asked),
            windows=tuple(len(one.windows) for one in asked),
            asked=asked,
            ids=samples.ids,
        )

    @property
    def size(self) -> int:
        """Questions."""
        return len(self.asked)

    def to(self, device: torch.device) -> QuestionBatch:
        """The same batch on `device`; what only people read stays."""
        if self.inputs.device == device:
            return self
        return replace(
            self,
            inputs=self.inputs.to(device),
            places_M=self.places_M.to(device, non_blocking=True),
            firsts_W=self.firsts_W.to(device, non_blocking=True),
        )

    def scores(self, y_S2: Tensor, *, unanswerable: bool) -> Tensor:
        """The scores of each question's context as one text, whatever its windows.

        Args:
            y_S2: What the network gives each token: scores to begin an answer, and to end it.
            unanswerable: Whether a context may have no answer.

        Returns:
            `(N, 1 + T, 2)`: first those of no answer, the least of any window, since none of them
            may have one; then those of each token. -inf stands for what cannot be said, and behind
            contexts that are shorter than the longest.
        """
        tokens_NT2 = pad_sequence(
            list(torch.split(y_S2.index_select(0, self.places_M), list(self.lengths))),
            batch_first=True,
            padding_value=float("-inf"),
        )
        if unanswerable:
            firsts = torch.split(y_S2.index_select(0, self.firsts_W), list(self.windows))
            nothing_N2 = torch.stack([window_2.amin(0) for window_2 in firsts])
        else:
            nothing_N2 = y_S2.new_full((self.size, 2), float("-inf"))
        return torch.cat([nothing_N2[:, None], tokens_NT2], 1)

    def right(self, time: int) -> Tensor:
        """`(N, time, 2)` bool: what begins an answer of a reference, and what ends one.

        Args:
            time: The places of `scores`.
        """
        right = np.zeros((self.size, time, 2), dtype=bool)
        for row, one in enumerate(self.asked):
            assert one.spans is not None, "answers are not known"
            if len(one.spans):
                right[row, 1 + one.spans[:, 0], 0] = True
                right[row, 1 + one.spans[:, 1], 1] = True
            else:
                right[row, NOTHING] = True
        return torch.from_numpy(right).to(self.inputs.device)


class Span(NamedTuple):
    """A part of a context."""

    text: str
    start: int
    """Its first character."""
    end: int
    """Behind its last one."""
    nats: float
    """The logarithm of its probability."""


def best_spans(
    log_p_T2: NDArray[np.float64], one: Asked, *, longest: int, count: int
) -> list[Span]:
    """The likeliest spans of a context, the best first.

    Args:
        log_p_T2: The logarithm of the probability that each token begins the answer, and ends it.
        one: The question.
        longest: The most tokens of a span.
        count: How many to give, if there are so many.

    Cost:
        Memory: 8 bytes for each token, times `longest`.
    """
    tokens = len(log_p_T2)
    longest = min(longest, tokens)
    behind = np.full(longest - 1, -np.inf)
    ends = np.concatenate([log_p_T2[:, 1], behind])
    sums = log_p_T2[:, :1] + np.lib.stride_tricks.sliding_window_view(ends, longest)
    flat = sums.ravel()
    if count == 1:
        order = [int(flat.argmax())]
    else:
        some = np.argpartition(-flat, min(count, len(flat)) - 1)[:count]
        order = some[np.argsort(-flat[some], kind="stable")].tolist()
    found = []
    for place in order:
        first, more = divmod(place, longest)
        if not np.isfinite(flat[place]):
            continue
        start, end = characters_of(one.context, first, first + more)
        found.append(Span(one.row.context[start:end], start, end, float(flat[place])))
    return found


def around(context: str, start: int, end: int, most: int) -> str:
    """A part of a context with some characters before and behind it."""
    left, right = max(0, start - most), min(len(context), end + most)
    before, behind = "… " if left else "", " …" if right < len(context) else ""
    return before + " ".join(context[left:right].split()) + behind


def references(one: Asked) -> Sequence[str]:
    """What people answered; nothing where the context has no answer."""
    return [*(answer.text for answer in one.row.answers), *one.row.reworded]
