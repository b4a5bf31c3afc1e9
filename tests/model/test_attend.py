"""The products of attention, against a reference that takes one query after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from luthier.model.attend import Sight, attend
from luthier.model.layout import PADDING, Layout

ROWS, HEADS, KV_HEADS, WIDTH = 2, 4, 2, 3
CAUSAL, BOTH = Sight(causal=True), Sight(causal=False)
CASES = {
    "causal": (CAUSAL, 9, 9, {}),
    "both ways": (BOTH, 9, 9, {}),
    "scale": (replace(CAUSAL, scale=2.0), 9, 9, {}),
    "softcap": (replace(CAUSAL, softcap=0.5), 9, 9, {}),
    "softcap both ways": (replace(BOTH, softcap=0.5, scale=3.0), 9, 9, {}),
    "window": (replace(CAUSAL, window=4), 9, 9, {}),
    "window both ways": (replace(BOTH, window=5), 7, 7, {}),
    "window of all": (replace(CAUSAL, window=9), 9, 9, {}),
    "window of itself": (replace(CAUSAL, window=1), 9, 9, {}),
    "window of itself both ways": (replace(BOTH, window=1), 9, 9, {}),
    "long row": (replace(CAUSAL, window=4), 23, 23, {}),
    "long row both ways": (replace(BOTH, window=7), 23, 23, {}),
    "long row with all": (replace(CAUSAL, window=5, softcap=1.0), 21, 21, {"bias", "hidden"}),
    "long row both ways with all": (replace(BOTH, window=5), 21, 21, {"bias", "hidden"}),
    "bias": (CAUSAL, 9, 9, {"bias"}),
    "bias both ways": (BOTH, 9, 9, {"bias"}),
    "bias and softcap": (replace(CAUSAL, softcap=0.5), 9, 9, {"bias"}),
    "earlier keys": (CAUSAL, 4, 9, {}),
    "earlier keys with all": (replace(CAUSAL, window=3), 4, 9, {"bias", "hidden"}),
    "padding": (CAUSAL, 9, 9, {"hidden"}),
    "padding both ways": (BOTH, 9, 9, {"hidden"}),
    "other keys": (BOTH, 4, 9, {"hidden"}),
    "one": (CAUSAL, 1, 9, {}),
    "one with all": (replace(CAUSAL, window=7, softcap=1.0), 1, 9, {"bias", "hidden"}),
    "one with a bias": (CAUSAL, 1, 9, {"bias"}),
    "one of other keys": (BOTH, 1, 9, {"hidden"}),
    "one at all": (CAUSAL, 1, 1, {"bias"}),
}
LAYOUTS = {
    "packed": Layout.packed((5, 1, 9, 8, 2)),
    "padded right": Layout.padded((5, 1, 9), "right"),
    "padded left": Layout.padded((5, 1, 9), "left"),
    "rows": Layout.rows_of(((4, 3), (9,), (2, 2, 2)), time=11),
    "full": Layout.padded((4, 4)),
}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def given(rows: int, time: int, keys: int, extra: set[str]) -> dict[str, Any]:
    tensors: dict[str, Any] = {
        "q_BHTE": drawn(rows, HEADS, time, WIDTH, seed=1).requires_grad_(),
        "k_BKSE": drawn(rows, KV_HEADS, keys, WIDTH, seed=2).requires_grad_(),
        "v_BKSE": drawn(rows, KV_HEADS, keys, WIDTH, seed=3).requires_grad_(),
    }
    if "bias" in extra:
        tensors["bias_HR"] = drawn(HEADS, 2 * keys + 3, seed=4).requires_grad_()
    if "hidden" in extra:
        hidden = torch.zeros(rows, keys, dtype=torch.bool)
        hidden[0, :3] = True
        tensors["hidden_BS"] = hidden
    return tensors


def plain(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    sight: Sight,
    bias_HR: Tensor | None = None,
    hidden_BS: Tensor | None = None,
    documents_BT: Tensor | None = None,
) -> Tensor:
    """One row, one head, one query after the other."""
    rows, heads, time, width = q_BHTE.shape
    keys, share = k_BKSE.shape[2], heads // k_BKSE.shape[1]
    y = torch.zeros_like(q_BHTE)
    for row in range(rows):
        for head in range(heads):
            k, v = k_BKSE[row, head // share], v_BKSE[row, head // share]
            for t in range(time):
                own = keys - time + t
                seen = [
                    s
                    for s in range(keys)
                    if sees(sight, own, s)
                    and (hidden_BS is None or not hidden_BS[row, s])
                    and (documents_BT is None or documents_BT[row, s] == documents_BT[row, own])
                ]
                in_padding = documents_BT is not None and documents_BT[row, own] == PADDING
                if in_padding or not seen:
                    continue
                scores = k[seen] @ q_BHTE[row, head, t]
                scores = scores * (width**-0.5 if sight.scale is None else sight.scale)
                if sight.softcap is not None:
                    scores = sight.softcap * (scores / sight.softcap).tanh()
                if bias_HR is not None:
                    middle = bias_HR.shape[1] // 2
                    scores = scores + torch.stack([bias_HR[head, middle + s - own] for s in seen])
                y[row, head, t] = scores.softmax(0) @ v[seen]
    return y


def sees(sight: Sight, own: int, s: int) -> bool:
    if sight.causal:
        return s <= own and (sight.window is None or own - s < sight.window)
    return sight.window is None or abs(own - s) <= sight.window // 2


def gradients(y: Tensor, tensors: dict[str, Any]) -> dict[str, Tensor]:
    wanted = [name for name, tensor in tensors.items() if tensor.requires_grad]
    found = torch.autograd.grad((y * y.detach().cos()).sum(), [tensors[name] for name in wanted])
    return dict(zip(wanted, found, strict=True))


def is_real(tensors: dict[str, Any]) -> Tensor:
    """Queries that do not stand on a hidden key."""
    time, keys = tensors["q_BHTE"].shape[2], tensors["k_BKSE"].shape[2]
    hidden = tensors.get("hidden_BS", torch.zeros(ROWS, keys, dtype=torch.bool))
    return ~hidden[:, keys - time :]


@pytest.mark.parametrize("name", CASES)
def test_each_way_is_the_plain_one(name: str) -> None:
    sight, time, keys, extra = CASES[name]
    tensors = given(ROWS, time, keys, set(extra))
    y = attend(**tensors, sight=sight)
    assert bool(torch.isfinite(y).all())
    real = is_real(tensors) if sight.causal or sight.window else torch.ones(ROWS, time) > 0
    real = real[:, None, :, None]
    want = plain(**{**tensors, "hidden_BS": tensors.get("hidden_BS")}, sight=sight)
    want = torch.where(real, want, 0)
    torch.testing.assert_close(torch.where(real, y, 0), want, rtol=1e-12, atol=1e-12)
    got = gradients(torch.where(real, y, 0), tensors)
    for key, gradient in gradients(want, tensors).items():
        torch.testing.assert_close(got[key], gradient, rtol=1e-10, atol=1e-10)


SIGHTS = {
    "causal": (CAUSAL, set()),
    "both ways": (BOTH, set()),
    "window": (replace(CAUSAL, window=2), {"bias"}),
    "window both ways": (replace(BOTH, window=3, softcap=1.0), {"bias"}),
}


@pytest.mark.parametrize("name", SIGHTS)
@pytest.mark.parametrize("laid", LAYOUTS)
def test_no_query_sees_another_document(name: str, laid: str) -> None:
    (sight, extra), layout = SIGHTS[name], LAYOUTS[laid]
    tensors = given(layout.rows, layout.time, layout.time, extra)
    y = attend(**tensors, sight=sight, layout=layout)
    want = plain(**tensors, sight=sight, documents_BT=layout.documents_BT)
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    got = gradients(y, tensors)
    for key, gradient in gradients(want, tensors).items():
        torch.testing.assert_close(got[key], gradient, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "other",
    [
        replace(CAUSAL, window=5),
        replace(CAUSAL, window=3),
        replace(BOTH, window=7),
        replace(CAUSAL, window=4, scale=1.0),
        replace(CAUSAL, window=4, softcap=9.0),
    ],
)
@pytest.mark.parametrize("time", [9, 23])
def test_a_wrong_sight_is_caught(other: Sight, time: int) -> None:
    """The comparisons above tell apart a window that is one too long, and all the rest."""
    tensors = given(ROWS, time, time, set())
    want = plain(**tensors, sight=replace(CAUSAL, window=4))
    assert not torch.allclose(attend(**tensors, sight=other), want, rtol=1e-4, atol=1e-4)


def test_heads_in_another_order_are_caught() -> None:
    """Query heads 0 and 1 share keys, and not 0 and 2."""
    tensors = given(ROWS, 5, 5, set())
    want = plain(**tensors, sight=CAUSAL)
    tensors["q_BHTE"] = tensors["q_BHTE"][:, [0, 2, 1, 3]]
    swapped = attend(**tensors, sight=CAUSAL)[:, [0, 2, 1, 3]]
    assert not torch.allclose(swapped, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("time", [1, 6])
def test_a_table_that_is_too_short(time: int) -> None:
    tensors = given(ROWS, time, 9, set())
    with pytest.raises(AssertionError, match="too short"):
        attend(**tensors, sight=CAUSAL, bias_HR=torch.zeros(HEADS, 2 * 8 - 1))


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_dropout_leaves_out_weights_and_keeps_the_mean(softcap: float | None) -> None:
    sight = replace(CAUSAL, softcap=softcap)
    q, k, v = (drawn(1, 1, 6, WIDTH, seed=seed) for seed in range(3))
    want = attend(q, k, v, sight)
    torch.manual_seed(0)
    many = [x.expand(4000, -1, -1, -1) for x in (q, k, v)]
    y = attend(*many, sight, dropout=0.25)
    assert float((y[:, :, 0] == 0).all(-1).double().mean()) == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(y.mean(0, keepdim=True), want, rtol=0, atol=0.05)


def test_padding_of_a_layout_gives_zero_and_no_gradient() -> None:
    layout = LAYOUTS["rows"]
    tensors = given(layout.rows, layout.time, layout.time, set())
    padding = layout.documents_BT == PADDING
    with torch.no_grad():
        for x in tensors.values():
            x.transpose(1, 2)[padding] = 1e3  # what nothing else could hide
    y = attend(**tensors, sight=BOTH, layout=layout)
    assert not y.transpose(1, 2)[padding].any()
    for gradient in gradients(y, tensors).values():
        assert bool(torch.isfinite(gradient).all())
        assert not gradient.transpose(1, 2)[padding].any()


def test_the_groups_of_a_long_document_are_cut_too() -> None:
    """A window in a document that is long beside it, packed behind a short one."""
    layout, sight = Layout.packed((3, 40)), replace(CAUSAL, window=5)
    tensors = given(1, 43, 43, {"bias"})
    want = plain(**tensors, sight=sight, documents_BT=layout.documents_BT)
    y = attend(**tensors, sight=sight, layout=layout)
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
