"""Masking: how many tokens, which, what stands in their place, and that it can be drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_texts import MASK, VOCAB, rows

from luthier.tasks.masking import Masking, masked


def masking(**given: Any) -> Masking:
    usual: dict[str, Any] = {"rate": 0.15, "whole_words": False, "mask": MASK}
    return Masking(**usual | {"specials": frozenset({0, MASK, 5}), "vocab": VOCAB} | given)


def wide(count: int, time: int = 40, **changed: Any) -> Any:
    generator = np.random.default_rng(8)
    tokens = generator.integers(3, VOCAB, (count, time))
    goes_on = (generator.random((count, time)) < 0.4).astype(np.int64)
    samples = rows(range(count))
    given = {
        "tokens_BS": torch.from_numpy(tokens),
        "documents_BS": None,
        "words_BS": torch.from_numpy(goes_on),
    }
    return type(samples)(**{**vars(samples), **given, **changed})


def test_the_share_that_is_masked() -> None:
    samples = wide(2000)
    read, chosen = masked(samples, masking())
    tokens = samples.tokens_BS
    may_be = (tokens != 5).sum(1)
    assert torch.equal(chosen.sum(1), (0.15 * may_be.double()).round().long())
    assert not chosen[tokens == 5].any()
    assert torch.equal(read[~chosen], tokens[~chosen])
    hidden = (read == MASK)[chosen].double().mean()
    kept = (read == tokens)[chosen].double().mean()
    assert hidden.item() == pytest.approx(0.8, abs=0.015)
    assert kept.item() == pytest.approx(0.1 + 0.1 / 20, abs=0.012)
    drawn = read[chosen & (read != MASK) & (read != tokens)]
    assert set(drawn.tolist()) == set(range(VOCAB)) - {0, MASK, 5}  # 2 too, which no text has
    assert drawn.bincount()[6:].double().std() < 0.35 * drawn.bincount()[6:].double().mean()


def test_whole_words_are_masked_together() -> None:
    samples = wide(3000)
    _, chosen = masked(samples, masking(whole_words=True, specials=frozenset({0, MASK})))
    goes_on = samples.words_BS[:, 1:] == 1
    assert torch.equal(chosen[:, 1:][goes_on], chosen[:, :-1][goes_on])
    assert chosen.double().mean().item() == pytest.approx(0.15, abs=0.008)
    _, apart = masked(samples, masking(specials=frozenset({0, MASK})))
    assert not torch.equal(apart[:, 1:][goes_on], apart[:, :-1][goes_on])  # the twin


def test_masks_are_a_function_of_seed_epoch_and_row() -> None:
    whole = masked(wide(6), masking())
    part = wide(6)
    part = type(part)(**{
        **vars(part),
        **{name: getattr(part, name)[2:4] for name in ("tokens_BS", "words_BS", "ids")},
    })  # fmt: skip
    for left, right in zip(masked(part, masking()), whole, strict=True):
        assert torch.equal(left, right[2:4])
    for change in ({"seed": 4}, {"epoch": 2}, {"ids": torch.arange(6) + 1}):
        assert not torch.equal(masked(wide(6, **change), masking())[1], whole[1])


@given(st.integers(1, 30), st.floats(0.01, 0.99), st.booleans())
def test_a_row_has_always_one(time: int, rate: float, whole_words: bool) -> None:
    settings = masking(rate=rate, whole_words=whole_words, specials=frozenset({0, MASK}))
    _, chosen = masked(wide(3, time=time), settings)
    assert (chosen.sum(1) >= 1).all()


def test_padding_and_empty_rows_are_never_masked() -> None:
    samples = rows([1, 3], ahead=0)
    _, chosen = masked(samples, masking(rate=0.9))
    assert samples.documents_BS is not None
    assert not chosen[samples.documents_BS < 0].any()
    every = masking(specials=frozenset(range(VOCAB - 1)))
    assert not masked(rows([1], ahead=0), every)[1].any()
