"""What convolutions, pools, norms and their like do with texts of different lengths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from laid_out import (
    GARBAGE,
    LENGTHS,
    WIDTH,
    alone,
    block,
    differs,
    documents,
    layouts,
    outputs_of,
    overfits,
    padding_gets_no_gradient,
    rows_of,
    sees_the_future,
    stepwise_differs,
)
from pydantic import TypeAdapter
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks import Block
from luthier.model.blocks.conv import Conv, ConvSpec
from luthier.model.blocks.dropout import DropPathSpec
from luthier.model.blocks.norm import BatchNormSpec
from luthier.model.layout import PADDING, Layout
from luthier.model.stream import State, Stream, through


def spec_of(data: dict[str, Any]) -> BlockSpec:
    spec: BlockSpec = TypeAdapter(Block).validate_python(data)
    return spec


CAUSAL = {"kind": "conv", "channels": 5, "kernel": 3, "padding": "causal"}
SAME = {**CAUSAL, "padding": "same"}
APART: list[dict[str, Any]] = [
    SAME,
    CAUSAL,
    {**SAME, "kernel": 4, "norm": "batch", "activation": "relu"},
    {**SAME, "dilation": 3, "norm": "rms"},
    {**SAME, "channels": 4, "groups": "depthwise", "padding": 1},
    {**CAUSAL, "kernel": 1, "bias": False},
    {**CAUSAL, "kernel": 5, "dilation": 4},
    {"kind": "global_pool"},
    {"kind": "global_pool", "reduce": "max"},
    {"kind": "global_pool", "reduce": "first"},
    {"kind": "global_pool", "reduce": "last"},
    {"kind": "batch_norm"},
    {"kind": "residual", "layers": [{**SAME, "channels": 4}]},
    {"kind": "parallel", "branches": [[SAME], [{"kind": "recurrent", "width": 3}]]},
    {
        "kind": "repeat",
        "times": 2,
        "layers": [
            {"kind": "recurrent", "cell": "gru", "width": 4, "bidirectional": True},
            {"kind": "dense", "width": 4, "norm": "batch"},
            {**SAME, "channels": 4},
            {"kind": "linear_recurrence"},
        ],
    },
]


@pytest.mark.parametrize("data", APART, ids=lambda data: str(data["kind"]))
def test_documents_do_not_see_each_other(data: dict[str, Any]) -> None:
    module = block(spec_of(data))
    assert differs(module) == {}
    assert padding_gets_no_gradient(module)


def test_ties_of_a_maximum_share_its_gradient_within_their_document() -> None:
    pool = block(spec_of({"kind": "global_pool", "reduce": "max"}))
    parts = [torch.zeros(2, 1, dtype=torch.float64), torch.zeros(5, 1, dtype=torch.float64)]
    for layout in layouts([2, 5]).values():
        x = rows_of(parts, layout).requires_grad_()
        (slope,) = torch.autograd.grad(through(pool, x, Stream(layout=layout)).sum(), x)
        assert slope[layout.documents_BT == 0].unique().tolist() == [0.5]
        assert slope[layout.documents_BT == 1].unique().tolist() == pytest.approx([0.2])


class Blind(nn.Module):
    """A twin that does not look at where documents lie."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.inner(x)
        return y


@pytest.mark.parametrize(
    ("data", "caught"),
    [
        (SAME, set(layouts())),
        (CAUSAL, {"packed", "padded left", "several a row"}),
        ({"kind": "linear_recurrence"}, {"packed", "padded left", "several a row"}),
    ],
)
def test_a_block_that_mixes_documents_is_caught(data: dict[str, Any], caught: set[str]) -> None:
    assert set(differs(Blind(block(spec_of(data))))) == caught


# Convolutions.


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 3])
def test_a_causal_convolution(kernel: int, dilation: int) -> None:
    spec = ConvSpec(channels=5, kernel=kernel, dilation=dilation, padding="causal")
    module = block(spec)
    assert not sees_the_future(module)
    assert stepwise_differs(module) < 1e-12
    assert stepwise_differs(module, begins=(0, 0), pieces=(1, 1, 6, 1)) < 1e-12
    assert stepwise_differs(module, begins=(2, 6, 8, 3), pieces=(1, 1, 3, 4, 3)) < 1e-12


def test_a_convolution_that_sees_the_future_is_caught() -> None:
    assert sees_the_future(block(spec_of(SAME)))


def test_cells_that_are_forgotten_or_never_hidden_are_caught() -> None:
    module = block(spec_of(CAUSAL))
    assert stepwise_differs(module, change=lambda state: replace(state, blocks={})) > 1e-3
    shown = stepwise_differs(module, change=lambda state: replace(state, begins=()))
    assert shown > 1e-3


def test_a_causal_convolution_is_the_same_one_with_its_zeros_in_front() -> None:
    causal, same = block(spec_of({**CAUSAL, "kernel": 5})), block(spec_of({**SAME, "kernel": 5}))
    (x,) = documents([9])
    one, other = causal(x[None])[0], same(x[None])[0]
    torch.testing.assert_close(one[2:], other[:-2], rtol=0, atol=1e-12)


def test_over_time_it_is_that_of_torch_in_every_precision() -> None:
    conv = block(spec_of({**SAME, "stride": 2, "groups": 1})).get_submodule("0")
    assert isinstance(conv, Conv)
    x = torch.randn(3, 9, WIDTH, dtype=torch.float64)
    theirs = nn.functional.conv1d(
        x.transpose(1, 2), conv.conv.weight, conv.conv.bias, stride=2, padding=1
    )
    torch.testing.assert_close(conv(x), theirs.transpose(1, 2), rtol=0, atol=1e-12)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = conv.float()(x.float())
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.double(), theirs.transpose(1, 2), rtol=0.02, atol=0.02)


# What cannot be done is refused.

LAID_OUT = Stream(layout=Layout.packed([4, 12]))
REFUSED = [
    (
        {"kind": "max_pool", "size": 3, "stride": 1, "padding": 1},
        "max_pool cannot keep texts of different lengths apart; pool each of them whole, with "
        "{kind: global_pool}",
    ),
    ({"kind": "average_pool", "size": 2}, "average_pool cannot keep texts of different lengths"),
    ({"kind": "adaptive_pool", "size": 16}, "adaptive_pool cannot keep texts of different"),
    ({"kind": "flatten"}, "flatten cannot keep texts of different lengths apart; use {kind: glo"),
    ({"kind": "upsample", "factor": 1}, "upsample cannot keep texts of different lengths apart"),
    (
        {"kind": "conv_transpose", "channels": 4, "kernel": 3, "padding": 1},
        "conv_transpose cannot keep texts of different lengths apart; use {kind: conv, padding: s",
    ),
    ({"kind": "group_norm", "groups": 2}, "group_norm cannot keep texts of different lengths a"),
    ({**SAME, "norm": "group", "channels": 32}, "group_norm cannot keep texts of different len"),
    (
        {**SAME, "padding": "valid"},
        "conv changes the positions of what it reads, which texts of different lengths do not "
        "allow; use padding: same (or causal) and stride: 1",
    ),
    ({**SAME, "stride": 2}, "conv changes the positions of what it reads"),
    ({**SAME, "stride": 2, "kernel": 1}, "conv changes the positions of what it reads"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_what_would_mix_documents_is_refused(data: dict[str, Any], message: str) -> None:
    module = block(spec_of(data))
    x = torch.zeros(1, 16, WIDTH, dtype=torch.float64)
    assert len(module(x)) == 1
    with pytest.raises(ShapeError) as caught:
        through(module, x, LAID_OUT)
    assert str(caught.value).startswith(f"layers[0]: {message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            SAME,
            "conv reads positions that come later, so it cannot read a text step by step; use "
            "padding: causal and stride: 1",
        ),
        ({**CAUSAL, "stride": 2}, "conv reads positions that come later"),
        ({"kind": "global_pool"}, "global_pool cannot read a text step by step; leave it out"),
        ({"kind": "max_pool", "size": 2}, "max_pool cannot read a text step by step"),
        ({"kind": "group_norm", "groups": 2}, "group_norm cannot read a text step by step; use {"),
    ],
)
def test_what_has_no_state_is_refused(data: dict[str, Any], message: str) -> None:
    module = block(spec_of(data))
    x = torch.zeros(1, 4, WIDTH, dtype=torch.float64)
    with pytest.raises(ShapeError) as caught:
        through(module, x, Stream(state=State(capacity=9)))
    assert str(caught.value).startswith(f"layers[0]: {message}")


def test_an_error_inside_of_a_block_names_the_whole_place() -> None:
    module = block(spec_of({"kind": "residual", "layers": [{**SAME, "stride": 2, "channels": 4}]}))
    with pytest.raises(ShapeError) as caught:
        through(module, torch.zeros(1, 16, WIDTH, dtype=torch.float64), LAID_OUT)
    assert str(caught.value).startswith("layers[0].layers[0]: conv changes the positions")


# Norms and dropped paths while training.


@pytest.mark.parametrize("name", layouts())
def test_batch_norm_counts_no_padding(name: str) -> None:
    """Of all positions of all documents at once, whatever lies around them."""
    layout, parts = layouts()[name], documents()
    module, flat = block(BatchNormSpec()).train(), nn.BatchNorm1d(WIDTH).double()
    wanted = flat(torch.cat(parts))
    torch.testing.assert_close(torch.cat(outputs_of(module, parts, layout)), wanted)
    norm = module.get_submodule("0")
    torch.testing.assert_close(norm.running_mean, flat.running_mean)
    torch.testing.assert_close(norm.running_var, flat.running_var)
    assert padding_gets_no_gradient(module)


def test_a_batch_norm_that_counts_padding_is_caught() -> None:
    layout, parts = Layout.padded(LENGTHS), documents()
    module = block(BatchNormSpec()).train()
    right = torch.cat(outputs_of(module, parts, layout))
    wrong = torch.cat(outputs_of(Blind(module), parts, layout))
    assert (right - wrong).abs().max() > 0.1
    assert bool((rows_of(parts, layout) == GARBAGE).any())


def test_drop_path_draws_for_each_document() -> None:
    module = block(DropPathSpec(rate=0.5)).train()
    lengths = [3] * 40
    parts, layout = documents(lengths), Layout.rows_of([lengths[:20], lengths[20:]], 70)
    torch.manual_seed(0)
    got = outputs_of(module, parts, layout)
    kept = [bool(y.any()) for y in got]
    assert 10 < sum(kept) < 30
    for y, part, there in zip(got, parts, kept, strict=True):
        torch.testing.assert_close(y, 2 * part if there else 0 * part)
    assert (layout.documents_BT == PADDING).any()


# Learning.


@pytest.mark.parametrize(
    "data", [SAME, CAUSAL, {"kind": "residual", "layers": [{**SAME, "channels": 4}]}]
)
def test_it_learns_by_heart(data: dict[str, Any]) -> None:
    width = 4 if data["kind"] == "residual" else 5
    head = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 4))
    assert overfits(spec_of(data), head) < 0.02


def test_alone_is_what_a_stream_of_whole_rows_gives() -> None:
    parts = documents([6, 6])
    module = block(spec_of(SAME))
    got = outputs_of(module, parts, Layout.padded([6, 6]))
    for one, other in zip(got, alone(module, parts), strict=True):
        torch.testing.assert_close(one, other)
