"""CRF: tags that follow one another, scored together.

Dimension key, for the whole file:
    B  rows      T  positions of a row      K  tags
    N  documents      L  positions of the longest      I  the tag of the position before
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.layout import Layout
from luthier.model.stream import Stream, Streamed
from luthier.signal import Signal


class CrfSpec(BlockSpec):
    """Learned scores for each pair of tags that follow one another, above the scores of each tag:
    a whole sequence of tags is judged at once. The tag task adds it with `crf: true`.
    """

    kind: Literal["crf"] = "crf"

    def build(self, signal: Signal) -> Crf:
        """A `Crf` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal)
        return Crf(signal)


class Crf(Streamed):
    """A linear chain: `p(tags) = exp(score(tags)) / sum over all tags of exp(score)`.

    The score of a sequence of tags is the sum of the scores that each position gives its tag, of
    a learned number for each pair of neighbours, for the first tag and for the last. All sums are
    in logarithms, and in float32 at least.

    Args:
        signal: A sequence `(T, K)` of scores, one for each tag.

    Shape:
        `(B, T, K)` to the same.

    Cost:
        Parameters: `K * K + 2 * K`.
        Work of one pass: `T * K * K`, one position after the other.

    Source:
        Lafferty, McCallum and Pereira 2001, "Conditional Random Fields", section 3. In a network:
        Huang, Xu and Yu 2015, 1508.01991.
    """

    def __init__(self, signal: Signal) -> None:
        super().__init__()
        tags = signal.width
        self.transitions = nn.Parameter(torch.empty(tags, tags))
        """From each tag (row) to the next (column)."""
        self.first = nn.Parameter(torch.empty(tags))
        self.last = nn.Parameter(torch.empty(tags))

    def forward(self, x_BTK: Tensor, stream: Stream | None = None) -> Tensor:
        """The logarithm of the chance of each tag at each position, with the others summed out.

        Raises:
            ShapeError: If it is to go on from a state: what comes later matters too.
        """
        if stream is not None and stream.state is not None:
            raise ShapeError("crf cannot read a text step by step; leave it out")
        layout = None if stream is None else stream.layout
        layout = layout or _whole(x_BTK)
        x_NLK, present_NL = _apart(x_BTK, layout)
        before_NLK = self._before(x_NLK, present_NL)
        after_NLK = self._after(x_NLK, present_NL)
        total_N11 = self._total(before_NLK[:, -1])[:, None, None]
        return layout.together(before_NLK + after_NLK - total_N11)

    def nats(self, x_BTK: Tensor, tags_BT: Tensor, layout: Layout | None = None) -> Tensor:
        """`-log p` of the tags of each document: `(N,)`.

        Args:
            x_BTK: The scores of each tag.
            tags_BT: int64, the tags.
            layout: Where the documents lie; none where each row is one, whole.
        """
        layout = layout or _whole(x_BTK)
        x_NLK, present_NL = _apart(x_BTK, layout)
        tags_NL = layout.documents_apart(tags_BT[..., None])[..., 0]
        own_NL = x_NLK.gather(2, tags_NL[..., None])[..., 0]
        steps_NL = self._transitions(x_NLK)[tags_NL[:, :-1], tags_NL[:, 1:]]
        ends_N1 = present_NL.sum(1, keepdim=True) - 1
        score_N = own_NL.where(present_NL, 0).sum(1) + steps_NL.where(present_NL[:, 1:], 0).sum(1)
        score_N = score_N + self.first.to(score_N.dtype)[tags_NL[:, 0]]
        score_N = score_N + self.last.to(score_N.dtype)[tags_NL.gather(1, ends_N1)[:, 0]]
        return self._total(self._before(x_NLK, present_NL)[:, -1]) - score_N

    @torch.no_grad()
    def best(self, x_BTK: Tensor, layout: Layout | None = None) -> Tensor:
        """The likeliest sequence of tags for each document: `(B, T)` int64, 0 in padding.

        Source:
            Viterbi 1967.
        """
        layout = layout or _whole(x_BTK)
        x_NLK, present_NL = _apart(x_BTK, layout)
        transitions_IK = self._transitions(x_NLK)
        most_NK = x_NLK[:, 0] + self.first.to(x_NLK.dtype)
        stays_K = torch.arange(x_NLK.shape[2], device=x_NLK.device)
        came_from = []
        for step in range(1, x_NLK.shape[1]):
            reached_NK, from_NK = (most_NK[:, :, None] + transitions_IK).max(1)
            is_there_N1 = present_NL[:, step, None]
            most_NK = torch.where(is_there_N1, reached_NK + x_NLK[:, step], most_NK)
            came_from.append(torch.where(is_there_N1, from_NK, stays_K))
        tag_N1 = (most_NK + self.last.to(most_NK.dtype)).argmax(1, keepdim=True)
        tags = [tag_N1]
        for from_NK in reversed(came_from):
            tag_N1 = from_NK.gather(1, tag_N1)
            tags.append(tag_N1)
        tags_NL = torch.cat(tags[::-1], 1)
        return layout.together(tags_NL[..., None])[..., 0]

    def _transitions(self, like: Tensor) -> Tensor:
        return self.transitions.to(like.dtype)

    def _before(self, x_NLK: Tensor, present_NL: Tensor) -> Tensor:
        """For each position and tag, the sum over all that may come before: `(N, L, K)`.

        Behind the end of a document its last value stays.
        """
        transitions_IK = self._transitions(x_NLK)
        sums_NK = x_NLK[:, 0] + self.first.to(x_NLK.dtype)
        sums = [sums_NK]
        for step in range(1, x_NLK.shape[1]):
            reached_NK = (sums_NK[:, :, None] + transitions_IK).logsumexp(1) + x_NLK[:, step]
            sums_NK = torch.where(present_NL[:, step, None], reached_NK, sums_NK)
            sums.append(sums_NK)
        return torch.stack(sums, 1)

    def _after(self, x_NLK: Tensor, present_NL: Tensor) -> Tensor:
        """For each position and tag, the sum over all that may come after it: `(N, L, K)`."""
        transitions_IK = self._transitions(x_NLK)
        sums_NK = self.last.to(x_NLK.dtype).expand(x_NLK.shape[0], -1)
        sums = [sums_NK]
        for step in range(x_NLK.shape[1] - 1, 0, -1):
            from_N1K = (sums_NK + x_NLK[:, step])[:, None, :]
            reached_NK = (transitions_IK + from_N1K).logsumexp(2)
            sums_NK = torch.where(present_NL[:, step, None], reached_NK, sums_NK)
            sums.append(sums_NK)
        return torch.stack(sums[::-1], 1)

    def _total(self, before_NK: Tensor) -> Tensor:
        """The logarithm of the sum over all sequences of tags: `(N,)`."""
        return (before_NK + self.last.to(before_NK.dtype)).logsumexp(1)


def _whole(x_BTK: Tensor) -> Layout:
    rows, time = x_BTK.shape[:2]
    return Layout.padded([time] * rows).to(x_BTK.device)


def _apart(x_BTK: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Scores in float32 at least, one document a row, and where there are any."""
    x_NLK = layout.documents_apart(x_BTK.to(torch.promote_types(x_BTK.dtype, torch.float32)))
    return x_NLK, layout.present_NL
