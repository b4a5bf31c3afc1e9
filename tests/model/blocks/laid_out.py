"""Documents laid out in rows in every way, and what a block makes of each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from luthier.model.block import BlockSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.model.layout import PADDING, Layout
from luthier.model.stream import State, Stream, Streamed, through
from luthier.signal import Signal

LENGTHS = (4, 9, 1, 7, 4, 2)
WIDTH = 4
GARBAGE = 7.0
"""What lies in the padding: no block may read it."""


def block(spec: BlockSpec, width: int = WIDTH, time: int = 16) -> nn.Module:
    """The block of `spec` for a sequence, with weights of float64, in evaluation."""
    chain = Chain((spec,), Signal.of((time, width)), "layers")
    materialize(chain, seed=3, spec=InitializeSpec(), dtype=torch.float64)
    for name, module in chain.named_modules():
        if isinstance(module, Streamed):
            module.name = name
    return chain.eval()


def documents(lengths: Sequence[int] = LENGTHS, width: int = WIDTH) -> list[Tensor]:
    """One `(length, width)` for each of `lengths`."""
    generator = torch.Generator().manual_seed(5)
    return [
        torch.randn((length, width), dtype=torch.float64, generator=generator) for length in lengths
    ]


def layouts(lengths: Sequence[int] = LENGTHS) -> dict[str, Layout]:
    """Every way in which the documents may lie."""
    half = len(lengths) // 2
    time = max(sum(lengths[:half]), sum(lengths[half:])) + 3
    return {
        "packed": Layout.packed(lengths),
        "padded right": Layout.padded(lengths, "right"),
        "padded left": Layout.padded(lengths, "left"),
        "several a row": Layout.rows_of([lengths[:half], lengths[half:]], time),
    }


def rows_of(parts: Sequence[Tensor], layout: Layout) -> Tensor:
    """The documents in their rows, garbage around them."""
    x = torch.full((layout.rows, layout.time, parts[0].shape[1]), GARBAGE, dtype=parts[0].dtype)
    for part, span in zip(parts, layout.spans, strict=True):
        x[span.row, span.start : span.stop] = part
    return x


def outputs_of(module: nn.Module, parts: Sequence[Tensor], layout: Layout) -> list[Tensor]:
    """What a module gives for each document."""
    y = through(module, rows_of(parts, layout), Stream(layout=layout))
    if y.ndim == 2:
        return list(y)
    return [y[span.row, span.start : span.stop] for span in layout.spans]


def alone(module: nn.Module, parts: Sequence[Tensor]) -> list[Tensor]:
    """What it gives for each document by itself, with no stream."""
    return [module(part[None])[0] for part in parts]


def differs(
    module: nn.Module, lengths: Sequence[int] = LENGTHS, width: int = WIDTH
) -> dict[str, str]:
    """The layouts in which outputs or gradients are not those of the documents alone."""
    found: dict[str, str] = {}
    parts = documents(lengths, width)
    weights = list(module.parameters())
    wanted = alone(module, parts)
    slopes = [torch.randn_like(one) for one in wanted]
    wanted_slopes = _gradients(wanted, slopes, weights)
    for name, layout in layouts(lengths).items():
        got = outputs_of(module, parts, layout)
        for one, other in zip(got, wanted, strict=True):
            if one.shape != other.shape or not bool(torch.isfinite(one).all()):
                found[name] = "shape, or not finite"
            elif _apart(one, other) > 1e-10:
                found[name] = "output"
        if name not in found:
            for one, other in zip(_gradients(got, slopes, weights), wanted_slopes, strict=True):
                if _apart(one, other) > 1e-9:
                    found[name] = "gradient"
    return found


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


def _gradients(
    outputs: Sequence[Tensor], slopes: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    if not weights:
        return ()
    total = torch.stack([(one * slope).sum() for one, slope in zip(outputs, slopes, strict=True)])
    return torch.autograd.grad(total.sum(), weights)


def sees_the_future(module: nn.Module, time: int = 12, width: int = WIDTH) -> bool:
    """Whether a change at a position changes what is given before it."""
    (x,) = documents([time], width)
    for t in range(1, time):
        changed = x.clone()
        changed[t:] += 1
        if not torch.equal(module(x[None])[0, :t], module(changed[None])[0, :t]):
            return True
    return False


def stepwise_differs(
    module: nn.Module,
    begins: tuple[int, ...] = (0, 3, 1, 7),
    pieces: Sequence[int] = (5, 1, 1, 4, 1),
    change: Callable[[State], State] = lambda state: state,
) -> float:
    """How far reading piece by piece is from reading each row whole; rows padded at the left.

    Args:
        module: A block that goes on from a state.
        begins: The first position of each row.
        pieces: Positions that are read at once.
        change: Done to the state between pieces.
    """
    time = sum(pieces)
    parts = documents([time - begin for begin in begins])
    x = torch.full((len(begins), time, WIDTH), GARBAGE, dtype=torch.float64)
    for row, part in enumerate(parts):
        x[row, begins[row] :] = part
    state = State(capacity=time, begins=begins if any(begins) else ())
    got = []
    for piece in x.split(list(pieces), 1):
        stream = Stream(state=state)
        got.append(through(module, piece, stream))
        after = State(
            capacity=time,
            begins=state.begins,
            time=state.time + piece.shape[1],
            blocks=dict(stream.handed_on),
        )
        state = change(after)
    y = torch.cat(got, 1)
    return max(
        _apart(y[row, begins[row] :], whole) for row, whole in enumerate(alone(module, parts))
    )


def padding_gets_no_gradient(module: nn.Module) -> bool:
    """Whether nothing reaches the padding backwards, in any layout."""
    for layout in layouts().values():
        x = rows_of(documents(), layout).requires_grad_()
        y = through(module, x, Stream(layout=layout))
        present = (layout.documents_BT != PADDING)[..., None]
        kept = y * present if y.ndim == 3 else y
        (slope,) = torch.autograd.grad(kept.sum(), x)
        if bool((slope * ~present).any()):
            return False
    return True


def overfits(spec: BlockSpec, head: nn.Module, steps: int = 150) -> float:
    """The last loss of a block with a head that learns the labels of eight samples by heart."""
    torch.manual_seed(0)
    chain = Chain((spec,), Signal.of((6, WIDTH)), "layers")
    materialize(chain, seed=1, spec=InitializeSpec())
    x, labels = torch.randn(8, 6, WIDTH), torch.randint(4, (8,))
    optimizer = torch.optim.Adam([*chain.parameters(), *head.parameters()], lr=0.02)
    loss = torch.tensor(torch.inf)
    for _ in range(steps):
        y = chain(x)
        loss = nn.functional.cross_entropy(head(y.mean(1) if y.ndim == 3 else y), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())
