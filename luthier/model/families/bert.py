"""BERT: learned positions and types, post-norm layers with biases, texts read whole."""

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

EPSILON = 1e-12
TYPES = 2


def _row(name: str, depth: int, width: int, parameters: int, source: str) -> Published:
    settings = {"depth": depth, "width": width, "heads": width // 64, "mlp_width": 4 * width}
    return Published(
        name=f"bert-{name}",
        settings={**settings, "positions": 512},
        vocab=30_522,
        context=512,
        parameters=parameters,
        source=source,
    )


_TURC = "Turc et al. 2019, 1908.08962: google/bert_uncased_L-{}_H-{}_A-{}"


class BertSpec(FamilySpec):
    """BERT, an encoder: it fills in masked words, says what a text is, and tags its words.

    Devlin et al. 2019, 1810.04805. Published counts are of the layers with the pooler. The
    masked-token head is another one: without the pooler, with the width squared, 3 widths and the
    vocab more.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {
        "base": _row("base", 12, 768, 109_482_240, "google-bert/bert-base-uncased"),
        "large": _row("large", 24, 1024, 335_141_888, "google-bert/bert-large-uncased"),
        "medium": _row("medium", 8, 512, 41_373_184, _TURC.format(8, 512, 8)),
        "small": _row("small", 4, 512, 28_763_648, _TURC.format(4, 512, 8)),
        "mini": _row("mini", 4, 256, 11_170_560, _TURC.format(4, 256, 4)),
        "tiny": _row("tiny", 2, 128, 4_385_920, _TURC.format(2, 128, 2)),
    }
    RULES: ClassVar[tuple[Rule, ...]] = (DEPTH, WIDTH, HEADS, MLP_WIDTH, POSITIONS)
    DIALS: ClassVar[tuple[str, ...]] = ("depth", "width")
    SHOWN: ClassVar[Aim] = "labels"

    kind: Literal["bert"] = "bert"
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
