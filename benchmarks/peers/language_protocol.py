"""What a language peer is asked and answers: arguments in, one JSON line out.

A peer trains in chunks of so many steps. It is timed without its evaluations, and says the loss
on the same validation rows after each chunk, or only after the last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOSSES = (6.0, 5.75, 5.5, 5.4, 5.3)
"""Validation losses, in nats a token, for which the seconds until then are told."""
WARMUP_SHARE = 0.05
"""Steps in which the learning rate rises, for every peer whose recipe has such steps."""


@dataclass(frozen=True)
class Order:
    """What a peer is asked to do."""

    chunks: int
    chunk_steps: int
    seed: int
    precision: str
    """`fp32`, or `bf16` followed by what a peer calls its kinds of it."""
    compile: bool
    every_chunk: bool
    """Whether to evaluate after each chunk; else after the last alone."""
    cache: Path
    """The directory that `language_corpus` wrote."""
    kind: str
    """What else the script's case asks: a network's size, a way to batch."""

    @property
    def steps(self) -> int:
        """Of the whole training."""
        return self.chunks * self.chunk_steps

    @property
    def warmup_steps(self) -> int:
        """In which the learning rate rises."""
        return max(1, round(WARMUP_SHARE * self.steps))

    @property
    def bf16(self) -> bool:
        """Whether products are computed in bfloat16."""
        return self.precision.startswith("bf16")


@dataclass
class Training:
    """The clock of one training: seconds and losses, one entry a chunk."""

    order: Order
    evaluate: Callable[[], float]
    """The validation loss of the network as it is."""
    chunk_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    _started: float = 0.0
    _steps: int = 0

    def begin(self) -> None:
        """Starts the clock of a chunk."""
        self._started = time.perf_counter()

    def end(self) -> None:
        """Stops it, and evaluates if that is asked for."""
        self.chunk_seconds.append(time.perf_counter() - self._started)
        if self.order.every_chunk or len(self.chunk_seconds) == self.order.chunks:
            self.losses.append(self.evaluate())

    def step(self) -> None:
        """Tells that a step is done; at the end of a chunk the clock stands while evaluating."""
        self._steps += 1
        if self._steps % self.order.chunk_steps == 0:
            self.end()
            self.begin()

    def report(self, *, units: float, flops: float, parameters: int) -> None:
        """Prints the peer's one JSON line.

        Args:
            units: Tokens or sequences in one chunk.
            flops: Of one unit.
            parameters: Of the network that was trained.
        """
        found = summary(self.chunk_seconds, self.losses, units=units, flops=flops)
        print(json.dumps({**found, "parameters": parameters}), flush=True)


def parser(description: str | None, kinds: Sequence[str]) -> argparse.ArgumentParser:
    """The command line of a script that trains one of `kinds`; it may add to it."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--chunks", type=int, required=True)
    made.add_argument("--chunk-steps", type=int, required=True)
    made.add_argument("--seed", type=int, required=True)
    made.add_argument("--precision", default="fp32")
    made.add_argument("--compile", action="store_true")
    made.add_argument("--every-chunk", action="store_true")
    made.add_argument("--cache", type=Path, required=True)
    made.add_argument("--kind", choices=tuple(kinds), required=True)
    return made


def order_of(given: argparse.Namespace) -> Order:
    """The order on such a command line."""
    return Order(
        chunks=given.chunks,
        chunk_steps=given.chunk_steps,
        seed=given.seed,
        precision=given.precision,
        compile=given.compile,
        every_chunk=given.every_chunk,
        cache=given.cache,
        kind=given.kind,
    )


def summary(
    chunk_seconds: Sequence[float], losses: Sequence[float], *, units: float, flops: float
) -> dict[str, object]:
    """The measurement of one training.

    The rate leaves out the first chunk, in which peers trace, compile and start workers, where
    there is another. The seconds to a loss count all of it.
    """
    assert len(losses) in (1, len(chunk_seconds))
    rate = units / statistics.median(chunk_seconds[1:] or chunk_seconds)
    ends = [sum(chunk_seconds[: at + 1]) for at in range(len(chunk_seconds))]
    found: dict[str, object] = {
        "rate": rate,
        "gflops_per_second": rate * flops / 1e9,
        "validation_loss": losses[-1],
        "chunk_seconds": list(chunk_seconds),
    }
    if len(losses) == len(ends):
        until = {f"seconds_to_{loss}": seconds_to(loss, ends, losses) for loss in LOSSES}
        found |= {**until, "seconds": ends, "losses": list(losses)}
    return found


def seconds_to(target: float, ends: Sequence[float], losses: Sequence[float]) -> float | None:
    """When the loss first was `target`, on straight lines between evaluations.

    Returns:
        Seconds; none if it never was.
    """
    for at, (end, loss) in enumerate(zip(ends, losses, strict=True)):
        if loss > target:
            continue
        if at == 0:
            return end
        share = (losses[at - 1] - target) / (losses[at - 1] - loss)
        return ends[at - 1] + share * (end - ends[at - 1])
    return None
