"""NLinear: a linear forecast of the change from the last value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from luthier.model.families.family import Published, Values
from luthier.model.families.forecaster import ForecasterSpec, laid_out, reached


class NlinearSpec(ForecasterSpec):
    """A weighted sum over time for each step, of what differs from the last value.

    All columns share the weights. It copes with series whose level moves away from where it was
    in training.

    Source:
        Zeng et al. 2022, 2205.13504, section 4.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}

    kind: Literal["nlinear"] = "nlinear"

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        change = {
            "kind": "reversible_norm",
            "centre": "last",
            "scale": False,
            "learned": False,
            "layers": [{"kind": "time_dense", "steps": reached(s)}, *laid_out(s)],
        }
        return {"layers": [change]}
