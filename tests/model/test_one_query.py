"""Attention of one query by the kernel's own name: what attention is, whatever autocast says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from luthier.model import one_query
from luthier.model.attend import Sight, attend
from luthier.model.cache import KeyValues

ROWS, HEADS, SHARED, KEYS, WIDTH = 2, 4, 2, 9, 3
CAUSAL = Sight(causal=True)
SIGHTS = {
    "all": CAUSAL,
    "scale": replace(CAUSAL, scale=2.0),
    "window": replace(CAUSAL, window=4),
    "other keys": Sight(causal=False),
}


def given(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(ROWS, heads, time, WIDTH, dtype=torch.float64, generator=generator).to(dtype)
        for heads, time in ((HEADS, 1), (SHARED, KEYS), (SHARED, KEYS))
    ]


def more(names: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    hidden = torch.zeros(ROWS, KEYS, dtype=torch.bool)
    hidden[1, :3] = True
    bias = torch.randn(HEADS, 2 * KEYS + 3, dtype=torch.float64, generator=generator)
    found = {"hidden_BS": hidden, "bias_HR": bias}
    return {name: tensor for name, tensor in found.items() if name in names}


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("names", ["", "hidden_BS", "bias_HR", "hidden_BS bias_HR"])
def test_it_is_the_attention_that_learns(sight: str, names: str) -> None:
    q, k, v = given()
    assert not one_query.suits(q, k, 0.0), "where a gradient may be wanted"
    right = attend(q, k, v, SIGHTS[sight], **more(names))  # type: ignore[arg-type]
    with torch.no_grad():
        assert one_query.suits(q, k, 0.0)
        found = attend(q, k, v, SIGHTS[sight], **more(names))  # type: ignore[arg-type]
    torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-10)


def test_a_mask_that_is_lost_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = given()
    right = attend(q, k, v, CAUSAL, **more("hidden_BS"))  # type: ignore[arg-type]
    real = one_query._KERNEL
    monkeypatch.setattr(
        one_query, "_KERNEL", lambda *rest, attn_mask, scale: real(*rest, scale=scale)
    )
    with torch.no_grad():
        wrong = attend(q, k, v, CAUSAL, **more("hidden_BS"))  # type: ignore[arg-type]
    assert not torch.allclose(wrong[1], right[1], atol=1e-3)


def test_autocast_does_not_round_what_is_remembered() -> None:
    q, k, v = given(torch.float32)
    with torch.no_grad():
        right = attend(q, k, v, CAUSAL)
        with torch.autocast("cpu", torch.bfloat16):
            found = attend(q, k, v, CAUSAL)
    assert torch.equal(found, right)


def test_keys_are_remembered_in_float32_at_least() -> None:
    for given_type, kept in (
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        k = torch.ones(ROWS, SHARED, 2, WIDTH, dtype=given_type)
        memory = KeyValues.for_rows_like(k, capacity=5)
        assert memory.keys_BKCE.dtype == memory.values_BKCE.dtype == kept
        first, _ = memory.read_on(k, k, 0)
        assert first is k  # in its own type, for many positions at once
        keys, values = memory.read_on(k, 2 * k, 2)
        assert keys.shape == (ROWS, SHARED, 4, WIDTH)
        assert keys.dtype == kept
        assert bool((values[:, :, 2:] == 2).all())
        assert bool((values[:, :, :2] == 1).all())
