"""The linear recurrence: against a plain loop, in every layout, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from laid_out import (
    WIDTH,
    block,
    differs,
    documents,
    overfits,
    padding_gets_no_gradient,
    sees_the_future,
    stepwise_differs,
)
from torch import Tensor, nn

from luthier.errors import SpecError
from luthier.model.blocks import linear_recurrence
from luthier.model.blocks.linear_recurrence import (
    FASTEST,
    SHARPNESS,
    SLOWEST,
    LinearRecurrence,
    LinearRecurrenceSpec,
)
from luthier.model.stream import Stream, positions
from luthier.spec import parse

CASES: list[dict[str, Any]] = [
    {},
    {"kernel": 1},
    {"width": 7, "kernel": 3, "activation": "silu"},
    {"gated": False, "bias": False},
    {"norm": "layer", "norm_place": "post", "residual_scale": 0.5},
]


def made(**settings: Any) -> nn.Module:
    module = block(parse(LinearRecurrenceSpec, settings))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" not in name and "decay" not in name:
                parameter.mul_(2)
    return module


def inner_of(module: nn.Module) -> LinearRecurrence:
    found = module.get_submodule("0.inner")
    assert isinstance(found, LinearRecurrence)
    return found


def by_hand(inner: LinearRecurrence, x_TD: Tensor) -> Tensor:
    """The equations of the paper, one position after the other."""
    up_TR = inner.up(x_TD)
    padded = torch.cat([torch.zeros(inner.kernel - 1, up_TR.shape[1], dtype=up_TR.dtype), up_TR])
    u_TR = F.conv1d(padded.T[None], inner.conv.weight, inner.conv.bias, groups=up_TR.shape[1])[0].T
    rate_R = -torch.log(torch.sigmoid(-inner.decay.weight))
    h, states = None, []
    for u in u_TR:
        a = torch.exp(-SHARPNESS * rate_R * inner.keep(u).sigmoid())
        taken = inner.take(u).sigmoid() * u
        h = taken if h is None else a * h + (1 - a**2).sqrt() * taken
        states.append(h)
    h_TR = torch.stack(states)
    if inner.gate is not None:
        h_TR = h_TR * inner.activation(inner.gate(x_TD))
    y: Tensor = inner.out(h_TR)
    return y


@pytest.mark.parametrize("settings", CASES)
def test_it_is_the_plain_loop(settings: dict[str, Any]) -> None:
    inner = inner_of(made(**settings))
    for part in documents([1, 2, 11]):
        torch.testing.assert_close(inner(part[None])[0], by_hand(inner, part), rtol=0, atol=1e-12)


def test_a_decay_without_its_gate_is_caught() -> None:
    inner = inner_of(made())
    (part,) = documents([11])
    wanted = by_hand(inner, part)
    nn.init.zeros_(inner.keep.weight)
    assert (inner(part[None])[0] - wanted).abs().max() > 1e-3


@pytest.mark.parametrize("settings", CASES)
def test_documents_do_not_see_each_other(settings: dict[str, Any]) -> None:
    module = made(**settings)
    assert differs(module) == {}
    assert padding_gets_no_gradient(module)


@pytest.mark.parametrize("part", ["decay", "kernel"])
def test_a_document_that_is_not_begun_is_caught(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(stream: Stream | None, time: int, device: torch.device) -> Tensor:
        places = positions(stream, time, device)
        return places.clamp(min=1) if part == "decay" else torch.where(places == 0, 0, 99)

    module = made()
    monkeypatch.setattr(linear_recurrence, "positions", never)
    assert {"packed", "several a row", "padded left"} <= set(differs(module))


@pytest.mark.parametrize("settings", CASES)
def test_piece_by_piece_is_the_whole(settings: dict[str, Any]) -> None:
    module = made(**settings)
    assert stepwise_differs(module) < 1e-12
    assert stepwise_differs(module, begins=(0, 0), pieces=(1, 1, 6, 1)) < 1e-12
    assert stepwise_differs(module, begins=(2, 6, 8, 3), pieces=(1, 1, 3, 4, 3)) < 1e-12


def test_a_state_that_is_forgotten_is_caught() -> None:
    assert stepwise_differs(made(), change=lambda state: replace(state, blocks={})) > 1e-3


def test_it_does_not_see_the_future() -> None:
    assert not sees_the_future(made())


def test_in_bfloat16_the_state_stays_exact() -> None:
    """A thousand positions that hardly fade: decays of bfloat16 would all be 1, or off."""
    exact, rounded = made(), made().float()
    x = documents([1000])[0][None]
    wanted = exact(x)
    with torch.autocast("cpu", torch.bfloat16):
        got = rounded(x.float())
    assert float(((got - wanted).norm() / wanted.norm()).detach()) < 0.01
    got.float().square().sum().backward()
    for parameter in rounded.parameters():
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def test_the_slope_is_finite_where_nothing_fades() -> None:
    module = made()
    inner = inner_of(module)
    nn.init.constant_(inner.keep.bias, -1e3)
    module(documents([9])[0][None]).sum().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def test_first_decays_lie_where_the_paper_has_them() -> None:
    decay = inner_of(block(LinearRecurrenceSpec(width=256))).decay
    open_gate = torch.ones(256, dtype=torch.float64)
    drawn = decay(open_gate).exp().detach()
    assert FASTEST <= float(drawn.min()) < FASTEST + 0.01
    assert SLOWEST - 0.01 < float(drawn.max()) <= SLOWEST


def test_it_learns_by_heart() -> None:
    assert overfits(LinearRecurrenceSpec(width=12), nn.Linear(WIDTH, 4)) < 0.02


def test_a_setting_that_is_not_used() -> None:
    with pytest.raises(SpecError) as caught:
        parse(LinearRecurrenceSpec, {"gated": False, "activation": "relu"})
    assert "activation belongs to gated: true, not to gated: false; leave it out" in str(
        caught.value
    )
