"""One dial: how the other numbers of a Transformer follow from its depth or its width."""

from __future__ import annotations

from luthier.model.families.family import Rule, Values

WIDTH_OF_A_LAYER = 64
"""The width by the depth. GPT-2 small has 64; Kaplan et al. 2020 (2001.08361, figure 5) find the
loss within some percent of the best from about 10 to 200, at equal parameters."""
HEAD_WIDTH, WIDE_HEAD_WIDTH = 64, 128
"""Of a head: 64 as in GPT-2, BERT and Llama 3.2 1B; 128 as in larger Llamas."""
WIDE = 2560
"""From this width on a network has wide heads."""
SHARING = 4
"""Query heads of a key/value head, at most: as in Llama 3."""
UNTIED = 3584
"""From this width on a head has weights of its own: what they cost is a small share there. So
it is in Llama 3, Qwen 2.5 and 3."""
MULTIPLE = 64
"""Of a width inside that is no multiple of the width."""


def heads_for(width: int) -> int:
    """Heads whose width is the divisor of `width` nearest to the usual one; even, for rotary.

    Example:
        >>> heads_for(768), heads_for(4096), heads_for(100), heads_for(7)
        (12, 32, 2, 1)
    """
    usual = HEAD_WIDTH if width < WIDE else WIDE_HEAD_WIDTH
    even = [own for own in range(2, width + 1, 2) if width % own == 0]
    return width // min(even, key=lambda own: abs(own - usual)) if even else 1


def up_to_multiple(number: float) -> int:
    """The next multiple of `MULTIPLE`.

    Example:
        >>> up_to_multiple(8 * 768 / 3), up_to_multiple(2049)
        (2048, 2112)
    """
    return -int(-number // MULTIPLE) * MULTIPLE


def _heads(s: Values) -> int:
    own = s.get("head_width")
    return heads_for(s["width"]) if own is None else max(1, s["width"] // own)


def _head_width(s: Values) -> int:
    if s["width"] % s["heads"]:
        raise ValueError(
            f"heads: got {s['heads']}, wanted a divisor of the width of {s['width']}, or a "
            "head_width beside it"
        )
    return int(s["width"] // s["heads"])


DEPTH = Rule(
    "depth",
    lambda s: max(1, round(s["width"] / WIDTH_OF_A_LAYER)),
    f"the width of {{width}} by {WIDTH_OF_A_LAYER}",
)
WIDTH = Rule(
    "width",
    lambda s: WIDTH_OF_A_LAYER * s["depth"],
    f"{WIDTH_OF_A_LAYER} times the depth of {{depth}}",
)
HEADS = Rule(
    "heads",
    _heads,
    f"each about {HEAD_WIDTH} wide, or {WIDE_HEAD_WIDTH} from a width of {WIDE:,} on; or as wide "
    "as head_width says",
)
KV_HEADS = Rule(
    "kv_heads",
    lambda s: s["heads"] // max(n for n in range(1, SHARING + 1) if s["heads"] % n == 0),
    f"up to {SHARING} of the {{heads}} query heads share one, as in Llama 3",
)
HEAD_WIDTH_BY_HEADS = Rule("head_width", _head_width, "the width of {width} by the {heads} heads")
MLP_WIDTH = Rule("mlp_width", lambda s: 4 * s["width"], "4 times the width of {width}")
GATED_MLP_WIDTH = Rule(
    "mlp_width",
    lambda s: up_to_multiple(8 * s["width"] / 3),
    f"8/3 of the width of {{width}}, up to a multiple of {MULTIPLE}: the weights of an ungated one "
    "of 4 times",
)
DECODER = (DEPTH, WIDTH, HEADS, KV_HEADS, HEAD_WIDTH_BY_HEADS, GATED_MLP_WIDTH)
"""Of a Llama and what came of it: all sizes of its layers."""
TIED = Rule(
    "tied",
    lambda s: s["width"] < UNTIED,
    f"true below a width of {UNTIED:,}, where the head's own weights would be a large share",
)
POSITIONS = Rule("positions", lambda _: None, "as many as the context of the data")
