"""How far two language networks are apart, without all of their scores at once.

Dimension key, for the whole file:
    N  positions      V  vocab      D  width of the one      E  width of the other
    C  positions of a slice
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from luthier.model.linear_cross_entropy import capped, slices_of


@dataclass(frozen=True)
class Scored:
    """What an output layer reads, and the layer.

    Args:
        x_ND: What it reads at each position.
        weight_VD: Its weights.
        bias_V: Its bias.
        softcap: Scores are kept between ± this.
    """

    x_ND: Tensor
    weight_VD: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None

    def log_p(self, part: slice, temperature: float) -> Tensor:
        """`(C, V)`, the logarithms of the probabilities, softened, in float32 at least."""
        y_CV = F.linear(self.x_ND[part], self.weight_VD, self.bias_V)
        y_CV = capped(y_CV.to(torch.promote_types(y_CV.dtype, torch.float32)), self.softcap)
        return (y_CV / temperature).log_softmax(1)


def divergence(scores: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 KL(teacher || student)` of the softened probabilities, summed over rows.

    Source:
        Hinton et al. 2015, 1503.02531, section 2: times the squared temperature, gradients are as
        large as those of the labels.

    Args:
        scores: `(N, K)` of the student, in float32 or more.
        teacher: `(N, K)` of the teacher.
        temperature: T, which both are divided by.
    """
    student_NK = (scores / temperature).log_softmax(1)
    teacher_NK = (teacher.to(scores.dtype) / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(student_NK, teacher_NK, reduction="sum", log_target=True)


def linear_divergence(student: Scored, teacher: Scored, temperature: float) -> Tensor:
    """`divergence` of the scores of two output layers, with memory for a slice of them.

    Scores are made again for the gradient.
    """
    total = student.x_ND.new_zeros((), dtype=torch.promote_types(student.x_ND.dtype, torch.float32))
    for part in slices_of(len(student.x_ND), len(student.weight_VD)):
        total = total + checkpoint(
            _of_slice, student, teacher, part, temperature, use_reentrant=False
        )
    return temperature**2 * total


def _of_slice(student: Scored, teacher: Scored, part: slice, temperature: float) -> Tensor:
    with torch.no_grad():
        teacher_CV = teacher.log_p(part, temperature)
    student_CV = student.log_p(part, temperature)
    return F.kl_div(student_CV, teacher_CV.to(student_CV.dtype), reduction="sum", log_target=True)
