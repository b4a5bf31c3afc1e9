"""A window that slides over the positions of an image or a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.errors import ShapeError
from luthier.signal import Signal

Padding = Literal["same", "valid"]


@dataclass(frozen=True)
class Window:
    """A kernel or a pooling window, one number for each dimension that it slides over."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    """Cells added before the first position."""
    after: tuple[int, ...]
    """Cells added after the last one."""

    @property
    def reach(self) -> tuple[int, ...]:
        """Positions from the first cell of the window to its last, both counted."""
        return tuple(
            dilation * (size - 1) + 1
            for size, dilation in zip(self.size, self.dilation, strict=True)
        )

    @property
    def margins(self) -> tuple[int, ...]:
        """The padding as `torch.nn.functional.pad` takes it: last dimension first."""
        pairs = zip(reversed(self.before), reversed(self.after), strict=True)
        return tuple(cells for pair in pairs for cells in pair)

    def check(self, kind: str, name: str, signal: Signal) -> None:
        """Refuses a signal that the window does not fit into.

        Args:
            kind: The block, for the message.
            name: What the block calls its window, for the message.
            signal: What the window slides over.
        """
        for room, before, after, reach in zip(
            positions(signal), self.before, self.after, self.reach, strict=True
        ):
            if reach > room + before + after:
                raise ShapeError(
                    f"{kind} needs {times(self.reach)} positions for its {name} of "
                    f"{times(self.size)}, but gets {signal}; make the {name} smaller, or add "
                    "padding"
                )


def positions(signal: Signal) -> tuple[int, ...]:
    """The sizes of the dimensions that a window slides over: `(height, width)` or `(time,)`."""
    assert signal.form in ("image", "sequence"), signal
    return signal.shape[1:] if signal.form == "image" else signal.shape[:1]


def for_each(value: int | tuple[int, ...], kind: str, name: str, signal: Signal) -> tuple[int, ...]:
    """`value` once for each dimension of `signal` that a window slides over.

    Raises:
        ShapeError: If it is a list of another length.
    """
    names = ("height", "width") if signal.form == "image" else ("time",)
    wanted = len(names)
    if isinstance(value, int):
        return (value,) * wanted
    if len(value) != wanted:
        raise ShapeError(
            f"{kind} has the {name} {list(value)}, but gets {signal}, which has "
            f"{' and '.join(names)}; give one number{' for both, or two' if wanted == 2 else ''}"
        )
    return value


def halves(totals: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Each total in two, the second one larger where it is odd."""
    before = tuple(total // 2 for total in totals)
    return before, tuple(total - half for total, half in zip(totals, before, strict=True))


def times(sizes: tuple[int, ...]) -> str:
    """Sizes as people write them: `3 × 3`."""
    return " × ".join(map(str, sizes))
