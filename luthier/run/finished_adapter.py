"""The adapter of a run that ends, written beside the finished model."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.adapters.lora import LoraSpec
from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import DISK
from luthier.checkpoint.folder import write_folder
from luthier.data.target import names_of
from luthier.interop.peft.write import PeftAdapter, peft_adapter
from luthier.model.blueprint import Aim, Network
from luthier.run.adapter_folder import ABOUT, FORMAT, names_for
from luthier.run.session import Session

TASK_TYPES: Mapping[Aim, str] = {
    "next_token": "CAUSAL_LM",
    "labels": "SEQ_CLS",
    "tags": "TOKEN_CLS",
}
"""What PEFT calls what a network is for."""


def adapter_alone(session: Session) -> bool:
    """Whether the finished model is an adapter, and the weights are those of the run's start."""
    spec = session.recipe.adapter
    return isinstance(spec, LoraSpec) and spec.keep == "adapter"


def write_adapter(session: Session) -> None:
    """Writes the adapter of a run that has one, with the weights to use.

    Raises:
        StorageError: If the disk refuses.
    """
    adapted = session.adapting
    if adapted is None or not isinstance(adapted.spec, LoraSpec):
        return
    recipe, network = session.recipe, session.learner.placed.network
    assert isinstance(network, Network)
    classes = names_of(session.prepared.target)
    with session.learner.finishing():
        found = peft_adapter(
            network,
            adapted.spec.name,
            names_for(network, recipe.aim, classes),
            whole=adapted.whole,
            stabilised=adapted.spec.kind == "rslora",
            about={
                "task_type": TASK_TYPES.get(recipe.aim),
                "base_model_name_or_path": recipe.start,
            },
        )
        kept = {name: tensor.clone() for name, tensor in found.tensors.items()}
    tokens = adapted.tokens
    about = {
        "format": FORMAT,
        "base": recipe.start,
        "sha256": adapted.base,
        "aim": recipe.aim,
        "classes": list(classes),
        "tokens": None if tokens is None else [tokens.first, tokens.count],
        "whole": sorted(adapted.whole),
        "bits": 4 if adapted.spec.quantises else None,
    }
    contents = {**PeftAdapter(found.config, kept).contents(), ABOUT: to_json(about)}
    write_folder(session.directory.adapter, contents, DISK)
