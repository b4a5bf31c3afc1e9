"""Runs with an adapter: from another run, resumed, finished, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import luthier
from luthier.checkpoint.weights import read_weights
from luthier.data.text.labelled.inputs import TextInputs
from luthier.errors import InputError, RunError, SpecError
from luthier.interop.huggingface.write import write_pretrained
from luthier.recipe import Recipe
from luthier.run import finish
from luthier.run.check import check_recipe
from luthier.run.exporting import export
from luthier.run.model_folder import write_model
from luthier.run.source import find_model
from luthier.training.events import Event, Saved

NOUNS = ("cat", "dog", "sun", "sea", "man", "hen")
LAYERS: list[dict[str, Any]] = [
    {"kind": "tokens", "width": 16},
    {"kind": "attention", "heads": 2, "position": "rotary"},
    {"kind": "mlp", "gated": True},
]
TRAINING = {"steps": 6, "batch_size": 4, "seed": 3, "checkpoint_every_steps": 2}


def recipe(data: dict[str, Any], **sections: Any) -> Recipe:
    given = {"name": "small", "data": data, "training": TRAINING, "placement": {"threads": 1}}
    return Recipe.of(given | sections)


def language(folder: Path, objective: str = "next_token", **sections: Any) -> Recipe:
    data = {"kind": "text", "path": str(folder / "text.txt"), "document": "line", "context": 16}
    if "start" not in sections:
        causal = objective == "next_token"
        sections["model"] = {"layers": [LAYERS[0], LAYERS[1] | {"causal": causal}, LAYERS[2]]}
        data["tokenizer"] = {"kind": "words", "least": 1}
    return recipe(data, task={"kind": "language", "objective": objective}, **sections)


def classify(folder: Path, **sections: Any) -> Recipe:
    data = {"kind": "text_table", "path": str(folder / "labels.csv"), "context": 12}
    return recipe(data, task={"kind": "classify"}, start=str(folder / "masked"), **sections)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with texts, and runs to start from."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(folder / "cache"))
        texts = [f"the {one} saw the {other}" for one in NOUNS for other in NOUNS]
        (folder / "text.txt").write_text("\n".join(texts) + "\n")
        rows = [f"{text} today,{'ab'[n % 2]}" for n, text in enumerate(texts)]
        (folder / "labels.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        luthier.train(language(folder), out=folder / "start")
        luthier.train(language(folder, "masked"), out=folder / "masked")
        yield folder


ADAPTER = {"kind": "lora", "rank": 2, "targets": ["query", "up"]}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "model" / "model.safetensors")


def test_only_the_adapter_moves_and_the_finished_model_is_whole(
    world: Path, tmp_path: Path
) -> None:
    given = language(world, start=str(world / "start"), adapter=ADAPTER)
    run = luthier.train(given, out=tmp_path / "run")
    before, after = weights(world / "start"), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"layers.1.inner.query.weight", "layers.2.inner.up.weight"}
    checkpoint = read_weights(
        tmp_path / "run" / "checkpoints" / "step-000006" / "weights.safetensors"
    )
    assert all(".adapters." in name for name in checkpoint)
    assert len(checkpoint) == 4
    assert run.generate(["the cat"])[0].text
    facts = run.directory.read_facts()["adapter"]
    assert facts["trained"] == 2 * (16 + 16) + 2 * (16 + 40)
    assert facts["where"] == "query, up in 1 layer"


def test_a_merged_model_that_is_another_is_not_kept(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = language(world, start=str(world / "start"), adapter=ADAPTER), tmp_path / "run"
    name = "layers.1.inner.query.weight"

    def without_the_adapter(path: Path, *, weights: dict[str, torch.Tensor], **rest: Any) -> None:
        base = read_weights(world / "start" / "model" / "model.safetensors")
        write_model(path, weights={**weights, name: base[name]}, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(finish, "write_model", without_the_adapter)
        with pytest.raises(RunError, match="gives other outputs"):
            luthier.train(given, out=out)
    assert not (out / "model").exists()
    with pytest.raises(InputError, match="its training is not finished"):
        luthier.load(out)
    assert luthier.train(given, out=out, resume=True).generate(["the cat"])[0].text


@pytest.mark.parametrize("extra", [{"dropout": 0.2}, {"kind": "dora"}, {"kind": "qlora"}])
def test_a_resumed_run_is_equal_bit_for_bit(
    world: Path, tmp_path: Path, extra: dict[str, Any]
) -> None:
    training = TRAINING | {"ema_decay": 0.9, "accumulate": 2}
    given = language(world, start=str(world / "start"), adapter=ADAPTER | extra, training=training)
    luthier.train(given, out=tmp_path / "whole")

    def stop(event: Event) -> None:
        if isinstance(event, Saved) and event.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        luthier.train(given, out=tmp_path / "parts", hooks=(stop,))
    luthier.train(given, out=tmp_path / "parts", resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_new_head_moves_whole_beside_the_adapter(world: Path, tmp_path: Path) -> None:
    run = luthier.train(classify(world, adapter=ADAPTER), out=tmp_path / "run")
    before, after = weights(world / "masked"), weights(tmp_path / "run")
    layers = {name for name in before if name.startswith("layers.")}
    moved = {name for name in layers if not torch.equal(before[name], after[name])}
    assert moved == {"layers.1.inner.query.weight", "layers.2.inner.up.weight"}
    assert run.directory.read_facts()["adapter"]["where"] == "query, up in 1 layer; head whole"
    assert run.predict(["the cat saw the sea"])[0]["label"] in "ab"
    resolved = run.directory.read_resolved()
    assert resolved.adapter is not None
    assert resolved.adapter.targets == ("query", "up")


def test_a_convolutional_network_under_an_adapter(tmp_path: Path) -> None:
    digits = {"kind": "digits", "limit": 200}
    layers = [
        {"kind": "conv", "channels": 8, "kernel": 3, "norm": "batch", "activation": "relu"},
        {"kind": "conv", "channels": 8, "kernel": 3, "activation": "relu"},
        {"kind": "max_pool", "size": 2},
        {"kind": "flatten"},
        {"kind": "dense", "width": 12},
    ]
    task = {"kind": "classify"}
    luthier.train(recipe(digits, task=task, model={"layers": layers}), out=tmp_path / "start")
    given = recipe(
        digits, task=task, start=str(tmp_path / "start"), adapter={"kind": "lora", "rank": 2}
    )
    run = luthier.train(given, out=tmp_path / "run")
    resolved = run.directory.read_resolved()
    assert resolved.adapter is not None
    assert resolved.adapter.targets == ("layers.*.conv", "layers.*.linear")
    before, after = weights(tmp_path / "start"), weights(tmp_path / "run")
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {"layers.0.norm.running_mean", "layers.0.norm.weight", "layers.1.conv.bias"} <= same
    assert {"layers.1.conv.weight", "layers.4.linear.weight", "head.0.linear.bias"} & same == set()


def test_what_moves_is_told_before_anything_does(world: Path) -> None:
    checked = check_recipe(language(world, start=str(world / "start"), adapter=ADAPTER))
    assert checked.moves.startswith("trains 176 of ")
    assert "176 of" in checked.sentence()
    assert checked.to_json()["adapter"] == checked.moves


def test_what_an_adapter_cannot_be_put_on(world: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="adapter: is put on weights that were trained before"):
        luthier.train(language(world, adapter=ADAPTER), out=tmp_path / "run")
    wrong = language(world, start=str(world / "start"), adapter=ADAPTER | {"targets": ["qeury"]})
    with pytest.raises(InputError, match='did you mean "query"'):
        luthier.train(wrong, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_base_is_refused(world: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(world / "start", start)
    given = language(world, start=str(start), adapter=ADAPTER)
    luthier.train(given, out=tmp_path / "run")
    shutil.rmtree(start)
    other = TRAINING | {"seed": 4}
    luthier.train(language(world, training=other), out=start)
    longer = language(world, start=str(start), adapter=ADAPTER, training=TRAINING | {"steps": 8})
    with pytest.raises(InputError, match="the weights under the adapter are not those"):
        luthier.train(longer, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "adapter",
    [
        {"kind": "freeze", "first": 2, "thaw_every_epochs": 0.25, "depth_decay": 0.5},
        {"kind": "freeze", "first": "all"},
        {"kind": "freeze", "names": ["table"]},
    ],
    ids=["thaw", "all", "names"],
)
def test_a_run_of_which_something_stays(
    world: Path, tmp_path: Path, adapter: dict[str, Any]
) -> None:
    given = classify(world, adapter=adapter)
    luthier.train(given, out=tmp_path / "whole")

    def stop(event: Event) -> None:
        if isinstance(event, Saved) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        luthier.train(given, out=tmp_path / "parts", hooks=(stop,))
    luthier.train(given, out=tmp_path / "parts", resume=True)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    before = weights(world / "masked")
    layers = {name for name in before if name.startswith("layers.")}
    moved = {name for name in layers if not torch.equal(before[name], whole[name])}
    if adapter.get("first") == "all":
        assert not moved
    else:
        assert "layers.2.inner.up.weight" in moved
        assert ("layers.0.table.weight" in moved) == ("thaw_every_epochs" in adapter)


def test_an_adapter_kept_alone_is_put_on_its_start_again(world: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(world / "masked", start)
    adapter = {"kind": "dora", "bits": 4, "rank": 2, "also": ["layers.0.table"]}
    given = classify(world, adapter=adapter)
    given = Recipe.of(given.model_dump(exclude_unset=True) | {"start": str(start)})
    whole = luthier.train(given, out=tmp_path / "whole")
    alone = luthier.train(given.with_values({"adapter.keep": "adapter"}), out=tmp_path / "alone")
    assert not (tmp_path / "alone" / "model" / "model.safetensors").exists()
    ours, theirs = alone.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    assert alone.predict(["the cat saw the sea"]) == whole.predict(["the cat saw the sea"])
    shutil.rmtree(start)
    luthier.train(language(world, "masked", training=TRAINING | {"seed": 4}), out=start)
    with pytest.raises(RunError, match=r"is not what the adapter .* was trained on"):
        luthier.load(tmp_path / "alone")
    assert luthier.load(tmp_path / "whole").predict(["the cat"])


def test_several_adapters_on_one_start(world: Path, tmp_path: Path) -> None:
    """Each is a run of its own, of a few kilobytes; the name of the run chooses."""
    base = weights(world / "start")
    said = {}
    for name, kind in (("formal", "lora"), ("short", "dora")):
        adapter = ADAPTER | {"kind": kind, "keep": "adapter"}
        training = TRAINING | {"seed": len(name)}
        start = str(world / "start")
        given = language(world, start=start, adapter=adapter, training=training)
        run = luthier.train(given, out=tmp_path / name)
        assert not list((tmp_path / name / "model").glob("*.safetensors"))
        said[name] = run.evaluate()[1].metrics["loss"].value
    assert said["formal"] != said["short"]
    for name, loss in said.items():
        chosen = luthier.load(tmp_path / name)
        assert chosen.evaluate()[1].metrics["loss"].value == pytest.approx(loss, rel=1e-6)
        assert chosen.generate(["the cat"])[0].text
    assert all(torch.equal(base[name], w) for name, w in weights(world / "start").items())
    with pytest.raises(InputError, match=r"already: .*formal/adapter; wanted huggingface"):
        export(tmp_path / "formal", "peft", tmp_path / "out")
    adapter = tmp_path / "short" / "adapter"
    config = adapter / "adapter_config.json"
    told = json.loads(config.read_text()) | {"base_model_name_or_path": "runs/gone"}
    config.write_text(json.dumps(told))
    with pytest.raises(InputError, match="is an adapter of runs/gone, which its adapter_config"):
        find_model(adapter)


def test_the_adapter_of_a_run_is_read_by_peft(world: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    first = language(world).with_values(
        {"model": {"kind": "llama", "width": 16, "depth": 2, "heads": 2}}
    )
    luthier.train(first, out=tmp_path / "start")
    given = language(world, start=str(tmp_path / "start"), adapter=ADAPTER | {"kind": "rslora"})
    run = luthier.train(given, out=tmp_path / "run")
    write_pretrained(find_model(tmp_path / "start").pretrained(), tmp_path / "folder")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    tokens = torch.randint(
        base.config.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        before = base(tokens).logits
        adapter = tmp_path / "run" / "adapter"
        theirs = peft.PeftModel.from_pretrained(base, adapter).eval()
        ours = run.network.eval()(tokens)
        torch.testing.assert_close(theirs(tokens).logits, ours, rtol=1e-4, atol=1e-4)
        assert (before - ours).abs().max() > 1e-3
    theirs.save_pretrained(tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tmp_path / "folder")
    (tmp_path / "theirs" / "adapter_config.json").write_text(json.dumps(config))
    used = luthier.load(tmp_path / "theirs")
    torch.testing.assert_close(used.network.eval()(tokens), ours, rtol=1e-5, atol=1e-5)
    assert used.generate(["the cat"], {"greedy": True})[0].text == (
        run.generate(["the cat"], {"greedy": True})[0].text
    )
    config["base_model_name_or_path"] = None
    (tmp_path / "theirs" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="names no base_model_name_or_path"):
        luthier.load(tmp_path / "theirs")


def test_in_bf16_the_finished_model_has_the_start_s_own_weights(
    world: Path, tmp_path: Path
) -> None:
    placement = {"threads": 1, "precision": "bf16"}
    given = language(world, start=str(world / "start"), adapter=ADAPTER, placement=placement)
    luthier.train(given, out=tmp_path / "run")
    before, after = weights(world / "start"), weights(tmp_path / "run")
    assert all(weight.dtype == torch.float32 for weight in after.values())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"layers.1.inner.query.weight", "layers.2.inner.up.weight"}


@pytest.mark.parametrize("keep", ["model", "adapter"])
def test_new_tokens_learn_with_an_adapter(world: Path, tmp_path: Path, keep: str) -> None:
    (tmp_path / "tools.txt").write_text("the <tool> cat saw the </tool> dog\n" * 12)
    given = language(
        world,
        start=str(world / "start"),
        new_tokens=["<tool>", "</tool>"],
        adapter=ADAPTER | {"keep": keep},
    ).with_values({"data.path": str(tmp_path / "tools.txt")})
    run = luthier.train(given, out=tmp_path / "run")
    before, after = weights(world / "start"), run.network.state_dict()
    vocab = len(before["layers.0.table.weight"])
    for name in ("layers.0.table.weight", "head.0.linear.weight"):
        assert torch.equal(after[name][:vocab], before[name])
        mean = before[name].mean(0)
        assert after[name].shape[0] == vocab + 2
        assert not torch.allclose(after[name][vocab:], mean, atol=1e-5), "they have learned"
        assert torch.allclose(after[name][vocab:], mean, atol=0.1)
    assert isinstance(run.inputs, TextInputs)
    assert vocab in run.inputs.tokenizer.encode(["a<tool>b"])[0].tokens
    assert run.directory.read_facts()["adapter"]["trained"] == 176 + 2 * 2 * 16
    twice = given.with_values({"new_tokens": ["<tool>", "cat"]})
    with pytest.raises(SpecError, match=r"new_tokens: .* has the token cat already"):
        luthier.train(twice, out=tmp_path / "other")
    with pytest.raises(SpecError, match="new_tokens: are added to those of a start"):
        language(world, new_tokens=["<tool>"])
