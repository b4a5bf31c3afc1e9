"""Specs read strictly, with every problem at once."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pytest
from pydantic import Field, model_validator

from luthier.errors import SpecError
from luthier.spec import Auto, Many, Spec, parse, plain
from luthier.wording import place


class Inner(Spec):
    """A block."""

    kind: Literal["inner"] = "inner"
    channels: int = Field(ge=1)
    """How many."""
    layers: Many[Block] = ()
    """More."""


class Other(Spec):
    """Another block."""

    kind: Literal["other"] = "other"
    rate: float = 0.1
    on: bool = False
    size: int | Auto = "auto"

    @model_validator(mode="after")
    def _below_one(self) -> Self:
        if self.rate > 1:
            raise ValueError(f"rate must be at most 1, got {self.rate}")
        return self


Block = Annotated[Inner | Other, Field(discriminator="kind")]
Inner.model_rebuild()


class Root(Spec):
    """The whole."""

    layers: Many[Block]
    other: Other = Field(default_factory=Other)


def problems(data: object) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse(Root, data)
    return {problem.place: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        ({"layers": [], "othr": {}}, "othr", 'unknown setting "othr"; did you mean "other"?'),
        ({}, "layers", "is missing, and has no default"),
        ({"layers": [{"kind": "innr"}]}, "layers[0]", 'unknown kind "innr"; did you mean "inner"?'),
        ({"layers": [{"channels": 1}]}, "layers[0]", "has no kind, got {'channels': 1}; give one: {kind: …}"),
        ({"layers": [7]}, "layers[0]", "got 7, wanted settings: {key: value, …}"),
        ({"layers": 7}, "layers", "got 7, wanted a list"),
        ({"layers": [{"kind": "inner", "channels": 0}]}, "layers[0].channels", "got 0, wanted at least 1"),
        ({"layers": [{"kind": "inner", "channels": "3"}]}, "layers[0].channels", 'got "3", wanted a whole number'),
        ({"layers": [{"kind": "inner", "channels": True}]}, "layers[0].channels", "got true, wanted a whole number"),
        ({"layers": [{"kind": "inner", "chanels": 1, "channels": 1}]}, "layers[0].chanels", 'unknown setting "chanels"; did you mean "channels"?'),
        ({"layers": [{"kind": "inner", "channels": 1, "layers": [{"kind": "other", "rte": 1}]}]}, "layers[0].layers[0].rte", 'unknown setting "rte"; did you mean "rate"?'),
        ({"layers": [], "other": {"rate": "x"}}, "other.rate", 'got "x", wanted a number'),
        ({"layers": [], "other": {"rate": 2}}, "other", "rate must be at most 1, got 2.0"),
        ({"layers": [], "other": {"on": 1}}, "other.on", "got 1, wanted true or false"),
        ({"layers": [], "other": {"size": "big"}}, "other.size", 'got "big", wanted a whole number or "auto"'),
        ({"layers": [], "other": {"rate": float("nan")}}, "other.rate", "got nan, wanted a finite number"),
    ],
)  # fmt: skip
def test_message(data: object, where: str, message: str) -> None:
    assert problems(data) == {where: message}


def test_all_problems_at_once_with_lines() -> None:
    data = {"layers": [{"kind": "inner", "channels": 0}, {"kind": "x"}], "z": 1}
    lines = {("layers",): 1, ("layers", 0, "channels"): 2, ("layers", 1): 3, ("z",): 4}
    with pytest.raises(SpecError) as caught:
        parse(Root, data, lines=lines, source="r.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]
    assert str(caught.value).startswith("r.yaml: 3 problems\n")


def test_whole_numbers_become_floats_and_nothing_else_is_converted() -> None:
    assert parse(Other, {"rate": 1}).rate == 1.0


def test_round_trip_keeps_kinds_of_python_specs() -> None:
    root = Root(layers=(Inner(channels=3, layers=(Other(),)),))
    assert plain(root) == {
        "layers": [{"kind": "inner", "channels": 3, "layers": [{"kind": "other"}]}]
    }
    assert parse(Root, plain(root)) == root


def test_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Other().rate = 0.5  # type: ignore[misc]


def test_place() -> None:
    assert place(("model", "layers", 3, "channels")) == "model.layers[3].channels"
