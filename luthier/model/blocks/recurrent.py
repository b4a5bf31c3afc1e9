"""Recurrent: what was read is kept in a state that each position changes.

Dimension key, for the whole file:
    B  rows      T  positions      N  documents      L  positions of the longest one
    D  width that is read      H  width of the state      Y  width that is given: H, or 2 H
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Share, Size
from luthier.model.dropped import dropped
from luthier.model.layout import Layout
from luthier.model.reorder import reordered
from luthier.model.stream import State, Stream, Streamed
from luthier.model.stretches import Stretch, as_rows_begin, as_rows_end
from luthier.signal import Signal

Hidden = tuple[Tensor, ...]
"""The states of all layers, one behind the other: (h,), of an LSTM (h, c). `(layers, B, H)`."""
Run = Callable[[Tensor, Hidden], tuple[Tensor, Hidden]]
"""Reads `(B, T, D)` from a state on: what it gives, and the state after it."""


class RecurrentSpec(BlockSpec):
    """A recurrent network over the positions of a sequence: LSTM, GRU or plain RNN.

    It has no norm and no residual of its own. As a step of a deep network:

        kind: residual
        layers: [{kind: rms_norm}, {kind: recurrent, cell: gru, width: 256}]
    """

    kind: Literal["recurrent"] = "recurrent"
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """What a position does to the state: an LSTM writes, keeps and shows it by gates; a GRU has
    fewer of them; a plain RNN has none, and forgets sooner."""
    width: Size
    """The width of the state, which is what it gives; of one that reads both ways, half of it."""
    depth: Annotated[int, Field(ge=1, le=64)] = 1
    """Layers, of which each reads what the one before it gives."""
    bidirectional: bool = False
    """Whether each layer also reads backwards, with weights of its own, and gives both side by
    side. Such a network cannot write texts: it reads what comes later."""
    dropout: Share = 0.0
    """The share of values left out while training, between the layers."""
    bias: bool = True
    """Whether the gates add learned numbers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """The activation of a plain RNN."""
    forget_bias: float = Field(default=1.0, ge=0, le=10)
    """What is added to the first bias of an LSTM's forget gates, so that it remembers until it
    has learned to forget (Jozefowicz et al. 2015). Keras has 1, PyTorch 0."""
    gives: Literal["sequence", "last"] = "sequence"
    """sequence gives the state at each position; last only that behind the last one, a vector for
    each text: of one that reads both ways, that of each way."""

    @model_validator(mode="after")
    def _all_is_used(self) -> Self:
        unused = {
            "activation": (self.cell == "rnn", "cell: rnn", f"cell: {self.cell}"),
            "forget_bias": (
                self.cell == "lstm" and self.bias,
                "cell: lstm with a bias",
                f"cell: {self.cell}" + ("" if self.bias else ", bias: false"),
            ),
            "dropout": (self.depth > 1 or not self.dropout, "depth: 2 or more", "depth: 1"),
        }
        for name, (used, wanted, got) in unused.items():
            if not used and name in self.model_fields_set:
                raise ValueError(f"{name} belongs to {wanted}, not to {got}; leave it out")
        return self

    def build(self, signal: Signal) -> Recurrent:
        """A `Recurrent` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Recurrent(self, signal)


class Lstm(nn.LSTM):
    """Torch's own.

    Attributes:
        forget_bias: What is added to the first bias of the forget gates.
    """

    forget_bias: float = 0.0


class Recurrent(Streamed):
    """Torch's own LSTM, GRU or RNN; each text begins with a state of zeros.

    Texts of different lengths run side by side, the longest first, in stretches of time: each
    stretch with the texts that are not over yet. What reads backwards reads each text from its
    own end.

    Args:
        spec: The cell, its width and depth.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, T, Y)`; with `gives: last` to `(B, Y)`, or `(N, Y)` with a layout of N
        documents.

    Cost:
        Parameters of a layer and way: `G * H * (D + H)`, and `2 * G * H` with a bias; G, the
        gates, are 4 of an LSTM, 3 of a GRU, 1 of an RNN.
        FLOPs of one forward pass: `2 * G * H * (D + H)` a position. Positions follow one another:
        rows run in parallel, time does not.

    Source:
        Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; Cho et al.
        2014, 1406.1078; Schuster and Paliwal 1997.

    Example:
        >>> lstm = RecurrentSpec(width=8, bidirectional=True).build(Signal.of((11, 4)))
        >>> lstm(torch.zeros(2, 11, 4)).shape
        torch.Size([2, 11, 16])
    """

    def __init__(self, spec: RecurrentSpec, signal: Signal) -> None:
        super().__init__()
        self.spec = spec
        self.rnn = _layers(spec, signal.width)

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """The states.

        Raises:
            ShapeError: If it reads both ways, and is to go on from a state.
        """
        if self.spec.bidirectional and stream is not None and stream.state is not None:
            raise ShapeError(
                "recurrent reads both ways, so it cannot read a text step by step; leave out "
                "bidirectional"
            )
        if x_BTD.is_meta:
            y_BTY = self._outline(x_BTD)
        elif stream is not None and stream.state is not None:
            y_BTY = self._read_on(x_BTD, stream, stream.state)
        elif stream is not None and stream.layout is not None and not stream.layout.full:
            return self._documents(x_BTD, stream.layout)
        else:
            y_BTY, _ = self._run(x_BTD, self._zeros(len(x_BTD), x_BTD))
        return y_BTY if self.spec.gives == "sequence" else self._last(y_BTY, y_BTY[:, -1])

    def _run(self, x_BTD: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
        """All layers, on rows of equal length."""
        y_BTY, after = self.rnn(x_BTD, hidden if self.spec.cell == "lstm" else hidden[0])
        return y_BTY, after if self.spec.cell == "lstm" else (after,)

    def _zeros(self, rows: int, like: Tensor) -> Hidden:
        """The state that a text begins with, in the type of the weights: a GRU keeps that type."""
        layers = self.spec.depth * (1 + self.spec.bidirectional)
        dtype = next(self.rnn.parameters()).dtype
        zeros = torch.zeros((layers, rows, self.spec.width), dtype=dtype, device=like.device)
        return (zeros, zeros) if self.spec.cell == "lstm" else (zeros,)

    def _last(self, y_BTY: Tensor, end_BY: Tensor) -> Tensor:
        """The state behind the last position: what reads backwards has it at the first one."""
        if not self.spec.bidirectional:
            return end_BY
        width = self.spec.width
        return torch.cat([end_BY[:, :width], y_BTY[:, 0, width:]], -1)

    def _outline(self, x_BTD: Tensor) -> Tensor:
        """On the meta device: the products and what is kept of all positions at once.

        There are no values, so none waits for the one before it: torch's own kernels would take
        seconds for a long text, step by step.
        """
        for layer in range(self.spec.depth):
            ways = []
            for way in ("", "_reverse")[: 1 + self.spec.bidirectional]:
                ways.append(_outline(self.spec.cell, x_BTD, self._weights(layer, way)))
            x_BTD = torch.cat(ways, -1)
        return x_BTD

    # Texts of different lengths.

    def _documents(self, x_BTD: Tensor, layout: Layout) -> Tensor:
        longest_first = layout.longest_first
        x_NLD, lengths = longest_first.documents_apart(x_BTD), longest_first.lengths
        y_NLY = self._packed(x_NLD, lengths) if x_BTD.is_cuda else self._apart(x_NLD, lengths)
        if self.spec.gives == "sequence":
            return longest_first.together(y_NLY)
        ends_N = torch.tensor(lengths, device=x_BTD.device) - 1
        last_NY = self._last(y_NLY, y_NLY[torch.arange(len(lengths), device=x_BTD.device), ends_N])
        ranks_N = torch.tensor(layout.by_length, device=x_BTD.device).argsort()
        return last_NY[ranks_N]

    def _packed(self, x_NLD: Tensor, lengths: Sequence[int]) -> Tensor:
        """By a kernel that knows of lengths: cuDNN's is fast, torch's own on the CPU is not."""
        packed = pack_padded_sequence(x_NLD, torch.tensor(lengths), batch_first=True)
        y_NLY, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return y_NLY

    def _apart(self, x_NLD: Tensor, lengths: Sequence[int]) -> Tensor:
        """By kernels for rows of equal length, in stretches of time. The longest first."""
        stretches = as_rows_end(lengths)
        if not self.spec.bidirectional:
            y_NLH, _ = _in_stretches(self._run, x_NLD, self._zeros(len(x_NLD), x_NLD), stretches)
            return y_NLH
        places = _backwards(lengths, x_NLD.device)
        zeros = tuple(part[:1] for part in self._zeros(len(x_NLD), x_NLD))
        for layer in range(self.spec.depth):
            if layer and self.training:
                x_NLD = dropped(x_NLD, self.spec.dropout)
            forth, back = self._layer(layer, ""), self._layer(layer, "_reverse")
            y_NLH, _ = _in_stretches(forth, x_NLD, zeros, stretches)
            back_NLH, _ = _in_stretches(back, _turned(x_NLD, places), zeros, stretches)
            x_NLD = torch.cat([y_NLH, _turned(back_NLH, places)], -1)
        return x_NLD

    def _weights(self, layer: int, way: str) -> list[Tensor]:
        """Of a single layer: what reads the input, what reads the state, their biases."""
        names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.spec.bias else ()))
        return [getattr(self.rnn, f"{name}_l{layer}{way}") for name in names]

    def _layer(self, layer: int, way: str) -> Run:
        """A single layer, which reads forwards with the weights of one way."""
        rest = (self._weights(layer, way), self.spec.bias, 1, 0.0, self.training, False, True)

        def run(x_BTD: Tensor, hidden: Hidden) -> tuple[Tensor, Hidden]:
            if self.spec.cell == "lstm":
                y_BTH, *after = torch.lstm(x_BTD, hidden, *rest)
                return y_BTH, tuple(after)
            curved = torch.rnn_tanh if self.spec.activation == "tanh" else torch.rnn_relu
            function = torch.gru if self.spec.cell == "gru" else curved
            y_BTH, state = function(x_BTD, hidden[0], *rest)
            return y_BTH, (state,)

        return run

    # Texts that are read step by step.

    def _read_on(self, x_BTD: Tensor, stream: Stream, state: State) -> Tensor:
        """Goes on from a state. Where a row has not begun yet, its state stays zero."""
        rows, time = x_BTD.shape[:2]
        before: Hidden | None = state.blocks.get(self.name)
        hidden = (
            self._zeros(rows, x_BTD)
            if before is None
            else tuple(part.transpose(0, 1).contiguous() for part in before)
        )
        waits = [max(begin - state.time, 0) for begin in state.begins]
        if not any(waits):
            y_BTH, hidden = self._run(x_BTD, hidden)
        else:
            order = torch.tensor(sorted(range(rows), key=waits.__getitem__), device=x_BTD.device)
            back = order.argsort()
            y_BTH, hidden = _in_stretches(
                self._run,
                x_BTD[order],
                tuple(part[:, order] for part in hidden),
                as_rows_begin(sorted(waits), time),
            )
            y_BTH, hidden = y_BTH[back], tuple(part[:, back] for part in hidden)
        # Rows come first in every state, so that whoever holds it can pick some of them.
        stream.handed_on[self.name] = tuple(part.transpose(0, 1) for part in hidden)
        return y_BTH


def _layers(spec: RecurrentSpec, width: int) -> nn.LSTM | nn.GRU | nn.RNN:
    kwargs = {
        "num_layers": spec.depth,
        "bias": spec.bias,
        "batch_first": True,
        "dropout": spec.dropout,
        "bidirectional": spec.bidirectional,
    }
    if spec.cell == "gru":
        return nn.GRU(width, spec.width, **kwargs)
    if spec.cell == "rnn":
        return nn.RNN(width, spec.width, nonlinearity=spec.activation, **kwargs)
    lstm = Lstm(width, spec.width, **kwargs)
    lstm.forget_bias = spec.forget_bias
    return lstm


def _outline(cell: str, x_BTD: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The operations of a layer, with memory of no value for the states before each position."""
    w_ih, w_hh, *biases = weights
    b_ih, b_hh = biases if biases else (None, None)
    read = F.linear(x_BTD, w_ih, b_ih)
    if cell == "rnn":  # the states before the positions are those behind them, one further on
        h_BTH = read.tanh()
        return h_BTH + F.linear(h_BTH, w_hh, b_hh)
    h_BTH = x_BTD.new_empty((*x_BTD.shape[:2], w_hh.shape[1]))
    kept = F.linear(h_BTH, w_hh, b_hh)
    if cell == "gru":
        (r, z, n), (r_h, z_h, n_h) = read.chunk(3, -1), kept.chunk(3, -1)
        n = (n + (r + r_h).sigmoid() * n_h).tanh()
        return n + (z + z_h).sigmoid() * (h_BTH - n)
    i, f, g, o = (read + kept).chunk(4, -1)
    c = f.sigmoid() * torch.empty_like(h_BTH) + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh()


def _in_stretches(
    run: Run, x_BTD: Tensor, hidden: Hidden, stretches: Sequence[Stretch]
) -> tuple[Tensor, Hidden]:
    """The first rows of each stretch through `run`, one stretch after the other.

    Gives zeros where a row is in no stretch, and the state of each row behind its last one.
    """
    if len(stretches) == 1 and stretches[0].rows == len(x_BTD):
        return run(x_BTD, hidden)
    parts: list[Tensor] = []
    for start, stop, rows in stretches:
        y, after = run(x_BTD[:rows, start:stop], tuple(part[:, :rows] for part in hidden))
        parts.append(F.pad(y, (0, 0, 0, 0, 0, len(x_BTD) - rows)))
        pairs = zip(after, hidden, strict=True)
        hidden = tuple(torch.cat([new, old[:, rows:]], 1) for new, old in pairs)
    return torch.cat(parts, 1), hidden


def _backwards(lengths: Sequence[int], device: torch.device) -> Tensor:
    """For each place of `(N, L)` laid end to end, that of the position at the mirrored place of
    its document. In the padding, its own."""
    time_L = torch.arange(max(lengths), device=device)
    ends_N1 = torch.tensor(lengths, device=device)[:, None]
    mirrored_NL = torch.where(time_L < ends_N1, ends_N1 - 1 - time_L, time_L)
    offsets_N1 = torch.arange(len(lengths), device=device)[:, None] * len(time_L)
    return (mirrored_NL + offsets_N1).flatten()


def _turned(x_NLD: Tensor, places: Tensor) -> Tensor:
    """Each document backwards; done twice, it is as before."""
    return reordered(x_NLD.flatten(0, 1), places, places).view_as(x_NLD)
