"""Rows: each token is a target once, whatever else happens.

Dimension key, for the whole file:
    B  rows of a batch      S  tokens of a row
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.row_layout import RowForm
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.samples import PADDING, RowSamples
from luthier.data.text.rows.stream import TokenStream
from luthier.errors import DataError

END = 0
NO_FRAME = Framing(None, None, each_segment=False)
MASKED = Framing(7, 8, each_segment=True)
LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=12)


def stream_of(lengths: list[int]) -> TokenStream:
    """Documents whose tokens all differ: so that each can be found again. The first and the last
    token of each stand for no bytes, as the end tokens around it."""
    total = sum(lengths)
    starts = np.cumsum([0, *lengths])
    bytes_of = 1 + np.arange(total, dtype=np.uint16) % 4
    bytes_of[starts[:-1]] = 0
    bytes_of[starts[1:] - 1] = 0
    return TokenStream(
        tokens=np.arange(100, 100 + total, dtype=np.uint16),
        bytes=bytes_of,
        words=(np.arange(total) % 3 > 0).astype(np.uint8),
        starts=starts,
    )


def form(context: int = 8, ahead: int = 1, framing: Framing = NO_FRAME, packing: bool = True):
    return RowForm(context=context, ahead=ahead, framing=framing, packing=packing, vocab=9999)


def rows_of(stream: TokenStream, how: RowForm, **settings: object) -> RowExamples:
    settings = {"seed": 3, "random": False, **settings}
    return RowExamples(stream, "train", how, **settings)  # type: ignore[arg-type]


def everything(rows: RowExamples, epoch: int = 0) -> RowSamples:
    return rows.read(np.arange(len(rows)), epoch)


def same_document(samples: RowSamples) -> torch.Tensor:
    """`(B, S - 1)`, whether a position and the next are of one document."""
    if samples.documents_BS is None:
        return torch.ones_like(samples.tokens_BS[:, 1:], dtype=torch.bool)
    inside = samples.documents_BS[:, 1:] != PADDING
    return inside & (samples.documents_BS[:, 1:] == samples.documents_BS[:, :-1])


def next_tokens(samples: RowSamples) -> Counter[tuple[int, int]]:
    """How often each token is predicted from the one before it."""
    here = same_document(samples)
    pairs = torch.stack([samples.tokens_BS[:, :-1][here], samples.tokens_BS[:, 1:][here]], dim=1)
    return Counter(map(tuple, pairs.tolist()))


def wanted_pairs(stream: TokenStream) -> Counter[tuple[int, int]]:
    tokens = stream.tokens.tolist()
    return Counter(
        (tokens[place - 1], tokens[place])
        for start, stop in zip(stream.starts[:-1], stream.starts[1:], strict=True)
        for place in range(start + 1, stop)
    )


@given(LENGTHS, st.integers(1, 20), st.booleans())
def test_each_token_is_predicted_once_and_all_bytes_count(
    lengths: list[int], context: int, packing: bool
) -> None:
    stream = stream_of(lengths)
    samples = everything(rows_of(stream, form(context, packing=packing)))
    assert next_tokens(samples) == wanted_pairs(stream)
    counted = samples.bytes_BS[:, 1:][same_document(samples)].sum()
    assert counted == stream.bytes.sum(dtype=np.int64)


def test_rows_that_do_not_overlap_are_caught() -> None:
    stream = stream_of([40])
    broken = replace(form(), ahead=0)  # windows of the context alone
    assert next_tokens(everything(rows_of(stream, broken))) != wanted_pairs(stream)


def test_boundaries_that_are_forgotten_are_caught() -> None:
    stream = stream_of([4, 5, 3])
    samples = everything(rows_of(stream, form(context=20)))
    assert next_tokens(samples) == wanted_pairs(stream)
    forgotten = replace(samples, documents_BS=torch.zeros_like(samples.tokens_BS))
    assert next_tokens(forgotten) != wanted_pairs(stream)


@given(LENGTHS, st.integers(3, 20), st.booleans())
def test_each_token_is_there_once_between_first_and_separator(
    lengths: list[int], context: int, packing: bool
) -> None:
    stream = stream_of(lengths)
    samples = everything(rows_of(stream, form(context, 0, MASKED, packing)))
    documents_BS = samples.documents_BS
    if documents_BS is None:
        documents_BS = torch.zeros_like(samples.tokens_BS)
    found = []
    for tokens, documents in zip(samples.tokens_BS, documents_BS, strict=True):
        for number in range(int(documents.max()) + 1):
            first, *own, last = tokens[documents == number].tolist()
            assert (first, last) == (7, 8)
            found += own
    assert sorted(found) == stream.tokens.tolist()
    framed = (samples.tokens_BS == 7) | (samples.tokens_BS == 8)
    assert not samples.bytes_BS[framed].any()
    assert samples.bytes_BS.sum() == stream.bytes.sum(dtype=np.int64)


def test_documents_are_numbered_from_0_and_padding_comes_last() -> None:
    samples = everything(rows_of(stream_of([5, 3, 4]), form(context=9)))
    assert samples.documents_BS is not None
    assert samples.documents_BS.tolist() == [
        [0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, PADDING, PADDING, PADDING, PADDING, PADDING, PADDING],
    ]


def test_whole_windows_of_one_document_need_no_boundaries() -> None:
    rows = rows_of(stream_of([25]), form(context=8))
    assert len(rows) == 3
    assert everything(rows).documents_BS is None
    longer = everything(rows_of(stream_of([27]), form(context=8)))
    assert longer.documents_BS is not None
    assert (longer.documents_BS[-1] == PADDING).sum() == 6


def test_without_packing_rows_are_as_long_as_the_longest_of_them() -> None:
    rows = rows_of(stream_of([3, 5, 4]), form(context=16, packing=False))
    assert everything(rows).tokens_BS.shape == (3, 5)
    assert rows.read(np.array([0]), 0).tokens_BS.shape == (1, 3)
    assert rows_of(stream_of([3, 5, 4]), form(context=16)).read(
        np.array([0]), 0
    ).tokens_BS.shape == (
        1,
        12,
    )


def long_rows(seed: int = 3, context: int = 4) -> RowExamples:
    """Rows of two documents that are long enough to be shifted, and of a short one."""
    return rows_of(stream_of([100, 9, 70]), form(context), seed=seed, random=True)


def test_windows_of_long_documents_shift_from_epoch_to_epoch() -> None:
    rows = long_rows()
    epochs = [everything(rows, epoch).tokens_BS for epoch in range(20)]
    assert len({tuple(tokens[0].tolist()) for tokens in epochs}) == 4, "every place"
    assert torch.equal(everything(long_rows(), 5).tokens_BS, epochs[5])
    assert not torch.equal(everything(long_rows(seed=4), 5).tokens_BS, epochs[5])
    targets = {int(token) for tokens in epochs for token in tokens[:, 1:].flatten()}
    assert targets >= set(range(101, 200)) | set(range(210, 279)), "each token has its turn"


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=9), st.integers(0, 5))
def test_a_row_depends_on_seed_epoch_and_number_alone(numbers: list[int], epoch: int) -> None:
    rows = long_rows()
    ids = np.array(numbers) % len(rows)
    whole = everything(rows, epoch)
    some = rows.read(ids, epoch)
    assert torch.equal(some.tokens_BS, whole.tokens_BS[torch.from_numpy(ids)])
    assert torch.equal(some.bytes_BS, whole.bytes_BS[torch.from_numpy(ids)])
    assert some.ids.tolist() == ids.tolist()
    assert (some.seed, some.epoch) == (3, epoch)


def test_no_window_of_an_epoch_overlaps_another_or_leaves_its_document() -> None:
    rows = long_rows()
    for epoch in range(8):
        pairs = next_tokens(everything(rows, epoch))
        assert max(pairs.values()) == 1
        assert pairs.keys() <= wanted_pairs(stream_of([100, 9, 70])).keys()


def test_plain_rows_are_the_same_in_each_epoch_and_for_each_seed() -> None:
    plain = long_rows().plain()
    assert next_tokens(everything(plain)) == wanted_pairs(stream_of([100, 9, 70]))
    assert torch.equal(everything(plain, 1).tokens_BS, everything(plain, 2).tokens_BS)
    assert torch.equal(everything(plain).tokens_BS, everything(long_rows(4).plain()).tokens_BS)
    assert (everything(plain, 2).seed, everything(plain, 2).epoch) == (0, 0)
    assert plain.plain() is plain


def test_a_segment_begins_no_word_in_the_middle() -> None:
    samples = everything(rows_of(stream_of([20]), form(context=4, ahead=0)))
    assert samples.words_BS is not None
    assert not samples.words_BS[:, 0].any()
    assert samples.words_BS[1].tolist() == [0, 1, 0, 1]
    framed = everything(rows_of(stream_of([4]), form(context=9, ahead=0, framing=MASKED)))
    assert framed.words_BS is not None
    assert framed.words_BS.tolist() == [[0, 0, 1, 1, 0, 0]]


def test_what_rows_tell_of_themselves() -> None:
    rows = rows_of(stream_of([5, 3, 4]), form(context=9))
    assert rows.name(1) == "train[1]"
    assert rows.signal.shape == (9,)
    assert rows.signal.vocab == 9999
    assert rows.at_once == 2**14 // 10
    assert rows.fill == pytest.approx(12 / 20)


def test_a_context_that_holds_nothing_but_the_frame() -> None:
    with pytest.raises(DataError, match=r"data.context: got 2; .* wanted at least 3"):
        rows_of(stream_of([5]), form(context=2, ahead=0, framing=MASKED))
