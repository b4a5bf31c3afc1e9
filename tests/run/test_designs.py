"""Families in runs: what was decided is written down, and what would see ahead is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import luthier
from luthier.checkpoint.weights import read_weights
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.design import design_recipe
from luthier.run.directory import RunDirectory
from luthier.run.model_folder import read_network


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def recipe(tmp_path: Path, model: dict[str, Any], objective: str = "next_token") -> Recipe:
    text = "\n".join(f"the {noun} is {size}" for noun in "cat dog sun" for size in "big red old")
    path = tmp_path / "text.txt"
    path.write_text(f"{text}\n" * 40)
    return Recipe.of(
        {
            "name": "small",
            "task": {"kind": "language", "objective": objective},
            "data": {
                "kind": "text",
                "path": str(path),
                "tokenizer": {"kind": "characters"},
                "context": 16,
            },
            "model": model,
            "training": {"steps": 2, "batch_size": 2, "seed": 3},
            "placement": {"threads": 1, "precision": "fp32"},
        }
    )


def test_a_run_of_a_family(tmp_path: Path) -> None:
    """The file with what was decided makes the same weights; the folder holds the layers."""
    first, second = tmp_path / "first", tmp_path / "second"
    given = recipe(tmp_path, {"kind": "llama", "depth": 2, "width": 16})
    luthier.train(given, out=first)
    resolved = RunDirectory(first).resolved.read_text()
    assert "  mlp_width: 64  # 8/3 of the width of 16" in resolved
    luthier.train(RunDirectory(first).resolved, out=second)
    weights, same = (read_weights(out / "model" / "model.safetensors") for out in (first, second))
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    network = read_network(first / "model")
    assert network is not None
    assert {name: t.shape for name, t in network.named_parameters()} == {
        name: t.shape for name, t in weights.items()
    }
    assert str(network) == str(design_recipe(given).network)


def test_its_first_weights_are_the_familys(tmp_path: Path) -> None:
    """GPT-2 draws with a spread of 0.02, not as torch would."""
    given = recipe(tmp_path, {"kind": "gpt2", "depth": 1, "width": 64})
    run = luthier.train(
        given.with_values({"optimizer": {"kind": "sgd", "learning_rate": 1e-12}}),
        out=tmp_path / "run",
    )
    weight = run.network.get_parameter("layers.1.inner.query.weight")
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "bert", "depth": 1, "width": 16},
        {"kind": "transformer", "depth": 1, "width": 16, "causal": False},
        {"kind": "lstm", "width": 16, "bidirectional": True, "tied": False},
        {
            "layers": [
                {"kind": "tokens", "width": 8},
                {"kind": "conv", "channels": 8, "kernel": 3, "padding": "same"},
            ]
        },
    ],
    ids=lambda model: model.get("kind", "layers"),
)
def test_a_network_that_sees_what_it_is_to_predict(tmp_path: Path, model: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="to predict the next token, which this network would see"):
        design_recipe(recipe(tmp_path, model))
    masked = design_recipe(recipe(tmp_path, model, "masked")).network
    assert masked.gives.form == "sequence"


def test_one_that_does_not_is_taken(tmp_path: Path) -> None:
    """The same with its filter reaching back alone."""
    conv = {"kind": "conv", "channels": 8, "kernel": 3, "padding": "causal"}
    model = {"layers": [{"kind": "tokens", "width": 8}, conv]}
    assert design_recipe(recipe(tmp_path, model)).layers.layers[1].kind == "conv"


def test_what_waits_for_an_encoder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    layers = [{"kind": "tokens", "width": 8}, {"kind": "cross_attention", "heads": 2}]
    given = recipe(
        tmp_path, {"layers": [layers[0], {"kind": "repeat", "times": 2, "layers": [layers[1]]}]}
    )
    words = "cross_attention reads a source .*, which the task language does not give; leave it out"
    with pytest.raises(InputError, match=words):
        luthier.train(given, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
