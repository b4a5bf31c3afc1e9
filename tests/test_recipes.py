"""The recipes that come with luthier: valid, drawn, and trained for two steps on their data."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

import luthier
from luthier.checkpoint.weights import read_weights
from luthier.recipe import Recipe
from luthier.run.design import design_recipe
from luthier.run.directory import RunDirectory
from luthier.spec import plain

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SHORT = (
    "data.limit=150",
    "training.epochs=null",
    "training.steps=2",
    "training.samples=[]",
    "training.sample_tokens=null",
    "placement.threads=1",
)
SLOW = {
    "cifar_resnet20",
    "csl_title",
    "dialogsum",
    "minilm_clinc150",
    "minilm_sst2",
    "minilm_wnut17",
    "minilm_xquad",
    "multi30k",
    "multi30k_gru",
    "shakespeare_char",
    "smollm2_instructions",
    "sst2_bert",
    "stories",
    "tang_poems",
    "tatoeba_en_zh",
    "weibo_transformer",
    "whisper_asterisk",
    "wiki_bert",
}
"""Recipes whose data or network takes long, however little is used of it."""
MODELS = "../models/"
"""Where recipes have the published weights that they start from."""
LONG_BATCHES = "training.batch_tokens=2048"


def where(recipe: Path) -> Path | None:
    """Where the data of a recipe lies on this machine; none if it brings its own."""
    data = plain(Recipe.read(recipe).data)
    given = data.get("path") or data.get("files", {}).get("train")
    return None if given is None else DATA / Path(given).relative_to("../shared/data")


def start_of(recipe: Path) -> Path | None:
    """The recipe of the run that a recipe starts from."""
    start = Recipe.read(recipe).start
    if start is None or start.startswith(MODELS):
        return None
    return ROOT / "recipes" / f"{Path(start).name}.yaml"


def teacher_of(recipe: Path) -> Path | None:
    """The recipe of the run that a recipe's network learns from."""
    spec = Recipe.read(recipe).distill
    return None if spec is None else ROOT / "recipes" / f"{Path(spec.teacher).name}.yaml"


def weights_of(recipe: Path) -> Path | None:
    """Where the published weights lie that a recipe starts from; none if it starts from others.

    What is not on this machine is where the recipe says.
    """
    start = Recipe.read(recipe).start
    if start is None or not start.startswith(MODELS):
        return None
    models = os.environ.get("LUTHIER_MODELS")
    found = sorted(Path(models).glob(f"**/{start.removeprefix(MODELS)}")) if models else []
    return found[0] if found else ROOT / start


def cases() -> list[object]:
    """Each recipe; those with data of their own place are marked and skipped without it."""
    found = []
    for recipe in RECIPES:
        marks = [pytest.mark.slow] if recipe.stem in SLOW else []
        for data in (where(recipe), where(start_of(recipe) or recipe)):
            if data is not None:
                reason = f"no {data}: LUTHIER_DATA"
                marks.append(pytest.mark.real_data)
                marks.append(pytest.mark.skipif(not data.exists(), reason=reason))
        weights = weights_of(teacher_of(recipe) or recipe)
        if weights is not None:
            marks.append(pytest.mark.real_weights)
            reason = f"no {weights}: LUTHIER_MODELS"
            marks.append(pytest.mark.skipif(not weights.exists(), reason=reason))
        found.append(pytest.param(recipe, id=recipe.stem, marks=marks))
    return found


def short(recipe: Path, runs: Path) -> Recipe:
    """The recipe with two steps on a few rows of its data.

    Args:
        recipe: Its file.
        runs: Where the run is made that it starts from, if there is one.
    """
    overrides, data, start = [*SHORT], where(recipe), start_of(recipe)
    given = plain(Recipe.read(recipe))
    files = None if "path" in given["data"] else given["data"].get("files")
    if files is not None:
        places = {
            split: DATA / Path(at).relative_to("../shared/data") for split, at in files.items()
        }
        overrides += [f"data.files.{split}={at}" for split, at in places.items()]
    elif data is not None:
        overrides.append(f"data.path={data}")
    if "batch_tokens" in given["training"]:
        overrides.append(LONG_BATCHES)
    if "warmup_steps" in given.get("schedule", {}):
        overrides.append("schedule.warmup_steps=1")
    for place, needed in (("start", start), ("distill.teacher", teacher_of(recipe))):
        if needed is None:
            continue
        begun = runs / needed.stem
        if not begun.exists():
            luthier.train(short(needed, runs), out=begun)
        overrides.append(f"{place}={begun}")
    if (weights := weights_of(recipe)) is not None:
        overrides.append(f"start={weights}")
    return Recipe.read(recipe, overrides)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs lie that recipes start from."""
    return tmp_path_factory.mktemp("starts")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the tests' own."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path_factory.getbasetemp() / "recipes-cache"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_valid_and_said_how_to_be_run(recipe: Path) -> None:
    assert Recipe.read(recipe).name == recipe.stem
    assert re.search(rf"^#   luthier train recipes/{recipe.name}", recipe.read_text(), re.M)


@pytest.mark.parametrize("recipe", cases())
def test_designs(recipe: Path, runs: Path) -> None:
    network = design_recipe(short(recipe, runs)).network
    whole = Recipe.read(recipe).task.purpose().learns == "labels"
    assert network.gives.form == ("vector" if whole else "sequence")
    assert all(parameter.is_meta for parameter in network.parameters())


@pytest.mark.parametrize("recipe", cases())
def test_two_steps_and_the_same_from_what_was_resolved(
    recipe: Path, tmp_path: Path, runs: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run = luthier.train(short(recipe, runs), out=first)
    assert run.summary()["steps"] == 2
    again = RunDirectory(first).resolved
    assert not re.search(r"\bauto\b", re.sub(r"#.*", "", again.read_text()))
    luthier.train(again, out=second)
    given, same = (read_weights(out / "model" / "model.safetensors") for out in (first, second))
    assert given.keys() == same.keys()
    assert all(torch.equal(given[name], same[name]) for name in given)
    other = luthier.train(
        Recipe.read(again, ["training.seed=99"]), out=tmp_path / "other"
    ).network.state_dict()
    assert any(not torch.equal(given[name], other[name]) for name in given), "the twin is the same"
