"""The moving average against its formula."""

from __future__ import annotations

import torch
from torch import nn
from toy_training import learner

from luthier.training.average import Average


def test_the_formula() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    average = Average(net, 0.5)
    expected = {name: t.clone() for name, t in average.tensors.items()}
    assert set(expected) == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
    }  # fmt: skip
    for step, decay in enumerate(
        [0.1, 2 / 11, 0.25, 4 / 13, 5 / 14, 0.4, 7 / 16, 8 / 17, 0.5, 0.5]
    ):
        with torch.no_grad():
            for tensor in (*net.parameters(), net.get_buffer("1.running_mean")):
                tensor += step
        average.update(step)
        for name, tensor in net.state_dict().items():
            if name in expected:
                expected[name] = decay * expected[name] + (1 - decay) * tensor
    for name, tensor in expected.items():
        torch.testing.assert_close(average.tensors[name], tensor, rtol=1e-13, atol=0)


def test_in_place_only_inside_also_after_an_error() -> None:
    net = nn.Linear(2, 2)
    average = Average(net, 0.9)
    kept = average.tensors["weight"].clone()
    with torch.no_grad():
        net.weight += 1
    moved = net.weight.detach().clone()
    try:
        with average.in_place():
            assert torch.equal(net.weight, kept)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(net.weight, moved)


def test_a_learner_without_average_finishes_with_its_weights() -> None:
    net = nn.Linear(2, 2)
    made = learner(net)
    with made.finishing():
        assert torch.equal(made.finished()["weight"], net.weight)
    assert set(made.tensors()) == {"weights", "optimizer"}
