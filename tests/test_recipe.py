"""A recipe as a value: read, changed by overrides, written and read again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import InputError, SpecError
from luthier.recipe import Recipe
from luthier.spec import plain

DATA: dict[str, Any] = {
    "name": "small",
    "task": {"kind": "classify"},
    "data": {"kind": "digits", "augment": [{"kind": "flip"}, {"kind": "crop"}]},
    "model": {
        "layers": [
            {"kind": "conv", "channels": 4, "kernel": 3},
            {"kind": "repeat", "times": 2, "layers": [{"kind": "activation", "name": "relu"}]},
        ]
    },
    "optimizer": {"kind": "adam"},
}


def changed(*overrides: str) -> dict[str, Any]:
    return plain(Recipe.of(DATA, overrides))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.epochs=3", ("training", "epochs"), 3),
        ("optimizer.learning_rate=1e-4", ("optimizer", "learning_rate"), 1e-4),
        ("model.layers.0.channels=64", ("model", "layers", 0, "channels"), 64),
        ("model.layers[0].channels=64", ("model", "layers", 0, "channels"), 64),
        (
            "model.layers[1].layers[0].name=gelu",
            ("model", "layers", 1, "layers", 0, "name"),
            "gelu",
        ),
        ("model.layers[0].kernel=[3, 5]", ("model", "layers", 0, "kernel"), [3, 5]),
        ("data.augment=[]", ("data", "augment"), []),
        ("data.augment.1={kind: shift}", ("data", "augment", 1), {"kind": "shift"}),
        ("data.classes=[yes, 'no', '3', a, b]", ("data", "classes"), ["yes", "no", "3", "a", "b"]),
        ("training.keep_best=true", ("training", "keep_best"), True),
        ("model.layers.0.activation=none", ("model", "layers", 0, "activation"), "none"),
        ("data.split={test: 0.5}", ("data", "split"), {"test": 0.5}),
        ("data.split.test=0.5", ("data", "split", "test"), 0.5),
        ("name=a=b", ("name",), None),
    ],
)
def test_override(override: str, path: tuple[str | int, ...], value: object) -> None:
    if value is None:
        with pytest.raises(SpecError, match='name: got "a=b"'):
            changed(override)
        return
    found: Any = changed(override)
    for part in path:
        found = found[part]
    assert found == value


def test_overrides_come_in_order_and_change_nothing_of_the_users() -> None:
    before = copy.deepcopy(DATA)
    assert changed("training.epochs=3", "training.epochs=4")["training"] == {"epochs": 4}
    assert changed("model=null").get("model") is None
    assert before == DATA


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", '"training.epochs": wanted an override such as training.epochs=3'),
        ("=3", '"=3": wanted an override'),
        ("a..b=3", "has an empty name"),
        (".a=3", "has an empty name"),
        ("model.layers[2].kind=conv", r"model.layers\[2\]: the list has 2 entries, the first is 0"),
        ("model.layers.first=3", "model.layers.first: model.layers is a list; wanted a number"),
        ("training[0]=3", r"training\[0\]|training"),
        ("name.first=3", "name.first: name is a single value"),
        ("task[0]=1", r"task\[0\]: task is not a list"),
        ("0=1", r"\[0\]: the recipe is not a list"),
        ("data.augment=[", r"(?s)the override data.augment=.*is not YAML"),
        ("data.augment={a: 1, a: 2}", 'has the key "a" twice'),
        ("optimizer.kind=adamm", 'optimizer: unknown kind "adamm"; did you mean "adam'),
    ],
)
def test_wrong_override(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.of(DATA, [override])


def test_an_override_has_no_line_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(Recipe.of(DATA).to_yaml() + "training: {epochs: 0}\n")
    with pytest.raises(SpecError) as caught:
        Recipe.read(path)
    assert caught.value.problems[0].line == len(path.read_text().splitlines())
    for override in ("training.epochs=-1", "training={epochs: -1}"):
        with pytest.raises(SpecError, match="got -1") as caught:
            Recipe.read(path, [override])
        assert [problem.line for problem in caught.value.problems] == [None]


def test_a_rule_of_a_section_stands_at_its_field() -> None:
    with pytest.raises(SpecError) as caught:
        Recipe.of(DATA, ["training.batch_size=10", "training.accumulate=3"])
    assert [problem.place for problem in caught.value.problems] == ["training.batch_size"]


def test_only_the_member_that_was_meant_complains() -> None:
    with pytest.raises(SpecError) as caught:
        Recipe.of(DATA, ["data.normalize={mean: [0.5], sdt: [1]}", "data.image_size=[8, big]"])
    assert {problem.place: problem.message for problem in caught.value.problems} == {
        "data.normalize.std": "is missing, and has no default",
        "data.normalize.sdt": 'unknown setting "sdt"; did you mean "std"?',
        "data.image_size[1]": 'got "big", wanted a whole number',
    }


def test_with_values() -> None:
    recipe = Recipe.of(DATA)
    values = {"training.epochs": 3, "model.layers.0.kernel": [1, 2], "data.split": {"test": 0}}
    other = recipe.with_values(values)
    assert other.training.epochs == 3
    assert plain(other)["model"]["layers"][0]["kernel"] == [1, 2]
    assert plain(recipe) == plain(Recipe.of(DATA))
    with pytest.raises(SpecError, match=r"training\.epochs: got 0"):
        recipe.with_values({"training.epochs": 0})


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
blocks = st.recursive(
    st.one_of(
        st.builds(
            lambda channels, kernel: {"kind": "conv", "channels": channels, "kernel": kernel},
            st.integers(1, 512),
            st.integers(1, 7) | st.lists(st.integers(1, 7), min_size=2, max_size=2),
        ),
        st.builds(
            lambda rate: {"kind": "dropout", "rate": rate}, st.floats(0, 0.99, allow_nan=False)
        ),
        st.sampled_from([{"kind": "flatten"}, {"kind": "activation", "name": "relu"}]),
    ),
    lambda inner: st.builds(
        lambda layers, times: {"kind": "repeat", "times": times, "layers": layers},
        st.lists(inner, min_size=1, max_size=3),
        st.integers(1, 3),
    ),
    max_leaves=6,
)
recipes = st.fixed_dictionaries(
    {
        "name": names,
        "task": st.fixed_dictionaries(
            {"kind": st.just("classify")},
            optional={
                "label_smoothing": st.floats(0, 0.9),
                "class_weights": st.dictionaries(
                    st.text("09eéno: #'", max_size=4), st.floats(0, 5)
                ),
            },
        ),
        "data": st.fixed_dictionaries(
            {"kind": st.just("npz"), "path": st.text("ab/é .-#:'", min_size=1, max_size=9)},
            optional={
                "classes": st.lists(
                    st.sampled_from(["no", "yes", "09", "1e5", "null", "~", "a: b", "猫"]),
                    min_size=1,
                    unique=True,
                )
            },
        ),
        "model": st.fixed_dictionaries({"layers": st.lists(blocks, min_size=1, max_size=4)}),
    },
    optional={
        "optimizer": st.fixed_dictionaries(
            {"kind": st.just("adamw")}, optional={"learning_rate": st.floats(1e-12, 10)}
        ),
        "training": st.fixed_dictionaries(
            {}, optional={"epochs": st.integers(1, 999), "seed": st.integers(0, 2**62)}
        ),
    },
)


@given(recipes)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    recipe = Recipe.of(data)
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    again = Recipe.read(path)
    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()


values = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats()
anything = st.recursive(
    values | st.sampled_from(["conv", "digits", "auto", "classify"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "layers", "channels", "path", "epochs", "split", "test"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def refusal(data: dict[str, Any]) -> SpecError | None:
    try:
        Recipe.of(data)
    except SpecError as error:
        return error
    return None


@given(st.sampled_from(["name", "task", "data", "model", "optimizer", "training", "x"]), anything)
def test_any_value_is_taken_or_refused_with_its_place(section: str, value: Any) -> None:
    refused = refusal({**DATA, section: value})
    if refused is not None:
        assert all(problem.place.startswith(section) for problem in refused.problems)
        assert "Input should" not in str(refused)


def test_read_refuses_what_is_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for text, got in (("", "is empty"), ("[1]", "is a list"), ("3", "is the single value 3")):
        path.write_text(text)
        with pytest.raises(SpecError, match=f"{got}; wanted name, task, data and model"):
            Recipe.read(path)
