"""The published ResNet-20 in the network of `recipes/cifar_resnet20.yaml`: its known accuracy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from luthier.data.prepare_pictures import prepare_pictures
from luthier.evaluation.evaluate import evaluate
from luthier.placement.place import decide, place
from luthier.recipe import Recipe
from luthier.run.assembly import assemble
from luthier.run.model_folder import load_weights

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("LUTHIER_DATA", ROOT.parent / "shared" / "data"))
CHECKPOINT = DATA / "checkpoints" / "resnet_cifar10" / "resnet20-12fca82f.th"
PICTURES = DATA / "image_classification" / "cifar10_jpg"

KNOWN_ACCURACY = 0.8103
"""Of the checkpoint on the JPEG test set, measured by whoever prepared the set with other code."""


def theirs(name: str) -> str:
    """Our name of a weight as the checkpoint has it."""
    match name.split("."):
        case ["layers", "0", part, kind]:
            return f"module.{'conv1' if part == 'conv' else 'bn1'}.{kind}"
        case ["layers", stage, "copies", copy, "0", "layers", index, part, kind]:
            module = "conv" if part == "conv" else "bn"
            return f"module.layer{stage}.{copy}.{module}{int(index) + 1}.{kind}"
        case _:
            return f"module.linear.{name.rpartition('.')[2]}"


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(
    not (CHECKPOINT.exists() and PICTURES.exists()), reason=f"{CHECKPOINT} or its data is not there"
)
def test_the_published_accuracy() -> None:
    recipe = Recipe.read(
        ROOT / "recipes" / "cifar_resnet20.yaml",
        [
            f"data.path={PICTURES}",
            "data.normalize={mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}",
            "placement.precision=fp32",
        ],
    )
    prepared = prepare_pictures(recipe.data, seed=0)
    network = assemble(recipe, prepared).network
    published = torch.load(CHECKPOINT, weights_only=True, map_location="cpu")["state_dict"]
    names = network.state_dict()
    network.to_empty(device="cpu")
    counters = {name: torch.tensor(0) for name in names if name.endswith("num_batches_tracked")}
    weights = {name: published[theirs(name)] for name in names if name not in counters}
    load_weights(network, {**weights, **counters}, str(CHECKPOINT))
    values = {found.place.split(".")[1]: found.value for found in decide(recipe.placement)}
    placed = place(network, recipe.placement.model_copy(update=values))
    task = recipe.task.build(prepared.target)
    assert prepared.test is not None
    found = evaluate(placed, task, prepared.test, batch_rows=500).metrics["accuracy"]
    assert found.n == 10_000
    assert found.value == pytest.approx(KNOWN_ACCURACY, abs=0.0006)
