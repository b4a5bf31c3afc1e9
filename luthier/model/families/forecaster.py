"""What networks that forecast have in common: how far they reach, and how much they say."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field

from luthier.errors import Problem, SpecError
from luthier.model.block import Size
from luthier.model.blueprint import Aim, LayersSpec
from luthier.model.families.family import FamilySpec, Rule
from luthier.model.initialize import InitializeSpec
from luthier.signal import Signal
from luthier.spec import Auto

HORIZON = 96
SERIES = Signal("sequence", (336, 7))
"""As much of ETTh1 as is usually read: two weeks of hours of seven columns."""
REACH = (
    Rule("horizon", lambda _: HORIZON, "as usual where no task says it"),
    Rule("outputs", lambda _: 1, "a value for each step"),
)


class ForecasterSpec(FamilySpec):
    """A family that forecasts series: it reads `(time, columns)` and gives what follows."""

    SHOWN: ClassVar[Aim] = "forecast"
    READS: ClassVar[Signal | None] = SERIES
    RULES: ClassVar[tuple[Rule, ...]] = REACH

    horizon: Size | Auto = "auto"
    """Steps that it gives; auto: as many as the task forecasts."""
    outputs: Size | Auto = "auto"
    """Values for each column and step; auto: one, or one for each quantile of the task."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    def reaching(self, horizon: int, outputs: int) -> Self:
        """The same, where it is left open, with as many steps and values as a task wants."""
        auto = {"horizon": horizon, "outputs": outputs}
        return self.model_copy(
            update={name: value for name, value in auto.items() if getattr(self, name) == "auto"}
        )

    def design(self, aim: Aim) -> LayersSpec:
        """The layers that it stands for.

        Raises:
            SpecError: If something else than a forecast is wanted.
        """
        if aim != "forecast":
            message = f"got {self.kind}, which forecasts series; this task learns another thing"
            raise SpecError([Problem(place="model.kind", message=message)])
        layers = super().design(aim)
        assert isinstance(layers, LayersSpec)
        return layers


def laid_out(s: Any) -> list[dict[str, Any]]:
    """What lays several values of each step side by side; nothing where there is one."""
    return [] if s["outputs"] == 1 else [{"kind": "steps", "count": s["horizon"]}]


def reached(s: Any) -> int:
    """All values that are given for a column."""
    return int(s["horizon"] * s["outputs"])
