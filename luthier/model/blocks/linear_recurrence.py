"""Linear recurrence: a state that fades as the input says, computed for all positions at once.

Dimension key, for the whole file:
    B  rows      T  positions      D  width      R  width inside      K  positions of the kernel
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.model.block import Size
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.scan import linear_scan
from luthier.model.stream import State, Stream, Streamed, positions
from luthier.signal import Signal

SHARPNESS = 8.0
"""What the logarithm of the decay is multiplied by: c of the paper."""
SLOWEST, FASTEST = 0.999, 0.9
"""Between these lies the decay of each feature at the start, where its gate is open: states that
are remembered for ten to a thousand positions."""
LEAST = 1e-6
"""Of what is added, the least square: the slope of the root stays finite where nothing fades."""


class LinearRecurrenceSpec(SublayerSpec):
    """A gated linear recurrence, with a short convolution before it: the recurrent block of
    Griffin.

    With its norm and its residual: it stands where an attention may stand, and reads a text in
    time that grows with its length, not with the square. What it remembers does not grow.
    """

    kind: Literal["linear_recurrence"] = "linear_recurrence"
    width: Size | None = None
    """The width inside, which is that of the state; none means the width of what it reads."""
    kernel: Annotated[int, Field(ge=1, le=64)] = 4
    """Positions that the convolution before the recurrence reads, the last ones; 1 for its own
    alone."""
    gated: bool = True
    """Whether a second layer, activated, multiplies the states."""
    activation: ActivationName = "gelu_tanh"
    """The curve of that layer."""
    bias: bool = True
    """Whether the layers around the recurrence add learned numbers."""

    @model_validator(mode="after")
    def _curve_is_used(self) -> Self:
        if not self.gated:
            self.refuse(("activation",), "gated: true", "gated: false")
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with a `LinearRecurrence` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        inner = LinearRecurrence(self, signal.width)
        return Sublayer(self, inner, signal, (inner.out,))


class Remembered(NamedTuple):
    """What a linear recurrence remembers: its state, and what the kernel reaches back to."""

    h_BR: Tensor
    past_BKR: Tensor


class LinearRecurrence(Streamed):
    """`out(activation(gate(x)) * h)`, with the recurrence over `u`, the filtered `up(x)`:

        r = sigmoid(W_r u)      i = sigmoid(W_i u)      a = exp(-8 softplus(decay) r)
        h_t = a_t h_(t-1) + sqrt(1 - a_t^2) i_t u_t

    The decay lies between 0 and 1, and what is added is scaled so that the state keeps its size.
    At the first position of a document the decay is 0, wherever in a row that lies.

    Args:
        spec: The width inside, the kernel, the gate.
        width: D.

    Shape:
        `(B, T, D)` to the same.

    Cost:
        Parameters: `2 * D * R + 2 * R * R + (K + 4) * R`, plus `D * R` with a gate, and biases.
        FLOPs of one forward pass: two a weight and position, and some 20 R a position.
        State: `K * R` elements a row, however long the text.

    Source:
        De et al. 2024, "Griffin", sections 2.3 and 2.4, 2402.19427; the gates are full matrices,
        as in its equations 1 and 2, and not blocks of a diagonal.

    Example:
        >>> inner = LinearRecurrence(LinearRecurrenceSpec(), 16)
        >>> inner(torch.zeros(2, 9, 16)).shape
        torch.Size([2, 9, 16])
    """

    def __init__(self, spec: LinearRecurrenceSpec, width: int) -> None:
        super().__init__()
        inside = spec.width or width
        self.kernel = spec.kernel
        self.up = nn.Linear(width, inside, bias=spec.bias)
        self.gate = nn.Linear(width, inside, bias=spec.bias) if spec.gated else None
        self.activation = activation(spec.activation)
        # Its own filter for each feature; only a container of weights, see `_filtered`.
        self.conv = nn.Conv1d(inside, inside, spec.kernel, groups=inside)
        self.keep = nn.Linear(inside, inside)
        self.take = nn.Linear(inside, inside)
        self.decay = Decay(inside)
        self.out = nn.Linear(inside, width, bias=spec.bias)

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What each position finds in the state."""
        places = positions(stream, x_BTD.shape[1], x_BTD.device)
        state = None if stream is None else stream.state
        before = self._before(x_BTD, state)
        u_BTR, past_BKR = self._filtered(self.up(x_BTD), places, before)
        h_BTR = self._states(u_BTR, places, before)
        if stream is not None and state is not None:
            stream.handed_on[self.name] = Remembered(h_BTR[:, -1], past_BKR)
        h_BTR = h_BTR.to(x_BTD.dtype)
        if self.gate is not None:
            h_BTR = h_BTR * self.activation(self.gate(x_BTD))
        y_BTD: Tensor = self.out(h_BTR)
        return y_BTD

    def _before(self, x_BTD: Tensor, state: State | None) -> Remembered | None:
        before = None if state is None else state.blocks.get(self.name)
        assert before is None or isinstance(before, Remembered)
        return before

    def _filtered(
        self, x_BTR: Tensor, places: Tensor, before: Remembered | None
    ) -> tuple[Tensor, Tensor]:
        """The convolution, and what it will reach back to from the next position.

        As a sum of shifted inputs: so no document need be put apart from the others.
        """
        time, past = x_BTR.shape[1], self.kernel - 1
        if before is None:
            x_BSR = F.pad(x_BTR, (0, 0, past, 0))
        else:
            x_BSR = torch.cat([before.past_BKR.to(x_BTR.dtype), x_BTR], 1)
        weight_KR = self.conv.weight[:, 0].T
        assert self.conv.bias is not None
        y_BTR = torch.addcmul(self.conv.bias, x_BTR, weight_KR[past])
        for back in range(1, self.kernel):
            earlier_BTR = x_BSR[:, past - back : past - back + time]
            if places.ndim == 2:  # documents begin anywhere in the rows
                earlier_BTR = earlier_BTR.masked_fill((places < back)[..., None], 0)
            y_BTR = torch.addcmul(y_BTR, earlier_BTR, weight_KR[past - back])
        return y_BTR, x_BSR[:, time:]

    def _states(self, u_BTR: Tensor, places: Tensor, before: Remembered | None) -> Tensor:
        """The recurrence, in float32 at least: a decay near 1 is 1 in fewer bits."""
        dtype = torch.promote_types(u_BTR.dtype, torch.float32)
        log_decay_BTR = self.decay(self.keep(u_BTR).to(dtype).sigmoid())
        log_decay_BTR = log_decay_BTR.masked_fill((places == 0)[..., None], -torch.inf)
        decay_BTR = log_decay_BTR.exp()
        fresh_BTR = (-torch.expm1(2 * log_decay_BTR)).clamp(min=LEAST).sqrt()
        added_BTR = fresh_BTR * self.take(u_BTR).to(dtype).sigmoid() * u_BTR.to(dtype)
        if before is not None:
            first_BR = torch.addcmul(added_BTR[:, 0], decay_BTR[:, 0], before.h_BR)
            added_BTR = torch.cat([first_BR[:, None], added_BTR[:, 1:]], 1)
        return linear_scan(decay_BTR, added_BTR)


class Decay(nn.Module):
    """The logarithm of the decay: `-8 softplus(weight) * gate`, with a weight for each feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, gate_BTR: Tensor) -> Tensor:
        """`(B, T, R)` to the same, at most 0."""
        return gate_BTR * (-SHARPNESS * F.softplus(self.weight))

    def first_weight(self, generator: torch.Generator) -> Tensor:
        """Weights whose decay, with the gate open, is drawn between the fastest and the slowest."""
        decay_R = torch.empty(len(self.weight)).uniform_(FASTEST, SLOWEST, generator=generator)
        return torch.log(torch.expm1(-torch.log(decay_R) / SHARPNESS))
