"""The end of a run: cut off anywhere, it can be ended again, and it never passes for another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from run_support import equal, small, weights
from torch import nn

import luthier
from luthier.errors import DataError, InputError, RunError
from luthier.recipe import Recipe
from luthier.run.directory import RunDirectory
from luthier.training.events import Event, Saved


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("place", ["write_evaluation", "write_model", "report_data", "write_file"])
def test_a_death_at_the_end_is_mended_by_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def die(*_args: object, **_named: object) -> None:
        raise Killed

    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(f"luthier.run.finish.{place}", die)
        with pytest.raises(Killed):
            luthier.train(small(), out=out)
    with pytest.raises(InputError, match="its training is not finished; go on with luthier train"):
        luthier.load(out)
    run = luthier.train(small(), out=out, resume=True)
    assert run.directory.report.exists()
    assert "accuracy" in run.sentence()
    luthier.train(small(), out=tmp_path / "whole")
    assert equal(weights(out), weights(tmp_path / "whole"))


def test_a_longer_run_that_dies_is_not_the_shorter_one(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small("training.epochs=1"), out=out)

    def die(event: Event) -> None:
        if isinstance(event, Saved) and event.step == 14:
            raise Killed

    with pytest.raises(Killed):
        luthier.train(small(), out=out, resume=True, hooks=(die,))
    with pytest.raises(InputError, match="not finished"):
        luthier.load(out)
    assert luthier.train(small(), out=out, resume=True).summary()["steps"] == 14


def test_a_shorter_run_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small(), out=out)
    before = RunDirectory(out).resolved.read_text()
    with pytest.raises(InputError, match=r"got a run of 7 steps, but .* has done 14"):
        luthier.train(small("training.epochs=1"), out=out, resume=True)
    assert RunDirectory(out).resolved.read_text() == before
    assert luthier.load(out).summary()["steps"] == 14


def test_training_rows_are_measured_as_they_are(tmp_path: Path) -> None:
    run = luthier.train(small(), out=tmp_path / "run")
    split, first = run.evaluate("train")
    assert split == "train"
    assert np.array_equal(first.columns["loss"], run.evaluate("train")[1].columns["loss"])
    assert set(first.columns["label"]) <= set(range(10))


def test_with_no_other_rows_the_training_rows_are_measured(tmp_path: Path) -> None:
    recipe = small("data.split.test=0", "data.split.validation=0")
    assert luthier.train(recipe, out=tmp_path / "run").summary()["split"] == "train"


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    recipe = small("training.keep_best=true", "training.epochs=4", "training.ema_decay=null",
                   "optimizer.learning_rate=0.3")  # fmt: skip
    outcome = luthier.train(recipe, out=tmp_path / "run").summary()
    rows = RunDirectory(tmp_path / "run").read_metrics()
    best = [row["step"] for row in rows if row["event"] == "evaluated" and row["best"]][-1]
    assert outcome["weights_of_step"] == best


def test_a_damaged_line_of_metrics_does_not_stop_a_resume(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small("training.epochs=1"), out=out)
    with (out / "metrics.jsonl").open("ab") as file:
        file.write(b"\0" * 40 + b"\n")
    luthier.train(small(), out=out, resume=True)
    assert all("event" in row for row in RunDirectory(out).read_metrics())


def test_facts_that_are_gone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    luthier.train(small("training.epochs=1"), out=out)
    (out / "facts.json").unlink()
    with pytest.raises(RunError, match=r"facts.json is gone; bring back a copy"):
        luthier.load(out)


def test_a_resume_finds_the_data_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (160, 8, 8), dtype=np.uint8)
    (tmp_path / "here").mkdir()
    np.savez(tmp_path / "here" / "rows.npz", x_train=rows, y_train=np.arange(160) % 3)
    data = {"kind": "npz", "path": "rows.npz"}
    recipe = Recipe.of({**json.loads(small().model_dump_json(exclude_unset=True)), "data": data})
    monkeypatch.chdir(tmp_path / "here")
    luthier.train(recipe.with_values({"training.epochs": 1}), out=tmp_path / "run")
    monkeypatch.chdir(os.sep)
    assert luthier.train(recipe, out=tmp_path / "run", resume=True).summary()["steps"] > 2


def test_an_own_network(tmp_path: Path) -> None:
    recipe = small()
    own = Recipe.of(
        {k: v for k, v in recipe.model_dump(exclude_unset=True).items() if k != "model"}
    )
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    luthier.train(own, network=module, out=tmp_path / "run")
    again = luthier.load(tmp_path / "run", network=nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert torch.equal(again.network.state_dict()["layers.1.weight"], module[1].weight)
    with pytest.raises(InputError, match="trained with a network of your own code"):
        luthier.load(tmp_path / "run")
    with pytest.raises(InputError, match="the recipe has one, and network gives another"):
        luthier.train(recipe, network=module, out=tmp_path / "other")
    for weight in module.parameters():
        weight.requires_grad = False
    with pytest.raises(InputError, match="the network has no weights to train"):
        luthier.train(own, network=module, out=tmp_path / "other")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8, 5), np.uint8), "wanted .* with 1, 3 or 4 channels"),
        (np.zeros((0, 8), np.uint8), "got an array"),
        (np.zeros((8, 8)), "of float64"),
        (torch.zeros(8, 8), "got Tensor; wanted a file"),
        (None, "got NoneType"),
    ],
)
def test_pictures_that_are_none(tmp_path_factory: pytest.TempPathFactory, picture: object,
                                message: str) -> None:  # fmt: skip
    out = tmp_path_factory.getbasetemp() / "pictures"
    run = luthier.load(out) if out.exists() else luthier.train(small("training.epochs=1"), out=out)
    with pytest.raises(DataError, match=message):
        run.predict([picture])  # type: ignore[list-item]
    assert len(run.predict([np.zeros((8, 8), np.uint8)], top=20)[0]["top"]) == 10
    with pytest.raises(InputError, match="top: got 0"):
        run.predict([], top=0)
