"""`luthier design` of families and published sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Command

from luthier.recipe import Recipe
from luthier.spec import plain
from luthier.yaml_source import read_yaml


def as_json(text: str) -> Any:
    return json.loads(text)


def test_a_family(luthier: Command) -> None:
    outcome = luthier("design", "gpt2")
    assert outcome.code == 0
    for text in (
        "gpt2-small: one sample, tokens (1024) of 50,257, forward",
        "model.layers[1].copies[0–11].layers[0]",
        "124,439,808",
        "As published: 124,439,808 parameters; openai-community/gpt2",
        "  - {kind: tokens, width: 768, position: learned, positions: 1024, dropout: 0.1}",
        "  head: tied",
    ):
        assert text in outcome.out, text


def test_a_family_for_programs(luthier: Command) -> None:
    found = as_json(luthier("design", "gpt2", "--json").out)
    assert found["parameters"]["total"] == found["total"]["parameters"] == 124_439_808
    assert found["name"] == "gpt2-small"
    assert found["published"]["parameters"] == 124_439_808
    assert found["model"]["head"] == "tied"
    assert {d["place"]: d["value"] for d in found["decisions"]}["model.width"] == 768
    assert len(found["rows"]) == 1 + 1 + 2 * 12 + 1 + 1


def test_a_published_size(luthier: Command) -> None:
    found = as_json(luthier("design", "Llama-3.2-1B", "--context", "64", "--json").out)
    assert found["parameters"]["total"] == 1_235_814_400
    assert found["rows"][0]["gives"]["shape"] == [64, 2048]


def test_one_dial(luthier: Command) -> None:
    outcome = luthier("design", "llama", "depth=3", "--vocab", "500", "--context", "32")
    assert outcome.code == 0
    for text in (
        "llama: one sample, tokens (32) of 500, forward",
        "width 192: 64 times the depth of 3",
        "kv_heads 1: up to 4 of the 3 query heads share one",
        "    times: 3",
    ):
        assert text in outcome.out, text
    assert "As published" not in outcome.out
    assert luthier("design", "llama", "model.depth=3", "--json").code == 0


def test_a_recipe_too_has_its_total(luthier: Command) -> None:
    found = as_json(luthier("design", "digits.yaml", "--json").out)
    assert found["parameters"]["total"] == found["total"]["parameters"]
    assert found["published"] is None
    assert found["decisions"] == []
    assert found["model"] == plain(Recipe.read("digits.yaml"))["model"]


@pytest.mark.parametrize("name", ["bert-tiny", "lstm-medium", "text_cnn", "smollm2-135m"])
def test_the_layers_alone(luthier: Command, tmp_path: Path, name: str) -> None:
    """What is printed can be put into a recipe as it is."""
    printed = luthier("design", name, "--yaml").out
    model = read_yaml(printed, "what was printed").data["model"]
    recipe = Recipe.read("digits.yaml")
    path = tmp_path / "copied.yaml"
    path.write_text(recipe.with_values({"model": model}).to_yaml())
    again = Recipe.read(path).model
    assert again is not None
    assert plain(again) == model


def test_a_recipe_with_a_family(luthier: Command, tmp_path: Path) -> None:
    Path(tmp_path / "texts.csv").write_text(
        "text,label\n" + "".join(f"some words {i % 7},{'ab'[i % 2]}\n" for i in range(60))
    )
    recipe = tmp_path / "texts.yaml"
    recipe.write_text(
        "name: texts\ntask: {kind: classify}\n"
        f"data: {{kind: text_table, path: {tmp_path / 'texts.csv'}, tokenizer: {{kind: words}}}}\n"
        "model: {kind: transformer, depth: 2, width: 16}\n"
    )
    outcome = luthier("design", str(recipe))
    assert outcome.code == 0, outcome.err
    assert "heads 1: each about 64 wide" in outcome.out
    assert "  - {kind: layer_norm}" in outcome.out
    found = as_json(luthier("design", str(recipe), "model.depth=1", "--json").out)
    assert found["decisions"][0]["place"] == "model.heads"
    assert [row["name"] for row in found["rows"]][-3:] == ["global_pool", "dropout", "dense"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gtp2",), '"gtp2" is no recipe file, family or published size; did you mean "gpt2"?'),
        (("digts",), 'did you mean "digits.yaml"?'),
        (("digts.yaml",), 'digts.yaml: no such recipe file; did you mean "digits.yaml"?'),
        (("bert-bse",), 'did you mean "bert-base"?'),
        (("xyzzy",), "; families: bart, bert, conformer,"),
        (("llama", "dept=3"), 'model.dept: unknown setting "dept"; did you mean "depth"?'),
        (("llama", "depth"), '"depth": wanted an override such as'),
        (("llama", "depth=x"), 'model.depth: got "x", wanted a whole number or "auto"'),
        (("gpt2", "size=smol"), 'model.size: got "smol"; did you mean "small"?'),
        (("gpt2", "kind=bert"), 'model.kind: got "bert", wanted "gpt2"'),
        (("gpt2", "--context", "2000"), "tokens has 1024 learned positions"),
        (("gpt2", "--vocab", "1"), "vocab"),
        (("digits.yaml", "--vocab", "9"), "--vocab and --context are of a family"),
        (("gpt2", "--json", "--yaml"), "got both --json and --yaml; give one of them"),
        (("gpt2", "--draw", "net.png"), "--draw net.png: wanted a name that ends in .svg"),
    ],
)
def test_what_cannot_be_designed(
    luthier: Command, arguments: tuple[str, ...], message: str
) -> None:
    outcome = luthier("design", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.out == ""
