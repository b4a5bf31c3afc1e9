"""Attention, against torch's own and a plain reference; what it sees, and what it remembers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.attention import Attention, AttentionSpec
from luthier.model.blocks.rotary import Rotary
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream
from luthier.signal import Signal
from luthier.spec import parse

WIDTH, TIME = 12, 7
SEQUENCE = Signal.of((TIME, WIDTH))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def attention(**settings: Any) -> Attention:
    module = Attention(parse(AttentionSpec, {"kind": "attention", **settings}), WIDTH).double()
    for number, parameter in enumerate(module.parameters()):
        parameter.data = drawn(*parameter.shape, seed=100 + number) / 2
    return module.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_it_is_that_of_torch(causal: bool, bias: bool) -> None:
    ours = attention(heads=3, causal=causal, bias=bias)
    theirs = nn.MultiheadAttention(WIDTH, 3, bias=bias, batch_first=True, dtype=torch.float64)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.out_proj.weight.data = ours.out.weight.detach()
    if bias:
        theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
        theirs.out_proj.bias.data = ours.out.bias.detach()
    x = drawn(2, TIME, WIDTH)
    mask = nn.Transformer.generate_square_subsequent_mask(TIME).double() if causal else None
    want, _ = theirs(x, x, x, attn_mask=mask, need_weights=False)
    torch.testing.assert_close(ours(x), want, rtol=1e-12, atol=1e-12)


def plain(module: Attention, x: Tensor, heads: int, kv_heads: int) -> Tensor:
    """Llama's attention, one query of one head after the other, turned as complex numbers."""
    width = module.head_width
    q, k, v = (
        F.linear(x, part.weight).unflatten(-1, (-1, width))
        for part in (module.query, module.key, module.value)
    )
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * frequencies
    turn = torch.polar(torch.ones_like(angles), angles)

    def turned(z: Tensor) -> Tensor:
        numbers = torch.complex(z[..., : width // 2], z[..., width // 2 :]) * turn
        return torch.cat([numbers.real, numbers.imag], -1)

    q, k, y = turned(q), turned(k), torch.zeros_like(q)
    for head in range(heads):
        shared = head // (heads // kv_heads)
        for t in range(x.shape[1]):
            scores = (k[:, : t + 1, shared] * q[:, None, t, head]).sum(-1) / math.sqrt(width)
            y[:, t, head] = (scores.softmax(-1)[..., None] * v[:, : t + 1, shared]).sum(1)
    return F.linear(y.flatten(2), module.out.weight)


@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 2), (6, 1), (3, 3)])
def test_shared_heads_and_turns(heads: int, kv_heads: int) -> None:
    module = attention(heads=heads, kv_heads=kv_heads, position="rotary", head_width=4)
    x = drawn(2, TIME, WIDTH)
    want = plain(module, x, heads, kv_heads)
    torch.testing.assert_close(module(x), want, rtol=0, atol=1e-6)  # the angles are of float32
    exact = Rotary.frequencies

    def of_float64(self: Rotary, device: torch.device | str = "cpu") -> Tensor:
        return self.base ** (-torch.arange(0, self.width, 2, dtype=torch.float64) / self.width)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rotary, "frequencies", of_float64)
        torch.testing.assert_close(module(x), want, rtol=1e-12, atol=1e-12)
    assert Rotary.frequencies is exact


def test_heads_that_share_others_are_caught() -> None:
    module = attention(heads=6, kv_heads=2, position="rotary", head_width=4)
    x = drawn(2, TIME, WIDTH)
    module.query.weight.data = module.query.weight.data.unflatten(0, (3, 2, -1)).transpose(0, 1)
    module.query.weight.data = module.query.weight.data.flatten(0, 2)
    mixed = plain(module, x, 6, 2)
    module.query.weight.data = module.query.weight.data.unflatten(0, (2, 3, -1)).transpose(0, 1)
    module.query.weight.data = module.query.weight.data.flatten(0, 2)
    assert not torch.allclose(module(x), mixed, rtol=0, atol=1e-3)


def seen(module: nn.Module, time: int = TIME) -> list[list[int]]:
    """For each position, which positions change its output."""
    x = drawn(1, time, WIDTH).requires_grad_()
    y = module(x)
    return [
        torch.autograd.grad(y[0, t].sum(), x, retain_graph=True)[0][0].any(-1).nonzero()[:, 0]
        .tolist()
        for t in range(time)
    ]  # fmt: skip


@pytest.mark.parametrize("position", ["none", "rotary", "alibi", "relative"])
def test_what_is_seen(position: str) -> None:
    def of(**settings: Any) -> list[list[int]]:
        return seen(attention(heads=3, position=position, **settings))

    last = TIME - 1
    assert of() == [list(range(t + 1)) for t in range(TIME)]
    assert of(causal=False) == [list(range(TIME))] * TIME
    assert of(window=3) == [list(range(max(t - 2, 0), t + 1)) for t in range(TIME)]
    assert of(window=5, causal=False) == [
        list(range(max(t - 2, 0), min(t + 2, last) + 1)) for t in range(TIME)
    ]


@pytest.mark.parametrize("position", ["rotary", "alibi", "relative"])
def test_the_order_matters_where_there_are_positions(position: str) -> None:
    x = drawn(1, TIME, WIDTH)
    swapped = x[:, [1, 0, *range(2, TIME)]]
    blind = attention(heads=3)
    torch.testing.assert_close(blind(x)[:, -1], blind(swapped)[:, -1], rtol=1e-12, atol=1e-12)
    module = attention(heads=3, position=position)
    assert not torch.allclose(module(x)[:, -1], module(swapped)[:, -1], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["rms", "layer"])
def test_normalised_queries_have_no_size(name: str) -> None:
    x = drawn(1, TIME, WIDTH)
    module, free = (attention(heads=3, qk_norm=qk, norm_epsilon=1e-12) for qk in (name, "none"))
    want = module(x)
    for part in (module, free):
        part.query.weight.data *= 10
    torch.testing.assert_close(module(x), want, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(free(x), want, rtol=0, atol=1e-3)
    assert module.query_norm.weight.shape == (4,)


def test_scale_and_softcap() -> None:
    x = drawn(1, TIME, WIDTH)
    module = attention(heads=3)
    torch.testing.assert_close(attention(heads=3, scale=0.5)(x), module(x))  # a head's width is 4
    assert not torch.allclose(attention(heads=3, scale=1.0)(x), module(x), atol=1e-3)
    torch.testing.assert_close(attention(heads=3, softcap=1e6)(x), module(x))
    assert not torch.allclose(attention(heads=3, softcap=0.5)(x), module(x), atol=1e-3)


def test_weights_are_left_out_while_training() -> None:
    x = drawn(1, TIME, WIDTH)
    module = attention(heads=3, attention_dropout=0.5)
    assert torch.equal(module(x), attention(heads=3)(x))
    assert not torch.allclose(module.train()(x), module(x))


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"heads": 3}, 4 * 12 * 12),
        ({"heads": 6, "kv_heads": 2}, 12 * 2 * (2 * 6 + 2 * 2)),
        ({"heads": 2, "head_width": 8, "bias": True}, 12 * 8 * 8 + 3 * 16 + 12),
        ({"heads": 2, "bias": "qkv"}, 4 * 12 * 12 + 3 * 12),
        ({"heads": 2, "position": "relative"}, 4 * 12 * 12 + 2 * 32),
        ({"heads": 2, "qk_norm": "layer"}, 4 * 12 * 12 + 4 * 6),
    ],
)
def test_parameters(settings: dict[str, Any], parameters: int) -> None:
    assert sum(p.numel() for p in attention(**settings).parameters()) == parameters


def test_names_of_the_weights_stay() -> None:
    network = stack({"kind": "attention", "heads": 3, "bias": True, "qk_norm": "rms"})
    names = [name for name, _ in network.named_parameters() if name.startswith("layers.1.")]
    assert names == [
        "layers.1.norm_before.weight",
        *(
            f"layers.1.inner.{part}.{tensor}"
            for part in ("query", "key", "value")
            for tensor in ("weight", "bias")
        ),
        "layers.1.inner.query_norm.weight",
        "layers.1.inner.key_norm.weight",
        "layers.1.inner.out.weight",
        "layers.1.inner.out.bias",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 6, "kv_heads": 4}, "kv_heads: got 4, wanted a divisor of the 6 heads, such as"),
        ({"heads": 2, "kv_heads": 4}, "kv_heads: got 4, wanted a divisor of the 2 heads, such as"),
        ({"heads": 2, "rotary_base": 1e6}, "rotary_base belongs to position: rotary, not to posi"),
        ({"heads": 2, "position": "alibi", "rotary_share": 0.5}, "rotary_share belongs to posit"),
        ({"heads": 2, "relative_reach": 64}, "relative_reach belongs to position: relative, not"),
        ({"heads": 2, "causal": False, "window": 128}, "window: got 128, wanted an odd number wh"),
        (
            {"heads": 2, "position": "relative", "relative_reach": 16},
            "relative_reach: got 16, wanted more than 16, the distances that have a bucket",
        ),
        ({"heads": 2, "bias": "kv"}, 'bias: got "kv", wanted true or false or "qkv"'),
        ({"heads": 2, "position": "rope"}, "position: got \"rope\""),
        ({"heads": 2, "rotary_scaling": {"kind": "yarm"}}, 'unknown kind "yarm"'),
    ],
)  # fmt: skip
def test_settings_that_do_not_suit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(LayersSpec, {"layers": [{"kind": "attention", **settings}]})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 5}, "attention has 5 heads, which do not divide the width of 12; use 4, or give "
                       "a head_width"),
        ({"heads": 4, "position": "rotary"}, "attention turns 3 of the 3 features of a head, w"),
        ({"heads": 3, "position": "rotary", "rotary_share": 0.3}, "attention turns 1 of the 4 f"),
    ],
)  # fmt: skip
def test_widths_that_do_not_suit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        stack({"kind": "attention", **settings})
    assert str(caught.value).startswith(f"model.layers[1]: {message}")


# Whole stacks.


def stack(*layers: dict[str, Any]) -> Network:
    tokens = {"kind": "tokens", "width": WIDTH}
    data = {"layers": [tokens, *layers, {"kind": "rms_norm"}], "head": "none"}
    network = build(parse(LayersSpec, data), Signal.tokens(32, vocab=17))
    materialize(network, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    return network.eval()


def deep(**settings: Any) -> Network:
    attending = {"kind": "attention", "heads": 6, "kv_heads": 2, **settings}
    moe = {"kind": "moe", "experts": 3, "norm_place": "both"}
    mlp = {"kind": "mlp", "gated": True}
    return stack({"kind": "repeat", "times": 2, "layers": [attending, mlp, attending, moe]})


STACKS = {
    "none": {},
    "rotary": {"position": "rotary"},
    "alibi": {"position": "alibi"},
    "relative": {"position": "relative", "relative_buckets": 8, "relative_reach": 12},
    "window": {"position": "rotary", "window": 4},
    "softcap": {"position": "alibi", "window": 3, "softcap": 2.0},
    "both ways": {"causal": False, "position": "relative"},
}
LENGTHS = (5, 12, 1, 9)


@pytest.mark.parametrize("name", STACKS)
def test_documents_in_any_layout(name: str) -> None:
    network = deep(**STACKS[name])
    texts = [torch.randint(17, (length,), generator=torch.Generator()) for length in LENGTHS]
    want = [network(text[None])[0] for text in texts]
    for layout in (
        Layout.packed(LENGTHS),
        Layout.padded(LENGTHS, "right"),
        Layout.padded(LENGTHS, "left"),
        Layout.rows_of(((5, 12), (1, 9)), time=20),
    ):
        rows = torch.full((layout.rows, layout.time), 16)
        for span, text in zip(layout.spans, texts, strict=True):
            rows[span.row, span.start : span.stop] = text
        y = network(rows, Stream(layout=layout))
        for span, one in zip(layout.spans, want, strict=True):
            got = y[span.row, span.start : span.stop]
            torch.testing.assert_close(got, one, rtol=1e-10, atol=1e-10)


def test_a_layout_that_says_another_thing_is_caught() -> None:
    network, text = deep(position="rotary"), torch.arange(6)[None]
    want = network(text)
    one, two = Layout.packed((6,)), Layout.packed((4, 2))
    torch.testing.assert_close(network(text, Stream(layout=one)), want, rtol=1e-10, atol=1e-10)
    other = network(text, Stream(layout=two))
    torch.testing.assert_close(other[:, :4], want[:, :4], rtol=1e-10, atol=1e-10)
    assert not torch.allclose(other[:, 4:], want[:, 4:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", [name for name in STACKS if name != "both ways"])
@torch.no_grad()
def test_step_by_step(name: str) -> None:
    network = deep(**STACKS[name])
    texts = torch.randint(17, (2, 12), generator=torch.Generator())
    want = network(texts)
    pushed = torch.full((2, 12), 16)
    pushed[0], pushed[1, 5:] = texts[0], texts[1, :7]
    for pieces in ((12,), (7, 1, 1, 1, 1, 1), (2, 6, 4)):
        for begins, rows in (((), texts), ((0, 5), pushed)):
            state, got = State(capacity=12, begins=begins), []
            for piece in rows.split(list(pieces), 1):
                y, state = network.decode(piece, state)
                got.append(y)
            y = torch.cat(got, 1)
            assert state.time == 12
            torch.testing.assert_close(y[0], want[0], rtol=1e-10, atol=1e-10)
            begin = begins[1] if begins else 0
            torch.testing.assert_close(y[1, begin:], want[1, : 12 - begin], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_padding_that_is_not_told_is_caught() -> None:
    network, text = deep(position="alibi"), torch.arange(6)
    pushed = torch.cat([torch.tensor([16, 16]), text])[None]
    told, _ = network.decode(pushed, State(capacity=8, begins=(2,)))
    untold, _ = network.decode(pushed, State(capacity=8))
    torch.testing.assert_close(told[:, 2:], network(text[None]), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(untold[:, 2:], told[:, 2:], rtol=0, atol=1e-3)


class Work(TorchDispatchMode):
    """What is computed: the elements that each operation makes anew, and of which type."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, int, torch.dtype]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        view = func.is_view or func._schema.name.endswith("_")
        for tensor in out if isinstance(out, tuple) else (out,):
            if isinstance(tensor, Tensor) and not view:
                self.made.append((func._schema.name, tensor.numel(), tensor.dtype))
        return out


@torch.no_grad()
def test_a_step_is_lean() -> None:
    """It copies no keys, not even for the heads that share them, and makes no mask."""
    network = stack({"kind": "attention", "heads": 6, "kv_heads": 2, "position": "rotary"})
    _, state = network.decode(torch.zeros(1, 500, dtype=torch.int64), State(capacity=512))
    kept = state.blocks["layers.1.inner"]
    with Work() as work:
        _, state = network.decode(torch.zeros(1, 1, dtype=torch.int64), state)
    assert state.blocks["layers.1.inner"] is kept
    assert max(elements for _, elements, _ in work.made) <= WIDTH * WIDTH
    assert all(dtype != torch.bool for *_, dtype in work.made)
    with Work() as work:
        network(torch.zeros(1, 500, dtype=torch.int64))
    assert max(elements for _, elements, _ in work.made) > WIDTH * WIDTH


@torch.no_grad()
def test_a_state_that_is_full() -> None:
    network = stack({"kind": "attention", "heads": 3})
    _, state = network.decode(torch.zeros(1, 4, dtype=torch.int64), State(capacity=5))
    with pytest.raises(AssertionError, match="6 positions do not fit into a state for 5"):
        network.decode(torch.zeros(1, 2, dtype=torch.int64), state)


def test_both_ways_cannot_be_read_piece_by_piece() -> None:
    network = stack({"kind": "attention", "heads": 3, "causal": False})
    with pytest.raises(ShapeError) as caught:
        network.decode(torch.zeros(1, 2, dtype=torch.int64), State(capacity=5))
    assert str(caught.value) == (
        "model.layers[1]: attention with causal: false sees later positions, which are not there "
        "yet where a text is read piece by piece; set causal: true, or read it whole"
    )
