"""luthier's adapters, its packed rows with what is learned of them, and its loop.

The network comes from the same Hugging Face folder as the peers', the adapter is put on it as a
recipe's is, and conversations are laid out in rows as those of chat data are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import language_protocol
import luthier_language
import numpy as np
import torch
import tuning_memory
import tuning_protocol
import tuning_rows
from luthier_language import Ours
from tuning_rows import Conversations
from tuning_sizes import ALPHA, LEARNING_RATE, RANK, ROWS, TUNED

from luthier.data.target import Documents
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.row_layout import RowForm
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.samples import RowSamples
from luthier.data.text.rows.stream import TokenStream
from luthier.interop.huggingface.read import read_pretrained
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.place import place
from luthier.recipe import Recipe
from luthier.resolve import Resolved
from luthier.run.adapting import adapting
from luthier.training.learner import Learner

ADAPTERS = ("lora", "qlora")


def main() -> None:
    """Trains as ordered, and reports."""
    parser = tuning_protocol.parser(__doc__)
    parser.add_argument("--adapter", choices=ADAPTERS, default="lora")
    given = parser.parse_args()
    keep_freed_memory()
    order = language_protocol.order_of(given)
    train, held_out = tuning_rows.read(order.cache, order.kind, tuning_protocol.rows(order))
    rows = packed(train, order.kind)
    # The last rows of a pass are a batch too, if a short one: nothing is left out.
    order = dataclasses.replace(order, chunk_steps=-(-len(rows) // ROWS))
    ours, learner = adapted(order, given.adapter)
    loss = held_out_loss(ours, packed(held_out, order.kind))
    watched = tuning_protocol.Watched(order, luthier_language.evaluated(ours, loss))

    def batch(step: int) -> RowSamples:
        first = step % order.chunk_steps * ROWS
        return rows.read(np.arange(first, min(first + ROWS, len(rows))), epoch=0)

    luthier_language.train(ours, batch, watched.training, learner=learner)
    moving = sum(one.numel() for one in ours.network.parameters() if one.requires_grad)
    watched.report(train, moving, tuning_memory.parts(ours.network, learner.optimizer))


def packed(read: Conversations, kind: str) -> RowExamples:
    """Conversations in rows of the context, and the target ahead of it, as `prepare_chat` does."""
    size = TUNED[kind]
    form = RowForm(
        context=size.context,
        ahead=1,
        framing=Framing(None, None, each_segment=False),
        packing=True,
        vocab=size.vocab,
        whole=True,
    )
    nothing = np.zeros(len(read.tokens_T), np.uint16)
    tokens = read.tokens_T.astype(np.uint32)
    stream = TokenStream(tokens, nothing, None, read.starts, learned=read.learned_T)
    return RowExamples(stream, "train", form, seed=0, random=False)


def recipe_of(order: language_protocol.Order, adapter: str) -> Recipe:
    """The settings of the other peers: AdamW without decay, and a rate that falls to zero."""
    return Recipe.of(
        {
            "name": "benchmark",
            "task": {"kind": "language"},
            # The rows come from the benchmark's file, in the order of all peers.
            "data": {"kind": "chat", "path": "unread.jsonl"},
            "adapter": {"kind": adapter, "rank": RANK, "alpha": ALPHA},
            "optimizer": {"kind": "adamw", "learning_rate": LEARNING_RATE, "weight_decay": 0.0},
            "schedule": {"kind": "linear"},
            "training": {"steps": order.steps, "batch_size": ROWS, "seed": order.seed},
            "placement": {
                "precision": order.precision,
                "compile": order.compile,
                "device": "cpu",
                "layout": "channels_last",
                "threads": torch.get_num_threads(),
            },
        }
    )


def adapted(order: language_protocol.Order, adapter: str) -> tuple[Ours, Learner]:
    """The folder's network with an adapter on it, placed, and what learns of it."""
    recipe = recipe_of(order, adapter)
    network = read_pretrained(tuning_rows.folder(order.cache, order.kind)).network
    resolved, made = adapting(network, Resolved(recipe, ()), None)
    assert made is not None
    recipe = resolved.recipe
    placed = place(network, recipe.placement, made.roundable)
    ours = Ours(recipe, placed, recipe.task.build(Documents(vocab=TUNED[order.kind].vocab)))
    optimizer = recipe.optimizer.build(placed.network, made.rates)
    return ours, Learner(placed=placed, optimizer=optimizer, still=made.still)


def held_out_loss(ours: Ours, rows: RowExamples) -> Callable[[], float]:
    """Nats a learned token, one row at a time."""

    def loss() -> float:
        nats, targets = 0.0, 0
        for row in range(len(rows)):
            batch = ours.task.collate(rows.read(np.array([row]), epoch=0))
            with ours.placed.autocast():
                columns = ours.task.judge(ours.network, batch)
            nats += float(columns["nats"].sum())
            targets += int(columns["targets"].sum())
        return nats / targets

    return loss


if __name__ == "__main__":
    main()
