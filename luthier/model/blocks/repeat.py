"""Repeat: the same layers several times, each time with weights of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from luthier.errors import SpecError
from luthier.model.block import BlockSpec
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal
from luthier.spec import Many, parse, plain

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes


class RepeatSpec(BlockSpec):
    """The same layers several times, each time with weights of their own.

    A stage of ResNet-18, where only the first of two blocks halves the picture:

        kind: repeat
        times: 2
        first: {layers.0.layers.0.stride: 2}
        layers:
          - kind: residual
            layers:
              - {kind: conv, channels: 128, kernel: 3, padding: same, norm: batch, activation: relu}
              - {kind: conv, channels: 128, kernel: 3, padding: same, norm: batch}
            activation: relu
    """

    kind: Literal["repeat"] = "repeat"
    times: Annotated[int, Field(ge=1, le=1000)]
    """How many copies there are."""
    layers: Many[Block]
    """The layers of one copy."""
    first: dict[str, Any] = Field(default_factory=dict)
    """What is different in the first copy: values at dotted places below this block, such as
    `{layers.0.stride: 2}`."""

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        if not layers:
            raise ValueError("got no layers; wanted at least one, or no repeat")
        return layers

    @model_validator(mode="after")
    def _first_suits(self) -> Self:
        self.first_layers()
        return self

    def build(self, signal: Signal) -> Repeat:
        """A `Repeat` for `signal`."""
        return Repeat(self, signal)

    def blocks(self) -> int:
        """Itself and all copies of its layers."""
        return 1 + self.times * sum(layer.blocks() for layer in self.layers)

    def first_layers(self) -> tuple[Block, ...]:
        """The layers of the first copy.

        Raises:
            ValueError: If `first` names what is not there, or gives a value that is not allowed.
        """
        if not self.first:
            return self.layers
        data = plain(self)
        del data["first"]
        for dotted, value in self.first.items():
            _set(data, dotted, value)
        try:
            return parse(type(self), data).layers
        except SpecError as error:
            problems = (f"{problem.place}: {problem.message}" for problem in error.problems)
            raise ValueError(f"first: {'; '.join(problems)}") from None


class Repeat(Streamed):
    """`copy n (… (copy 2 (copy 1 (x))))`.

    Args:
        spec: The layers, and how many copies of them.
        signal: What the first copy reads.

    Raises:
        ShapeError: If a copy cannot read what the one before it gives.
    """

    def __init__(self, spec: RepeatSpec, signal: Signal) -> None:
        super().__init__()
        copies = [Chain(spec.first_layers(), signal, "layers")]
        for number in range(1, spec.times):
            before = copies[-1]
            same = before.reads == before.gives and (number > 1 or not spec.first)
            origin = f"{spec.layers[-1].kind} of the copy before"
            like = before if same else None
            copies.append(Chain(spec.layers, before.gives, "layers", origin, like))
        self.copies = nn.ModuleList(copies)
        self.gives = copies[-1].gives

    def chains(self) -> tuple[Chain, ...]:
        """The copies, in order."""
        return tuple(copy for copy in self.copies if isinstance(copy, Chain))

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """`x` through all copies."""
        for copy in self.copies:
            x = through(copy, x, stream)
        return x


def _set(data: Mapping[str, Any], dotted: str, value: Any) -> None:
    """Puts `value` at the place `dotted` in plain data."""
    *path, last = (int(part) if part.isdigit() else part for part in dotted.split("."))
    here: Any = data
    for part in path:
        here = _at(here, part, dotted)
    if path[:1] != ["layers"] or not isinstance(here, dict) or not isinstance(last, str):
        raise ValueError(f'first: "{dotted}" is no setting of a layer; {_WANTED}')
    here[last] = value


def _at(here: Any, part: str | int, dotted: str) -> Any:
    found = (
        isinstance(here, list) and isinstance(part, int) and part < len(here)
        if isinstance(part, int)
        else isinstance(here, dict) and part in here
    )
    if not found:
        raise ValueError(f'first: "{dotted}": there is no "{part}"; {_WANTED}')
    return here[part]


_WANTED = "wanted a place such as layers.0.stride; the first layer is 0"
