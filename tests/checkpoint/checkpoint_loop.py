"""A small training-like loop whose end depends on every tensor and every step of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from luthier.checkpoint.files import Files, Operation
from luthier.checkpoint.store import Store

STEPS = 8
EVERY = 2

Acknowledge = Callable[[int], None]


class Killed(BaseException):
    """The process is dead from here on: nothing catches it, and no later operation is made."""


@dataclass
class Log:
    """Counts the operations, and kills or fails at the chosen one."""

    at: int | None = None
    """The number of the operation, from 0; none lets all of them be."""
    how: Callable[[Operation], None] = lambda _operation: None
    """What happens then, and at each later one while `stays` is set."""
    stays: bool = True
    operations: list[Operation] = field(default_factory=list)

    def __call__(self, operation: Operation) -> None:
        number = len(self.operations)
        kept = bytes(operation.data)
        self.operations.append(Operation(operation.verb, operation.path, operation.target, kept))
        if self.at is not None and (number == self.at or (self.stays and number > self.at)):
            self.how(operation)


def kill(_operation: Operation) -> None:
    raise Killed


def tear(operation: Operation) -> None:
    """Dies in the middle of a write."""
    if operation.verb == "write":
        with open(operation.path, "ab") as file:
            file.write(operation.data[: len(operation.data) // 2])
    raise Killed


def kill_really(_operation: Operation) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def begin() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    weights = {
        "a": torch.randn(4, 3, dtype=torch.float64, generator=generator),
        "b": torch.randn(4, dtype=torch.float64, generator=generator),
    }
    return {
        "weights": weights,
        "moments": {name: torch.zeros_like(weight) for name, weight in weights.items()},
    }


def advance(tensors: dict[str, dict[str, Tensor]], step: int) -> None:
    """One step of momentum on a batch that is a pure function of the step."""
    generator = torch.Generator().manual_seed(step)
    x_BI = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    y_BO = torch.tanh(x_BI @ tensors["weights"]["a"].T + tensors["weights"]["b"])
    slope_BO = y_BO * (1 - y_BO**2)
    gradients = {"a": slope_BO.T @ x_BI, "b": slope_BO.sum(0)}
    for name, gradient in gradients.items():
        moment = tensors["moments"][name].mul_(0.9).add_(gradient)
        tensors["weights"][name].sub_(moment, alpha=0.05)


def resumed(store: Store) -> tuple[int, dict[str, dict[str, Tensor]]]:
    found = store.newest()
    if found is None:
        return 0, begin()
    assert found.state == {"done": found.step}
    return found.step, {key: found.tensors(key) for key in found.keys}


def train(store: Store, acknowledge: Acknowledge) -> dict[str, dict[str, Tensor]]:
    """Train from wherever the store says to the end; the first checkpoint stays pinned."""
    done, tensors = resumed(store)
    store.pin(EVERY)
    for step in range(done, STEPS):
        advance(tensors, step)
        if (step + 1) % EVERY == 0:
            store.save(step + 1, tensors, {"done": step + 1})
            acknowledge(step + 1)
    return tensors


def uninterrupted() -> dict[int, dict[str, dict[str, Tensor]]]:
    """The tensors after each number of steps, of a run that nothing stops."""
    tensors = begin()
    history = {0: copy(tensors)}
    for step in range(STEPS):
        advance(tensors, step)
        history[step + 1] = copy(tensors)
    return history


def copy(tensors: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {key: {n: t.clone() for n, t in named.items()} for key, named in tensors.items()}


def same(left: dict[str, dict[str, Tensor]], right: dict[str, dict[str, Tensor]]) -> bool:
    return left.keys() == right.keys() and all(
        left[key].keys() == right[key].keys()
        and all(torch.equal(left[key][name], right[key][name]) for name in left[key])
        for key in left
    )


Make = Callable[[Path, Files], Store]


def make_store(run: Path, files: Files) -> Store:
    return Store(run / "checkpoints", keep=1, files=files)


def count_operations(run: Path, make: Make = make_store) -> int:
    log = Log()
    train(make(run, Files(log)), lambda _step: None)
    return len(log.operations)


def faults_after(run: Path, acknowledged: int, make: Make) -> list[str]:
    """What is wrong with what an interrupted run left, and with finishing it."""
    history = uninterrupted()
    store = make(run, Files())
    faults: list[str] = []
    try:
        found = store.newest()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        return [f"cannot resume: {error}"]
    step = 0 if found is None else found.step
    if step < acknowledged:
        faults.append(f"lost work: step {acknowledged} was acknowledged, resumed from {step}")
    if store.warnings:
        faults.append(f"a torn checkpoint was visible: {store.warnings}")
    if found is not None:
        tensors = {key: found.tensors(key) for key in found.keys}
        if not same(tensors, history[step]):
            faults.append(f"step {step} is not what was saved")
    left = [path.name for path in run.rglob(".*")]
    if left:
        faults.append(f"left behind: {left}")
    if not same(train(make(run, Files()), lambda _step: None), history[STEPS]):
        faults.append("the end differs from that of a run that nothing stopped")
    return faults
