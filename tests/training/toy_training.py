"""A small network, a task and data in float64, put together as a run would be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from luthier.data.examples import Samples
from luthier.data.loader import Loader, StepBatches
from luthier.data.target import Labels
from luthier.placement.placed import Placed
from luthier.signal import Signal
from luthier.tasks.classify import Classify, ClassifyBatch, ClassifySpec
from luthier.training.average import Average
from luthier.training.callbacks import Callbacks
from luthier.training.learner import Learner
from luthier.training.loop import Fitted, fit
from luthier.training.optimizer import AdamSpec, OptimizerSpec
from luthier.training.schedule import CosineSpec, ScheduleSpec, schedule_for
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState

CLASSES = ("ant", "bee", "cow")
CPU = torch.device("cpu")
State = tuple[dict[str, dict[str, Tensor]], LoopState]


@dataclass(frozen=True)
class Rows:
    """Images in memory; each epoch adds its own noise, as an augmentation would."""

    count: int = 22
    noise: float = 0.0

    @property
    def signal(self) -> Signal:
        return Signal("image", (2, 6, 6))

    def __len__(self) -> int:
        return self.count

    def read(self, ids: np.ndarray, epoch: int) -> Samples:
        inputs = torch.stack([self._row(int(row), epoch) for row in ids])
        return Samples(
            inputs=inputs, targets=torch.from_numpy(ids % 3), ids=torch.from_numpy(ids.copy())
        )

    def name(self, row: int) -> str:
        return f"train[{row}]"

    def _row(self, row: int, epoch: int) -> Tensor:
        still = torch.Generator().manual_seed(row)
        moving = torch.Generator().manual_seed(1000 * epoch + row)
        x = torch.randn(2, 6, 6, dtype=torch.float64, generator=still) + row % 3
        return x + self.noise * torch.randn(2, 6, 6, dtype=torch.float64, generator=moving)


def network(*, dropout: float = 0.0, norm: bool = False, seed: int = 1) -> nn.Sequential:
    """Conv, dense, head: with weights of four, two and one dimensions."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Conv2d(2, 4, 3)]
        layers += [nn.BatchNorm2d(4)] if norm else []
        layers += [nn.ReLU(), nn.Dropout(dropout), nn.Flatten(), nn.Linear(64, 8), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(8, 3)).double()


def learner(
    net: nn.Module,
    spec: OptimizerSpec | None = None,
    ema_decay: float | None = None,
) -> Learner:
    return Learner(
        placed=Placed(network=net, device=CPU),
        optimizer=(spec or AdamSpec()).build(net),
        average=Average(net, ema_decay) if ema_decay else None,
    )


@dataclass
class World:
    """All that a run is made of; `make` begins it, `go` trains."""

    settings: TrainingSpec
    optimizer: OptimizerSpec = field(default_factory=AdamSpec)
    schedule: ScheduleSpec = field(default_factory=lambda: CosineSpec(warmup_steps=2))
    task: Classify = field(default_factory=lambda: ClassifySpec().build(Labels(names=CLASSES)))
    rows: Rows = field(default_factory=Rows)
    dropout: float = 0.0
    norm: bool = False
    workers: int = 0
    poison: frozenset[int] = frozenset()
    """Steps whose inputs are not finite."""

    def make(self) -> Learner:
        net = network(dropout=self.dropout, norm=self.norm)
        return learner(net, self.optimizer, self.settings.ema_decay)

    def loader(self) -> Poisoned:
        assert isinstance(self.settings.batch_size, int)
        inner = Loader(
            self.rows,
            self.task.collate,
            batch_rows=self.settings.batch_size,
            accumulate=self.settings.accumulate,
            seed=self.settings.seed,
            shuffle=True,
            workers=self.workers,
        )
        return Poisoned(inner, self.poison)

    def go(
        self,
        made: Learner,
        start: LoopState | None = None,
        callbacks: Callbacks | None = None,
    ) -> Fitted:
        loader = self.loader()
        total = self.settings.total_steps(loader.steps_per_epoch)
        schedule = schedule_for(self.schedule, total)
        return fit(
            made, self.task, loader, schedule, self.settings, start=start, callbacks=callbacks
        )


@dataclass(frozen=True)
class Poisoned:
    """A loader that puts a NaN in the inputs of some steps."""

    inner: Loader[ClassifyBatch]
    steps: frozenset[int]

    @property
    def steps_per_epoch(self) -> int:
        return self.inner.steps_per_epoch

    def batches(self, start_step: int, stop_step: int) -> Iterator[StepBatches[ClassifyBatch]]:
        for batches in self.inner.batches(start_step, stop_step):
            if batches.step in self.steps:
                for batch in batches.micro:
                    batch.inputs.view(-1)[0] = torch.nan
            yield batches


def copied(tensors: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {
        key: {name: tensor.clone() for name, tensor in named.items()}
        for key, named in tensors.items()
    }


def differences(left: Any, right: Any) -> list[str]:
    """The names of the tensors that are not bit-equal."""
    names = [(key, name) for key in left for name in left[key]]
    assert names == [(key, name) for key in right for name in right[key]]
    return [
        f"{key}: {name}"
        for key, name in names
        if not torch.equal(left[key][name], right[key][name])
    ]


def stop_after(steps: int) -> Callable[[], bool]:
    """Asks to stop once `steps` steps are done; the loop asks before the first as well."""
    asked = -1

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= steps

    return stop
