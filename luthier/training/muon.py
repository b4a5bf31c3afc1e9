"""Muon: the step of a weight matrix is made orthogonal.

Dimension key, for the whole file:
    B  matrices of a batch
    R  rows of a matrix: output features      C  columns: input features, times the kernel
    N  the smaller of both                    M  the larger
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.model.blocks.unembed import Unembed
from luthier.placement.device import has_bf16
from luthier.spec import Spec
from luthier.training.adam import Adam
from luthier.training.groups import SAME, Rates, grouped, weights_and_rest
from luthier.training.lion import usable

HEAD = "head."
"""What the names of the parameters of a network's head begin with."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
_BATCH_ELEMENTS = 2**20
"""Matrices of a shape are made orthogonal together, up to so many elements: for small ones half
of the time is that of the operations' start."""


class MuonSpec(Spec):
    """Orthogonal steps for the matrices and kernels inside of the network, AdamW for the rest.

    The rest are biases, norms, tables of tokens and the head, or what scores tokens where it is
    one of the layers (`head: none`). Steps have the size of AdamW's, so that a learning rate and
    a weight decay that suit AdamW suit both parts.
    """

    kind: Literal["muon"] = "muon"
    learning_rate: float = Field(default=1e-3, gt=0)
    """The step size, before the schedule multiplies it."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """The decay of the gradient's running mean, for the matrices."""
    nesterov: bool = True
    """Whether the gradient counts as if it were taken after the momentum's step."""
    weight_decay: float = Field(default=0.01, ge=0)
    """How much of each weight is taken away at each step, times the learning rate; not of norms
    and biases."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Of the AdamW part: the decay of the gradient's running mean."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Of the AdamW part: the decay of the squared gradient's running mean."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Of the AdamW part: added to the root of the second."""

    def build(self, network: nn.Module, rates: Rates = SAME) -> Muon:
        """The optimizer of the network's trainable parameters."""
        return Muon(self, network, rates)


class Muon(torch.optim.Optimizer):
    """`w = w - learning_rate * (0.2 * sqrt(M) * orthogonal(mean) + weight_decay * w)`.

    A kernel is taken as the matrix of its output channels by all the rest.

    Source:
        Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". The factor
        0.2 * sqrt(M), which gives the step the size of AdamW's: Liu et al. 2025, section 2.2,
        2502.16982.
    """

    found_inf: Tensor | None = None
    """One where the step must change nothing; set where that is known on the device alone."""

    def __init__(self, spec: MuonSpec, network: nn.Module, rates: Rates = SAME) -> None:
        heads = {id(p) for name, p in network.named_parameters() if name.startswith(HEAD)}
        tables = (nn.Embedding, Unembed)
        named = (m for m in network.modules() if isinstance(m, tables))
        heads |= {id(parameter) for module in named for parameter in module.parameters()}
        weights, rest = weights_and_rest(network)
        inside = [p for p in weights if id(p) not in heads]
        matrices = grouped("matrices", inside, spec.weight_decay, rates)
        outside = [p for p in weights if id(p) in heads]
        others = grouped("decayed", outside, spec.weight_decay, rates)
        others += grouped("undecayed", rest, 0.0, rates)
        super().__init__(matrices + others, {"lr": spec.learning_rate})
        self._matrices = self.param_groups[: len(matrices)]
        for group in self._matrices:
            for parameter in group["params"]:
                self.state[parameter]["mean"] = torch.zeros_like(parameter)
        self._momentum = spec.momentum
        self._nesterov = spec.nesterov
        self._rest = self._adam(spec) if others else None

    def _adam(self, spec: MuonSpec) -> Adam:
        """The optimizer of the rest; its groups and its state are this one's."""
        groups = self.param_groups[len(self._matrices) :]
        adam = Adam(groups, spec.learning_rate, (spec.beta1, spec.beta2), spec.epsilon)
        assert all(own is group for own, group in zip(adam.param_groups, groups, strict=True))
        self.state.update(adam.state)
        return adam

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients; a parameter without one stays as it is."""
        assert closure is None, "the loop runs the network"
        for group in self._matrices:
            self._step_matrices(group)
        if self._rest is not None:
            self._rest.found_inf = self.found_inf
            self._rest.step()

    def _step_matrices(self, group: dict[str, Any]) -> None:
        keep: float | Tensor = 1.0 if self.found_inf is None else 1.0 - self.found_inf.double()
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            return
        means = [self.state[p]["mean"] for p in weights]
        gradients = usable([p.grad for p in weights], means, self.found_inf)
        torch._foreach_lerp_(means, gradients, 1 - self._momentum)
        moves = torch._foreach_lerp(gradients, means, self._momentum) if self._nesterov else means
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"] * keep)
        for batch in _alike(weights):
            step_BRC = orthogonal(torch.stack([moves[place].flatten(1) for place in batch]))
            step_BRC.mul_(group["lr"] * 0.2 * max(step_BRC.shape[1:]) ** 0.5 * keep)
            for place, step_RC in zip(batch, step_BRC, strict=True):
                weights[place].sub_(step_RC.view(weights[place].shape))


def _alike(weights: Sequence[Tensor]) -> Iterator[list[int]]:
    """The places of weights of the same shape, in batches."""
    by_shape: dict[torch.Size, list[int]] = {}
    for place, weight in enumerate(weights):
        by_shape.setdefault(weight.shape, []).append(place)
    for shape, places in by_shape.items():
        size = max(1, _BATCH_ELEMENTS // shape.numel())
        for start in range(0, len(places), size):
            yield places[start : start + size]


def orthogonal(x_BRC: Tensor) -> Tensor:
    """About the orthogonal matrices that are nearest to `x_BRC`: singular values near 1.

    Five rounds of a polynomial of degree five, which push each singular value to between about
    0.7 and 1.2: enough for a step, and all of it products of matrices. In bfloat16 where the
    device multiplies in it natively, else, and for float64, in the matrix's own type.

    Cost:
        FLOPs: `5 * B * (4 * N * N * M + 2 * N * N * N)`.
    """
    tall = x_BRC.shape[1] > x_BRC.shape[2]
    y_BNM = x_BRC.mT if tall else x_BRC
    rounded = x_BRC.dtype == torch.float32 and _has_bf16(x_BRC.device.type)
    y_BNM = y_BNM.to(torch.bfloat16 if rounded else x_BRC.dtype)
    length_B11 = torch.linalg.vector_norm(y_BNM, dim=(1, 2), keepdim=True)
    y_BNM = y_BNM / length_B11.clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram_BNN = y_BNM @ y_BNM.mT
        p_BNN = torch.baddbmm(gram_BNN, gram_BNN, gram_BNN, beta=b, alpha=c)
        y_BNM = torch.baddbmm(y_BNM, p_BNN, y_BNM, beta=a)
    return (y_BNM.mT if tall else y_BNM).to(x_BRC.dtype)


@functools.cache
def _has_bf16(kind: str) -> bool:
    return kind != "mps" and has_bf16("cuda" if kind == "cuda" else "cpu")
