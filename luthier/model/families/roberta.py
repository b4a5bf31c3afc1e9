"""RoBERTa: BERT with one type of text, and two places more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.model.block import Share, Size
from luthier.model.blueprint import Aim
from luthier.model.families.dial import DEPTH, HEADS, MLP_WIDTH, POSITIONS, WIDTH
from luthier.model.families.encoder import encoder_page
from luthier.model.families.family import FamilySpec, Published, Rule, Values
from luthier.model.initialize import InitializeSpec
from luthier.spec import Auto

EPSILON = 1e-5
TYPES = 1


def _row(name: str, depth: int, width: int, parameters: int) -> Published:
    settings = {"depth": depth, "width": width, "heads": width // 64, "mlp_width": 4 * width}
    return Published(
        name=f"roberta-{name}",
        settings={**settings, "positions": 514},
        vocab=50_265,
        context=512,
        parameters=parameters,
        source=f"FacebookAI/roberta-{name}",
    )


class RobertaSpec(FamilySpec):
    """RoBERTa, an encoder: it fills in masked words, says what a text is, and tags its words.

    Liu et al. 2019, 1907.11692. Published counts are of the layers with BERT's pooler, and of
    514 places, of which the original does not use the first two; ours count from the first.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "base": _row("base", 12, 768, 124_645_632),
        "large": _row("large", 24, 1024, 355_359_744),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (DEPTH, WIDTH, HEADS, MLP_WIDTH, POSITIONS)
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "labels"

    kind: Literal["roberta"] = "roberta"
    depth: Size | Auto = "auto"
    """Layers, each an attention and an MLP."""
    width: Size | Auto = "auto"
    """The width of what flows through the layers."""
    heads: Size | Auto = "auto"
    """Heads of each attention."""
    mlp_width: Size | Auto = "auto"
    """The width inside each MLP."""
    positions: Size | Auto | None = "auto"
    """Places that have a learned vector; null for as many as the context of the data."""
    dropout: Share = 0.1
    """The share left out while training: of the tokens' vectors, of the attention's weights and
    of what each half of a layer adds."""
    initialize: InitializeSpec = Field(default_factory=lambda: InitializeSpec(scheme="normal"))
    """The weights before the first step."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers, and the pooler or the masked-token head."""
        return encoder_page(s, TYPES, EPSILON)
