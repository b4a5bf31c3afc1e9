"""Activations by the names that configs have for them."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.errors import InputError
from luthier.model.blocks.activation import Curve
from luthier.model.blocks.mlp import MlpSpec

CURVES: Mapping[str, Curve] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "tanh": "tanh",
}
"""Their activations."""
THEIR_CURVES: Mapping[str, str] = {
    "silu": "silu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "tanh": "tanh",
}
"""The same back."""


def their_curve(mlp: MlpSpec) -> str:
    """The activation of an MLP, as they call it.

    Raises:
        InputError: If they have no name for it.
    """
    curve = mlp.activation
    if curve == "auto":
        curve = "silu" if mlp.gated else "gelu"
    if curve not in THEIR_CURVES:
        raise InputError(f"the activation {curve} has no name there; wanted silu, gelu or relu")
    return THEIR_CURVES[curve]
