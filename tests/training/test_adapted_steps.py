"""What moves beside an adapter, or from some step on, learns as everything else does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from toy_training import CLASSES, CPU, World, copied

from luthier.adapters import AdapterSpec, FreezeSpec, LoraSpec
from luthier.adapters.attach import attach
from luthier.adapters.freeze import rates, thawing
from luthier.adapters.moving import is_added
from luthier.data.target import Labels
from luthier.placement.placed import Placed
from luthier.tasks.classify import ClassifySpec
from luthier.training.average import Average
from luthier.training.learner import Learner
from luthier.training.loop import Callbacks
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState
from luthier.training.thaw import Thaw

LORA = LoraSpec(rank=2, targets=("0", "*"))
SPECS = {
    "lora": LoraSpec(rank=2, targets=("*",)),
    "dora": LoraSpec(kind="dora", rank=2, targets=("*",)),
    "freeze": FreezeSpec(first=2, thaw_every_steps=2, depth_decay=0.5),
}


@dataclass
class Adapted(World):
    adapter: AdapterSpec = LORA

    def make(self) -> Learner:
        net = super().make().placed.network
        attach(net, self.adapter)
        still = frozenset(n for n, weight in net.named_parameters() if not weight.requires_grad)
        decay = self.settings.ema_decay
        held = self.adapter if isinstance(self.adapter, FreezeSpec) else None
        return Learner(
            placed=Placed(network=net, device=CPU),
            optimizer=self.optimizer.build(net, rates(net, held) if held else {}),
            average=Average(net, decay, still) if decay else None,
            thaw=Thaw(net, thawing(net, held), 2) if held else None,
            still=still,
        )


def world(spec: AdapterSpec, **settings: object) -> Adapted:
    given = TrainingSpec.model_validate({"epochs": 2, "batch_size": 8, "seed": 3} | settings)
    task = ClassifySpec(class_weights={"ant": 0.2, "bee": 3.0}).build(Labels(names=CLASSES))
    return Adapted(given, task=task, adapter=spec)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("accumulate", [2, 8])
def test_parts_equal_the_whole(kind: str, accumulate: int) -> None:
    def trained(parts: int) -> dict[str, Tensor]:
        here = world(SPECS[kind], accumulate=parts)
        made = here.make()
        before = copied(made.tensors())["weights"]
        here.go(made)
        after = copied(made.tensors())["weights"]
        assert any(not torch.equal(before[name], after[name]) for name in before)
        return after

    whole, parts = trained(1), trained(accumulate)
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("stopped", [1, 3, 4])
def test_a_resumed_run_is_equal_bit_for_bit(kind: str, stopped: int) -> None:
    here = world(SPECS[kind], ema_decay=0.9, checkpoint_every_steps=1, clip_norm=1.0)
    here.norm = True
    here.dropout = 0.2
    whole = here.make()
    here.go(whole)
    saved: dict[str, object] = {}
    first = here.make()

    def save(state: LoopState) -> None:
        if state.step == stopped:
            saved["state"], saved["tensors"] = state, copied(first.tensors())

    here.go(first, callbacks=Callbacks(save=save))
    again = here.make()
    again.load(saved["tensors"])  # type: ignore[arg-type]
    here.go(again, start=saved["state"])  # type: ignore[arg-type]
    one, two = whole.tensors(), again.tensors()
    assert one.keys() == two.keys()
    for key in one:
        assert one[key].keys() == two[key].keys()
        assert all(torch.equal(one[key][name], two[key][name]) for name in one[key]), key
    assert all(torch.equal(t, again.finished()[n]) for n, t in whole.finished().items())


def test_what_stays_takes_no_room() -> None:
    made = world(SPECS["lora"], ema_decay=0.9).make()
    tensors = made.tensors()
    assert tensors["weights"]
    assert all(is_added(name) for key in ("weights", "average") for name in tensors[key])
    assert all(is_added(name.rpartition("/")[2]) for name in tensors["optimizer"])
    assert not any(is_added(name) for name in made.finished())
