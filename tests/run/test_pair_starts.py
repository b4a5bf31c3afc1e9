"""Runs of pairs that start from a run of pairs, or from what somebody pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_pair_runs import pairs, recipe

import luthier
from luthier.checkpoint.weights import read_weights
from luthier.errors import DataError, InputError, SpecError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.exporting import export

pytest.importorskip("sacrebleu")
SHORT = {"epochs": 1, "batch_tokens": 200, "seed": 1}
STILL = {"kind": "adam", "learning_rate": 1e-12}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(read_weights(run / "model" / "model.safetensors"))


def going_on(folder: Path, start: Path, **sections: Any) -> Recipe:
    data = {"kind": "pairs", "path": str(folder), "source": "en", "target": "de"}
    data |= sections.pop("data", {})
    given = {"data": data, "model": None, "training": SHORT, "optimizer": STILL, **sections}
    return recipe(folder, start=str(start), **given)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tokenizer for each side, and learned positions in the decoder."""
    folder = tmp_path_factory.mktemp("numbers")
    pairs(folder)
    words = {"kind": "words"}
    data = {"kind": "pairs", "path": str(folder), "source": "en", "target": "de"}
    both = {"tokenizer": words, "target_tokenizer": words, "target_context": 16}
    tokens = {"kind": "tokens", "width": 16}
    model = {
        "encoder": [tokens, {"kind": "attention", "heads": 2, "causal": False}],
        "decoder": [{**tokens, "position": "learned"}, {"kind": "cross_attention", "heads": 2}],
    }
    given = recipe(folder, data={**data, **both}, model=model, training=SHORT)
    luthier.train(given, out=folder / "start")
    return folder / "start"


def test_tokenizers_layers_and_head_go_on(start: Path, tmp_path: Path) -> None:
    pairs(tmp_path, 12)
    given = going_on(tmp_path, start, data={"target_context": 16})
    run = luthier.train(given, out=tmp_path / "run")
    before, after = weights(start), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    told = luthier.load(start)
    assert run.inputs.tokenizer.fingerprint == told.inputs.tokenizer.fingerprint
    assert run.inputs.target_tokenizer.fingerprint == told.inputs.target_tokenizer.fingerprint
    said = [one["output"] for one in run.predict(["one two", "five"])]
    assert said == [one["output"] for one in told.predict(["one two", "five"])]
    resolved = Recipe.read(tmp_path / "run" / "resolved.yaml")
    assert resolved.model.decoder[0].positions == 16
    moved = luthier.train(
        going_on(tmp_path, start, optimizer={"kind": "adam", "learning_rate": 0.01}),
        out=tmp_path / "moved",
    )
    assert not torch.equal(
        before["encoder.0.table.weight"], weights(tmp_path / "moved")["encoder.0.table.weight"]
    )
    assert moved.task_name == "seq2seq"


def test_measured_on_other_pairs(start: Path, tmp_path: Path) -> None:
    pairs(tmp_path, 12)
    given = recipe(tmp_path)
    _, measured = luthier.load(start).evaluate(on=given, split="train")
    assert measured.metrics["loss"].value > 0


def test_what_does_not_go_on(start: Path, tmp_path: Path) -> None:
    pairs(tmp_path, 12)
    (tmp_path / "labels.csv").write_text("text,label\none,a\ntwo,b\n" * 8)
    table = {"kind": "text_table", "path": str(tmp_path / "labels.csv")}
    labels = recipe(tmp_path, task={"kind": "classify"}, data=table, model=None, start=str(start))
    with pytest.raises(InputError, match=r"task classify does not go on with; give task.*seq2seq"):
        check_recipe(labels)
    with pytest.raises(SpecError, match=r"data\.tokenizer: got .*leave it out"):
        check_recipe(going_on(tmp_path, start, data={"tokenizer": {"kind": "words"}}))
    with pytest.raises(SpecError, match=r"data\.first: got True.*nothing before a source"):
        check_recipe(going_on(tmp_path, start, data={"first": True}))
    with pytest.raises(DataError, match="target_context: got 20, but the start can read 16"):
        luthier.train(going_on(tmp_path, start, data={"target_context": 20}), out=tmp_path / "no")


def test_one_tokenizer_is_kept(tmp_path: Path) -> None:
    pairs(tmp_path, 12)
    luthier.train(recipe(tmp_path, training=SHORT), out=tmp_path / "start")
    again = luthier.train(going_on(tmp_path, tmp_path / "start"), out=tmp_path / "run")
    assert again.inputs.tokenizer is again.inputs.target_tokenizer
    wrong = going_on(tmp_path, tmp_path / "start", data={"target_tokenizer": {"kind": "bytes"}})
    with pytest.raises(SpecError, match=r"data\.target_tokenizer.*one tokenizer for both sides"):
        check_recipe(wrong)


def test_what_is_of_no_family_says_how_it_differs(start: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a tokenizer for each side"):
        export(start, "huggingface", tmp_path / "out")
    pairs(tmp_path, 12)
    luthier.train(recipe(tmp_path, training=SHORT), out=tmp_path / "run")
    with pytest.raises(InputError, match=r"member of no family.*From the nearest, BART"):
        export(tmp_path / "run", "huggingface", tmp_path / "out")
    assert not (tmp_path / "out").exists()
