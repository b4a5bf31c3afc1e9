"""Runs that learn which answers are better: from a start, with an adapter, resumed, as a reward."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_support import equal, weights

import luthier as package
from luthier.checkpoint.files import remove_tree
from luthier.checkpoint.folder import read_folder
from luthier.cli.app import run as command
from luthier.errors import DataError, RunError
from luthier.recipe import Recipe
from luthier.run.finished import Run

THINGS = ["sky", "grass", "snow", "coal", "rose", "sea", "sand", "moss", "milk", "ink"]
PAIRS = [
    {"prompt": f"Like {thing}?", "chosen": f"Yes, {thing}!", "rejected": f"No {thing}."}
    for thing in THINGS
]
SMALL: dict[str, Any] = {
    "optimizer": {"kind": "adam", "learning_rate": 0.01},
    "training": {"steps": 20, "batch_size": 4, "seed": 1, "checkpoint_every_steps": 7},
    "placement": {"threads": 1, "precision": "fp32"},
}


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("data") / "pairs.jsonl", PAIRS)


@pytest.fixture(scope="module")
def base(pairs: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama that has seen good and bad answers."""
    folder = tmp_path_factory.mktemp("base")
    both = [
        {"prompt": p["prompt"], "completion": p[k]} for p in PAIRS for k in ("chosen", "rejected")
    ]
    recipe = {
        "name": "base",
        "task": {"kind": "language"},
        "data": {
            "kind": "chat",
            "path": written(folder / "both.jsonl", both),
            "tokenizer": {"kind": "bpe", "vocab": 320},
            "split": {"validation": 0},
        },
        "model": {"kind": "llama", "width": 16, "depth": 1, "heads": 2},
        **SMALL,
    }
    return str(package.train(recipe, out=folder / "run").directory.path)


def tuned(base: str, pairs: str, *overrides: str, **sections: Any) -> Recipe:
    task = sections.pop("task", {"kind": "preference", "loss": "dpo", "beta": 0.5})
    data = {"kind": "chat", "path": pairs, "split": {"validation": 0.2}}
    recipe = {"name": "tuned", "start": base, "task": task, "data": data, **SMALL, **sections}
    return Recipe.of(recipe, overrides)


@pytest.fixture(scope="module")
def run(base: str, pairs: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return package.train(tuned(base, pairs), out=tmp_path_factory.mktemp("runs") / "dpo")


def test_it_learns_which_answer_is_better(run: Run) -> None:
    metrics = run.summary()["metrics"]
    assert metrics["accuracy"]["value"] == 1.0
    assert metrics["margin"]["value"] > 0.5
    measured = [row for row in run.directory.read_metrics() if row["event"] == "evaluated"]
    assert measured[-1]["metrics"]["margin"]["value"] > 0.5
    assert "Reward margin" in run.directory.report.read_text()
    assert run.generate(["Like sky?"], {"greedy": True, "max_tokens": 4})[0].text


def test_what_the_start_says_is_kept(run: Run, base: str, pairs: str) -> None:
    """It is what the start says of each answer; and an evaluation later finds it."""
    kept = read_folder(run.directory.reference).tensors("reference.safetensors")
    assert kept["train"].shape == (2, 8)
    assert kept["validation"].shape == (2, 2)
    before = run.summary()["metrics"]
    _, again = run.evaluate("validation")
    assert again.metrics["margin"].value == pytest.approx(before["margin"]["value"], rel=1e-5)
    assert float(kept["train"].max()) < 0


def test_a_resumed_run_is_the_same_run(run: Run, base: str, pairs: str, tmp_path: Path) -> None:
    out = tmp_path / "dpo"
    package.train(tuned(base, pairs), out=out)
    for entry in out.glob("checkpoints/step-*"):
        if int(entry.name[5:]) > 7:
            remove_tree(entry)
    package.train(tuned(base, pairs), out=out, resume=True)
    assert equal(weights(out), weights(run.directory.path))


def test_a_damaged_reference_is_told(run: Run, base: str, pairs: str, tmp_path: Path) -> None:
    out = tmp_path / "dpo"
    package.train(tuned(base, pairs, "training.steps=2"), out=out)
    file = out / "reference" / "reference.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(RunError, match="reference is damaged"):
        package.load(out).evaluate()


@pytest.mark.parametrize("loss", ["orpo", "kto"])
def test_other_losses_train(loss: str, base: str, pairs: str, tmp_path: Path) -> None:
    task = {"kind": "preference", "loss": loss}
    made = package.train(tuned(base, pairs, task=task), out=tmp_path / "run")
    metrics = made.summary()["metrics"]
    assert metrics["margin"]["value"] > 0.05
    assert made.directory.reference.exists() == (loss == "kto")


@pytest.mark.parametrize("loss", ["dpo", "kto"])
def test_parts_of_a_batch_teach_what_the_batch_does(
    loss: str, base: str, pairs: str, tmp_path: Path
) -> None:
    """The loop surveys all parts of a step before it learns from any."""
    task = {"kind": "preference", "loss": loss, "beta": 1.0}
    found = []
    for parts in (1, 4):
        recipe = tuned(
            base,
            pairs,
            "optimizer={kind: sgd, learning_rate: 0.1}",
            f"training.accumulate={parts}",
            "training.steps=3",
            task=task,
        )
        made = package.train(recipe, out=tmp_path / str(parts))
        found.append(weights(made.directory.path))
    for name, tensor in found[0].items():
        np.testing.assert_allclose(tensor, found[1][name], atol=2e-6, err_msg=name)


def test_with_an_adapter_no_second_network_is_there(base: str, pairs: str, tmp_path: Path) -> None:
    """The reference is the start, though only an adapter moves; what is finished is whole."""
    recipe = tuned(base, pairs, "training.steps=30", adapter={"kind": "lora", "rank": 4})
    made = package.train(recipe, out=tmp_path / "lora")
    whole = package.train(tuned(base, pairs, "training.steps=1"), out=tmp_path / "whole")
    kept = [
        read_folder(one.directory.reference).tensors("reference.safetensors")["train"].numpy()
        for one in (made, whole)
    ]
    np.testing.assert_allclose(kept[0], kept[1], rtol=1e-5)
    assert made.summary()["metrics"]["margin"]["value"] > 0.3


def test_a_reward(base: str, pairs: str, tmp_path: Path) -> None:
    made = package.train(tuned(base, pairs, task={"kind": "reward"}), out=tmp_path / "reward")
    assert made.summary()["metrics"]["accuracy"]["value"] == 1.0
    good, bad = made.predict([("Like sky?", "Yes, sky!"), "Like sky?\tNo sky."])
    assert good["reward"] > bad["reward"]
    with pytest.raises(DataError, match="wanted two, with a tab"):
        made.predict(["Like sky?"])


def test_check_says_what_answers_are_like(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [{**row, "chosen": row["chosen"] * 5} for row in PAIRS]
    path = written(tmp_path / "long.jsonl", long)
    file = tmp_path / "recipe.yaml"
    file.write_text(tuned(base, path).to_yaml())
    assert command(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "10 conversations as preferences (chosen and rejected)" in out
    assert "what is learned may be to write long answers" in out
    assert "«" in out


def test_data_that_has_no_pairs(base: str, tmp_path: Path) -> None:
    rows = [{"prompt": f"a {n}", "completion": "b", "label": True} for n in range(9)]
    with pytest.raises(DataError, match="single answers with a label, but this task compares two"):
        package.train(tuned(base, written(tmp_path / "x.jsonl", rows)), out=tmp_path / "run")
    rows = [{"prompt": f"a {n}", "chosen": "b", "rejected": None} for n in range(9)]
    with pytest.raises(DataError, match="has no rejected answer"):
        package.train(tuned(base, written(tmp_path / "y.jsonl", rows)), out=tmp_path / "run")
