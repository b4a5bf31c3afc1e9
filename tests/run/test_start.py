"""Runs that start from another one: its layers and tokenizer, a head that is new or goes on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_support import small, weights

import luthier
from luthier.checkpoint.document import sealed, unsealed
from luthier.data.purpose import Special
from luthier.data.text.tokens.tokenizer_training import WordsSpec, train_tokenizer
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.design import design_recipe
from luthier.run.directory import RunDirectory
from luthier.run.reading import read
from luthier.run.start import start_of
from luthier.spec import plain

NOUNS = ("cat", "dog", "sun", "sea", "man", "hen")
LAYERS: list[dict[str, Any]] = [
    {"kind": "tokens", "width": 8, "position": "learned"},
    {"kind": "attention", "heads": 2, "causal": False},
]
TRAINING = {"steps": 4, "batch_size": 4, "seed": 3, "checkpoint_every_steps": 1}


def recipe(data: dict[str, Any], **sections: Any) -> Recipe:
    return Recipe.of(
        {"name": "small", "data": data, "training": TRAINING, "placement": {"threads": 1}}
        | sections
    )


def masked(folder: Path, layers: list[dict[str, Any]] = LAYERS) -> Recipe:
    tokenizer = {"kind": "words", "least": 1}
    data = {"kind": "text", "path": str(folder / "text.txt"), "document": "line"}
    return recipe(
        data | {"context": 16, "tokenizer": tokenizer},
        task={"kind": "language", "objective": "masked"},
        model={"layers": layers},
    )


def tuned(folder: Path, start: Path | str, **sections: Any) -> Recipe:
    data = {"kind": "text_table", "path": str(folder / "labels.csv"), "context": 12}
    data |= sections.pop("data", {})
    return recipe(data, task={"kind": "classify"}, start=str(start), **sections)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with texts, with a masked language model `start`."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(folder / "cache"))
        texts = [f"the {one} saw the {other}" for one in NOUNS for other in NOUNS]
        (folder / "text.txt").write_text("\n".join(texts) + "\n")
        rows = [f"{text} today,{'ab'[n % 2]}" for n, text in enumerate(texts)]
        (folder / "labels.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        luthier.train(masked(folder), out=folder / "start")
        yield folder


def test_layers_and_tokenizer_are_taken_and_the_head_is_new(world: Path, tmp_path: Path) -> None:
    given = tuned(world, world / "start", optimizer={"kind": "adam", "learning_rate": 1e-9})
    run = luthier.train(given, out=tmp_path / "run")
    before, after = weights(world / "start"), weights(tmp_path / "run")
    layers = {name for name in before if name.startswith("layers.")}
    assert layers == {name for name in after if name.startswith("layers.")}
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in layers)
    fresh = tuned(
        world,
        world / "start",
        optimizer={"kind": "adam", "learning_rate": 1e-9},
        model={"layers": [LAYERS[0] | {"positions": 16}, LAYERS[1]]},
    ).with_values({"start": None, "data.tokenizer": tokenizer_of(world / "start")})
    luthier.train(fresh, out=tmp_path / "fresh")
    twin = weights(tmp_path / "fresh")
    assert not all(torch.allclose(before[name], twin[name], atol=1e-6) for name in layers)
    heads = {name for name in after if name.startswith("head.")}
    assert heads
    assert all(torch.allclose(after[name], twin[name], atol=1e-6) for name in heads), "a new head"
    names = [path / "model" / "tokenizer.json" for path in (world / "start", tmp_path / "run")]
    assert names[0].read_text() == names[1].read_text()
    assert {item["label"] for item in run.predict(["the cat"])[0]["top"]} == {"a", "b"}


def tokenizer_of(run: Path) -> dict[str, str]:
    return {"kind": "file", "path": str(run / "model" / "tokenizer.json")}


def test_what_was_settled_is_written_down(world: Path, tmp_path: Path) -> None:
    luthier.train(tuned(world, world / "start"), out=tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    resolved = directory.read_resolved()
    assert resolved.start == str(world / "start")
    assert plain(resolved.data)["tokenizer"] == tokenizer_of(world / "start")
    assert plain(resolved.model)["layers"][0]["positions"] == 16
    told = directory.resolved.read_text()
    assert "the one that start has" in told
    assert "the layers that start has" in told
    luthier.train(resolved, out=tmp_path / "again")
    same, other = weights(tmp_path / "run"), weights(tmp_path / "again")
    assert all(torch.equal(same[name], other[name]) for name in same)


@pytest.mark.parametrize("words", [1, 30])
def test_auto_chooses_no_more_positions_than_were_learned(
    world: Path, tmp_path: Path, words: int
) -> None:
    for name in ("classes.csv", "more.txt"):
        long = " ".join(["the cat saw the dog"] * words)
        rows = [f"{long} {n},{'ab'[n % 2]}" for n in range(40)]
        head = ["text,label"] if name.endswith("csv") else []
        (tmp_path / name).write_text("\n".join(head + rows) + "\n")
    labelled = tuned(world, world / "start", data={"path": str(tmp_path / "classes.csv")})
    # Each alone would take 64 tokens or more, or as many as the longest text has.
    for given, path in ((labelled, "classes.csv"), (masked(world), "more.txt")):
        data = plain(given.data) | {"path": str(tmp_path / path), "context": "auto"}
        data.pop("tokenizer", None)
        start = str(world / "start")
        again = Recipe.of(plain(given) | {"data": data, "start": start, "model": None})
        luthier.train(again, out=tmp_path / path.partition(".")[0])
        resolved = RunDirectory(tmp_path / path.partition(".")[0]).read_resolved()
        context = plain(resolved.data)["context"]
        assert context == 16 if words > 1 or path == "classes.csv" else context <= 16


def test_layers_that_learned_no_positions_read_texts_of_any_length(
    world: Path, tmp_path: Path
) -> None:
    layers = [LAYERS[0] | {"position": "none"}, LAYERS[1] | {"position": "rotary"}]
    luthier.train(masked(world, layers), out=tmp_path / "turned")
    given = tuned(world, tmp_path / "turned", data={"context": "auto"})
    luthier.train(given, out=tmp_path / "run")
    resolved = RunDirectory(tmp_path / "run").read_resolved()
    assert plain(resolved.data)["context"] == 64


STILL = {"kind": "adam", "learning_rate": 1e-9}
NECK: dict[str, Any] = {"neck": [{"kind": "dense", "width": 8, "activation": "gelu"}]}


@pytest.mark.parametrize(
    "head",
    [{}, {"head": "tied"}, NECK | {"head": {"tied": True, "bias": True}}],
    ids=["auto", "tied", "neck"],
)
def test_the_same_objective_goes_on_with_its_head(
    world: Path, tmp_path: Path, head: dict[str, Any]
) -> None:
    """It is as good at its first step as the start was at its last one."""
    learning = {"optimizer": {"kind": "adam", "learning_rate": 0.05}, "training.steps": 30}
    first = masked(world).with_values({"model": {"layers": LAYERS} | head} | learning)
    began = luthier.train(first, out=tmp_path / "first")
    given = first.with_values({"optimizer": STILL, "model": None, "start": str(tmp_path / "first")})
    data = plain(given.data)
    del data["tokenizer"]
    given = given.with_values({"data": data})
    again = luthier.train(given, out=tmp_path / "again")
    before, after = weights(tmp_path / "first"), weights(tmp_path / "again")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    assert again.evaluate()[1].loss.value == pytest.approx(began.evaluate()[1].loss.value, abs=1e-4)
    told = RunDirectory(tmp_path / "again").resolved.read_text()
    assert "its layers, neck and head go on" in told
    assert "the layers, neck and head that start has" in told


def test_another_objective_or_task_has_a_new_head(world: Path, tmp_path: Path) -> None:
    layers = [LAYERS[0], LAYERS[1] | {"causal": True}]
    text = (world / "text.txt").read_text()
    specials: tuple[Special, ...] = ("pad", "first", "separator", "mask", "end")
    tokenizer = train_tokenizer(WordsSpec(least=1), [text], specials=specials)
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_json())
    file = {"kind": "file", "path": str(tmp_path / "tokenizer.json")}
    luthier.train(masked(world, layers).with_values({"data.tokenizer": file}), out=tmp_path / "1st")
    written = masked(world).with_values({"task.objective": "next_token", "optimizer": STILL})
    for name, given in (("tuned", tuned(world, "")), ("written", written)):
        start = {"start": str(tmp_path / "1st"), "model": None, "data.tokenizer": "auto"}
        luthier.train(given.with_values(start), out=tmp_path / name)
        told = RunDirectory(tmp_path / name).resolved.read_text()
        assert "its layers go on, the head is new" in told
    before, after = weights(tmp_path / "1st"), weights(tmp_path / "written")
    head = "head.0.linear.weight"
    assert before[head].shape == after[head].shape
    assert not torch.allclose(before[head], after[head], atol=1e-3)


def test_a_head_that_does_not_go_on_is_refused(world: Path, tmp_path: Path) -> None:
    given = masked(world).with_values(
        {
            "start": str(world / "start"),
            "data.tokenizer": "auto",
            "model": {"layers": [LAYERS[0] | {"positions": 16}, LAYERS[1]], "head": "tied"},
        }
    )
    words = (
        r"has a tensor .* for head\.0\.linear\.weight, but the model has nothing; leave model out"
    )
    with pytest.raises(InputError, match=words):
        luthier.train(given, out=tmp_path / "run")


def test_texts_are_framed_as_the_start_learned_them(world: Path, tmp_path: Path) -> None:
    """A text has the same tokens, whether it is a document to fill in or has a class."""
    text = "the cat saw the sea"
    given = masked(world).with_values({"data.split.validation": 0})
    learned = read(given).prepared.train
    rows = learned.read(np.arange(len(learned)), epoch=0).tokens_BS.flatten().tolist()
    luthier.train(tuned(world, world / "start"), out=tmp_path / "run")
    run = luthier.load(tmp_path / "run")
    [own] = run.inputs.samples([text], 0).texts
    names = [run.inputs.tokenizer.token_text(token) for token in own.tokens]
    assert names[0] == "<|first|>"
    assert names[-1] == "<|separator|>"
    size = len(names)
    assert any(rows[at : at + size] == own.tokens.tolist() for at in range(len(rows)))
    directory = RunDirectory(tmp_path / "run")
    assert plain(directory.read_resolved().data)["first"] is True
    told = "start learned from texts between a first token and a separator"
    assert told in directory.resolved.read_text()


def test_framing_may_be_said(world: Path, tmp_path: Path) -> None:
    luthier.train(tuned(world, world / "start", data={"first": False}), out=tmp_path / "bare")
    luthier.train(tuned(world, tmp_path / "bare"), out=tmp_path / "again")
    for name in ("bare", "again"):
        run = luthier.load(tmp_path / name)
        [own] = run.inputs.samples(["the cat"], 0).texts
        assert len(own.tokens) == 2
    told = RunDirectory(tmp_path / "again").resolved.read_text()
    assert "start learned from texts without a first token" in told


def test_the_name_of_a_run(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(world / "start", tmp_path / "runs" / "begun")
    monkeypatch.chdir(tmp_path)
    found = start_of(tuned(world, "begun"))
    assert found is not None
    assert start_of(masked(world)) is None
    assert found.decisions(tuned(world, "begun"))[0].value == str(tmp_path / "runs" / "begun")


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"data": {"tokenizer": {"kind": "characters"}}},
            r"data\.tokenizer: got \{'kind': 'characters'\}, but .*start has a tokenizer that its "
            "weights belong to; leave it out",
        ),
        (
            {"model": {"layers": [LAYERS[0] | {"width": 6}, LAYERS[1]]}},
            r"start: .*start has a tensor \(\d+, 8\) .*, but the model has a tensor \(\d+, 6\); "
            "leave model out",
        ),
        (
            {"model": {"layers": [LAYERS[0] | {"positions": 16}, LAYERS[1], LAYERS[1]]}},
            r"start: .*start has nothing for layers\.2.*, but the model has a tensor",
        ),
        ({"data": {"context": 20}}, "positions.*16|16.*positions"),
    ],
)
def test_contradictions_are_refused(
    world: Path, tmp_path: Path, sections: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        luthier.train(tuned(world, world / "start", **sections), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_same_tokenizer_and_layers_may_be_said(world: Path, tmp_path: Path) -> None:
    given = tuned(
        world,
        world / "start",
        data={"tokenizer": tokenizer_of(world / "start")},
        model={"layers": [LAYERS[0] | {"positions": 16}, LAYERS[1]]},
    )
    luthier.train(given, out=tmp_path / "run")


def test_starts_that_are_none(world: Path, tmp_path: Path) -> None:
    for start, words in ((tmp_path / "gone", "gone"), (tmp_path / "begun", "not finished")):
        if start.name == "begun":
            shutil.copytree(world / "start", start)
            shutil.rmtree(start / "model")
            facts = start / "facts.json"
            facts.write_bytes(unfinished(facts.read_bytes()))
        with pytest.raises(InputError, match=words):
            luthier.train(tuned(world, start), out=tmp_path / "run")


def unfinished(facts: bytes) -> bytes:
    found = unsealed(facts)
    found.pop("finished_step")
    return sealed(found)


def test_pictures_do_not_start_from_texts(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reads tokens .*kind digits"):
        luthier.train(small(f"start={world / 'start'}"), out=tmp_path / "run")


def test_pictures_start_from_pictures(tmp_path: Path) -> None:
    luthier.train(small(), out=tmp_path / "first")
    given = plain(small(f"start={tmp_path / 'first'}", "optimizer.learning_rate=1.0e-9"))
    del given["model"]
    luthier.train(given, out=tmp_path / "second")
    before, after = weights(tmp_path / "first"), weights(tmp_path / "second")
    name = "layers.0.conv.weight"
    assert torch.allclose(before[name], after[name], atol=1e-5)


def test_goes_on_as_if_it_had_not_been_stopped(world: Path, tmp_path: Path) -> None:
    given = tuned(world, world / "start")
    luthier.train(given, out=tmp_path / "whole")
    luthier.train(given.with_values({"training.steps": 2}), out=tmp_path / "parts")
    luthier.train(given, out=tmp_path / "parts", resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_check_and_design(world: Path) -> None:
    given = tuned(world, world / "start")
    assert check_recipe(given).classes == 2
    assert design_recipe(given).layers.layers[0].kind == "tokens"
