"""What stands around an attention or an MLP: norm, residual, what is left out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import SpecError
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.sublayer import Sublayer
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import parse

WIDTH = 6


def sublayer(**settings: Any) -> Sublayer:
    spec = parse(MlpSpec, {"kind": "mlp", "width": 7, **settings})
    built = spec.build(Signal.of((5, WIDTH))).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.data = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    assert isinstance(built, Sublayer)
    return built.eval()


def inputs() -> Tensor:
    return torch.randn(2, 5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def rms(x: Tensor, norm: nn.Module, epsilon: float = 1e-6) -> Tensor:
    assert isinstance(norm, nn.RMSNorm)
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * norm.weight


def test_places_of_the_norm() -> None:
    x = inputs()
    pre, post, both = (sublayer(norm_place=place) for place in ("pre", "post", "both"))
    torch.testing.assert_close(pre(x), x + pre.inner(rms(x, pre.norm_before)))
    torch.testing.assert_close(post(x), rms(x + post.inner(x), post.norm_after))
    inside = rms(x, both.norm_before)
    torch.testing.assert_close(both(x), x + rms(both.inner(inside), both.norm_after))
    assert isinstance(pre.norm_after, nn.Identity)
    assert isinstance(post.norm_before, nn.Identity)


def test_no_norm_and_no_residual() -> None:
    x = inputs()
    bare = sublayer(norm="none", residual=False)
    torch.testing.assert_close(bare(x), bare.inner(x))
    normed = sublayer(residual=False, norm_place="post")
    torch.testing.assert_close(normed(x), rms(normed.inner(x), normed.norm_after))
    added = sublayer(norm="none", residual_scale=0.25)
    torch.testing.assert_close(added(x), x + 0.25 * added.inner(x))


def test_which_norm() -> None:
    x = inputs()
    layer = sublayer(norm="layer", norm_epsilon=0.5)
    norm = layer.norm_before
    assert isinstance(norm, nn.LayerNorm)
    centred = x - x.mean(-1, keepdim=True)
    inside = centred / (centred.square().mean(-1, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(layer(x), x + layer.inner(inside * norm.weight + norm.bias))
    assert sublayer(norm="layer", norm_bias=False).norm_before.bias is None
    assert sublayer(norm="layer").norm_before.eps == 1e-5
    assert sublayer().norm_before.eps == 1e-6
    assert sublayer(norm_epsilon=1e-3).norm_before.eps == 1e-3


def test_values_left_out_are_of_the_output() -> None:
    x, module = inputs(), sublayer(dropout=0.5)
    torch.manual_seed(0)
    added = (module.train()(x) - x) / (module.eval()(x) - x)
    assert set(added.round(decimals=9).unique().tolist()) == {0.0, 2.0}


def test_a_text_skips_the_sublayer_as_a_whole() -> None:
    """In whatever way texts are laid out, the same ones skip it."""
    lengths = (3, 1, 5, 2, 4, 2)
    module = sublayer(drop_path=0.5)
    kept = []
    for layout in (
        Layout.packed(lengths),
        Layout.padded(lengths),
        Layout.rows_of((lengths[:3], lengths[3:]), time=10),
    ):
        generator = torch.Generator().manual_seed(0)
        shape = (layout.rows, layout.time, WIDTH)
        x = torch.randn(shape, dtype=torch.float64, generator=generator)
        torch.manual_seed(3)
        added = (module.train()(x, Stream(layout=layout)) - x) / (module.eval()(x) - x)
        texts = [added[s.row, s.start : s.stop].round(decimals=9).unique() for s in layout.spans]
        assert all(len(text) == 1 for text in texts)
        kept.append([text.item() for text in texts])
    assert set(kept[0]) == {0.0, 2.0}
    assert kept == [kept[0]] * 3


def test_a_sample_of_vectors_skips_it_as_a_whole() -> None:
    x, module = inputs()[:, 0].repeat(20, 1), sublayer(drop_path=0.5)
    torch.manual_seed(0)
    stream = Stream(layout=Layout.packed((3,) * 40))  # of texts that were pooled before
    added = (module.train()(x, stream) - x) / (module.eval()(x) - x)
    assert all(len(row.round(decimals=9).unique()) == 1 for row in added)
    assert set(added.round(decimals=9).unique().tolist()) == {0.0, 2.0}


def test_what_writes_into_the_stream() -> None:
    module = sublayer()
    assert module.writes == (module.inner.down,)
    module = sublayer(norm_place="post")
    assert module.writes == (module.inner.down,)
    module = sublayer(norm_place="both")
    assert module.writes == (module.norm_after,)
    names = [name for name, _ in module.named_parameters()]
    assert len(names) == len(set(names)) == 4, "a module that is named twice"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "none", "norm_place": "pre"}, "norm_place belongs to a norm, not to norm: none"),
        ({"norm": "none", "norm_epsilon": 0.1}, "norm_epsilon belongs to a norm, not to norm: no"),
        ({"norm_bias": False}, "norm_bias belongs to norm: layer, not to norm: rms; leave it out"),
        ({"residual": False, "drop_path": 0.1}, "drop_path belongs to residual: true, not to res"),
        ({"residual": False, "residual_scale": 2.0}, "residual_scale belongs to residual: true"),
        ({"norm": "batch"}, 'norm: got "batch"'),
    ],
)
def test_settings_that_would_not_be_used(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(MlpSpec, {"kind": "mlp", **settings})
    assert message in str(caught.value)
