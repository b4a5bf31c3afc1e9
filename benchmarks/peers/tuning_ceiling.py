"""The machine's matmul ceiling for an adapter: the products with frozen weights, and no other.

As `language_ceiling`, but a frozen weight has two products: forward, and the inputs' gradient.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import bare
import torch
from torch.nn import functional as F
from tuning_sizes import FROZEN, ROWS, TUNED

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def gflops_per_second(kind: str, dtype: torch.dtype, repeats: int) -> float:
    """The median over `repeats` batches of full rows, after one to warm up."""
    size = TUNED[kind]
    products = size.matmuls(ROWS * size.context)
    # Weights are distinct, as those of a network are; what is read was written just before.
    weights = [torch.randn(one.outputs, one.inputs).to(dtype) for one in products]
    widths = {width for one in products for width in (one.inputs, one.outputs)}
    rows = {width: torch.randn(products[0].rows, width).to(dtype) for width in widths}
    seconds = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        for one, w_OI in zip(products, weights, strict=True):
            F.linear(rows[one.inputs], w_OI)
            rows[one.outputs] @ w_OI
        seconds.append(time.perf_counter() - started)
    flops = FROZEN * sum(one.flops for one in products)
    return flops / statistics.median(seconds[1:]) / 1e9


def main() -> None:
    """Measures a network's ceiling in the precisions, and prints its one JSON line."""
    bare.keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=tuple(TUNED), required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--precisions", default="bf16")
    given = parser.parse_args()
    found = {
        name: gflops_per_second(given.network, DTYPES[name], given.repeats)
        for name in given.precisions.split(",")
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
