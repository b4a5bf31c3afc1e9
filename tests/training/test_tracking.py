"""TensorBoard, W&B and MLflow get the same numbers by their own ways."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_metrics_file import logged
from test_progress import EVALUATED

from luthier.errors import InputError
from luthier.training.events import Saved
from luthier.training.settings import Tracker
from luthier.training.tracking import tracked

TRAIN = {
    "train/loss": 0.5,
    "train/learning_rate": 1e-3,
    "train/gradient_norm": 1.0,
    "train/rows_per_second": 100.0,
    "train/waiting_share": 0.0,
    "train/skipped": 0.0,
}
VALIDATION = {"validation/loss": 0.061, "validation/macro_f1": 0.981}


class Calls(list[Any]):
    """Stands in for a package: keeps what is called."""

    def module(self, name: str, *functions: str) -> ModuleType:
        made = ModuleType(name)
        for function in functions:
            setattr(made, function, self.function(function))
        return made

    def function(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.append((name, args, kwargs))
            return self

        return call

    def __getattr__(self, name: str) -> Any:
        return self.function(name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    mlflow = ("set_experiment", "start_run", "log_metrics", "end_run")
    monkeypatch.setitem(sys.modules, "wandb", calls.module("wandb", "init"))
    monkeypatch.setitem(sys.modules, "mlflow", calls.module("mlflow", *mlflow))
    name = "torch.utils.tensorboard"
    monkeypatch.setitem(sys.modules, name, calls.module(name, "SummaryWriter"))
    return calls


def track(tracker: Tracker, directory: Path, start_step: int = 0) -> None:
    with tracked((tracker,), "digits", directory, start_step) as (hook,):
        for event in (logged(4), Saved(step=4, best=False), EVALUATED):
            hook(event)


def test_wandb(calls: Calls, tmp_path: Path) -> None:
    track("wandb", tmp_path)
    assert calls == [
        ("init", (), {"project": "luthier", "group": "digits", "name": "digits",
                      "dir": str(tmp_path)}),
        ("log", (TRAIN,), {"step": 4}),
        ("log", (VALIDATION,), {"step": 469}),
        ("finish", (), {}),
    ]  # fmt: skip


def test_mlflow(calls: Calls, tmp_path: Path) -> None:
    track("mlflow", tmp_path, start_step=3)
    assert calls == [
        ("set_experiment", ("luthier",), {}),
        ("start_run", (), {"run_name": "digits from step 3"}),
        ("log_metrics", (TRAIN,), {"step": 4}),
        ("log_metrics", (VALIDATION,), {"step": 469}),
        ("end_run", (), {}),
    ]


def test_tensorboard(calls: Calls, tmp_path: Path) -> None:
    track("tensorboard", tmp_path, start_step=3)
    assert calls[0] == ("SummaryWriter", (str(tmp_path / "tensorboard"),), {"purge_step": 4})
    assert calls[1] == ("add_scalar", ("train/loss", 0.5, 4), {})
    assert len(calls) == 1 + len(TRAIN) + len(VALIDATION) + 1
    assert calls[-1] == ("close", (), {})


def test_a_loss_that_is_none_is_left_out(calls: Calls, tmp_path: Path) -> None:
    with tracked(("wandb",), "digits", tmp_path, 0) as (hook,):
        hook(logged(4, loss=None))
    assert "train/loss" not in calls[1][1][0]


def test_none_are_none(tmp_path: Path) -> None:
    with tracked((), "digits", tmp_path, 0) as hooks:
        assert hooks == ()


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb", "mlflow"])
def test_a_package_that_is_missing(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("torch.utils.tensorboard", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    message = rf'this needs {tracker}, which is not installed: pip install "luthier\[track\]"'
    with pytest.raises(InputError, match=message), tracked((tracker,), "digits", tmp_path, 0):
        pass
