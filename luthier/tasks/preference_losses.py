"""The losses of preference tuning, as formulas of what answers weigh.

Dimension key, for the whole file:
    B  pairs, or single answers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["dpo", "ipo", "orpo", "simpo", "kto"]
REFERRING: tuple[Kind, ...] = ("dpo", "ipo", "kto")
"""Those that compare with the network that training began with."""


@dataclass(frozen=True)
class Weighing:
    """What is known of the answers of one kind.

    Args:
        log_p_B: The logarithm of each one's probability.
        reference_B: The same by the network that training began with; none where nobody asked.
        tokens_B: Tokens of each.
    """

    log_p_B: Tensor
    reference_B: Tensor | None
    tokens_B: Tensor

    @property
    def ratio_B(self) -> Tensor:
        """How much likelier than by the reference, as a logarithm."""
        assert self.reference_B is not None, "a loss that refers to where training began"
        return self.log_p_B - self.reference_B.to(self.log_p_B.dtype)

    @property
    def mean_B(self) -> Tensor:
        """The logarithm of a token's probability, on average."""
        return self.log_p_B / self.tokens_B.to(self.log_p_B.dtype)


@dataclass(frozen=True, kw_only=True)
class Strength:
    """The numbers of the losses."""

    beta: float
    margin: float = 0.0
    """SimPO's gamma."""
    label_smoothing: float = 0.0
    """DPO's: the share of pairs that may be labelled the wrong way round."""
    good_weight: float = 1.0
    bad_weight: float = 1.0
    """KTO's lambdas."""


def pair_losses(kind: Kind, better: Weighing, worse: Weighing, how: Strength) -> Tensor:
    """The loss of each pair, `(B,)`.

    Source:
        DPO: Rafailov et al. 2023, 2305.18290, equation 7; with label smoothing Mitchell 2023
        (cDPO). IPO: Azar et al. 2023, 2310.12036, equation 17, on sums over tokens as there.
        ORPO: Hong et al. 2024, 2403.07691, equations 3 to 7, each pair with its own mean over
        tokens. SimPO: Meng et al. 2024, 2405.14734, equation 6.
    """
    match kind:
        case "dpo":
            h_B = how.beta * (better.ratio_B - worse.ratio_B)
            smoothing = how.label_smoothing
            return -(1 - smoothing) * F.logsigmoid(h_B) - smoothing * F.logsigmoid(-h_B)
        case "ipo":
            return (better.ratio_B - worse.ratio_B - 1 / (2 * how.beta)).square()
        case "orpo":
            odds_B = _log_odds(better.mean_B) - _log_odds(worse.mean_B)
            return -better.mean_B - how.beta * F.logsigmoid(odds_B)
        case "simpo":
            return -F.logsigmoid(how.beta * (better.mean_B - worse.mean_B) - how.margin)
        case "kto":
            raise AssertionError("a loss of single answers")


def single_losses(answer: Weighing, good_B: Tensor, moved: Tensor, how: Strength) -> Tensor:
    """KTO's loss of each answer, `(B,)`: good ones shall become likelier than by the reference,
    bad ones less likely, both measured from how far the network has moved in all.

    Args:
        answer: What is known of the answers.
        good_B: Whether each is a good one.
        moved: A scalar, 0 or more: the divergence from the reference, in nats, without gradient.
        how: The numbers of the loss.

    Source:
        Ethayarajh et al. 2024, 2402.01306, equation 8.
    """
    reward_B = how.beta * (answer.ratio_B - moved.to(answer.log_p_B.dtype))
    return torch.where(
        good_B,
        how.good_weight * (1 - reward_B.sigmoid()),
        how.bad_weight * (1 - (-reward_B).sigmoid()),
    )


def rewards(kind: Kind, answer: Weighing, how: Strength) -> Tensor:
    """What each answer is worth to the network, `(B,)`: what the loss compares."""
    if kind in REFERRING:
        return how.beta * answer.ratio_B
    return how.beta * answer.mean_B


def _log_odds(mean_B: Tensor) -> Tensor:
    """`log(p / (1 - p))` of a probability's logarithm, exact where it is near 0."""
    # log(1 - e^x), by the branch that keeps its digits: Maechler 2012, "Accurately computing
    # log(1 - exp(-|a|))".
    small = mean_B > -0.6931471805599453
    near_B = torch.where(small, mean_B, torch.full_like(mean_B, -0.5))
    far_B = torch.where(small, torch.full_like(mean_B, -1.0), mean_B)
    least = torch.finfo(mean_B.dtype).tiny
    rest_B = torch.where(
        small, (-torch.expm1(near_B)).clamp_min(least).log(), torch.log1p(-far_B.exp())
    )
    return mean_B - rest_B
