"""Beam search: the likeliest texts that a decoder writes of sources, several at a time.

Dimension key, for the whole file:
    N  sources      K  beams: texts that are written of a source side by side
    B  rows: N * K, the beams of a source next to each other      T  tokens      V  vocab
    C  candidates: texts with one more token, the best 2 K of each source
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from luthier.model.blueprint import Network
from luthier.model.stream import Source, State
from luthier.tasks.forward import in_float32

KEPT_WHOLE = 0.75
"""While a larger share of the sources is not done, the others go on beside them: to pick rows
costs."""
Candidates = tuple[Tensor, Tensor, Tensor]
"""Of texts with one more token: the logarithm of the probability, the beam, the token."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How texts are searched for.

    Attributes:
        beams: Texts of a source that are written side by side; 1 is greedy.
        length_penalty: The logarithm of a text's probability is divided by its length to the
            power of this: above 0, longer texts lose less.
        most: The most tokens of a text, its end included.
        opening: The token that each begins with.
        end: The token that ends one.
        forced: The first tokens of each, whatever the network says.
        suppressed: Tokens that are never written.
        suppressed_first: Those that are not written first, behind what is forced.
    """

    beams: int
    length_penalty: float
    most: int
    opening: int
    end: int
    forced: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()


@dataclass(frozen=True)
class Found:
    """A text that was found."""

    tokens: tuple[int, ...]
    """Without the opening and the end."""
    score: float
    """What it was chosen by: `log_p / length ** length_penalty`."""
    log_p: float
    """The logarithm of its probability."""
    ended: bool
    """Whether its end was written; else it was cut off."""


@dataclass
class _Searched:
    """A source while texts are written of it."""

    found: list[Found] = field(default_factory=list)
    done: bool = False

    def add(self, tokens: Sequence[int], log_p: float, length: int, search: Search) -> None:
        """One more text.

        Args:
            tokens: Without the end.
            log_p: Of the text.
            length: Its tokens, with the end where it has one.
            search: How it is judged.
        """
        score = log_p / length**search.length_penalty
        self.found.append(Found(tuple(tokens), score, log_p, ended=length > len(tokens)))

    def settle(self, best: float, length: int, search: Search) -> None:
        """Sees whether it is done.

        Args:
            best: The logarithm of the probability of the best text that has not ended.
            length: Its tokens.
            search: How texts are judged.
        """
        full = len(self.found) >= search.beams
        # Probabilities only fall, and none is divided by more than that of the longest text.
        most = best / search.most**search.length_penalty
        ahead = bool(self.found) and max(found.score for found in self.found) >= most
        self.done = self.done or full or ahead or length == search.most


def beam_search(network: Network, source: Source, search: Search) -> list[list[Found]]:
    """The best texts of each source, the best first; at most `beams` of each.

    Of all texts with one more token, the best that have not ended are gone on with; one that ends
    is taken if it is among the best K. A source is done when K of its texts have ended, or none
    that could still come would be better. What is written of one source hangs on no other.

    Args:
        network: With an encoder, in evaluation mode.
        source: What the encoder gave.
        search: How.

    Cost:
        A pass over the decoder for each token, with N * K rows; what is remembered of a source is
        kept once.

    Source:
        Length penalty: Wu et al. 2016 (1609.08144), section 7, with the plain power of the length
        that fairseq and Hugging Face have.
    """
    beams, count = search.beams, source.count
    prefix = torch.tensor([search.opening, *search.forced], device=source.x_BSD.device)
    state = State(capacity=len(prefix) + search.most)
    h, state = network.remember(prefix.expand(count, -1), state, source)
    scores_BV = network.head(h[:, -1:])[:, -1].repeat_interleave(beams, 0)
    state = state.spread(beams)
    searched = [_Searched() for _ in range(count)]
    running = searched
    log_p_NK = in_float32(scores_BV).new_full((count, beams), -math.inf)
    log_p_NK[:, 0] = 0.0
    tokens_NKT = prefix[1:].expand(count, beams, -1)
    for length in range(1 + len(search.forced), search.most + 1):
        never = search.suppressed
        if length == 1 + len(search.forced):
            never += search.suppressed_first
        candidates = _candidates(scores_BV, log_p_NK, never)
        _take_ended(running, candidates, tokens_NKT, search, length)
        log_p_NK, parent_NK, token_NK = _going_on(candidates, beams, search.end)
        parents = parent_NK[..., None].expand(-1, -1, tokens_NKT.shape[2])
        tokens_NKT = torch.cat([tokens_NKT.gather(1, parents), token_NK[..., None]], 2)
        if length == search.most:
            _cut_off(running, log_p_NK, tokens_NKT, search)
        for one, best in zip(running, log_p_NK[:, 0].tolist(), strict=True):
            one.settle(best, length, search)
        left = [n for n, one in enumerate(running) if not one.done]
        if not left:
            break
        if len(left) > KEPT_WHOLE * len(running):
            left = list(range(len(running)))
        rows = _rows_of(parent_NK, left)
        if len(left) < len(running):
            log_p_NK, tokens_NKT = log_p_NK[left], tokens_NKT[left]
        if len(left) < len(running) or rows != list(range(len(rows))):
            state = state.of_rows(rows)
        running = [running[n] for n in left]
        h, state = network.remember(tokens_NKT[:, :, -1].reshape(-1, 1), state)
        scores_BV = network.head(h)[:, -1]
    return [sorted(one.found, key=lambda found: -found.score)[:beams] for one in searched]


def _candidates(scores_BV: Tensor, log_p_NK: Tensor, never: Sequence[int] = ()) -> Candidates:
    """The best texts with one more token of each source, the best first.

    A token that is never written keeps its probability, as in Whisper: the others get none of it.
    """
    scores_BV = in_float32(scores_BV)
    count, beams = log_p_NK.shape
    whole_B1 = scores_BV.logsumexp(-1, keepdim=True)
    if never:
        away = torch.tensor(never, device=scores_BV.device)
        scores_BV = scores_BV.index_fill(1, away, -math.inf)
    best_BC, token_BC = scores_BV.topk(min(2 * beams, scores_BV.shape[1]), -1)
    own_BC = best_BC - whole_B1
    each = own_BC.shape[1]
    all_NC = (log_p_NK.flatten()[:, None] + own_BC).view(count, -1)
    log_p_NC, place_NC = all_NC.topk(min(2 * beams, all_NC.shape[1]), -1)
    return log_p_NC, place_NC // each, token_BC.view(count, -1).gather(1, place_NC)


def _take_ended(
    running: Sequence[_Searched],
    candidates: Candidates,
    tokens_NKT: Tensor,
    search: Search,
    length: int,
) -> None:
    """Takes the texts that end and are among the best."""
    log_p_NK, parent_NK, token_NK = (x[:, : search.beams] for x in candidates)
    ended = (token_NK == search.end) & (log_p_NK > -math.inf)
    for n, k in ended.nonzero().tolist():
        if not running[n].done and len(running[n].found) < search.beams:
            tokens = tokens_NKT[n, int(parent_NK[n, k])].tolist()
            running[n].add(tokens, float(log_p_NK[n, k]), length, search)


def _going_on(candidates: Candidates, beams: int, end: int) -> Candidates:
    """The best that have not ended."""
    ended_NC = (candidates[2] == end).int()
    order_NK = ended_NC.argsort(dim=1, stable=True)[:, :beams]
    log_p_NK, parent_NK, token_NK = (x.gather(1, order_NK) for x in candidates)
    # Where fewer have not ended than there are beams, the others are none.
    return log_p_NK.masked_fill(token_NK == end, -math.inf), parent_NK, token_NK


def _cut_off(
    running: Sequence[_Searched], log_p_NK: Tensor, tokens_NKT: Tensor, search: Search
) -> None:
    """Takes the texts that are as long as may be, with no end."""
    for n, one in enumerate(running):
        for log_p, tokens in zip(log_p_NK[n].tolist(), tokens_NKT[n].tolist(), strict=True):
            if not one.done and log_p > -math.inf:
                one.add(tokens, log_p, search.most, search)


def _rows_of(parent_NK: Tensor, left: Sequence[int]) -> list[int]:
    """The rows that the texts of some sources go on from."""
    beams = parent_NK.shape[1]
    parents = parent_NK.tolist()
    return [n * beams + parent for n in left for parent in parents[n]]
