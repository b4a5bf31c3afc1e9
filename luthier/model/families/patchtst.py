"""PatchTST: a Transformer over stretches of a series, of each column by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from luthier.model.block import Share, Size
from luthier.model.families.family import Published, Rule, Values, repeated
from luthier.model.families.forecaster import REACH, ForecasterSpec, laid_out, reached
from luthier.spec import Auto

_PATCHES = "as in PatchTST"


class PatchtstSpec(ForecasterSpec):
    """A Transformer encoder that reads a series in patches, and sees both ways.

    The columns go through it one by one with the same weights, each brought to one level and
    spread and back. The norms stand before the attention (the paper: batch norms behind it).

    Source:
        Nie et al. 2023, 2211.14730, section 3.
    """

    SIZES: ClassVar[Mapping[str, Published]] = {}
    RULES: ClassVar[tuple[Rule, ...]] = (
        *REACH,
        Rule("depth", lambda _: 3, _PATCHES),
        Rule("width", lambda _: 128, _PATCHES),
        Rule("heads", lambda s: max(1, s["width"] // 16), "each about 16 wide, as in PatchTST"),
        Rule("mlp_width", lambda s: 2 * s["width"], "twice the width of {width}"),
    )

    kind: Literal["patchtst"] = "patchtst"
    depth: Size | Auto = "auto"
    """Attentions, each with an MLP behind it."""
    width: Size | Auto = "auto"
    """The width of the vectors that patches become."""
    heads: Size | Auto = "auto"
    """Heads of each attention. Must divide the width."""
    mlp_width: Size | Auto = "auto"
    """The width inside of each MLP."""
    patch: Size = 16
    """Steps of a patch."""
    stride: Size = 8
    """Steps from one patch to the next."""
    dropout: Share = 0.2
    """The share left out while training: in each attention and MLP, and before the forecast."""

    def blank_page(self, s: Values) -> dict[str, Any]:
        """The layers."""
        drop = {"dropout": s["dropout"]} if s["dropout"] else {}
        layers = [
            {"kind": "attention", "heads": s["heads"], "causal": False, "norm": "layer", **drop},
            {
                "kind": "mlp",
                "width": s["mlp_width"],
                "activation": "gelu",
                "norm": "layer",
                **drop,
            },
        ]
        columns = [
            {"kind": "patches", "size": s["patch"], "stride": s["stride"], "width": s["width"]},
            *repeated(s["depth"], layers),
            {"kind": "layer_norm"},
            {"kind": "flatten"},
            *([{"kind": "dropout", "rate": s["dropout"]}] if drop else []),
            {"kind": "dense", "width": reached(s)},
        ]
        inside = [{"kind": "each_channel", "layers": columns}, *laid_out(s)]
        return {"layers": [{"kind": "reversible_norm", "layers": inside}]}
