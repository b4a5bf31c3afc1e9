"""A Hugging Face folder where luthier takes a run: it says what transformers says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

import transformers
from foreign_folders import TEMPLATE, TEXT, folder

import luthier
from luthier.cli.app import run as command
from luthier.errors import InputError
from luthier.placement.place import PlacementSpec, place
from luthier.run.design import design
from luthier.run.exporting import export
from luthier.run.finished import Run
from luthier.run.source import find_model

PROMPTS = ["the fox", "a hen saw"]
GREEDY = {"greedy": True, "max_tokens": 12}
EXACT = PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=1)


def loaded(where: Path) -> Run:
    """What is there, in whole numbers: transformers is compared with it to the last token."""
    source = find_model(where)
    return Run(source, place(source.model.network, EXACT))


@torch.no_grad()
def continued(network: Any, made: Any, prompt: str, count: int = 12) -> str:
    """What transformers writes after a prompt, taking the likeliest token."""
    given = made(prompt, return_tensors="pt", return_token_type_ids=False)
    found = network.generate(**given, do_sample=False, max_new_tokens=count)
    return str(made.decode(found[0, given["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize(
    ("kind", "framed", "settings"),
    [
        ("LlamaForCausalLM", True, {"num_key_value_heads": 2}),
        ("LlamaForCausalLM", False, {"tie_word_embeddings": True}),
        ("GPT2LMHeadModel", False, {}),
        ("Gemma3ForCausalLM", True, {"sliding_window": 5, "head_dim": 8}),
    ],
)
def test_generates_what_transformers_generates(
    kind: str, framed: bool, settings: dict[str, Any], tmp_path: Path
) -> None:
    network, made = folder(tmp_path, kind, framed=framed, spare=3, **settings)
    found = loaded(tmp_path).generate(PROMPTS, GREEDY)
    assert [one.text for one in found] == [continued(network, made, p) for p in PROMPTS]


def test_each_of_several_tokens_ends_a_text(tmp_path: Path) -> None:
    network, made = folder(tmp_path)
    [found] = loaded(tmp_path).generate(PROMPTS[:1], GREEDY)
    stop = found.tokens[4]
    network.generation_config.eos_token_id = [2, stop]
    network.generation_config.save_pretrained(tmp_path)
    [ended] = loaded(tmp_path).generate(PROMPTS[:1], GREEDY)
    assert ended.tokens == found.tokens[: found.tokens.index(stop)]
    assert ended.ending == "end"
    # Theirs stops there too, and keeps the token that it stopped at.
    assert continued(network, made, PROMPTS[0]) == made.decode([*ended.tokens, stop])


def test_a_chat_template_is_followed(tmp_path: Path) -> None:
    network, made = folder(tmp_path, framed=False, template=TEMPLATE)
    asked = [{"role": "user", "content": "what did the dog say?"}]
    given = made.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    wanted = network.generate(**given, do_sample=False, max_new_tokens=12)
    answer = made.decode(wanted[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    found = loaded(tmp_path)
    assert found.speaks
    assert found.generate([asked[0]["content"]], GREEDY)[0].text == answer.strip()


def test_predicts_what_comes_next(tmp_path: Path) -> None:
    network, made = folder(tmp_path)
    [found] = loaded(tmp_path).predict(["the fox met a"])
    given = made("the fox met a", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted = network(given).logits[0, -1].double().softmax(0)
    assert abs(found["probability"] - float(wanted.max())) < 1e-5


def test_classes(tmp_path: Path) -> None:
    names = {0: "calm", 1: "glad", 2: "sad"}
    network, made = folder(
        tmp_path, "BertForSequenceClassification", framed=None, id2label=names, num_labels=3
    )
    found = loaded(tmp_path).predict(PROMPTS)
    for prompt, one in zip(PROMPTS, found, strict=True):
        given = made(prompt, return_tensors="pt")
        with torch.no_grad():
            wanted = network(given["input_ids"]).logits[0].double().softmax(0)
        assert one["label"] == names[int(wanted.argmax())]
        assert abs(one["probability"] - float(wanted.max())) < 1e-5


def test_layers_without_a_head_say_nothing(tmp_path: Path) -> None:
    folder(tmp_path, "BertModel", framed=None)
    found = loaded(tmp_path)
    for ask in (lambda: found.predict(["the fox"]), lambda: found.generate(["the fox"])):
        with pytest.raises(InputError, match=r"no head that says anything.*give a recipe start"):
            ask()


def recipe(place: Path, text: Path, **sections: Any) -> dict[str, Any]:
    return {
        "name": "tuned",
        "task": {"kind": "language"},
        "data": {"kind": "text", "path": str(text), "context": 24},
        "start": str(place),
        "training": {"steps": 3, "batch_size": 2, "seed": 1},
        "placement": {"threads": 1, "precision": "fp32"},
    } | sections


@pytest.fixture
def text(tmp_path: Path) -> Path:
    place = tmp_path / "text.txt"
    place.write_text(f"{TEXT}\n\n" * 12)
    return place


def test_from_a_folder_to_a_folder(tmp_path: Path, text: Path) -> None:
    """Read, fine-tuned, written: transformers writes what luthier writes."""
    folder(tmp_path / "theirs", spare=5, num_key_value_heads=2)
    tuned = luthier.train(recipe(tmp_path / "theirs", text), out=tmp_path / "run")
    before = loaded(tmp_path / "theirs").network.state_dict()
    after = tuned.network.state_dict()
    assert before.keys() == after.keys()
    moved = max(float((before[name] - after[name]).abs().max()) for name in before)
    assert 1e-5 < moved < 0.1
    # It was trained on short texts, and still reads as long ones as before.
    assert tuned.network.reads.shape == (48,)
    written = export(tmp_path / "run", "huggingface", tmp_path / "ours")
    assert written.architecture == "LlamaForCausalLM"
    network, told = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", output_loading_info=True
    )
    assert not told["missing_keys"] | told["unexpected_keys"]
    made = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    found = loaded(tmp_path / "run").generate(PROMPTS, GREEDY)
    assert [one.text for one in found] == [continued(network, made, p) for p in PROMPTS]


def test_a_run_of_ours_is_written(tmp_path: Path, text: Path) -> None:
    """A GPT-2 from scratch, whose documents begin with the token that ends them."""
    made = recipe(tmp_path, text, model={"kind": "gpt2", "depth": 2, "width": 16, "heads": 2})
    del made["start"]
    luthier.train(made, out=tmp_path / "run")
    export(tmp_path / "run", "huggingface", tmp_path / "ours")
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    found = loaded(tmp_path / "run").generate(PROMPTS, GREEDY)
    assert [one.text for one in found] == [continued(network, theirs, p) for p in PROMPTS]
    again = loaded(tmp_path / "ours").generate(PROMPTS, GREEDY)
    assert [one.text for one in again] == [one.text for one in found]


def test_measured_on_other_data(tmp_path: Path, text: Path) -> None:
    folder(tmp_path / "theirs")
    made = luthier.Recipe.of(recipe(tmp_path, text, data={
        "kind": "text", "path": str(text), "context": 16, "split": {"validation": 0.3},
        "tokenizer": {"kind": "bytes"},
    }))  # fmt: skip
    found = loaded(tmp_path / "theirs")
    split, evaluation = found.evaluate(on=made)
    assert split == "validation"
    assert 4 < evaluation.metrics["loss"].value < 8
    with pytest.raises(InputError, match=r"pretrained elsewhere.*--on RECIPE"):
        found.evaluate()


def test_the_verbs(tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network, made = folder(tmp_path / "theirs")
    place, out = str(tmp_path / "theirs"), str(tmp_path / "out")
    assert command(["export", place, "--to", "huggingface", "--out", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == "LlamaForCausalLM"
    assert command(["generate", out, "--prompt", PROMPTS[0], "--greedy", "--max-tokens=1"]) == 0
    shown = PROMPTS[0] + continued(network, made, PROMPTS[0], 1)
    assert capsys.readouterr().out == f"{shown}\n"
    assert command(["export", place, "--to", "huggingface", "--out", out]) == 2
    assert "is there already" in capsys.readouterr().err
    assert command(["export", place, "--to", "onnix", "--out", out]) == 2
    assert 'got "onnix"' in capsys.readouterr().err
    assert command(["design", out]) == 0
    assert f"{sum(w.numel() for w in network.parameters()):,}" in capsys.readouterr().out


def test_a_folder_is_designed_without_its_weights(tmp_path: Path) -> None:
    network, _ = folder(tmp_path, num_hidden_layers=3)
    (tmp_path / "model.safetensors").unlink()
    found = design(str(tmp_path))
    count = sum(weight.numel() for weight in found.network.parameters())
    assert count == sum(weight.numel() for weight in network.parameters())
    with pytest.raises(InputError, match="has its numbers in"):
        design(str(tmp_path), ["depth=4"])


def test_a_chat_model_is_tuned_and_written(tmp_path: Path) -> None:
    """The template, and what ends an answer, go with it: transformers answers the same."""
    folder(tmp_path / "theirs", framed=False, template=TEMPLATE, spare=2)
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in (("what did the dog say?", "it said"), ("the fox", "is red")) * 8
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = {"kind": "chat", "path": str(tmp_path / "chat.jsonl"), "split": {"validation": 0}}
    luthier.train(recipe(tmp_path / "theirs", tmp_path, data=data), out=tmp_path / "run")
    export(tmp_path / "run", "huggingface", tmp_path / "ours")
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    made = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert (made.bos_token, made.eos_token, made.chat_template) == ("<s>", "</s>", TEMPLATE)
    given = made.apply_chat_template(
        [{"role": "user", "content": "the fox"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    wanted = network.generate(**given, do_sample=False, max_new_tokens=12)
    answer = made.decode(wanted[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    for place_of_it in ("run", "ours"):
        [found] = loaded(tmp_path / place_of_it).generate(["the fox"], GREEDY)
        assert found.text == answer.strip()
    assert network.generation_config.eos_token_id in (2, [2])
