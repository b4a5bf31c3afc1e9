"""The machine's matmul ceiling: every product with a weight in one step, and nothing else.

Weights are distinct, as those of a network are, so that they come from memory where a network's
do. A training step has three products a weight: forward, the inputs' gradient, the weight's.

Dimension key:
    S  steps of a recurrence, else 1    R  rows    I  inputs    O  outputs
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import bare
import torch
from language_sizes import BERT, BERT_LENGTH, GPTS, LSTM, TRAINING, Matmul
from torch.nn import functional as F

NETWORKS: dict[str, tuple[Sequence[Matmul], bool]] = {
    # its products with weights, and whether it trains
    "gpt_5m": (GPTS["5m"].matmuls(GPTS["5m"].rows * GPTS["5m"].context), True),
    "gpt_30m": (GPTS["30m"].matmuls(GPTS["30m"].rows * GPTS["30m"].context), True),
    "lstm": (LSTM.matmuls(LSTM.rows), True),
    "bert": (BERT.matmuls(BERT.rows * BERT_LENGTH), True),
    "decode_1": (GPTS["30m"].matmuls(1), False),
    "decode_8": (GPTS["30m"].matmuls(8), False),
}


DECODINGS = 20
"""Steps of decoding in the place of one of training, which is as much longer."""


def gflops_per_second(
    products: Sequence[Matmul], training: bool, dtype: torch.dtype, repeats: int
) -> float:
    """The median over `repeats` steps, after one to warm up."""
    step = _training(products, dtype) if training else _decoding(products, dtype)
    seconds = []
    for _ in range(1 + repeats * (1 if training else DECODINGS)):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    flops = sum(one.flops for one in products) * (TRAINING if training else 1)
    return flops / statistics.median(seconds[1:]) / 1e9


def _training(products: Sequence[Matmul], dtype: torch.dtype) -> Callable[[], None]:
    made = [
        (
            torch.randn(one.times, one.rows, one.inputs).to(dtype),
            torch.randn(one.outputs, one.inputs).to(dtype),
            torch.randn(one.times, one.rows, one.outputs).to(dtype),
        )
        for one in products
    ]

    def step() -> None:
        for xs_SRI, w_OI, grads_SRO in made:
            for x_RI, grad_RO in zip(xs_SRI, grads_SRO, strict=True):
                F.linear(x_RI, w_OI)
                grad_RO @ w_OI
            # A recurrence too has the weight's gradient at once, for all its steps.
            grads_SRO.flatten(0, 1).T @ xs_SRI.flatten(0, 1)

    return step


def _decoding(products: Sequence[Matmul], dtype: torch.dtype) -> Callable[[], None]:
    made = [
        (
            torch.randn(one.rows, one.inputs).to(dtype),
            # In oneDNN's own layout, as inductor's freezing has them: of few rows a product is
            # twice as fast, and what does not change need not be laid out anew.
            torch.ops.mkldnn._reorder_linear_weight(
                torch.randn(one.outputs, one.inputs).to(dtype), one.rows
            ),
        )
        for one in products
    ]

    @torch.inference_mode()
    def step() -> None:
        for x_RI, packed in made:
            torch.ops.mkldnn._linear_pointwise(x_RI, packed, None, "none", [], "")

    return step


def main() -> None:
    """Measures a network's ceiling in both precisions, and prints its one JSON line."""
    bare.keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=tuple(NETWORKS), required=True)
    parser.add_argument("--repeats", type=int, required=True)
    given = parser.parse_args()
    products, training = NETWORKS[given.network]
    found = {
        name: gflops_per_second(products, training, dtype, given.repeats)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
