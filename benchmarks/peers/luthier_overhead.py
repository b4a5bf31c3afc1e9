"""What luthier's loop costs: its steps against a bare torch loop of the same operations.

Both train the same placed network with the same optimizer in one process, in turn. The bare loop
reads its batch in one gather, and does forward, loss, backward, step, and nothing else: no
gradient norm, no check for values that are not finite, no count of losses.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import mnist
import protocol
import torch
from luthier_train import recipe as benchmark_recipe
from torch.nn import functional as F

from luthier import Recipe
from luthier.data.loader import Loader
from luthier.data.prepare import prepare
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.place import place
from luthier.resolve import resolve
from luthier.run.assembly import assemble, with_weights
from luthier.training.learner import Learner
from luthier.training.loop import fit
from luthier.training.schedule import schedule_for
from luthier.training.settings import TrainingSpec

STEPS = 100
"""Of one turn."""
TURNS = 12
"""Of each; each pair of turns gives one ratio."""


def main() -> None:
    """Measures, and prints its one JSON line."""
    order = protocol.order()
    keep_freed_memory()
    plain = benchmark_recipe(order, order.data, mnist.TRAIN_ROWS)
    plain["data"] = {"kind": "mnist", "path": str(order.data), "normalize": "unit"}
    given = Recipe.of(plain)
    prepared = prepare(given.data, seed=order.seed)
    recipe = resolve(given, prepared, ()).recipe
    network = with_weights(assemble(recipe, prepared), recipe)
    placed = place(network, recipe.placement)
    task = recipe.task.build(prepared.target)
    learner = Learner(placed=placed, optimizer=recipe.optimizer.build(placed.network))
    loader = Loader(
        prepared.train,
        task.collate,
        batch_rows=protocol.BATCH_ROWS,
        seed=order.seed,
        shuffle=True,
        workers=0,
    )
    settings = TrainingSpec(steps=STEPS, batch_size=protocol.BATCH_ROWS, seed=order.seed)
    schedule = schedule_for(recipe.schedule, STEPS)
    data = mnist.load(order.data)
    bare = _bare_loop(learner, data)
    percents = _percents(lambda: fit(learner, task, loader, schedule, settings), bare)
    print(json.dumps({"overhead_percent": statistics.median(percents), "turns": percents}))


def _bare_loop(learner: Learner, data: mnist.Mnist) -> Callable[[], None]:
    placed, optimizer = learner.placed, learner.optimizer
    pixels = torch.from_numpy(data.train_pictures)[..., None]
    labels = torch.from_numpy(data.train_labels)
    rows = torch.randperm(len(labels)).split(protocol.BATCH_ROWS)

    def run() -> None:
        placed.network.train()
        for part in rows[:STEPS]:
            # With a single channel only the strides tell torch that this is channels-last.
            inputs = pixels.index_select(0, part).permute(0, 3, 1, 2).float().div_(255)
            optimizer.zero_grad()
            with placed.autocast():
                logits = placed.network(inputs)
            loss = F.cross_entropy(logits.float(), labels.index_select(0, part))
            loss.backward()
            optimizer.step()

    return run


def _percents(ours: Callable[[], object], bare: Callable[[], None]) -> list[float]:
    """By how much each turn of ours took longer than the turns of the bare loop around it."""
    ours()
    before = _seconds(bare)
    percents = []
    for _ in range(TURNS):
        middle = _seconds(ours)
        after = _seconds(bare)
        percents.append(100 * (middle / ((before + after) / 2) - 1))
        before = after
    return percents


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
