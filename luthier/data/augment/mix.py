"""Augmentations that mix two rows and their targets: mixup, cutmix.

A row's partner is any row of the split, drawn for the row and not from its batch. So a mixed
sample is the same whatever batch it is in; the price is that the partner is read, too.

Dimension key, for the whole file:
    B  batch      H  height      W  width      C  channels      K  classes
    n  values drawn for a row: whether, how much, which partner, where (down), where (right)
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaincinv
from torch import Tensor

from luthier.spec import Spec


class MixupSpec(Spec):
    """Adds two pictures with random weights, and their targets with the same.

    Source:
        Zhang et al. 2017, 1710.09412. The paper's partner is a row of the same batch.
    """

    kind: Literal["mixup"] = "mixup"
    draws: ClassVar[int] = 3

    alpha: float = Field(default=0.2, gt=0)
    """Weights are drawn from Beta(alpha, alpha): near 0 one picture is all, at 1 any mix is as
    likely."""
    probability: float = Field(default=1.0, gt=0, le=1)
    """The share of rows that are mixed."""

    def mix(
        self, x_BCHW: Tensor, partner_BCHW: Tensor, u_Bn: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """The mixed pictures, and the `(B,)` share of each that is the row's own."""
        own_B = torch.from_numpy(_beta(self.alpha, u_Bn[:, 1]).astype(np.float32))
        weight = own_B[:, None, None, None]
        return x_BCHW * weight + partner_BCHW * (1 - weight), own_B


class CutmixSpec(Spec):
    """Sets a rectangle of one picture into another, and mixes the targets by area.

    Source:
        Yun et al. 2019, 1905.04899. The paper's partner is a row of the same batch.
    """

    kind: Literal["cutmix"] = "cutmix"
    draws: ClassVar[int] = 5

    alpha: float = Field(default=1.0, gt=0)
    """The share that stays is drawn from Beta(alpha, alpha); 1 makes any share as likely."""
    probability: float = Field(default=0.5, gt=0, le=1)
    """The share of rows that are mixed."""

    def mix(
        self, x_BCHW: Tensor, partner_BCHW: Tensor, u_Bn: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """The mixed pictures, and the `(B,)` share of each that is the row's own."""
        height, width = x_BCHW.shape[2:]
        side = np.sqrt(1 - _beta(self.alpha, u_Bn[:, 1]))
        tall = np.rint(height * side).astype(np.int64)
        wide = np.rint(width * side).astype(np.int64)
        tops = (u_Bn[:, 3] * (height - tall + 1)).astype(np.int64)
        lefts = (u_Bn[:, 4] * (width - wide + 1)).astype(np.int64)
        mixed = x_BCHW.clone()
        for row in range(len(tall)):
            place = (
                row,
                slice(None),
                slice(int(tops[row]), int(tops[row] + tall[row])),
                slice(int(lefts[row]), int(lefts[row] + wide[row])),
            )
            mixed[place] = partner_BCHW[place]
        own = 1 - (tall * wide) / (height * width)
        return mixed, torch.from_numpy(own.astype(np.float32))


def _beta(alpha: float, u_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from Beta(alpha, alpha), by its quantile function."""
    draws: NDArray[np.float64] = betaincinv(alpha, alpha, np.ascontiguousarray(u_B))
    return draws
