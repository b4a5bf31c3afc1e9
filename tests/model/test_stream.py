"""Streams: places of positions, what reads a stream, and what blocks leave in it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.layout import Layout
from luthier.model.stream import (
    State,
    Stream,
    Streamed,
    absent,
    longest,
    positions,
    through,
    whole_rows_only,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("stream", "places", "most"),
    [
        (None, [0, 1, 2], 3),
        (Stream(), [0, 1, 2], 3),
        (Stream(layout=Layout.packed((1, 2))), [[0, 0, 1]], 2),
        (Stream(state=State(capacity=9)), [0, 1, 2], 3),
        (Stream(state=State(capacity=9, time=4)), [4, 5, 6], 7),
        (Stream(state=State(capacity=9, begins=(0, 2))), [[0, 1, 2], [0, 0, 0]], 3),
        (Stream(state=State(capacity=9, begins=(1, 5), time=4)), [[3, 4, 5], [0, 0, 1]], 6),
    ],
)
def test_places(stream: Stream | None, places: list[object], most: int) -> None:
    assert positions(stream, 3, CPU).tolist() == places
    assert longest(stream, 3) == most


def test_a_state_and_a_layout_contradict() -> None:
    stream = Stream(layout=Layout.packed((3,)), state=State(capacity=9))
    with pytest.raises(AssertionError, match="both tell where documents begin"):
        positions(stream, 3, CPU)


def test_padding_at_the_left() -> None:
    assert absent(State(capacity=9, begins=(1, 3), time=2), 3, CPU).tolist() == [
        [False, False, False],
        [True, False, False],
    ]


class Reader(Streamed):
    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        return x + (stream is not None)


def test_a_stream_goes_to_what_reads_it() -> None:
    x = torch.zeros(1)
    assert through(Reader(), x, Stream()).item() == 1
    assert through(Reader(), x, None).item() == 0
    assert through(nn.Identity(), x, Stream()).item() == 0


def test_losses_of_a_name_add_up() -> None:
    stream = Stream()
    for number in (1.0, 2.0):
        stream.add_loss("load_balance", torch.tensor(number))
    stream.add_loss("other", torch.tensor(4.0))
    assert {name: loss.item() for name, loss in stream.losses.items()} == {
        "load_balance": 3.0,
        "other": 4.0,
    }


def test_what_is_handed_on_is_of_one_pass() -> None:
    one, other = Stream(), Stream()
    one.handed_on["block"] = one.shared["angles"] = 1
    one.add_loss("load_balance", torch.tensor(1.0))
    assert other.handed_on == other.shared == other.losses == {}


def test_whole_rows_only() -> None:
    x_BTD = torch.zeros(1, 3, 2)
    for stream in (None, Stream()):
        whole_rows_only("pool", x_BTD, stream, "use {kind: global_pool}")
    with pytest.raises(
        ShapeError, match=r"^pool cannot keep texts of different lengths apart; use"
    ):
        whole_rows_only("pool", x_BTD, Stream(layout=Layout.packed((3,))), "use nothing")
    with pytest.raises(ShapeError, match=r"^pool cannot read a text step by step; use"):
        whole_rows_only("pool", x_BTD, Stream(state=State(capacity=3)), "use nothing")
    whole_rows_only("pool", x_BTD[0], Stream(layout=Layout.packed((3,))), "of vectors")
