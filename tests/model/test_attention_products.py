"""Attention by whole products, against torch's own, in float64; and where it is chosen."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.model import attention_products
from luthier.model.attend import Sight, attend
from luthier.model.attention_products import BLOCK, MOST_KEYS, attend_by_products, suits

ROWS, HEADS, KV_HEADS, WIDTH = 2, 4, 2, 8
CASES = {
    "one block": (40, 40, True, None),
    "a block and a bit": (BLOCK + 1, BLOCK + 1, True, None),
    "three blocks": (2 * BLOCK + 60, 2 * BLOCK + 60, True, None),
    "both ways": (150, 150, False, None),
    "hidden keys": (70, 70, False, "keys"),
    "other keys": (33, 90, False, "keys"),
    "bias": (70, 70, False, "bias"),
}


def drawn(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def given(time: int, keys: int, kv_heads: int = KV_HEADS) -> list[Tensor]:
    """Queries, keys and values as the layers give them: heads behind positions in memory."""
    shapes = ((time, HEADS), (keys, kv_heads), (keys, kv_heads))
    return [
        drawn(ROWS, *shape, WIDTH, seed=seed).transpose(1, 2).requires_grad_()
        for seed, shape in enumerate(shapes)
    ]


def mask_of(kind: str | None, time: int, keys: int) -> Tensor | None:
    if kind == "keys":
        mask = torch.ones(ROWS, 1, 1, keys, dtype=torch.bool)
        mask[0, ..., 20:] = False
        return mask
    return drawn(1, HEADS, time, keys, seed=9) if kind == "bias" else None


def with_gradients(y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    return [y.detach(), *torch.autograd.grad((y * drawn(*y.shape, seed=5)).sum(), inputs)]


def worst(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name: str, scale: float | None) -> None:
    time, keys, causal, kind = CASES[name]
    inputs, mask = given(time, keys), mask_of(kind, time, keys)
    ours = attend_by_products(*inputs, mask, scale=scale, causal=causal)
    theirs = F.scaled_dot_product_attention(
        *inputs, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=True
    )
    found, wanted = with_gradients(ours, inputs), with_gradients(theirs, inputs)
    assert worst(found, wanted) < 1e-12


def test_a_mask_that_hides_too_little_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    time, keys, causal, _ = CASES["three blocks"]
    inputs = given(time, keys)
    wanted = F.scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=True)

    def late(time: int, like: Tensor) -> Tensor:
        return torch.full((time, time), -math.inf, dtype=like.dtype).triu_(2)

    monkeypatch.setattr(attention_products, "_ahead", late)
    broken = attend_by_products(*inputs, None, scale=None, causal=causal)
    found = with_gradients(broken, inputs), with_gradients(wanted, inputs)
    assert worst(*found) > 1e-2


def test_the_heads_lie_behind_the_positions_as_the_layer_after_it_reads_them() -> None:
    y_BHTE = attend_by_products(*given(50, 50), None, scale=None, causal=True)
    assert y_BHTE.transpose(1, 2).is_contiguous()


def test_in_bfloat16_it_is_as_exact_as_bfloat16_is() -> None:
    exact = [x.detach().bfloat16().double().requires_grad_() for x in given(200, 200)]
    rounded = [x.detach().bfloat16().requires_grad_() for x in exact]
    assert suits(*rounded[:2], None, causal=True, dropout=0.0)
    wanted = attend(*exact, Sight(causal=True))
    found = attend(*rounded, Sight(causal=True))
    gradient = drawn(*wanted.shape, seed=5).bfloat16()
    ours = [found, *torch.autograd.grad(found, rounded, gradient)]
    theirs = [wanted, *torch.autograd.grad(wanted, exact, gradient.double())]
    for a, b in zip(ours, theirs, strict=True):
        assert (a.double() - b).norm() < 2**-7 * b.norm()


@pytest.mark.parametrize("name", ["three blocks", "hidden keys"])
def test_with_dropout_it_is_the_formula(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    time, keys, causal, kind = CASES[name]
    inputs, mask = given(time, keys), mask_of(kind, time, keys)
    q, k, v = (x.repeat_interleave(HEADS // x.shape[1], 1) for x in inputs)
    scores = q @ k.transpose(2, 3) * WIDTH**-0.5
    if causal:
        mask = torch.ones(time, keys, dtype=torch.bool).tril()
    assert mask is not None
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    chosen = (drawn(ROWS, HEADS, time, keys, seed=7) > 0).double()
    starts = iter(range(0, time, BLOCK))

    def known(shape: torch.Size, rate: float, dtype: torch.dtype) -> Tensor:
        start = next(starts)
        part = chosen[:, :, start : start + BLOCK] if causal else chosen
        return part[..., : shape[-1]].reshape(shape)

    monkeypatch.setattr(attention_products, "kept", known)
    ours = attend_by_products(
        *inputs, None if causal else mask, scale=None, causal=causal, dropout=0.2
    )
    found = with_gradients(ours, inputs)
    not_raised = (weights * chosen) @ v
    assert (not_raised - found[0]).abs().max() > 1e-2
    assert worst(found, with_gradients(not_raised / 0.8, inputs)) < 1e-12


@pytest.mark.parametrize(
    ("dtype", "time", "keys", "causal", "dropout", "chosen"),
    [
        (torch.bfloat16, 128, 128, True, 0.0, True),
        (torch.bfloat16, 128, 128, False, 0.0, True),
        (torch.bfloat16, 128, MOST_KEYS + 1, True, 0.0, False),
        (torch.bfloat16, 128, MOST_KEYS // 2 + 1, False, 0.0, False),
        (torch.bfloat16, 1, 64, False, 0.0, False),
        (torch.float32, 128, 128, True, 0.0, False),
        (torch.float32, 1, 64, True, 0.1, True),
    ],
)
def test_it_is_chosen_where_it_is_faster(
    dtype: torch.dtype, time: int, keys: int, causal: bool, dropout: float, chosen: bool
) -> None:
    q = torch.empty(1, 2, time, 8, dtype=dtype, requires_grad=True)
    k = torch.empty(1, 2, keys, 8, dtype=dtype)
    how = {"causal": causal, "dropout": dropout}
    assert suits(q, k, None, **how) is chosen
    assert not suits(q.to("meta"), k.to("meta"), None, **how)
    learned = torch.zeros(1, 1, time, keys, dtype=dtype, requires_grad=True)
    assert not suits(q, k, learned, **how)
    with torch.no_grad():
        assert suits(q, k, None, **how) is bool(dropout)


def test_what_it_keeps_is_let_go_where_nothing_is_learned() -> None:
    inputs = [x.detach() for x in given(50, 50)]
    with torch.no_grad():
        y = attend_by_products(*inputs, None, scale=None, causal=True)
    assert y.grad_fn is None
