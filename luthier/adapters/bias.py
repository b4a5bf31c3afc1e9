"""Only what is added moves: the biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from luthier.errors import InputError
from luthier.spec import Spec


class BiasSpec(Spec):
    """Only biases move, about a thousandth of the weights, and what is new.

    Source:
        Ben Zaken et al. 2022 (BitFit), 2106.10199.
    """

    kind: Literal["bias"] = "bias"


def is_bias(name: str) -> bool:
    """Whether a weight of that name is a bias; those of recurrent layers are called `bias_ih_l0`.

    Example:
        >>> [is_bias(name) for name in ("0.inner.up.bias", "1.rnn.bias_hh_l0", "2.weight")]
        [True, True, False]
    """
    own = name.rpartition(".")[2]
    return own == "bias" or own.startswith("bias_")


def only_biases(network: nn.Module, new: Sequence[str] = ()) -> None:
    """Lets the biases move, and what is new.

    Raises:
        InputError: If the network has no biases.
    """
    named = dict(network.named_parameters())
    if not any(is_bias(name) for name in named if not name.startswith(tuple(new))):
        raise InputError(
            "adapter: got bias, but no layer of the network adds a bias; use {kind: lora}"
        )
    for name, weight in named.items():
        weight.requires_grad_(is_bias(name) or name.startswith(tuple(new)))
