"""Which tokens of a row are masked, and what stands in their place.

Dimension key, for the whole file:
    B  rows      S  tokens of a row      G  groups of tokens that are masked together: words
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.randomness import uniforms
from luthier.data.text.rows.samples import PADDING, RowSamples

MASKED, RANDOM = 0.8, 0.1
"""What becomes of a chosen token: the mask, any token, else it stays."""
STREAM = "mask"


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How tokens are chosen.

    Attributes:
        rate: The share of the tokens of a row.
        whole_words: Whether all tokens of a word are chosen together.
        mask: The token that stands for a hidden one.
        specials: Tokens that are never chosen, and never put in another's place.
        vocab: Tokens in all.
    """

    rate: float
    whole_words: bool
    mask: int
    specials: frozenset[int]
    vocab: int


def masked(samples: RowSamples, masking: Masking) -> tuple[Tensor, Tensor]:
    """The rows with some of their tokens hidden.

    In each row `rate` of the tokens are chosen, rounded, and one at least; whole words until as
    many tokens are, give or take half a word. Of the chosen ones, 80 % become the mask, 10 % any
    token, 10 % stay as they are. It depends on the samples' seed, their epoch and the rows' ids
    alone.

    Args:
        samples: Rows; with `words_BS` where words are chosen whole.
        masking: How.

    Returns:
        `(B, S)` tokens as the network reads them, and whether each was chosen.

    Source:
        Devlin et al. 2019, section 3.1, 1810.04805. Whole words: the authors' code, 2019-05-31.
    """
    tokens = samples.tokens_BS.numpy()
    ids = samples.ids.numpy().astype(np.int64)
    time = tokens.shape[1]
    drawn = uniforms(samples.seed, samples.epoch, ids, STREAM, 3 * time).reshape(-1, 3, time)
    may_be = _may_be(samples, masking)
    chosen = np.zeros(tokens.shape, dtype=bool)
    for row in range(len(tokens)):
        places = np.flatnonzero(may_be[row])
        groups = np.arange(len(places))
        if masking.whole_words and len(places):
            assert samples.words_BS is not None, "rows that do not tell their words"
            groups = _words(places, samples.words_BS[row].numpy())
        chosen[row, places] = _chosen(groups, drawn[row, 0, places], masking.rate)
    fate = drawn[:, 1]
    read = np.where(chosen & (fate < MASKED), masking.mask, tokens)
    anything = chosen & (fate >= MASKED) & (fate < MASKED + RANDOM)
    read[anything] = _any_token(drawn[:, 2][anything], masking)
    return torch.from_numpy(read), torch.from_numpy(chosen)


def _may_be(samples: RowSamples, masking: Masking) -> NDArray[np.bool_]:
    """`(B, S)`: tokens of the text, not padding, nor special ones."""
    special = np.isin(samples.tokens_BS.numpy(), np.array(sorted(masking.specials)))
    if samples.documents_BS is None:
        return ~special
    return np.asarray(~special & (samples.documents_BS.numpy() != PADDING))


def _words(places: NDArray[np.int64], goes_on: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the word of each place, from 0. What is apart is no word."""
    apart = np.diff(places, prepend=places[0] - 2) != 1
    return np.cumsum(apart | (goes_on[places] == 0)) - 1


def _chosen(
    groups: NDArray[np.int64], drawn: NDArray[np.float64], rate: float
) -> NDArray[np.bool_]:
    """Whether each token is chosen: groups in a random order, until as many tokens are.

    Args:
        groups: The group of each token, from 0, rising.
        drawn: A random number for each; that of its first token is a group's.
        rate: The share of tokens.
    """
    if not len(groups):
        return np.zeros(0, dtype=bool)
    _, firsts, sizes = np.unique(groups, return_index=True, return_counts=True)
    order = np.argsort(drawn[firsts], kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]
    wanted = max(1, round(rate * len(groups)))
    # A group is taken if more than half of it is still wanted: on average, none too many.
    taken = before + sizes[order] / 2 <= wanted
    taken[0] = True
    is_taken = np.zeros(len(firsts), dtype=bool)
    is_taken[order[taken]] = True
    return is_taken[groups]


def _any_token(drawn: NDArray[np.float64], masking: Masking) -> NDArray[np.int64]:
    """Any token but the special ones, each as likely as the others."""
    specials = np.array(sorted(masking.specials), dtype=np.int64)
    number = (drawn * (masking.vocab - len(specials))).astype(np.int64)
    for special in specials.tolist():  # ascending: each lies below all that it pushes up
        number += number >= special
    return number
