"""Repeats: copies, what is different in the first, and their errors."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.conv import Conv
from luthier.model.blocks.repeat import Repeat, RepeatSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse, plain

IMAGE = Signal.of((4, 16, 16))
CONV = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same"}


def chain_of(data: dict[str, Any]) -> Chain:
    return Chain((parse(RepeatSpec, data),), IMAGE, "model.layers")


def test_each_copy_has_weights_of_its_own() -> None:
    chain = chain_of({"times": 3, "layers": [CONV, CONV]})
    materialize(chain, seed=0, spec=InitializeSpec())
    weights = [w for name, w in chain.named_parameters() if name.endswith("weight")]
    assert len({w.data_ptr() for w in weights}) == 6
    assert len({float(w.detach().sum()) for w in weights}) == 6
    assert "0.copies.2.1.conv.weight" in chain.state_dict()


def test_the_first_copy_may_be_different() -> None:
    layers = [{"kind": "residual", "layers": [CONV, CONV]}]
    data = {"times": 3, "first": {"layers.0.layers.0.stride": 2}, "layers": layers}
    spec = parse(RepeatSpec, data)
    chain = chain_of(data)
    strides = [m.conv.stride for n, m in chain.named_modules() if isinstance(m, Conv)]
    assert strides == [(2, 2), (1, 1), (2, 2), (1, 1), (1, 1), (1, 1), (1, 1)]
    assert chain.gives == Signal.of((4, 8, 8))
    assert plain(spec) == {"kind": "repeat", **data}


def test_the_first_copy_may_set_what_the_others_leave_out() -> None:
    spec = parse(
        RepeatSpec, {"times": 2, "first": {"layers.0.activation": "relu"}, "layers": [CONV]}
    )
    assert spec.first_layers()[0] == spec.layers[0].model_copy(update={"activation": "relu"})


def test_branches_can_be_reached() -> None:
    layers = [{"kind": "parallel", "join": "add", "branches": [[], [CONV]]}]
    first = {"layers.0.branches.1.0.kernel": 5}
    chain = chain_of({"times": 2, "first": first, "layers": layers})
    kernels = [m.conv.kernel_size for m in chain.modules() if isinstance(m, Conv)]
    assert kernels == [(5, 5), (3, 3)]


def test_the_error_of_a_later_copy_says_so() -> None:
    with pytest.raises(ShapeError) as caught:
        chain_of({"times": 3, "layers": [{"kind": "conv", "channels": 4, "kernel": 9}]})
    assert str(caught.value) == (
        "model.layers[0].layers[0]: conv needs 9 × 9 positions for its kernel of 9 × 9, but gets "
        "an image (4, 8, 8) from conv of the copy before; make the kernel smaller, or add padding"
    )


def test_the_copies_are_run_in_order() -> None:
    chain = chain_of({"times": 2, "layers": [CONV]})
    block = chain[0]
    assert isinstance(block, Repeat)
    assert [copy.gives for copy in block.chains()] == [IMAGE, IMAGE]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"times": 0, "layers": [CONV]}, "times: got 0, wanted at least 1"),
        ({"times": 1001, "layers": [CONV]}, "times: got 1001, wanted at most 1,000"),
        ({"times": 2, "layers": []}, "layers: got no layers; wanted at least one, or no repeat"),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.0.strid": 2}},
            'first: layers[0].strid: unknown setting "strid"; did you mean "stride"?',
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.0.stride": 0}},
            "first: layers[0].stride: got 0",
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.1.stride": 2}},
            'first: "layers.1.stride": there is no "1"; wanted a place such as layers.0.stride; '
            "the first layer is 0",
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"times": 2}},
            'first: "times" is no setting of a layer; wanted a place such as layers.0.stride',
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.0.kernel.1": 2}},
            'first: "layers.0.kernel.1" is no setting of a layer',
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.0": {"kind": "flatten"}}},
            'first: "layers.0" is no setting of a layer',
        ),
        (
            {"times": 2, "layers": [CONV], "first": {"layers.conv.stride": 2}},
            'first: "layers.conv.stride": there is no "conv"',
        ),
    ],
)
def test_bad_settings(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(RepeatSpec, data)
    assert message in str(caught.value)
