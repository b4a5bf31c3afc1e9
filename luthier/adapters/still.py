"""Norms that keep what they have measured."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn


def _in_training(self: nn.Module, mode: bool = True) -> nn.Module:
    """What stays as it is does not measure either: its statistics belong to its weights."""
    return nn.Module.train(self, mode and any(p.requires_grad for p in self.parameters()))


class StillBatchNorm1d(nn.BatchNorm1d):
    """Normalises by its running statistics, also while training, as long as its weights stay."""

    train = _in_training  # type: ignore[assignment]


class StillBatchNorm2d(nn.BatchNorm2d):
    """The same of images."""

    train = _in_training  # type: ignore[assignment]


STILL: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: StillBatchNorm1d,
    nn.BatchNorm2d: StillBatchNorm2d,
}
_MOVING = {still: moving for moving, still in STILL.items()}


def keep_still(network: nn.Module) -> None:
    """Lets each batch norm measure only as long as its weights move.

    The mean and variance of a frozen network's batches would drift away from those that its
    weights were trained with, and would change a network of which nothing is said to move.
    """
    for module in network.modules():
        if type(module) in STILL:
            module.__class__ = STILL[type(module)]
            module.train(module.training)


def let_move(network: nn.Module) -> None:
    """The inverse of `keep_still`."""
    for module in network.modules():
        if type(module) in _MOVING:
            module.__class__ = _MOVING[type(module)]
