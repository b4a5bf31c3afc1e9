"""DLinear: a linear forecast of the trend, and one of what swings around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from luthier.model.block import Size
from luthier.model.families.family import Published, Values
from luthier.model.families.forecaster import ForecasterSpec, laid_out, reached


class DlinearSpec(ForecasterSpec):
    """Two weighted sums over time, of a moving average and of the rest, for each step.

    All columns share the weights, and none sees another one. It is small, fast, and on many series
    hard to beat.

    Source:
        Zeng et al. 2022, 2205.13504, section 4.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}

    kind: Literal["dlinear"] = "dlinear"
    window: Size = 25
    """Steps of the moving average."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        dense = [{"kind": "time_dense", "steps": reached(s)}]
        parts = {"window": s["window"], "trend": dense, "season": dense}
        return {"layers": [{"kind": "decompose", **parts}, *laid_out(s)]}
