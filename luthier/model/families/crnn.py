"""CRNN: convolutions over time and frequency, then an RNN over what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blocks.recurrent import RecurrentSpec
from luthier.model.blueprint import Aim
from luthier.model.families.encoder import dropout
from luthier.model.families.family import FamilySpec, Published, Rule, Values, block
from luthier.model.initialize import InitializeSpec
from luthier.signal import Signal
from luthier.spec import Auto, Many


class CrnnSpec(FamilySpec):
    """A small network for sounds: what is heard at once by convolutions, in what order by GRUs that
    read both ways (Shi et al. 2015, 1507.05717, for texts in pictures).

    For `classify` the mean of all frames; for `transcribe` the frames themselves.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}
    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("width", lambda _: 64, "enough for some thousand short sounds"),
        Rule("depth", lambda s: 1 if s["aim"] == "labels" else 2, "1 for labels, 2 for texts"),
        Rule(
            "channels",
            lambda s: [s["width"] // 4, s["width"] // 2, s["width"] // 2],
            "a quarter of the width, then halves",
        ),
    )
    SHOWN: ClassVar[Aim] = "labels"
    READS: ClassVar[Signal | None] = Signal("sequence", (300, 80))

    kind: Literal["crnn"] = "crnn"
    width: Annotated[int, Field(ge=4, le=4096)] | Auto = "auto"
    """The width of the state of each way."""
    depth: Size | Auto = "auto"
    """Layers of the RNN."""
    channels: Many[Size] | Auto = "auto"
    """Filters of each convolution. Each halves the frames; for `transcribe` the first two do."""
    dropout: Share = 0.2
    """The share of values left out before, between and behind the layers of the RNN."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and what a task needs behind them."""
        rnn = {
            "cell": "gru",
            "width": s["width"],
            "depth": s["depth"],
            "bidirectional": True,
            "dropout": s["dropout"] if s["depth"] > 1 else 0.0,
        }
        front: dict[str, Any] = {
            "kind": "subsample",
            "channels": list(s["channels"]),
            "width": 2 * s["width"],
        }
        if s["aim"] == "transcripts":  # a letter lasts for half a dozen frames
            count = len(s["channels"])
            front |= {"strides": [2, 2, *[1] * count][:count], "frequency_strides": [2]}
        pool = [{"kind": "global_pool"}] if s["aim"] == "labels" else []
        return {
            "layers": [front, *dropout(s), block(RecurrentSpec, rnn)],
            "neck": [*pool, *dropout(s)],
        }
