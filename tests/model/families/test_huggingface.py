"""Each family computes what Hugging Face's network of that name does, with the same weights.

Theirs turns and normalises in float32, whatever the network's type: hence the tolerance. GPT-2 and
BERT do neither, and agree to what the golden file keeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_twins import CONTEXT, TOKENS, TWINS, VOCAB, Twin, weight
from torch import Tensor

from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import SCORES_TOKENS, Network, build
from luthier.model.families.catalogue import families
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal

GOLDEN = json.loads(Path(__file__).with_name("huggingface_golden.json").read_text())["twins"]
EXACT = ("gpt2", "bert", "bert's pooler", "roberta")


def network(twin: Twin, **changed: Any) -> Network:
    """Ours, with theirs' weights."""
    family = families()[twin.ours["kind"]].model_validate({**twin.ours, **changed})
    head = (UnembedSpec(vocab=VOCAB),) if twin.aim in SCORES_TOKENS else ()
    built = build(family.design(twin.aim), Signal.tokens(CONTEXT, VOCAB), head)
    materialize(built, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    return built.eval()


def theirs(name: str) -> dict[str, Tensor]:
    """The weights of theirs."""
    shapes = GOLDEN[name]["shapes"]
    return {part: weight(part, tuple(shape)) for part, shape in shapes.items()}


def difference(built: Network, weights: Mapping[str, Tensor], name: str) -> float:
    own = dict(built.named_parameters())
    assert own.keys() == weights.keys()
    with torch.no_grad():
        for weight_name, tensor in own.items():
            assert tensor.shape == weights[weight_name].shape, weight_name
            tensor.copy_(weights[weight_name])
        y = built(torch.tensor(TOKENS))
    wanted = torch.tensor(GOLDEN[name]["gives"], dtype=torch.float64).view_as(y)
    return float((y - wanted).abs().max())


@pytest.mark.parametrize("name", TWINS)
def test_the_same_function(name: str) -> None:
    twin = TWINS[name]
    found = difference(network(twin), twin.weights(theirs(name)), name)
    assert found < (2e-9 if name in EXACT else 2e-5)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("llama", {"rotary_scaling": None}),
        ("mistral", {"window": 5}),
        ("qwen 3", {"rotary_base": 1e4}),
        ("gemma 2", {"softcap": None}),
        ("gemma 2", {"head_softcap": None}),
        ("gemma 2", {"scale": None}),
        ("gemma 3", {"local_rotary_base": 1e6}),
        ("modernbert", {"window": 7}),
    ],
)
def test_a_setting_that_is_off_is_caught(name: str, changed: dict[str, Any]) -> None:
    twin = TWINS[name]
    assert difference(network(twin, **changed), twin.weights(theirs(name)), name) > 1e-3


@pytest.mark.parametrize("name", TWINS)
def test_weights_that_are_swapped_are_caught(name: str) -> None:
    twin = TWINS[name]
    weights = twin.weights(theirs(name))
    swapped = {
        ours.replace(".key.", ".spare.")
        .replace(".value.", ".key.")
        .replace(".spare.", ".value."): w
        for ours, w in weights.items()
    }
    assert difference(network(twin), swapped, name) > 1e-3
