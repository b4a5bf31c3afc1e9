"""What every peer decodes, and how it is timed: greedily, so many new tokens after a prompt."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import language_data
import numpy as np
from language_sizes import GPTS, NEW_TOKENS, PROMPT_TOKENS

SIZE = GPTS["30m"]


@dataclass(frozen=True)
class Order:
    """What a peer is asked to do."""

    rows: int
    repeats: int
    seed: int
    precision: str
    compile: bool
    static: bool
    """Whether the cache has its full size from the start, where a peer has both kinds."""
    cache: Path

    @property
    def bf16(self) -> bool:
        """Whether the weights are in bfloat16."""
        return self.precision.startswith("bf16")

    def prompts(self) -> np.ndarray:
        """`(rows, PROMPT_TOKENS)` int64, of the validation text."""
        stream = language_data.read_stream(self.cache, SIZE, self.seed)
        return stream.validation()[: self.rows, :PROMPT_TOKENS]


def order() -> Order:
    """The order on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--cache", type=Path, required=True)
    return Order(**vars(parser.parse_args()))


def measure(given: Order, decode: Callable[[], np.ndarray], parameters: int) -> None:
    """Decodes once to warm up, then as often as ordered, and prints the peer's one JSON line.

    The time includes the reading of the prompt; the FLOPs do not.

    Args:
        given: The order.
        decode: Gives the new tokens `(rows, NEW_TOKENS)`.
        parameters: Of the network.
    """
    new = decode()
    assert new.shape == (given.rows, NEW_TOKENS), new.shape
    seconds = []
    for _ in range(given.repeats):
        started = time.perf_counter()
        decode()
        seconds.append(time.perf_counter() - started)
    rate = given.rows * NEW_TOKENS / statistics.median(seconds)
    flops = SIZE.decoding_flops(PROMPT_TOKENS + NEW_TOKENS / 2)
    found = {"rate": rate, "gflops_per_second": rate * flops / 1e9, "seconds": seconds}
    print(json.dumps({**found, "parameters": parameters}), flush=True)
