"""Mixture of experts: several MLPs, of which each position goes through a few.

Dimension key, for the whole file:
    B  rows         T  positions     S  positions of all rows, without padding     D  width
    X  experts      A  active ones   M  `S * A`, pairs of a position and an expert
    N  documents
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.model.block import Size
from luthier.model.blocks.activation import ActivationName
from luthier.model.blocks.mlp import Mlp, check_width, width_inside
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.layout import Layout
from luthier.model.reorder import reordered
from luthier.model.stream import Stream, Streamed
from luthier.signal import Signal
from luthier.spec import Auto

LOAD_BALANCE = "load_balance"
"""The name of the loss in `Stream.losses`."""


class MoeSpec(SublayerSpec):
    """Several MLPs, of which each position goes through those that a router chooses for it: more
    weights at the same work."""

    kind: Literal["moe"] = "moe"
    experts: Annotated[int, Field(ge=2, le=1024)]
    """MLPs to choose from."""
    active: Annotated[int, Field(ge=1, le=64)] = 2
    """MLPs that are chosen for a position."""
    shared: Annotated[int, Field(ge=0, le=64)] = 0
    """MLPs more that each position goes through; they are one, so many times as wide."""
    width: Size | None = None
    """The width inside of one; none means `ratio` times the width of what it reads."""
    ratio: float | None = Field(default=None, gt=0, le=64)
    """The width inside of one as a multiple; what is no whole number goes to the nearest multiple
    of 8. None means 4, or 8/3 where gated."""
    gated: bool = False
    """Whether a second layer of the same width multiplies the activated one."""
    activation: ActivationName | Auto = "auto"
    """The curve; auto means silu where gated, gelu where not."""
    bias: bool = False
    """Whether the MLPs add learned numbers."""
    normalised: bool = True
    """Whether the shares of the chosen ones are raised to sum up to 1."""
    balance: float = Field(default=0.01, ge=0, le=100)
    """The weight of the loss that is smallest where all are chosen equally often in each text; 0
    for none. It is called load_balance, and there while training."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        check_width(self.width, self.ratio)
        if self.active > self.experts:
            raise ValueError(
                f"active: got {self.active}, wanted at most {self.experts}, all experts"
            )
        if self.active == 1 and self.normalised:
            raise ValueError(
                "normalised: got true with active: 1, where every share becomes 1 and teaches the "
                "router nothing; wanted false"
            )
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with a `Moe` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "use {kind: mlp}")
        moe = Moe(self, signal.width)
        mlps = (module for module in moe.modules() if isinstance(module, Mlp))
        return Sublayer(self, moe, signal, [mlp.down for mlp in mlps])


class Moe(Streamed):
    """`sum of share_x * expert_x(x)` over the chosen experts, and the shared ones.

    The shares are a softmax over all experts, of which the largest are taken. Positions are
    sorted by expert, so that each expert is one product; no position is dropped, and padding
    goes through none.

    Args:
        spec: The experts, and how they are chosen.
        width: D.

    Shape:
        `(B, T, D)` to the same.

    Cost:
        Parameters: those of `X + shared` MLPs, and `X * D` of the router; of them a position uses
        those of `A + shared` MLPs and the router's.
        FLOPs of one forward pass: two for each weight that a position uses.

    Source:
        Shazeer et al. 2017, 1701.06538; softmax before the choice: Fedus et al. 2021, 2101.03961.
        The loss: DeepSeek-V3, section 2.1.2, 2412.19437, with softmax for the shares; it is a sum
        over texts, each times its positions. Shared: DeepSeekMoE, 2401.06066.
    """

    def __init__(self, spec: MoeSpec, width: int) -> None:
        super().__init__()
        self.active = spec.active
        self.normalised = spec.normalised
        self.balance = spec.balance
        inside = width_inside(spec.width, spec.ratio, gated=spec.gated, around=width)
        self.router = nn.Linear(width, spec.experts, bias=False)

        def mlp(times: int) -> Mlp:
            return Mlp(
                width,
                inside * times,
                gated=spec.gated,
                activation=spec.activation,
                bias=spec.bias,
            )

        self.experts = nn.ModuleList(mlp(1) for _ in range(spec.experts))
        self.shared = mlp(spec.shared) if spec.shared else None

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What the experts make of each position."""
        layout = None if stream is None else stream.layout
        x_SD = x_BTD.flatten(0, 1)
        padded = layout is not None and sum(layout.lengths) < x_SD.shape[0]
        if layout is not None and padded:
            x_SD = x_SD.index_select(0, layout.present_S)
        shares_SX = self._shares(x_SD)
        gates_SA, chosen_SA = shares_SX.topk(self.active)
        if self.normalised:
            gates_SA = gates_SA / gates_SA.sum(-1, keepdim=True)
        y_SD = self._mixed(x_SD, gates_SA.to(x_SD.dtype), chosen_SA)
        if self.shared is not None:
            y_SD = y_SD + self.shared(x_SD)
        if stream is not None and self.training and self.balance:
            loss = imbalance(shares_SX, chosen_SA, *_documents(layout, x_BTD))
            stream.add_loss(LOAD_BALANCE, self.balance * loss)
        if layout is not None and padded:
            whole_SD = y_SD.new_zeros(x_BTD.shape[0] * x_BTD.shape[1], y_SD.shape[1])
            y_SD = whole_SD.index_copy(0, layout.present_S, y_SD)
        return y_SD.view(x_BTD.shape)

    def _shares(self, x_SD: Tensor) -> Tensor:
        """A share for each expert. At least float32: close ones decide who is chosen."""
        dtype = torch.promote_types(x_SD.dtype, torch.float32)
        # On the meta device, which has no autocast, shapes are measured.
        exact: AbstractContextManager[Any] = nullcontext()
        if not x_SD.is_meta:
            exact = torch.autocast(x_SD.device.type, enabled=False)
        with exact:
            scores_SX = F.linear(x_SD.to(dtype), self.router.weight.to(dtype))
        return scores_SX.softmax(-1)

    def _mixed(self, x_SD: Tensor, gates_SA: Tensor, chosen_SA: Tensor) -> Tensor:
        """The chosen experts' outputs, each times its share."""
        pairs_M = chosen_SA.flatten()
        order_M = pairs_M.argsort(stable=True)
        place_M = torch.empty_like(order_M).scatter_(
            0, order_M, torch.arange(len(order_M), device=order_M.device)
        )
        x_MD = x_SD.repeat_interleave(self.active, 0)
        sorted_MD = reordered(x_MD, order_M, place_M)
        parts = torch.split(sorted_MD, _counts(pairs_M, len(self.experts)))
        # An expert that nobody chose runs too, on nothing: its gradients are zero, and not absent.
        outputs = [expert(part) for expert, part in zip(self.experts, parts, strict=True)]
        y_MD = reordered(torch.cat(outputs), place_M, order_M)
        return (y_MD.view(-1, self.active, x_SD.shape[1]) * gates_SA[..., None]).sum(1)


def imbalance(shares_SX: Tensor, chosen_SA: Tensor, documents_S: Tensor, documents: int) -> Tensor:
    """How unequally experts are chosen: 1 a position where equally, up to `X / A` where not.

    For each document `T * sum over x of f_x P_x`: P_x is the mean share of expert x, and f_x how
    often it is chosen, times `X / A`. Only the shares have a gradient.

    Args:
        shares_SX: For each position, the share of each expert.
        chosen_SA: The numbers of the chosen ones.
        documents_S: The document of each position, from 0.
        documents: N.

    Returns:
        The sum over all documents.
    """
    experts, active = shares_SX.shape[1], chosen_SA.shape[1]
    zeros_NX = shares_SX.new_zeros(documents, experts)
    taken_SX = torch.zeros_like(shares_SX).scatter_(1, chosen_SA, 1.0)
    times_NX = zeros_NX.index_add(0, documents_S, taken_SX)
    shares_NX = zeros_NX.index_add(0, documents_S, shares_SX)
    lengths_N = times_NX.sum(-1, keepdim=True) / active
    return (times_NX * shares_NX / lengths_N).sum() * (experts / active)


def _documents(layout: Layout | None, x_BTD: Tensor) -> tuple[Tensor, int]:
    """The number of each position's document, padding left out, and how many there are."""
    if layout is None:
        rows, time = x_BTD.shape[:2]
        return torch.arange(rows, device=x_BTD.device).repeat_interleave(time), rows
    numbers_S = layout.documents_BT.flatten().index_select(0, layout.present_S)
    return numbers_S, layout.documents


def _counts(pairs_M: Tensor, experts: int) -> list[int]:
    """How often each expert is chosen; on the meta device, where nothing is, equally often."""
    if pairs_M.is_meta:
        whole, left = divmod(len(pairs_M), experts)
        return [whole + (number < left) for number in range(experts)]
    counts: list[int] = pairs_M.bincount(minlength=experts).tolist()
    return counts
