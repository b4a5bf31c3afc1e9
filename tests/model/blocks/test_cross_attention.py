"""Cross-attention: whose source a document reads, and that it is read once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.blocks.cross_attention import CrossAttention, CrossAttentionSpec
from luthier.model.chain import Chain
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream
from luthier.signal import Signal
from luthier.spec import parse

WIDTH, SOURCE = 12, 8
TEXTS, SOURCES = (3, 6, 1), (4, 2, 5)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def attention(**settings: Any) -> CrossAttention:
    data = {"kind": "cross_attention", "source_width": SOURCE, **settings}
    module = CrossAttention(parse(CrossAttentionSpec, data), WIDTH).double()
    for number, parameter in enumerate(module.parameters()):
        parameter.data = drawn(*parameter.shape, seed=100 + number) / 2
    module.name = "cross"
    return module.eval()


def laid_out(parts: list[Tensor], layout: Layout) -> Tensor:
    rows = torch.full((layout.rows, layout.time, parts[0].shape[-1]), 9.0, dtype=torch.float64)
    for span, part in zip(layout.spans, parts, strict=True):
        rows[span.row, span.start : span.stop] = part
    return rows


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_that_of_torch(bias: bool) -> None:
    ours = attention(heads=3, bias=bias)
    theirs = nn.MultiheadAttention(
        WIDTH, 3, bias=bias, batch_first=True, kdim=SOURCE, vdim=SOURCE, dtype=torch.float64
    )
    parts = (ours.query, ours.key, ours.value)
    theirs.q_proj_weight.data = ours.query.weight.detach()
    theirs.k_proj_weight.data = ours.key.weight.detach()
    theirs.v_proj_weight.data = ours.value.weight.detach()
    theirs.out_proj.weight.data = ours.out.weight.detach()
    if bias:
        theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
        theirs.out_proj.bias.data = ours.out.bias.detach()
    x, source = drawn(2, 5, WIDTH), drawn(2, 7, SOURCE, seed=1)
    want, _ = theirs(x, source, source, need_weights=False)
    got = ours(x, Stream(source_BSD=source))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layout", [Layout.packed(TEXTS), Layout.padded(TEXTS), Layout.padded(TEXTS, "left")]
)
@pytest.mark.parametrize(
    "source_layout",
    [Layout.packed(SOURCES), Layout.padded(SOURCES), Layout.padded(SOURCES, "left")],
)
def test_document_n_reads_source_n(layout: Layout, source_layout: Layout) -> None:
    module = attention(heads=4, kv_heads=2)
    texts = [drawn(length, WIDTH, seed=n) for n, length in enumerate(TEXTS)]
    sources = [drawn(length, SOURCE, seed=9 + n) for n, length in enumerate(SOURCES)]
    stream = Stream(
        layout=layout, source_BSD=laid_out(sources, source_layout), source_layout=source_layout
    )
    y = module(laid_out(texts, layout), stream)
    assert bool(torch.isfinite(y).all())
    for span, text, source in zip(layout.spans, texts, sources, strict=True):
        want = module(text[None], Stream(source_BSD=source[None]))[0]
        got = y[span.row, span.start : span.stop]
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_the_source_of_another_document_is_caught() -> None:
    module, x = attention(heads=3), drawn(2, 4, WIDTH)
    source = drawn(2, 5, SOURCE, seed=1)
    want = module(x, Stream(source_BSD=source))
    assert not torch.allclose(module(x, Stream(source_BSD=source.flip(0))), want, atol=1e-3)


@torch.no_grad()
def test_the_source_is_read_once() -> None:
    module, x = attention(heads=4, kv_heads=2), drawn(2, 6, WIDTH)
    layout = Layout.padded((3, 5))
    source = drawn(2, 5, SOURCE, seed=1)
    want = module(x, Stream(source_BSD=source, source_layout=layout))
    first = Stream(state=State(capacity=6), source_BSD=source, source_layout=layout)
    got = [module(x[:, :3], first)]
    calls: list[int] = []
    module.key.register_forward_hook(lambda *_: calls.append(1))
    for t in range(3, 6):
        state = State(capacity=6, time=t, blocks=first.handed_on)
        stream = Stream(state=state)  # the source need not be given again
        got.append(module(x[:, t : t + 1], stream))
        assert stream.handed_on == first.handed_on
    assert calls == []
    torch.testing.assert_close(torch.cat(got, 1), want, rtol=1e-10, atol=1e-10)


def test_without_a_source() -> None:
    module, x = attention(heads=3), drawn(1, 4, WIDTH)
    for stream in (None, Stream()):
        with pytest.raises(
            ShapeError, match=r"^cross_attention reads a source beside its input, b"
        ):
            module(x, stream)
    with pytest.raises(ShapeError, match="a source of width 8, but gets one of 3; set source_wid"):
        module(x, Stream(source_BSD=drawn(1, 4, 3)))
    with pytest.raises(
        ShapeError, match=r"^cross_attention reads 1 texts, but the source has 2; g"
    ):
        module(x, Stream(source_BSD=drawn(2, 4, SOURCE)))


def test_any_source_will_do_where_shapes_are_measured() -> None:
    spec = CrossAttentionSpec(heads=3, source_width=SOURCE)
    chain = Chain((spec,), Signal.of((4, WIDTH)), "model.layers")
    assert chain.gives == Signal.of((4, WIDTH))
    parameters = sum(p.numel() for p in chain.parameters())
    assert parameters == 2 * WIDTH * WIDTH + 2 * SOURCE * WIDTH + WIDTH
