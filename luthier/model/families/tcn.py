"""TCN: convolutions over time whose reach doubles from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.errors import Problem, SpecError
from luthier.model.block import Share, Size
from luthier.model.blueprint import Aim, LayersSpec
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.model.families.forecaster import SERIES
from luthier.model.initialize import InitializeSpec
from luthier.signal import Signal
from luthier.spec import Auto


class TcnSpec(FamilySpec):
    """A temporal convolutional network: residual blocks of two causal convolutions each, with
    twice the dilation of the block before.

    It reads series, all columns together. Its last position has seen `1 + 2 * (kernel - 1) *
    (2^depth - 1)` steps; the head reads that one. (The paper also normalises the weights.)

    Source:
        Bai et al. 2018, 1803.01271, section 3.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}
    SHOWN: ClassVar[Aim] = "forecast"
    READS: ClassVar[Signal | None] = SERIES
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("depth", lambda _: 6, "a reach of 253 steps with a kernel of 3"),
        Rule("width", lambda _: 64, "enough for some ten thousand windows"),
    )

    kind: Literal["tcn"] = "tcn"
    depth: Size | Auto = "auto"
    """Residual blocks."""
    width: Size | Auto = "auto"
    """Filters of each convolution."""
    kernel: Size = 3
    """Positions of a filter."""
    dropout: Share = 0.1
    """The share left out while training, behind each convolution."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    def design(self, aim: Aim) -> LayersSpec:
        """The layers that it stands for.

        Raises:
            SpecError: If something else than a forecast is wanted.
        """
        if aim != "forecast":
            message = "got tcn, which forecasts series; this task learns another thing"
            raise SpecError([Problem(place="model.kind", message=message)])
        layers = super().design(aim)
        assert isinstance(layers, LayersSpec)
        return layers

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        drop = [{"kind": "dropout", "rate": s["dropout"]}] if s["dropout"] else []
        blocks = []
        for number in range(s["depth"]):
            conv = {
                "kind": "conv",
                "channels": s["width"],
                "kernel": s["kernel"],
                "dilation": 2**number,
                "padding": "causal",
                "activation": "relu",
            }
            blocks.append(
                {
                    "kind": "residual",
                    "layers": [conv, *drop, conv, *drop],
                    "projection_norm": "none",
                    "activation": "relu",
                }
            )
        return {"layers": blocks, "neck": [{"kind": "global_pool", "reduce": "last"}]}
