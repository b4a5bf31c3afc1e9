"""luthier's GPT on a token stream: GPT-2's architecture and nanoGPT's settings; or, `tuned`, what
luthier has for the same number of weights and the same context to learn faster."""

from __future__ import annotations

from typing import Any

import language_data
import language_gpt
import language_protocol
import luthier_language
import numpy as np
import torch
from language_sizes import GPTS, Gpt

from luthier.data.target import Documents
from luthier.data.text.rows.samples import RowSamples
from luthier.signal import Signal

END = 0
"""The token that ends a document, in the benchmark's tokenizers."""


def gpt2(size: Gpt, order: language_protocol.Order) -> dict[str, Any]:
    """The architecture and settings of the other peers."""
    return {
        "task": {"kind": "language"},
        "model": {
            "kind": "gpt2",
            "width": size.width,
            "depth": size.depth,
            "heads": size.heads,
            "mlp_width": size.mlp_width,
            "positions": size.context,
            "dropout": 0.0,
        },
        "optimizer": luthier_language.OPTIMIZER,
        "schedule": {"kind": "cosine", "warmup_steps": order.warmup_steps, "final": 0.1},
    }


def tuned(size: Gpt) -> dict[str, Any]:
    """Rotary positions, normalised queries and keys, a gated MLP, Muon: as many weights."""
    attention = {
        "kind": "attention",
        "heads": size.heads,
        "position": "rotary",
        "qk_norm": "rms",
    }
    # Three matrices in the place of two; a multiple of eight.
    mlp = {"kind": "mlp", "width": size.mlp_width * 2 // 3 // 8 * 8, "gated": True}
    layers = [
        {"kind": "tokens", "width": size.width},
        {"kind": "repeat", "times": size.depth, "layers": [attention, mlp]},
        {"kind": "rms_norm"},
    ]
    return {
        "task": {"kind": "language"},
        "model": {
            "layers": layers,
            "head": "tied",
            "initialize": {"scheme": "normal", "residual_depth": True},
        },
        "optimizer": {
            "kind": "muon",
            "learning_rate": 4e-3,
            "beta2": 0.99,
            "weight_decay": 0.1,
        },
        "schedule": {"kind": "linear", "warmup_steps": 25},
    }


def main() -> None:
    """Trains as ordered, and reports."""
    parser = language_protocol.parser(__doc__, GPTS)
    parser.add_argument("--tuned", action="store_true")
    given = parser.parse_args()
    order = language_protocol.order_of(given)
    torch.manual_seed(order.seed)
    size = GPTS[order.kind]
    stream = language_data.read_stream(order.cache, size, order.seed)
    ours = luthier_language.made(
        order,
        tuned(size) if given.tuned else gpt2(size, order),
        Signal.tokens(context=size.context, vocab=size.vocab),
        Documents(vocab=size.vocab, specials={"end": END}),
    )

    def loss() -> float:
        return language_gpt.validation_loss(ours.network, stream)

    training = language_protocol.Training(order, luthier_language.evaluated(ours, loss))
    luthier_language.train(ours, lambda step: samples(stream.batch(step), step), training)
    training.report(
        units=order.chunk_steps * size.rows * size.context,
        flops=size.token_flops,
        parameters=ours.parameters,
    )


def samples(rows: np.ndarray, step: int) -> RowSamples:
    """Rows of one document each."""
    tokens = torch.from_numpy(rows)
    return RowSamples(
        tokens_BS=tokens,
        documents_BS=None,
        bytes_BS=torch.zeros_like(tokens),
        words_BS=None,
        ids=torch.arange(len(rows)) + step * len(rows),
        seed=0,
        epoch=0,
    )


if __name__ == "__main__":
    main()
