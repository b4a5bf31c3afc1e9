"""The adapter of a run that ends, written beside the finished model."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.adapters.lora import LoraSpec
from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import DISK, remove_tree
from luthier.checkpoint.folder import write_folder
from luthier.data.target import names_of
from luthier.errors import RunError
from luthier.interop.parity import agreement
from luthier.interop.peft.write import PeftAdapter, peft_adapter
from luthier.model.blocks.cross_attention import CrossAttention
from luthier.model.blocks.transformers import Transformers
from luthier.model.blueprint import Aim, Network
from luthier.run.adapter_folder import ABOUT, FORMAT, names_for
from luthier.run.session import Session
from luthier.run.source import read_finished

TASK_TYPES: Mapping[Aim, str] = {
    "next_token": "CAUSAL_LM",
    "labels": "SEQ_CLS",
    "tags": "TOKEN_CLS",
    "answers": "QUESTION_ANS",
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


def must_be_as_trained(session: Session) -> None:
    """Reads the finished model of a run with an adapter again, in which what was learned is added
    to the weights, and compares it with the network that was trained, which has it beside them.

    Raises:
        RunError: If they give or write something else; the finished model is removed then.
    """
    adapted, network = session.adapting, session.learner.placed.network
    if adapted is None or not isinstance(adapted.spec, LoraSpec):
        return
    if session.assembly.blueprint.model is None or not isinstance(network, Network):
        return  # Python code gave it, and must give it again
    parts = [type(module) for module in network.modules()]
    if CrossAttention in parts:
        return  # it reads more than one input
    model = session.directory.model
    again = read_finished(session.directory).network
    writes = session.recipe.aim == "next_token" and Transformers not in parts
    try:
        with session.learner.finishing():
            agreement(network, again, writes=writes, name=str(model))
    except RunError:
        remove_tree(model)
        raise
