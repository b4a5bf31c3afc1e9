"""Blocks by what they compute: with every default made a value, and without what only training
knows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.interop.huggingface.row import Named, Row
from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.cross_attention import CrossAttentionSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.mlp import MlpSpec, width_inside
from luthier.model.blocks.norm import bias_is_used
from luthier.model.blocks.sublayer import SublayerSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.wording import shown

TRAINED_WITH = frozenset(
    {"dropout", "inside_dropout", "attention_dropout", "token_dropout", "drop_path"}
)
"""Settings that change nothing of a finished network."""
LEAVES_OUT = frozenset({"dropout", "drop_path"})
"""Blocks that change nothing of a finished network."""
NORM_EPSILONS = {"rms": 1e-6, "layer": 1e-5}
EQUAL = 1e-6
"""Relative; a number that went through a root, and back, is another one in its last digits."""


def differences(ours: Row, theirs: Row, width: int, context: int) -> list[str]:
    """Where two networks compute something else, in words; theirs is what is wanted.

    Args:
        ours: The one.
        theirs: The other.
        width: What flows through both.
        context: The most tokens that both read.
    """
    found = []
    for part in ("encoder", "layers", "neck", "head"):
        mine, wanted = (_kept(getattr(row, part)) for row in (ours, theirs))
        if len(mine) != len(wanted):
            kinds = ", ".join(named.spec.kind for named in wanted) or "nothing"
            got = ", ".join(named.spec.kind for named in mine) or "nothing"
            many = part in ("encoder", "layers")
            what = f"{len(mine)} blocks" if many else got
            to = f"{len(wanted)}" if many else kinds
            found.append(f"{part}: got {what}, wanted {to}")
            continue
        for a, b in zip(mine, wanted, strict=True):
            found += [f"{a.name} ({a.spec.kind}): {one}" for one in _of(a, b, width, context)]
    return found


def _kept(blocks: Sequence[Named]) -> list[Named]:
    return [named for named in blocks if named.spec.kind not in LEAVES_OUT]


def _of(ours: Named, theirs: Named, width: int, context: int) -> list[str]:
    a, b = settled(ours.spec, width, context), settled(theirs.spec, width, context)
    return [
        f"{key}: got {shown(a.get(key))}, wanted {shown(b.get(key))}"
        for key in sorted(a.keys() | b.keys())
        if not _equal(a.get(key), b.get(key))
    ]


def _equal(a: Any, b: Any) -> bool:
    numbers = (int, float)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return math.isclose(a, b, rel_tol=EQUAL)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return bool(a == b)


def settled(spec: BlockSpec, width: int, context: int) -> dict[str, Any]:
    """What a block computes, setting by setting.

    Args:
        spec: The block.
        width: Of what it reads.
        context: The most tokens that the network reads.

    Example:
        >>> settled(DenseSpec(width=3), 8, 16)["bias"]
        True
    """
    found = {
        name: value
        for name, value in spec.model_dump(mode="json").items()
        if name not in TRAINED_WITH
    }
    if isinstance(spec, SublayerSpec):
        found |= _around(spec)
    match spec:
        case AttentionSpec():
            found |= _attention(spec, width)
        case CrossAttentionSpec():
            own = spec.head_width or width // spec.heads
            found |= {
                "kv_heads": spec.kv_heads or spec.heads,
                "head_width": own,
                "scale": spec.scale or own**-0.5,
                "source_width": spec.source_width or width,
            }
        case MlpSpec():
            found |= _mlp(spec, width)
        case TokensSpec(position="learned"):
            found["positions"] = spec.positions or context
        case DenseSpec(bias="auto"):
            found["bias"] = bias_is_used(spec.norm)
        case _:
            pass
    return {name: value for name, value in found.items() if value is not None}


def _around(spec: SublayerSpec) -> dict[str, Any]:
    if spec.norm == "none":
        return {"norm_epsilon": None, "norm_place": None, "norm_bias": None}
    epsilon = spec.norm_epsilon or NORM_EPSILONS[spec.norm]
    return {
        "norm_epsilon": epsilon,
        "norm_bias": spec.norm_bias if spec.norm == "layer" else None,
    }


def _attention(spec: AttentionSpec, width: int) -> dict[str, Any]:
    own, _ = spec.widths(width)
    unused = [
        name
        for position in ("rotary", "relative")
        if spec.position != position
        for name in type(spec).model_fields
        if name.startswith(f"{position}_")
    ]
    scaling = None if spec.rotary_scaling is None else spec.rotary_scaling.model_dump()
    return {
        "kv_heads": spec.kv_heads or spec.heads,
        "head_width": own,
        "scale": spec.scale or own**-0.5,
        "rotary_scaling": scaling,
        **dict.fromkeys(unused),
    }


def _mlp(spec: MlpSpec, width: int) -> dict[str, Any]:
    curve = spec.activation
    if curve == "auto":
        curve = "silu" if spec.gated else "gelu"
    inside = width_inside(spec.width, spec.ratio, gated=spec.gated, around=width)
    return {"width": inside, "ratio": None, "activation": curve}
