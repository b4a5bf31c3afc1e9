"""Sounds of different lengths: padding and the parts of a batch change nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from luthier.data.sound.sound_examples import SoundSamples
from luthier.data.target import Labels
from luthier.model.blocks import Block
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse
from luthier.tasks.classify import ClassifySpec
from luthier.tasks.sounds import Sounds, hear

BINS = 6
LENGTHS = (9, 3, 14, 1, 8, 14)
FRONT = {"kind": "subsample", "channels": [3, 4], "strides": [2, 1], "width": 8}
DESIGNS: dict[str, list[dict[str, Any]]] = {
    "cnn": [FRONT],
    "crnn": [FRONT, {"kind": "recurrent", "cell": "gru", "width": 4, "bidirectional": True}],
    "conformer": [
        FRONT,
        {"kind": "mlp", "residual_scale": 0.5, "norm": "layer"},
        {"kind": "attention", "heads": 2, "causal": False, "position": "rotary"},
        {"kind": "gated_conv", "kernel": 3},
        {"kind": "layer_norm"},
    ],
}


def network_of(layers: list[dict[str, Any]], classes: int = 3) -> Network:
    spec = parse(LayersSpec, {"layers": layers})
    target = Labels(names=tuple("abcdefg"[:classes]))
    network = build(spec, Signal("sequence", (14, BINS)), lambda s: ClassifySpec().head(s, target))
    materialize(network, seed=1, spec=InitializeSpec(), dtype=torch.float64)
    return network


def frames(number: int) -> Tensor:
    generator = torch.Generator().manual_seed(number)
    shape = (LENGTHS[number], BINS)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def samples(numbers: range | list[int]) -> SoundSamples:
    return SoundSamples(
        frames=[frames(number) for number in numbers],
        labels=torch.tensor([number % 3 for number in numbers]),
        ids=torch.tensor(list(numbers)),
    )


@pytest.mark.parametrize("design", DESIGNS)
def test_a_sound_is_read_as_if_it_were_alone(design: str) -> None:
    network = network_of(DESIGNS[design]).eval()
    together, _, _ = hear(network, Sounds.of(samples(range(6))))
    for number in range(6):
        alone, _, _ = hear(network, Sounds.of(samples([number])))
        torch.testing.assert_close(together[number], alone[0], rtol=1e-10, atol=1e-10)


def test_padding_does_not_count_in_batch_norm() -> None:
    """While training: a layout with padding gives the statistics of the frames alone."""
    network = network_of(DESIGNS["cnn"]).train()
    y, _, _ = hear(network, Sounds.of(samples(range(6))))
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    conv = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    filtered = [conv(frames(number)[None, None])[0].flatten(1) for number in range(6)]
    want = torch.cat(filtered, 1).mean(1) * norm.momentum
    torch.testing.assert_close(norm.running_mean, want, rtol=1e-10, atol=1e-10)
    assert bool(torch.isfinite(y).all())


@pytest.mark.parametrize("design", DESIGNS)
def test_the_parts_of_a_batch_add_up_to_it(design: str) -> None:
    network, task = (
        network_of(DESIGNS[design]).eval(),
        ClassifySpec().build(Labels(names=("a", "b", "c"))),
    )

    def gradients(parts: list[list[int]]) -> list[Tensor]:
        network.zero_grad()
        losses = [task.loss(network, task.collate(samples(part))) for part in parts]
        count = sum(float(loss.count) for loss in losses)
        for loss in losses:
            (loss.sum / count).backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    whole = gradients([[0, 1, 2, 3, 4, 5]])
    for parts in ([[0, 1], [2, 3], [4, 5]], [[0], [1, 2, 3, 4], [5]]):
        for got, want in zip(gradients(parts), whole, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_a_module_of_ones_own_reads_padded_rows() -> None:
    class Mine(nn.Module):
        def forward(self, x_BTM: Tensor) -> Tensor:
            return x_BTM.sum((1, 2))[:, None].expand(-1, 3)

    y, _, _ = hear(Mine(), Sounds.of(samples(range(6))))
    for number in range(6):
        torch.testing.assert_close(y[number, 0], frames(number).sum())


def test_what_has_a_way_around_it_keeps_its_positions() -> None:
    for kind, inside in (
        ("residual", {"layers": [FRONT]}),
        ("parallel", {"branches": [[FRONT], []]}),
    ):
        spec = TypeAdapter(Block).validate_python({"kind": kind, **inside})
        with pytest.raises(Exception, match=f"{kind} (goes around subsample|cannot|adds)"):
            spec.build(Signal("sequence", (14, BINS)))
