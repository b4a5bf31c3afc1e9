"""Every `auto` made a value, with a reason, and kept when a run goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from luthier.data.prepare import prepare
from luthier.data.prepared import Prepared
from luthier.errors import SpecError
from luthier.recipe import Recipe
from luthier.resolve import LEAST_BATCH, LEAST_STEPS_AN_EPOCH, USUAL_BATCH, resolve
from luthier.run.directory import annotated
from luthier.spec import Decision, plain
from luthier.yaml_source import read_yaml

DATA: dict[str, Any] = {
    "name": "small",
    "task": {"kind": "classify"},
    "data": {"kind": "digits", "limit": 300},
    "model": {"layers": [{"kind": "flatten"}]},
}


def recipe(*overrides: str) -> Recipe:
    return Recipe.of(DATA, overrides)


def prepared(given: Recipe) -> Prepared:
    return prepare(given.data, seed=given.training.seed)


def autos(value: Any, place: str = "") -> list[str]:
    """The places of every `auto` in plain data."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in autos(inner, f"{place}.{key}")]
    if isinstance(value, list):
        return [found for i, inner in enumerate(value) for found in autos(inner, f"{place}[{i}]")]
    return [place] if value == "auto" else []


def test_no_auto_is_left_and_each_decision_has_a_reason() -> None:
    given = recipe()
    resolved = resolve(given, prepared(given))
    places = [decision.place for decision in resolved.decisions]
    assert len(places) == len(set(places))
    assert {"training.batch_size", "training.workers", "placement.device"} <= set(places)
    assert {"data.image_size", "data.channels", "data.normalize", "data.classes"} <= set(places)
    assert all(decision.reason.strip() for decision in resolved.decisions)
    everything = resolved.recipe.model_dump(mode="json")
    everything.pop("model")  # its autos follow from the layers before them, on any machine
    assert autos(everything) == []
    assert autos(given.model_dump(mode="json")["training"]) != [], "the twin: it had some"


def test_what_was_given_is_kept() -> None:
    given = recipe("training.batch_size=7", "training.workers=2", "placement.precision=fp32")
    resolved = resolve(given, prepared(given))
    places = {decision.place for decision in resolved.decisions}
    assert not places & {"training.batch_size", "training.workers", "placement.precision"}
    assert resolved.recipe.training.batch_size == 7
    assert resolved.recipe.training.workers == 2


@pytest.mark.parametrize(("limit", "size"), [(30, 8), (600, 16), (1700, 64)])
def test_the_batch_leaves_steps_to_take(limit: int, size: int) -> None:
    given = recipe(f"data.limit={limit}")
    data = prepared(given)
    resolved = resolve(given, data)
    assert resolved.recipe.training.batch_size == size
    assert size <= USUAL_BATCH
    assert size == LEAST_BATCH or size * LEAST_STEPS_AN_EPOCH <= len(data.train)


def test_a_thread_only_where_rows_are_augmented() -> None:
    plain_rows, flipped = recipe(), recipe("data.augment=[{kind: flip}]")
    assert resolve(plain_rows, prepared(plain_rows)).recipe.training.workers == 0
    assert resolve(flipped, prepared(flipped)).recipe.training.workers == 1


def test_an_earlier_decision_is_kept_on_another_machine() -> None:
    given = recipe()
    data = prepared(given)
    earlier = (
        Decision(place="training.batch_size", value=12, reason="as it began"),
        Decision(place="placement.threads", value=3, reason="as it began"),
        Decision(place="gone.away", value=1, reason="an older luthier's"),
    )
    resolved = resolve(given, data, earlier)
    assert resolved.recipe.training.batch_size == 12
    assert resolved.recipe.placement.threads == 3
    assert all(decision in resolved.decisions for decision in earlier[:2])
    assert earlier[2] not in resolved.decisions
    assert resolve(given, data).recipe.training.batch_size != 12, "the twin decides anew"


def test_resolved_once_is_resolved_for_good() -> None:
    given = recipe()
    first = resolve(given, prepared(given))
    again = resolve(first.recipe, prepared(first.recipe))
    assert again.decisions == ()
    assert plain(again.recipe) == plain(first.recipe)


def test_resolved_yaml_has_each_reason_beside_its_value() -> None:
    given = recipe()
    resolved = resolve(given, prepared(given))
    text = annotated(resolved.recipe, resolved.decisions)
    assert Recipe.of(read_yaml(text, "resolved.yaml").data) == resolved.recipe
    for decision in resolved.decisions:
        key = decision.place.rpartition(".")[2]
        pattern = rf"^ +{key}:.*  # {re.escape(decision.reason)}$"
        assert re.search(pattern, text, re.MULTILINE), decision


def test_a_path_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = Recipe.of({**DATA, "data": {"kind": "npz", "path": "here/a.npz"}})
    digits = recipe()
    resolved = resolve(given, prepared(digits))
    assert plain(resolved.recipe.data)["path"] == str(tmp_path / "here" / "a.npz")
    found = next(decision for decision in resolved.decisions if decision.place == "data.path")
    assert found.reason == "here/a.npz, found from anywhere"


@pytest.mark.parametrize(
    ("overrides", "place", "message"),
    [
        (["training.patience=2"], "training.patience", "got 2, but there is no validation split"),
        (["training.keep_best=true"], "training.keep_best", "got true, but there is no"),
        (["training.evaluate_every_steps=5"], "training.evaluate_every_steps", "got 5, but there"),
        (
            ["data.augment=[{kind: flip}, {kind: crop, padding: 8, mode: reflect}]"],
            "data.augment[1].padding",
            "got 8, but the pictures can be mirrored by at most 7 pixels",
        ),
    ],
)
def test_a_setting_that_would_not_be_used(overrides: list[str], place: str, message: str) -> None:
    given = recipe("data.split.validation=0", *overrides)
    with pytest.raises(SpecError) as caught:
        resolve(given, prepared(given))
    assert [problem.place for problem in caught.value.problems] == [place]
    assert caught.value.problems[0].message.startswith(message)
