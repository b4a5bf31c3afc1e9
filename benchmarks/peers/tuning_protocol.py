"""What a fine-tuning peer is asked and answers: `language_protocol`, and memory.

A chunk is one pass over the same conversations. The clock stands while the held-out ones are
read. Memory is what the operating system counted by the end of the training, before they are
read again.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import language_protocol
from tuning_rows import Conversations
from tuning_sizes import ROWS, TUNED, Tuned

MIB = 2**20
_STATM = Path("/proc/self/statm")


@dataclass
class Watched:
    """One fine-tuning: its clock, its losses and its memory."""

    order: language_protocol.Order
    held_out_loss: Callable[[], float]
    """Nats a learned token, over the held-out conversations."""
    loaded: int = field(default_factory=lambda: resident())
    """Bytes of the process, once the network is there."""
    peak: int = 0
    start_loss: float = float("nan")
    training: language_protocol.Training = field(init=False)

    def __post_init__(self) -> None:
        self.start_loss = self.held_out_loss()
        self.training = language_protocol.Training(self.order, self._evaluate)

    def _evaluate(self) -> float:
        self.peak = max(self.peak, highest())
        return self.held_out_loss()

    def report(self, read: Conversations, parameters: int, parts: dict[str, int]) -> None:
        """Prints the peer's one JSON line.

        Args:
            read: What a chunk passes over, as whole as the peer reads it.
            parameters: Weights that move.
            parts: Bytes of what is known of the memory, by name.
        """
        training, size = self.training, TUNED[self.order.kind]
        found = language_protocol.summary(
            training.chunk_seconds,
            training.losses,
            units=len(read.tokens_T),
            flops=flops(size, read) / len(read.tokens_T),
        )
        rate = float(str(found["rate"]))
        told = {
            **found,
            "learned_rate": rate * read.learned / len(read.tokens_T),
            "start_loss": self.start_loss,
            "parameters": parameters,
            "peak_mib": self.peak / MIB,
            "growth_mib": (self.peak - self.loaded) / MIB,
            **{f"{name}_mib": size / MIB for name, size in parts.items()},
        }
        print(json.dumps(told), flush=True)


def parser(description: str | None) -> ArgumentParser:
    """The command line of a script that fine-tunes."""
    return language_protocol.parser(description, tuple(TUNED))


def rows(order: language_protocol.Order) -> int:
    """Conversations of a chunk."""
    return order.chunk_steps * ROWS


def flops(size: Tuned, read: Conversations) -> int:
    """Of a pass over conversations, without padding."""
    pairs = zip(read.lengths, read.learned_lengths, strict=True)
    return sum(size.training_flops(int(length), int(learned)) for length, learned in pairs)


def resident() -> int:
    """Bytes that the process has in memory now; where no system says it, the most it has had."""
    if not _STATM.exists():
        return highest()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def highest() -> int:
    """The most bytes that the process has had in memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
