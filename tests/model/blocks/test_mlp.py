"""MLPs: the formula, and how wide they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from luthier.errors import SpecError
from luthier.model.blocks.mlp import Mlp, MlpSpec, width_inside
from luthier.model.blocks.sublayer import Sublayer
from luthier.signal import Signal
from luthier.spec import parse

WIDTH = 6


def mlp(**settings: Any) -> Mlp:
    spec = parse(MlpSpec, {"kind": "mlp", **settings})
    sublayer = spec.build(Signal.of((5, WIDTH)))
    assert isinstance(sublayer, Sublayer)
    assert isinstance(sublayer.inner, Mlp)
    return sublayer.inner.double()


def test_plain() -> None:
    x, module = torch.randn(2, 5, WIDTH, dtype=torch.float64), mlp(bias=True)
    inside = F.gelu(x @ module.up.weight.T + module.up.bias)
    torch.testing.assert_close(module(x), inside @ module.down.weight.T + module.down.bias)
    assert sum(p.numel() for p in module.parameters()) == 2 * WIDTH * 24 + 24 + WIDTH


def test_gated() -> None:
    x, module = torch.randn(2, 5, WIDTH, dtype=torch.float64), mlp(gated=True, ratio=1.5)
    assert module.gate is not None
    inside = F.silu(x @ module.gate.weight.T) * (x @ module.up.weight.T)
    torch.testing.assert_close(module(x), inside @ module.down.weight.T)
    other = F.silu(x @ module.up.weight.T) * (x @ module.gate.weight.T)
    assert not torch.allclose(module(x), other @ module.down.weight.T)
    assert sum(p.numel() for p in module.parameters()) == 3 * WIDTH * 9


def test_any_activation() -> None:
    x = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    for gated in (True, False):
        module = mlp(gated=gated, activation="none")
        inside = x @ module.up.weight.T
        if module.gate is not None:
            inside = inside * (x @ module.gate.weight.T)
        torch.testing.assert_close(module(x), inside @ module.down.weight.T)


def test_values_inside_are_left_out_while_training() -> None:
    x, module = torch.ones(64, 5, WIDTH, dtype=torch.float64), mlp(inside_dropout=0.25)
    with torch.no_grad():
        module.up.weight.fill_(1.0)
        module.down.weight.fill_(1.0)
    whole = 24 * F.gelu(torch.tensor(float(WIDTH), dtype=torch.float64))
    kept = module.train()(x)[..., 0] * 0.75 / whole * 24
    torch.testing.assert_close(kept, kept.round())
    assert 16 < kept.mean() < 20  # of the 24, a quarter is left out
    torch.testing.assert_close(module.eval()(x)[..., 0], whole.expand(64, 5))


@pytest.mark.parametrize(
    ("settings", "around", "inside"),
    [
        ({}, 768, 3072),
        ({}, 5, 20),
        ({"gated": True}, 768, 2048),
        ({"gated": True}, 128, 344),  # 341.3
        ({"gated": True, "ratio": 2.67}, 384, 1024),  # 1025.3
        ({"ratio": 3.5}, 64, 224),
        ({"ratio": 0.01}, 64, 8),
        ({"width": 5}, 64, 5),
    ],
)
def test_widths(settings: dict[str, Any], around: int, inside: int) -> None:
    spec = parse(MlpSpec, {"kind": "mlp", **settings})
    assert width_inside(spec.width, spec.ratio, gated=spec.gated, around=around) == inside


def test_two_widths() -> None:
    with pytest.raises(SpecError, match="got both width and ratio, which say the same; leave one"):
        parse(MlpSpec, {"kind": "mlp", "width": 5, "ratio": 4.0})
